"""Mistakes in keys: unknown keys, keys that belong elsewhere, and keys that YAML does not read as text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from greenroom.config import redaction
from greenroom.config.file import File, Location, Wrong, inside
from greenroom.config.needs import SHAPES
from greenroom.config.service import ProcessModel, ServiceModel
from greenroom.config.yaml_loader import flow, is_short
from greenroom.errors import Mistake

_OF_A_PROCESS = {to_camel(name) for name in ProcessModel.model_fields} - {"port"}


def odd_keys(file: File) -> Iterator[Mistake]:
    """Yield a mistake for each key that YAML does not read as text, and remove these keys from the data."""
    if all(isinstance(key, str) for found in _mappings(file.data) for key in found):
        return  # the usual case: the file need not be parsed a second time
    for key in file.written.keys_that_are_no_text():
        parent: Any = file.data
        for part in key.parent:
            parent = inside(parent, part)
        if not isinstance(parent, dict):
            continue
        for odd in [k for k in parent if not isinstance(k, str)]:
            del parent[odd]
        said, fix = f"YAML reads `{key.text}` as {key.read}", f'Write `"{key.text}":`.'
        if key.value_read in ("yes", "no"):
            both = key.read == key.value_read
            said = f"YAML reads `{key.text}` {f'and `{key.value}` ' if both else ''}as {key.read}"
            said += "" if both else f" and `{key.value}` as {key.value_read}"
            fix = f'Write `"{key.text}": "{key.value}"`.'
        yield file.mistake((*key.parent, key.text), f"{said}.", fix)


def _mappings(data: Any) -> Iterator[dict[Any, Any]]:
    """Yield every mapping in the data once."""
    seen: set[int] = set()
    left = [data]
    while left:
        at = left.pop()
        if id(at) in seen or not isinstance(at, dict | list):
            continue
        seen.add(id(at))
        left += at.values() if isinstance(at, dict) else at
        if isinstance(at, dict):
            yield at


def unknown_key(file: File, wrong: Wrong) -> Mistake:
    """Return the mistake for a key that is not allowed in its place."""
    known, key = _keys(file.model, wrong.way[:-1]), wrong.last
    source = next((k for k in (f"{key}From", f"{key}sFrom") if k in known and k in redaction.SOURCES), None)
    if source:
        return file.mistake(wrong.location, *redaction.no_place(source))
    if file.model is ServiceModel and wrong.location[:-1] == () and key in _OF_A_PROCESS:
        keys = [k for k in file.data if k in _OF_A_PROCESS]  # one mistake for all of them
        verb = "belongs to a process." if len(keys) == 1 else f"{listed(keys)} belong to a process."
        return file.mistake(keys[:1], verb, _processes(file.data))
    if file.model is ServiceModel and wrong.location in (("resources", "requests"), ("resources", "limits")):
        return file.mistake(("resources",), "is in the Kubernetes format.", _resources(file.data["resources"]))
    near = difflib.get_close_matches(key, known, 1) or [k for k in known if k == to_camel(key)]
    fix = f"Did you mean `{near[0]}`?" if near else f"Known keys: {', '.join(sorted(known))}."
    if redaction.closed(wrong.location[:-1]) and not near:
        return file.mistake(wrong.location[:-1], "contains an unknown key.", fix)
    return file.mistake(wrong.location, f"unknown key `{key}`.", fix)


def listed(keys: list[str]) -> str:
    """Join keys for a sentence: `a`, `b` and `c`."""
    *most, last = (f"`{key}`" for key in keys)
    return f"{', '.join(most)} and {last}" if most else last


def _processes(data: dict[str, Any]) -> str:
    """Return the fix for keys at the top of a service that belong to one of its processes."""
    given = {k: v for k, v in data.items() if k in _OF_A_PROCESS and is_short(v)}
    if "processes" in data:
        return f"Use an entry of `processes:` instead, such as `web: {flow(given)}`."
    if not isinstance(data.get("port"), int):
        return f"Write `processes: {{ web: {flow(given)} }}`."
    return f"Write `processes: {{ web: {flow({'port': data['port'], **given})} }}` instead of `port:`."


def _resources(given: Any) -> str:
    """Return the fix for Kubernetes requests and limits, in Greenroom's keys. There is no key for a CPU limit."""
    requests, limits = (given[k] if isinstance(given.get(k), dict) else {} for k in ("requests", "limits"))
    meant = {"cpu": requests.get("cpu"), "memory": requests.get("memory"), "memoryLimit": limits.get("memory")}
    meant = {k: v for k, v in meant.items() if v and is_short(v)} or {"cpu": "100m", "memoryLimit": "512Mi"}
    return f"Write `resources: {flow(meant)}`."


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _keys(model: type[BaseModel], way: Location) -> list[str]:
    """Return the keys that the mapping at a location may have."""
    schema = _schema(model)
    here: dict[str, Any] = schema
    for part in way:
        if part in SHAPES:
            here = schema["$defs"][part]
            continue
        here = _resolved(here, schema)
        here = here.get("items", {}) if isinstance(part, int) else _value(here, part)
    return list(_resolved(here, schema).get("properties", {}))


def _value(here: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the schema of the value at a key. A mapping with free names has one schema for all its values."""
    found = here.get("properties", {}).get(key) or here.get("additionalProperties")
    found = found or next(iter(here.get("patternProperties", {}).values()), {})
    return found if isinstance(found, dict) else {}


def _resolved(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in here.get("anyOf", []) or here.get("allOf", []):
        if "$ref" in option:
            here = option
    if reference := here.get("$ref"):
        found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
        return found
    return here
