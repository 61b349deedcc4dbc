"""A draft of one service: what goes into its file, and a sentence for everything that was not carried over."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

import yaml

from greenroom.config.needs import KINDS

UNNAMED = "CHANGE-ME"  # `greenroom check` refuses it, wherever it stands
SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|PRIVATE|CREDENTIAL|_KEY$|^KEY$|_DSN$|SALT")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_SHELL = re.compile(r"[$&|;<>`]|^\w+=")


@dataclass(frozen=True, slots=True)
class Options:
    """What the file does not say: the service's name, its repository `owner/name`, its image without a tag."""

    name: str = ""
    repository: str = ""
    image: str = ""


@dataclass(slots=True)
class Draft:
    """One service. `data` is the mapping of its file."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def begun(name: str, options: Options) -> Draft:
    """A draft with what every service needs."""
    draft = Draft(name, {"repository": options.repository or UNNAMED, "image": options.image or UNNAMED})
    if not options.repository:
        draft.notes.append("Name its GitHub repository, `repository: owner/name`.")
    if not options.image:
        draft.notes.append("Name the image that CI pushes, without a tag: `image: registry.example.com/shop/catalog`.")
    return draft


def written(draft: Draft) -> str:
    """The file's text: notes as comments, then YAML."""
    lines = ("".join(c if c.isprintable() else " " for c in note) for note in draft.notes)
    notes = "".join(f"# - {line}\n" for line in lines)
    head = f"# services/{draft.name}.yaml, a draft.{' To do:' if notes else ''}\n"
    return head + notes + yaml.safe_dump(draft.data, sort_keys=False, default_flow_style=None, width=110)


def split(command: str) -> list[str]:
    """A command's words; where it asks for what only a shell does, that of a shell."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    return ["sh", "-c", command] if _SHELL.search(command) or not words else words


def text(value: object) -> str:
    """A value as a variable holds it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings(draft: Draft, env: dict[str, str]) -> None:
    """Put plain settings into the draft; what looks secret stays out."""
    plain: dict[str, str] = {}
    hidden = []
    for name, value in env.items():
        if not VARIABLE.fullmatch(name):
            draft.notes.append(f"The variable {name} was left out: names are upper case letters, digits and `_`.")
        elif SECRET.search(name):
            hidden.append(name)
        else:
            plain[name] = value
    if plain:
        draft.data["env"] = plain
    if hidden:
        draft.notes.append(
            f"Put {', '.join(hidden)} into a Secret and name that under `envFrom:`; no value was copied."
        )


def need(kind: str, version: str, draft: Draft) -> dict[str, Any]:
    """An entry of `needs:` with the nearest version that is offered."""
    found = KINDS[kind]
    if not version:
        return {"kind": kind, "version": found.default}
    for wanted in (version, version.split(".")[0]):
        if wanted in found.versions:
            return {"kind": kind, "version": wanted}
    nearest = min(found.versions, key=lambda v: abs(_number(v) - _number(version)))
    draft.notes.append(f"{found.title} {version} is not offered; the draft has {nearest}.")
    return {"kind": kind, "version": nearest}


def _number(version: str) -> float:
    match = re.match(r"\d+(\.\d+)?", version)
    return float(match[0]) if match else 0.0
