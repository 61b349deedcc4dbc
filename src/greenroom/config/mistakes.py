"""What pydantic refuses, as sentences: what, where as the file has it, how to mend it. No secret is ever in one."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from greenroom.config import secrecy
from greenroom.config.documents import Written
from greenroom.config.fields import REPOSITORY, in_words
from greenroom.config.needs import SHAPES
from greenroom.config.service import ProcessModel, ServiceModel
from greenroom.errors import Mistake

Location = tuple[str | int, ...]
Sentence = tuple[str, str]
_MAPPINGS = {"dict_type", "model_type", "model_attributes_type"}
_LISTS = {"list_type", "tuple_type"}
_OF_A_PROCESS = {to_camel(name) for name in ProcessModel.model_fields} - {"port"}


@dataclass(frozen=True, slots=True)
class File:
    """One file: its name in the folder, its shape, what YAML made of it, and what people wrote."""

    name: str
    model: type[BaseModel]
    data: dict[str, Any]
    written: Written

    def mistake(self, location: Sequence[str | int], message: str, fix: str) -> Mistake:
        """A mistake at a location, which ends where the file has no more than a text."""
        return Mistake(self.name, self.path(location), message, fix)

    def trimmed(self, mistake: Mistake) -> Mistake:
        """A mistake that was found in the model, at the path that the file has."""
        parts = (int(p) if p.isdecimal() else p for p in mistake.path.split("."))
        return replace(mistake, path=self.path([*parts]))

    def path(self, location: Sequence[str | int]) -> str:
        """A location as people find it: `image`, not `image.repository`, where the image is one string."""
        parts: list[str] = []
        at: Any = self.data
        for part in location:
            if not isinstance(at, dict | list | None):
                break
            parts.append(str(part))
            at = _inside(at, part)
        return ".".join(parts)


@dataclass(frozen=True, slots=True)
class Wrong:
    """One error of pydantic's. `way` has the shapes of needs in it, `location` only what stands in the file."""

    kind: str
    way: Location
    location: Location
    key: bool
    input: Any
    context: Mapping[str, Any]
    text: str

    @property
    def last(self) -> str:
        """The key that it is about."""
        return str(self.location[-1]) if self.location else ""

    @property
    def secret(self) -> bool:
        """Whether the value must not be shown."""
        return secrecy.closed(self.location) or (isinstance(self.input, str) and secrecy.looks_secret(self.input))


def mistakes(file: File, errors: Iterable[Mapping[str, Any]]) -> list[Mistake]:
    """A sentence for each thing that is wrong, each said once."""
    found = [_wrong(e) for e in errors]
    said = [w for i, w in enumerate(found) if not _follows(w, found) and not _again(w, found[:i])]
    return list(dict.fromkeys(_mistake(file, wrong) for wrong in said))


def odd_keys(file: File) -> Iterator[Mistake]:
    """A sentence for each key that YAML reads as something else than text; takes these keys out of the data."""
    for key in file.written.keys_that_are_no_text():
        parent: Any = file.data
        for part in key.parent:
            parent = _inside(parent, part)
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


def _wrong(error: Mapping[str, Any]) -> Wrong:
    way = tuple(p for p in error["loc"] if not str(p).startswith("function-") and p != "[key]")
    location = tuple(p for p in way if p not in SHAPES)
    if location[:2] == ("scheduling", "tolerations") and location[-1] in ("str", "int"):
        location = location[:-1]  # pydantic's names of the two things that a value may be
    return Wrong(
        error["type"], way, location, "[key]" in error["loc"], error["input"], error.get("ctx", {}), error["msg"]
    )


def _follows(wrong: Wrong, found: list[Wrong]) -> bool:
    """Whether it is only the consequence of another one."""
    if wrong.kind == "missing":  # `password:` stands where `passwordFrom:` should
        siblings = [w.last for w in found if w.kind == "extra_forbidden" and w.location[:-1] == wrong.location[:-1]]
        return any(f"{s}From" == wrong.last for s in siblings)
    size = len(wrong.location)
    return wrong.kind == "too_short" and any(
        len(w.location) > size and w.location[:size] == wrong.location for w in found
    )


