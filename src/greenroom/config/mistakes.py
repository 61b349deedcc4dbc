"""Sentences for pydantic's errors: the problem, its place in the file, and the fix. They never contain a secret."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from greenroom.config import redaction
from greenroom.config.file import File, Location, Wrong
from greenroom.config.keys import unknown_key
from greenroom.config.values import LISTS, about_value, no_value
from greenroom.errors import Mistake


def mistakes(file: File, errors: Iterable[Mapping[str, Any]]) -> list[Mistake]:
    """Return one mistake for each problem, without duplicates."""
    found = [Wrong.of(e) for e in errors]
    unknown = {w.location for w in found if w.kind == "extra_forbidden"}
    index = {w.location[:i] for w in found for i in range(len(w.location))}
    said: dict[tuple[Location, bool], Mistake] = {}
    for wrong in found:
        # These follow from other mistakes: `password:` replaces `passwordFrom:`, or a list lacks only its wrong items.
        meant = (*wrong.location[:-1], wrong.last.removesuffix("From"))
        follows = (wrong.kind == "missing" and meant in unknown) or (
            wrong.kind == "too_short" and wrong.location in index
        )
        if not follows and (wrong.location, wrong.key) not in said:  # a value with two possible types fails as both
            said[wrong.location, wrong.key] = _mistake(file, wrong)
    return list(dict.fromkeys(said.values()))


def _mistake(file: File, wrong: Wrong) -> Mistake:
    source = next((i for i, part in enumerate(wrong.location) if part in redaction.SOURCES), None)
    if source is not None:
        return _of_source(file, wrong, wrong.location[: source + 1], str(wrong.location[source]))
    if wrong.kind == "extra_forbidden":
        return unknown_key(file, wrong)
    if wrong.kind == "missing":
        return file.mistake(wrong.location, "is missing.", f"Add `{wrong.last}:`. See `greenroom schema`.")
    if wrong.input is None:
        return file.mistake(wrong.location, *no_value(wrong))
    if wrong.kind == "value_error":
        return file.mistake(wrong.location, str(wrong.context["error"]), "")
    return file.mistake(wrong.location, *about_value(file, wrong))


def _of_source(file: File, wrong: Wrong, location: Location, key: str) -> Mistake:
    """Return the mistake for a value under `tokenFrom` or a similar key. The value may be the secret itself."""
    write, inner = f"Write {redaction.place(key)}", wrong.location[len(location) :]
    if inner and isinstance(inner[0], int):
        location, inner = (*location, inner[0]), inner[1:]
    if wrong.kind == "missing":
        return file.mistake(location, "is missing.", f"{write}.")
    if wrong.kind == "value_error" and not inner:
        return file.mistake(location, str(wrong.context["error"]), "")
    if wrong.input is None:
        return file.mistake(location, "has no value.", f"{write}.")
    if wrong.kind in ("too_short", "too_long") or (wrong.kind in LISTS and isinstance(wrong.input, dict)):
        return file.mistake(location, "must be a list of one or two sources.", f"{write}.")
    if not inner and isinstance(wrong.input, list | tuple) and all(isinstance(i, dict) for i in wrong.input):
        return file.mistake(location, "must be one source, not a list.", f"{write}.")
    near = difflib.get_close_matches(str(inner[0]), ("env", "file"), 1) if wrong.kind == "extra_forbidden" else []
    if near:
        return file.mistake((*location, *inner), f"unknown key `{inner[0]}`.", f"Did you mean `{near[0]}`?")
    return file.mistake(location, *redaction.no_place(key))
