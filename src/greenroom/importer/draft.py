"""A draft of one service: what goes into its file, and a sentence for everything that was not carried over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

import yaml

from greenroom.config.fields import VARIABLE as PATTERN
from greenroom.config.needs import KINDS
from greenroom.importer import secrets
from greenroom.importer.interpolation import Interpolated

UNNAMED = "CHANGE-ME"  # `greenroom check` refuses it, wherever it stands
MOST = 10  # replicas of a process
VARIABLE = re.compile(PATTERN)
NAMELESS = "A variable that is no `NAME=value` was left out."


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

    def note(self, sentence: str) -> None:
        """Say something, once and in one line, whatever the names in it."""
        sentence = "".join(c if c.isprintable() else " " for c in sentence)
        if sentence not in self.notes:
            self.notes.append(sentence)


def begun(name: str, options: Options) -> Draft:
    """A draft with what every service needs."""
    draft = Draft(name, {"repository": options.repository or UNNAMED, "image": options.image or UNNAMED})
    if not options.repository:
        draft.note("Name its GitHub repository, `repository: owner/name`.")
    if not options.image:
        draft.note("Name the image that CI pushes, without a tag: `image: registry.example.com/shop/catalog`.")
    return draft


def written(draft: Draft) -> str:
    """The file's text: notes as comments, then YAML."""
    notes = "".join(f"# - {note}\n" for note in draft.notes)
    head = f"# services/{draft.name}.yaml, a draft.{' To do:' if notes else ''}\n"
    return head + notes + yaml.safe_dump(draft.data, sort_keys=False, default_flow_style=None, width=110)


def text(value: object) -> str:
    """A value as a variable holds it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings(draft: Draft, env: Mapping[str, Interpolated]) -> None:
    """Put plain settings into the draft; what looks secret stays out, and what has a hole."""
    plain: dict[str, str] = {}
    hidden = []
    for name, value in env.items():
        if not secrets.sayable(name):
            draft.note(NAMELESS)
        elif value.missing:
            draft.note(f"{name} takes its value from outside the file: write it, or put it into a Secret.")
        elif secrets.name(name) or secrets.value(value.text) or (value.text and any(map(secrets.name, value.names))):
            hidden.append(name)
        elif not VARIABLE.fullmatch(name):
            draft.note(f"The variable {name} was left out: `greenroom check` takes no such name.")
        else:
            plain[name] = value.text
    if plain:
        draft.data["env"] = plain
    if hidden:
        draft.note(f"Put {', '.join(hidden)} into a Secret and name that under `envFrom:`; no value was copied.")


def was(things: Sized) -> str:
    """`was` or `were`."""
    return "was" if len(things) == 1 else "were"


def replicas(count: object, who: str, draft: Draft) -> dict[str, int]:
    """How many of a process run, where that is another number than one."""
    number = int(str(count)) if re.fullmatch(r"[0-9]{1,9}", str(count)) else None
    if number is None:
        draft.note(f"How many of {who} run is no number here; the draft has one.")
    elif number == 0:
        draft.note(f"None of {who} runs there; the draft has one. Remove it if it is not wanted.")
    elif number > MOST:
        draft.note(f"{who} runs {number} times there; the draft has {MOST}, the most.")
    return {"replicas": min(number, MOST)} if number and number > 1 else {}


def need(kind: str, version: str, draft: Draft) -> dict[str, Any]:
    """An entry of `needs:` with the nearest version that is offered."""
    found = KINDS[kind]
    if not version:
        return {"kind": kind, "version": found.default}
    for wanted in (version, version.split(".")[0]):
        if wanted in found.versions:
            return {"kind": kind, "version": wanted}
    nearest = min(found.versions, key=lambda v: abs(_number(v) - _number(version)))
    draft.note(f"{found.title} {version} is not offered; the draft has {nearest}.")
    return {"kind": kind, "version": nearest}


def _number(version: str) -> float:
    match = re.match(r"\d+(\.\d+)?", version)
    return float(match[0]) if match else 0.0