def _again(wrong: Wrong, before: list[Wrong]) -> bool:
    """Whether it is about the same value as one before: what may be two things fails as both."""
    return any((w.location, w.key) == (wrong.location, wrong.key) for w in before)


def _mistake(file: File, wrong: Wrong) -> Mistake:
    source = next((i for i, part in enumerate(wrong.location) if part in secrecy.SOURCES), None)
    if source is not None:
        return _of_source(file, wrong, wrong.location[: source + 1], str(wrong.location[source]))
    if wrong.kind == "extra_forbidden":
        return _unknown_key(file, wrong)
    if wrong.kind == "missing":
        return file.mistake(wrong.location, "is missing.", f"Add `{wrong.last}:`; see `greenroom schema`.")
    if wrong.input is None:
        return file.mistake(wrong.location, *_no_value(wrong))
    if wrong.kind == "value_error":
        return file.mistake(wrong.location, str(wrong.context["error"]), "")
    return file.mistake(wrong.location, *_sentence(file, wrong))


def _sentence(file: File, wrong: Wrong) -> Sentence:
    """What is wrong with a value by its kind: message and fix."""
    shown = _shown(file, wrong)
    match wrong.kind:
        case kind if kind in _MAPPINGS:
            return _no_mapping(file, wrong, shown)
        case kind if kind in _LISTS:
            return _no_list(wrong, shown)
        case "string_type":
            return _no_text(file, wrong, shown)
        case "string_pattern_mismatch":
            return _no_match(file, wrong, shown)
        case "literal_error":
            near = difflib.get_close_matches(str(wrong.input), _choices(wrong), 1)
            expected = wrong.context["expected"]
            return f"{shown}is none of {expected}.", f"Did you mean `{near[0]}`?" if near else f"Write {expected}."
        case "greater_than_equal" | "less_than_equal":
            least = wrong.kind == "greater_than_equal"
            bound = wrong.context["ge" if least else "le"]
            return f"{shown}is too {'small' if least else 'large'}.", f"Write {bound} or {'more' if least else 'less'}."
        case "string_too_short" | "too_short":
            return "is empty.", "Write one, or remove the line."
        case "string_too_long":
            return f"is longer than {wrong.context['max_length']} characters.", "Shorten it."
        case "too_long":
            return f"holds more than {wrong.context['max_length']}.", "Remove what is too much."
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{shown}is no whole number.", "Write digits without quotes."
        case "bool_type" | "bool_parsing":
            return f"{shown}is neither true nor false.", "Write `true` or `false`."
        case _:
            return f"{shown}is not valid here: {wrong.text[:1].lower()}{wrong.text[1:]}.", "See `greenroom schema`."


# --- places of secrets ---


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
    if wrong.kind in ("too_short", "too_long") or (wrong.kind in _LISTS and isinstance(wrong.input, dict)):
        return file.mistake(location, "is no list of one or two places.", f"{write}.")
    if not inner and isinstance(wrong.input, list | tuple) and all(isinstance(i, dict) for i in wrong.input):
        return file.mistake(location, "is a list, and there is one.", f"{write}.")
    near = difflib.get_close_matches(str(inner[0]), ("env", "file"), 1) if wrong.kind == "extra_forbidden" else []
    if near:
        return file.mistake((*location, *inner), f"unknown key `{inner[0]}`.", f"Did you mean `{near[0]}`?")
    return file.mistake(location, *secrecy.no_place(key))


# --- keys ---


