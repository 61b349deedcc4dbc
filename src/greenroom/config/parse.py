"""Parsing of one YAML file into its model, with every mistake in it. A faulty file still yields its valid part."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from greenroom.config import reading
from greenroom.config.file import File
from greenroom.config.keys import odd_keys
from greenroom.config.mistakes import mistakes
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.config.yaml_loader import MAX_BYTES, Unreadable, Written, documents, unreadable
from greenroom.errors import Mistake

RESERVED = {
    "chart": "services with a Helm chart of their own",
    "overlay": "services with a Kustomize overlay of their own",
    "access": "who may open previews",
    "jira": "reading Jira",
    "velocity": "velocity reports",
    "seed": "seeds of several needs at once",
}
INSTEAD = {"seed": "Set the seed in the need: `needs: [{ kind: postgresql, seed: seed/shop.sql }]`."}
M = TypeVar("M", bound=BaseModel)


STANDINS: dict[type[BaseModel], dict[str, Any]] = {  # in place of required keys that are wrong
    PlatformModel: {"installation": "unknown", "domain": "example.com"},
    ServiceModel: {"repository": "unknown/unknown", "image": "registry.example.com/unknown", "port": 1},
}
TOGETHER = frozenset({"port", "processes", "migrate"})  # keys of a service: when one is wrong, all are dropped


@dataclass(frozen=True, slots=True)
class Parsed(Generic[M]):
    """The result of parsing a file. `model` is None if no part of the file can be understood.

    For a file with mistakes, `model` holds the valid part, and `dropped` the top-level keys that were left out.
    """

    name: str
    model: M | None
    file: File | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    dropped: frozenset[str] = frozenset()


def parsed(path: Path, name: str, model: type[M]) -> Parsed[M]:
    """Parse a file into a model, and collect its mistakes. `name` is the file's name in messages."""
    try:
        content = reading.regular(path, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise Unreadable(
                Mistake(
                    name,
                    "",
                    "is larger than a megabyte.",
                    "Remove everything that is not configuration.",
                )
            )
        [data, *others] = documents(content, name) or [None]
        if others:
            raise Unreadable(
                Mistake(name, "", "contains more than one document.", "Keep only one document in the file.")
            )
        if not isinstance(data, dict):
            raise Unreadable(Mistake(name, "", "must be a mapping of keys.", "Start with `key: value` lines."))
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
    """Return the valid part of a file, and the keys that were left out of it."""
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
