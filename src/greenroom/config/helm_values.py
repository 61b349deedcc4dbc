"""Helm values of charts/greenroom from the files of a folder, so that the configuration is written once.

Helm reads YAML with other rules than Python does: there, an unquoted `y` is a boolean and `1e3` is a number. Strings
are therefore quoted unless no reader can take them for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from greenroom.config import reading
from greenroom.config.load import MAIN, files
from greenroom.config.yaml_loader import MAX_BYTES, TEXT, documents
from greenroom.errors import FixConfiguration, Mistake

NOT_IN_A_POD = ("local", "listen", "state", "reader")
"""Keys of greenroom.yaml that depend on the machine. The chart sets them for its pod."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def helm_values(folder: Path) -> str:
    """Return the values `configuration` for charts/greenroom as YAML. The folder must be free of mistakes.

    The content of the files stays the same, without comments. Manifests in `needs/` that a service names stay byte for
    byte.
    """
    main, *rest = files(folder)
    greenroom = _mapping(main, MAIN)
    if greenroom.get("engine") == "local":
        message = "is `local`, but charts/greenroom runs Greenroom in a cluster, where the engine is Argo CD."
        raise _wrong(Mistake(MAIN, "engine", message, "Write `engine: argocd`, or use another folder for the cluster."))
    services = {}
    for path in (p for p in rest if p.parent.name == "services"):
        service = _mapping(path, f"services/{path.name}")
        services[service.get("name") or path.stem] = service
    configuration = {
        "greenroom": {key: value for key, value in greenroom.items() if key not in NOT_IN_A_POD},
        "services": services,
        "needs": {_stem(name): _text(main.parent, name) for name in sorted({*_manifests(services)})},
    }
    return yaml.dump({"configuration": configuration}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)


def _mapping(path: Path, name: str) -> dict[str, Any]:
    [found] = documents(reading.regular(path, MAX_BYTES), name)
    return dict(found)


def _manifests(services: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the files of `manifest:` in all services."""
    for service in services.values():
        for need in service.get("needs") or ():
            if isinstance(need, dict) and "manifest" in need:
                yield need["manifest"]


def _stem(name: str) -> str:
    return name.removeprefix("needs/").removesuffix(".yaml")


def _text(folder: Path, name: str) -> str:
    try:
        return reading.regular(folder / name, MAX_BYTES).decode()
    except UnicodeDecodeError:
        raise _wrong(Mistake(name, "", "is not UTF-8.", "Save it as UTF-8.")) from None


def _wrong(mistake: Mistake) -> FixConfiguration:
    return FixConfiguration("The configuration has one mistake.", (mistake,))


class _Dumper(yaml.SafeDumper):
    """YAML dumper that quotes strings and repeats values instead of writing anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: the values are read by people too."""
        return True


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return dumper.represent_scalar(TEXT, value)
    # A block keeps a manifest readable. PyYAML quotes the text all the same if a block cannot hold it.
    return dumper.represent_scalar(TEXT, value, style="|" if "\n" in value and "\r" not in value else '"')


_Dumper.add_representer(str, _string)