def _unknown_key(file: File, wrong: Wrong) -> Mistake:
    known, key = _keys(file.model, wrong.way[:-1]), wrong.last
    source = next((k for k in (f"{key}From", f"{key}sFrom") if k in known and k in secrecy.SOURCES), None)
    if source:
        return file.mistake(wrong.location, *secrecy.no_place(source))
    if file.model is ServiceModel and wrong.location[:-1] == () and key in _OF_A_PROCESS:
        return file.mistake(wrong.location, "belongs to a process.", _processes(file.data))
    if file.model is ServiceModel and wrong.location in (("resources", "requests"), ("resources", "limits")):
        return file.mistake(("resources",), "is in Kubernetes' own shape.", _resources(file.data["resources"]))
    near = difflib.get_close_matches(key, known, 1) or [k for k in known if k == to_camel(key)]
    fix = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(sorted(known))}."
    if secrecy.closed(wrong.location[:-1]) and not near:
        return file.mistake(wrong.location[:-1], "holds an unknown key.", fix)
    return file.mistake(wrong.location, f"unknown key `{key}`.", fix)


def _processes(data: dict[str, Any]) -> str:
    """How to write what stands at the top of a service but belongs to one of its processes."""
    given = {k: v for k, v in data.items() if k in _OF_A_PROCESS and _is_short(v)}
    if "processes" in data:
        return f"Move it below one of `processes:`, such as `web: {flow(given)}`."
    if not isinstance(data.get("port"), int):
        return f"Write `processes: {{ web: {flow(given)} }}`."
    return f"Write `processes: {{ web: {flow({'port': data['port'], **given})} }}` in place of `port:`."


def _resources(given: Any) -> str:
    """Requests and limits as Kubernetes has them, in our words; a limit of CPU has none."""
    requests, limits = (given[k] if isinstance(given.get(k), dict) else {} for k in ("requests", "limits"))
    meant = {"cpu": requests.get("cpu"), "memory": requests.get("memory"), "memoryLimit": limits.get("memory")}
    meant = {k: v for k, v in meant.items() if v and _is_short(v)} or {"cpu": "100m", "memoryLimit": "512Mi"}
    return f"Write `resources: {flow(meant)}`."


def _keys(model: type[BaseModel], way: Location) -> list[str]:
    """The keys that the mapping at a location may have."""
    schema = model.model_json_schema(by_alias=True)
    here: dict[str, Any] = schema
    for part in way:
        if part in SHAPES:
            here = schema["$defs"][part]
            continue
        here = _resolved(here, schema)
        properties = here.get("properties", {})
        here = (
            here.get("items", {})
            if isinstance(part, int)
            else properties.get(part) or here.get("additionalProperties", {})
        )
    return list(_resolved(here, schema).get("properties", {}))


