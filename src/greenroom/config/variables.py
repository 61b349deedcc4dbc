"""Variables of one service, from all parts of its file. Their names are unique, and not those that Greenroom sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from greenroom.config.needs import ManifestModel
from greenroom.config.service import ServiceModel
from greenroom.errors import Mistake

MARK = "GREENROOM_PREVIEW"
OURS = {
    "PORT": "the port that a web process listens on",
    "VERSION": "the commit that the process runs",
    MARK: "the preview that the process belongs to",
}
SYSTEM = {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a service. A `plain` variable has its value in the file; any other receives an address."""

    path: str
    name: str
    plain: bool = False
    value: str = ""


def reserved(name: str) -> str:
    """Return what a variable means to every process, as the rest of a sentence, or "" if services may define it.

    A need or a link cannot set such a variable.
    """
    if name in OURS:
        return f"is reserved: Greenroom sets it to {OURS[name]}"
    return "has a fixed meaning for every program" if name in SYSTEM else ""


def variables(model: ServiceModel) -> Iterator[Variable]:
    """Yield every variable that the file sets, with the path of its key."""
    for index, use in enumerate(model.uses):
        yield from (Variable(f"uses.{index}.as.{part}", name) for part, name in use.variables if name)
    yield from (Variable(f"address.{part}", name) for part, name in model.address if name)
    yield from (Variable(f"env.{name}", name, True, value) for name, value in model.env.items())
    for index, need in enumerate(model.needs):
        if isinstance(need, ManifestModel):
            yield from (Variable(f"needs.{index}.env.{n}", n, True, value) for n, value in need.env.items())
        else:
            yield from (Variable(f"needs.{index}.as.{part}", name) for part, name in need.pairs)


def wrong_variables(file: str, model: ServiceModel) -> Iterator[Mistake]:
    """Yield every mistake in the names of a service's variables.

    `env` may override `PORT`, `VERSION` or `PATH`, but not the variable that says which preview a process is part of.
    """
    found = [*variables(model)]
    for name, count in Counter(v.name for v in found).items():
        if count > 1:
            fix = "Set the variable in only one place. Needs and links can use another name under `as:`."
            yield Mistake(file, name, f"the variable {name} is set {count} times.", fix)
    for each in found:
        meaning = reserved(each.name)
        if meaning and (each.name == MARK or not each.plain):
            fix = "Remove it." if each.plain else "Choose another name."
            yield Mistake(file, each.path, f"`{each.name}` {meaning}.", fix)
