"""Draft of one service: the content of its file, and a sentence for each thing that was not carried over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

import yaml

from greenroom.config.fields import VARIABLE as PATTERN
from greenroom.config.variables import MARK, reserved
from greenroom.core.model.kinds import KINDS
from greenroom.importer import secrets
from greenroom.importer.interpolation import Interpolated

UNNAMED = "CHANGE-ME"  # `greenroom check` refuses it in any place
MOST = 10  # maximum replicas of a process
VARIABLE = re.compile(PATTERN)
NAMELESS = "At least one variable was left out, because its name is missing or invalid, or looks like a secret."


@dataclass(frozen=True, slots=True)
class Options:
    """Values that the file does not have: the service's name, its repository `owner/name`, its image without a tag."""

    name: str = ""
    repository: str = ""
    image: str = ""


@dataclass(slots=True)
class Draft:
    """Draft of one service. `data` is the mapping in its file."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Add a sentence to the notes once, as one line, even if a name in it has a line break."""
        sentence = "".join(c if c.isprintable() else " " for c in sentence)
        if sentence not in self.notes:
            self.notes.append(sentence)


def begun(name: str, options: Options) -> Draft:
    """Return a draft with the keys that every service needs."""
    draft = Draft(name, {"repository": options.repository or UNNAMED, "image": options.image or UNNAMED})
    if not options.repository:
        draft.note("Set the service's GitHub repository: `repository: owner/name`.")
    if not options.image:
        draft.note("Set the image that CI pushes, without a tag: `image: registry.example.com/shop/catalog`.")
    return draft


def written(draft: Draft) -> str:
    """Return the file's text: notes as comments, then YAML."""
    notes = "".join(f"# - {note}\n" for note in draft.notes)
    head = f"# services/{draft.name}.yaml, a draft.{' To do:' if notes else ''}\n"
    return head + notes + yaml.safe_dump(draft.data, sort_keys=False, default_flow_style=None, width=110)


def text(value: object) -> str:
    """Return a value as a variable holds it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings(draft: Draft, env: Mapping[str, Interpolated]) -> None:
    """Put plain settings into the draft. Leave out values that look secret or come from outside the file."""
    plain: dict[str, str] = {}
    hidden = []
    for name, value in env.items():
        if not secrets.sayable(name):
            draft.note(NAMELESS)
        elif value.missing:
            draft.note(f"{name} has no value in the file. Write the value here, or put it in a Secret.")
        elif secrets.name(name) or secrets.value(value.text) or (value.text and any(map(secrets.name, value.names))):
            hidden.append(name)
        elif not VARIABLE.fullmatch(name) or name == MARK:
            draft.note(f"The variable {name} was left out, because `greenroom check` does not accept its name.")
        else:
            plain[name] = value.text
    if plain:
        draft.data["env"] = plain
    if hidden:
        values = "The value was" if len(hidden) == 1 else "Their values were"
        draft.note(f"Put {', '.join(hidden)} in a Secret, and list the Secret under `envFrom:`. {values} not copied.")


def settable(name: str) -> bool:
    """Return whether a need, a link or `address:` can set a variable with this name."""
    return bool(VARIABLE.fullmatch(name)) and not reserved(name)


def was(things: Sized) -> str:
    """Return `was` for one thing, otherwise `were`."""
    return "was" if len(things) == 1 else "were"


def replicas(count: object, who: str, draft: Draft) -> dict[str, int]:
    """Return the `replicas` of a process if there are more than one. Report a number that a draft cannot have."""
    number = int(str(count)) if re.fullmatch(r"[0-9]{1,9}", str(count)) else None
    if number is None:
        draft.note(f"The number of replicas of {who} could not be read from the file. The draft has one replica.")
    elif number == 0:
        draft.note(
            f"The file sets 0 replicas for {who}, but the draft has one. Remove the process if you do not need it."
        )
    elif number > MOST:
        draft.note(f"{who} has {number} replicas in the file. The draft has {MOST}, the maximum.")
    return {"replicas": min(number, MOST)} if number and number > 1 else {}


def need(kind: str, version: str, draft: Draft) -> dict[str, Any]:
    """Return an entry of `needs:` with the nearest version that Greenroom offers."""
    found = KINDS[kind]
    if not version:
        return {"kind": kind, "version": found.default}
    for wanted in (version, version.split(".")[0]):
        if wanted in found.versions:
            return {"kind": kind, "version": wanted}
    nearest = min(found.versions, key=lambda v: abs(_number(v) - _number(version)))
    draft.note(f"{found.title} {version} is not supported. The draft has {nearest}.")
    return {"kind": kind, "version": nearest}


def _number(version: str) -> float:
    match = re.match(r"\d+(\.\d+)?", version)
    return float(match[0]) if match else 0.0