def _resolved(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in here.get("anyOf", []) or here.get("allOf", []):
        if "$ref" in option:
            here = option
    if reference := here.get("$ref"):
        found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
        return found
    return here


# --- values ---


def _shown(file: File, wrong: Wrong) -> str:
    """The value before the verdict, as it was written; nothing where it may be secret, or is more than a text."""
    if wrong.secret or isinstance(wrong.input, dict | list | tuple):
        return ""
    if isinstance(wrong.input, str):
        text = wrong.input if len(wrong.input) <= 60 else f"{wrong.input[:59]}…"
        return f"{text!r} "
    return f"{file.written.text(wrong.location) or flow(wrong.input)} "


def _no_value(wrong: Wrong) -> Sentence:
    if wrong.location[-2:-1] == ("env",):
        return "has no value.", f'Write `{wrong.last}: ""`.'
    return "has no value.", "Write one, or remove the line."


def _no_mapping(file: File, wrong: Wrong, shown: str) -> Sentence:
    given, at = wrong.input, wrong.location
    if at[:1] == ("uses",) and isinstance(given, str) and not wrong.secret:
        return f"{shown}names no variable.", f"Write `{flow(_use(given))}`."
    if at[-1:] == ("env",) and isinstance(given, list):
        return "is a list.", f"Write `env: {flow(_first_variable(given))}`."
    if at[-2:-1] == ("credentials",):
        return "is no mapping.", f"Write `{at[-1]}: {{ user: NAME, {secrecy.place('passwordFrom').strip('`')} }}`."
    if isinstance(given, list):
        return "is a list.", "Write `key: value` lines, indented."
    return f"{shown}is no mapping.", "Write `key: value` lines, indented."


def _no_list(wrong: Wrong, shown: str) -> Sentence:
    if isinstance(wrong.input, dict):
        first = next(iter(wrong.input), "")
        if wrong.location == ("uses",) and first:
            return "is a mapping.", f"Write `uses: [{flow(_use(str(first)))}]`."
        return "is a mapping.", "Write it as `[one, two]`."
    return f"{shown}is no list.", f"Write it as `[{flow(wrong.input)}]`." if shown else "Write it as `[one, two]`."


def _no_text(file: File, wrong: Wrong, shown: str) -> Sentence:
    given, variable = wrong.input, wrong.location[-2:-1] == ("env",)
    if isinstance(given, dict):
        secret = _at(given, "secretRef").get("name") or _at(given, "valueFrom", "secretKeyRef").get("name")
        if secret:
            return "is a mapping.", f"Write the Secret's name: `envFrom: [{flow(secret)}]`."
        return "is a mapping.", f'Write `{wrong.last}: "1"`.' if variable else "Write one text in its place."
    if isinstance(given, list):
        plain = [g for g in given if isinstance(g, str) and not secrecy.looks_secret(g)]
        one = flow(plain[0]) if plain and not variable and not wrong.secret else '"..."'
        return "is a list.", f"Write `{wrong.last}: {one}`."
    if wrong.secret or (variable and secrecy.names_secret(wrong.last)):
        return "is no text.", "Put it in quotes."
    return f"{shown}is no text.", f'Quote it: "{shown.strip()}".'


def _no_match(file: File, wrong: Wrong, shown: str) -> Sentence:
    if wrong.key and wrong.location[:-1] == ("repositories",) and re.fullmatch(REPOSITORY, str(wrong.input)):
        short = _inside(file.data["repositories"], wrong.last)
        if isinstance(short, str):
            return f"{shown}is no short name.", f"Write it the other way round: `{flow(short)}: {wrong.last}`."
    what, fix = in_words(str(wrong.context["pattern"]), str(wrong.input))
    return f"{shown}is {what}.", fix


def _use(service: str) -> dict[str, str]:
    return {"service": service, "as": re.sub(r"\W", "_", service).upper() + "_URL"}


def _first_variable(given: list[Any]) -> dict[str, str]:
    """The first plain variable of a list as Kubernetes or Compose has it; an invented one where all may be secret."""
    for each in given:
        pair = (each.get("name"), each.get("value")) if isinstance(each, dict) else str(each).split("=", 1)
        if len(pair) == 2 and all(isinstance(p, str) for p in pair):
            name, value = str(pair[0]), str(pair[1])
            if not secrecy.names_secret(name) and not secrecy.looks_secret(value):
                return {name: value}
    return {"DEBUG": "1"}


def _choices(wrong: Wrong) -> list[str]:
    return [c.strip("' ") for c in str(wrong.context["expected"]).replace(" or ", ",").split(",")]


def _at(found: Any, *path: str) -> dict[str, Any]:
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _is_short(value: Any) -> bool:
    """A scalar, or a list of them: what fits into a sentence."""
    inner = value if isinstance(value, list) else [value]
    return not any(isinstance(v, dict | list) for v in inner)


def _inside(at: Any, part: str | int) -> Any:
    if isinstance(at, dict):
        return at.get(part)
    return at[part] if isinstance(at, list) and isinstance(part, int) and part < len(at) else None


def flow(value: Any) -> str:
    """A value as one would write it in one line of YAML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            plain = re.fullmatch(r"[\w./@*:-]*[\w./@*-]", value) and not value.startswith(("*", "@", "-"))
            return value if plain and yaml.safe_load(value) == value else json.dumps(value, ensure_ascii=False)
        case dict():
            return f"{{ {', '.join(f'{flow(k)}: {flow(v)}' for k, v in value.items())} }}"
        case list() | tuple():
            return f"[{', '.join(flow(v) for v in value)}]"
        case _:
            return str(value)
