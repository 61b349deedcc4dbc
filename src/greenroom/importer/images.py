"""Which images of others are needs, and which version of one a tag says."""

from __future__ import annotations

import re

from greenroom.config.needs import KINDS

# Images that hold a kind and something more; of the last two the tag's first number is that of the extension.
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
    """The kind of need that an image is, or nothing."""
    name = _apart(image)[0]
    return _STOCK.get(name) or _MORE.get(name, "")


def more(image: str) -> bool:
    """Whether an image holds more than the kind that it is: another name, or another maker than the official one."""
    maker = image.partition("@")[0].rpartition("/")[0].removeprefix("index.").removeprefix("docker.io")
    return _apart(image)[0] not in _STOCK or maker.removeprefix("public.ecr.aws/docker").strip("/") not in _OFFICIAL


def version(image: str) -> str:
    """The version that the tag says, `15` or `3.13`, or nothing."""
    name, tag = _apart(image)
    if kind(image) == "postgresql" and (match := re.search(r"(?<![a-z])pg-?(\d+)", tag)):
        return match[1]
    match = re.match(r"v?(\d+(?:\.\d+)?)", tag)
    return match[1] if match and name not in _EXTENSIONS else ""


def _apart(image: str) -> tuple[str, str]:
    """The last part of an image's name, and its tag."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name.lower(), tag.lower()
