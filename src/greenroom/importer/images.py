"""Third-party images that are needs, and the versions in their tags."""

from __future__ import annotations

import re

from greenroom.core.model.kinds import KINDS

# Images that hold a kind and something more. For `_EXTENSIONS`, the tag's first number is the extension's version.
_MORE = {
    "postgis": "postgresql",
    "mysql-server": "mysql",
    "keydb": "redis",
    "redis-stack": "redis",
    "redis-stack-server": "redis",
    "timescaledb": "postgresql",
    "timescaledb-ha": "postgresql",
    "pgvector": "postgresql",
}
_OFFICIAL = ("", "library", "valkey")
_EXTENSIONS = ("timescaledb", "timescaledb-ha", "pgvector")
_STOCK = {alias: kind for kind, found in KINDS.items() for alias in (kind, *found.aliases)}


def kind(image: str) -> str:
    """Return the kind of need that an image is, or an empty string."""
    name = _apart(image)[0]
    return _STOCK.get(name) or _MORE.get(name, "")


def more(image: str) -> bool:
    """Return whether an image holds more than its kind: it has another name, or a publisher that is not official."""
    maker = image.partition("@")[0].rpartition("/")[0].removeprefix("index.").removeprefix("docker.io")
    return _apart(image)[0] not in _STOCK or maker.removeprefix("public.ecr.aws/docker").strip("/") not in _OFFICIAL


def version(image: str) -> str:
    """Return the version in the tag, such as `15` or `3.13`, or an empty string."""
    name, tag = _apart(image)
    if kind(image) == "postgresql" and (match := re.search(r"(?<![a-z])pg-?(\d+)", tag)):
        return match[1]
    match = re.match(r"v?(\d+(?:\.\d+)?)", tag)
    return match[1] if match and name not in _EXTENSIONS else ""


def _apart(image: str) -> tuple[str, str]:
    """Return the last part of an image's name, and its tag."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name.lower(), tag.lower()
