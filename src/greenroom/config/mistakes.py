"""What pydantic refuses, as sentences: what, where as the file has it, how to mend it. No secret is ever in one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from greenroom.config import secrecy
from greenroom.config.file import File, Location, Wrong
from greenroom.config.keys import unknown_key
from greenroom.config.values import LISTS, about_value, no_value
from greenroom.errors import Mistake


def mistakes(file: File, errors: Iterable[Mapping[str, Any]]) -> list[Mistake]:
    """A sentence for each thing that is wrong, each said once."""
    found = [Wrong.of(e) for e in errors]
    unknown = {w.location for w in found if w.kind == "extra_forbidden"}
    around = {w.location[:i] for w in found for i in range(len(w.location))}
    said: dict[tuple[Location, bool], Mistake] = {}
    for wrong in found:
        # `password:` stands where `passwordFrom:` should; a list is empty only without what was wrong in it
        meant = (*wrong.location[:-1], wrong.last.removesuffix("From"))
        follows = (wrong.kind == "missing" and meant in unknown) or (
            wrong.kind == "too_short" and wrong.location in around
        )
        if not follows and (wrong.location, wrong.key) not in said:  # what may be two things fails as both
            said[wrong.location, wrong.key] = _mistake(file, wrong)
    return list(dict.fromkeys(said.values()))


def _mistake(file: File, wrong: Wrong) -> Mistake:
    source = next((i for i, part in enumerate(wrong.location) if part in secrecy.SOURCES), None)
    if source is not None:
        return _of_source(file, wrong, wrong.location[: source + 1], str(wrong.location[source]))
    if wrong.kind == "extra_forbidden":
        return unknown_key(file, wrong)
    if wrong.kind == "missing":
        return file.mistake(wrong.location, "is missing.", f"Add `{wrong.last}:`; see `greenroom schema`.")
    if wrong.input is None:
        return file.mistake(wrong.location, *no_value(wrong))
    if wrong.kind == "value_error":
        return file.mistake(wrong.location, str(wrong.context["error"]), "")
    return file.mistake(wrong.location, *about_value(file, wrong))


def _of_source(file: File, wrong: Wrong, location: Location, key: str) -> Mistake:
    """Something under `tokenFrom` and its like: whatever stands there may be the secret itself."""
    write, inner = f"Write {secrecy.place(key)}", wrong.location[len(location) :]
    if inner and isinstance(inner[0], int):
        location, inner = (*location, inner[0]), inner[1:]
    if wrong.kind == "missing":
        return file.mistake(location, "is missing.", f"{write}.")
    if wrong.kind == "value_error" and not inner:
        return file.mistake(location, str(wrong.context["error"]), "")
    if wrong.input is None:
        return file.mistake(location, "has no value.", f"{write}.")
    if wrong.kind in ("too_short", "too_long") or (wrong.kind in LISTS and isinstance(wrong.input, dict)):
        return file.mistake(location, "is no list of one or two places.", f"{write}.")
    if not inner and isinstance(wrong.input, list | tuple) and all(isinstance(i, dict) for i in wrong.input):
        return file.mistake(location, "is a list, and there is one.", f"{write}.")
    near = difflib.get_close_matches(str(inner[0]), ("env", "file"), 1) if wrong.kind == "extra_forbidden" else []
    if near:
        return file.mistake((*location, *inner), f"unknown key `{inner[0]}`.", f"Did you mean `{near[0]}`?")
    return file.mistake(location, *secrecy.no_place(key))
