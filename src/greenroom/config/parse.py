"""One file: YAML to its model, with every mistake in it; of a file with mistakes also the part that is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from greenroom.config import reading
from greenroom.config.documents import MAX_BYTES, Unreadable, Written, documents, unreadable
from greenroom.config.file import File
from greenroom.config.keys import odd_keys
from greenroom.config.mistakes import mistakes
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.errors import Mistake

RESERVED = {
    "chart": "services with a Helm chart of their own",
    "overlay": "services with a Kustomize overlay of their own",
    "access": "who may open previews",
    "jira": "reading Jira",
    "velocity": "velocity reports",
    "seed": "seeds of several needs at once",
}
INSTEAD = {"seed": "Write it at the need: `needs: [{ kind: postgresql, seed: seed/shop.sql }]`."}
M = TypeVar("M", bound=BaseModel)


STANDINS: dict[type[BaseModel], dict[str, Any]] = {  # for what a file must say and says wrong
    PlatformModel: {"installation": "unknown", "domain": "example.com"},
    ServiceModel: {"repository": "unknown/unknown", "image": "registry.example.com/unknown", "port": 1},
}
TOGETHER = frozenset({"port", "processes", "migrate"})  # of a service: when one is wrong, the others say nothing


@dataclass(frozen=True, slots=True)
class Parsed(Generic[M]):
    """What a file holds. `model` is None where nothing of it can be understood.

    Of a file with mistakes it is what is right: `dropped` are the keys at its top that were left out.
    """

    name: str
    model: M | None
    file: File | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    dropped: frozenset[str] = frozenset()


def parsed(path: Path, name: str, model: type[M]) -> Parsed[M]:
    """The file as a model, or what is wrong with it. `name` is its name in sentences."""
    try:
        content = reading.regular(path, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise Unreadable(
                Mistake(name, "", "is larger than a megabyte.", "Split it, or remove what is not configuration.")
            )
        [data, *others] = documents(content, name) or [None]
        if others:
            raise Unreadable(Mistake(name, "", "holds more than one document.", "Remove the line `---` between them."))
        if not isinstance(data, dict):
            raise Unreadable(Mistake(name, "", "holds no mapping of keys.", "Begin with `key: value` lines."))
    except Unreadable as error:
        return Parsed(name, None, mistakes=[error.mistake])
    except OSError as error:
        return Parsed(name, None, mistakes=[unreadable(name, error)])
    return _understood(File(name, model, data, Written(content)), model)


def _understood(file: File, model: type[M]) -> Parsed[M]:
    found = [*odd_keys(file), *_reserved(file)]
    data = {k: v for k, v in file.data.items() if k not in RESERVED}
    try:
        return Parsed(file.name, model.model_validate(data), file, found)
    except ValidationError as error:
        errors: list[dict[str, Any]] = [dict(e) for e in error.errors(include_url=False)]
        found += mistakes(file, errors)
        wrong = frozenset(str(e["loc"][0]) for e in errors if e["loc"])
        rest, dropped = _rest(model, data, wrong)
        return Parsed(file.name, rest, file, found, dropped)


def _rest(model: type[M], data: dict[str, Any], wrong: frozenset[str]) -> tuple[M | None, frozenset[str]]:
    """What is right of a file, and the keys that were left out for it."""
    together = TOGETHER if issubclass(model, ServiceModel) else frozenset[str]()
    dropped = wrong | together if wrong & together or not wrong else wrong
    given = {k: v for k, v in data.items() if k not in dropped}
    standins = {k: v for k, v in STANDINS[model].items() if k not in given}
    if "processes" in given:
        standins.pop("port", None)
    try:
        return model.model_validate({**given, **standins}), dropped | standins.keys()
    except ValidationError:
        return None, dropped


def _reserved(file: File) -> list[Mistake]:
    return [
        file.mistake(
            [key], f"`{key}` is reserved for a later release ({RESERVED[key]}).", INSTEAD.get(key, "Remove it.")
        )
        for key in file.data
        if key in RESERVED
    ]
