"""Read a folder: greenroom.yaml and services/*.yaml, every mistake at once."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from greenroom.config import manifests
from greenroom.config import platform as platform_yaml
from greenroom.config.catalogue import Found, catalogue_of
from greenroom.config.coherence import disagreements
from greenroom.config.documents import MAX_BYTES, Unreadable, documents, unreadable
from greenroom.config.needs import SHAPES, ManifestModel
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.config.settings import Settings
from greenroom.core.catalogue import Platform
from greenroom.errors import FixConfiguration, Mistake

RESERVED = {
    "chart": "services with a Helm chart of their own",
    "overlay": "services with a Kustomize overlay of their own",
    "access": "who may open previews",
    "jira": "reading Jira",
    "velocity": "velocity reports",
}
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that one folder says. `digest` changes when any of its files does."""

    platform: Platform
    settings: Settings
    digest: str


def files(folder: Path) -> list[Path]:
    """The files that make up a configuration, sorted."""
    services = sorted((folder / "services").glob("*.y*ml"))
    return [folder / "greenroom.yaml", *services, *sorted((folder / "needs").glob("*.yaml"))]


def digest(folder: Path) -> str:
    """SHA-256 over names and contents; a missing or unreadable file counts as empty."""
    found = hashlib.sha256()
    for path in files(folder):
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        found.update(f"{path.name}:{len(content)}:".encode() + content)
    return found.hexdigest()


def load(folder: Path) -> Configuration:
    """The configuration in a folder. Raises `FixConfiguration` with all mistakes."""
    mistakes: list[Mistake] = []
    main, *rest = files(folder)
    others = [p for p in rest if p.parent.name == "services"]
    if not main.is_file():
        fix = "Make one with `installation:` and `domain:`, or name the folder that holds it."
        raise _wrong([Mistake(str(main), "", "there is no such file.", fix)])
    taken = digest(folder)
    model = _read(main, "greenroom.yaml", PlatformModel, mistakes)
    found = [Found(f"services/{p.name}", p.stem, m) for p in others if (m := _read_service(p, mistakes))]
    if not others:
        mistakes.append(
            Mistake("services/", "", "holds no service.", "Add services/NAME.yaml; see docs/configuration.md.")
        )
    if model is None:
        raise _wrong(mistakes)
    mistakes += disagreements(model)
    unread = frozenset(p.stem for p in others) - {f.stem for f in found}
    objects, wrong = _manifests(folder, found)
    mistakes += wrong
    repositories, wrong = catalogue_of(model, found, objects, unread)
    mistakes += wrong
    if mistakes:
        raise _wrong(mistakes)
    return Configuration(
        platform_yaml.to_core(model, repositories), platform_yaml.to_settings(model, folder.absolute()), taken
    )


def _manifests(folder: Path, found: list[Found]) -> tuple[dict[str, tuple[str, ...]], list[Mistake]]:
    """The objects of each manifest that a service names, by its file."""
    named = {n.manifest for service in found for n in service.model.needs if isinstance(n, ManifestModel)}
    read = {name: manifests.read(folder, name) for name in sorted(named)}
    return {name: objects for name, (objects, _) in read.items()}, [m for _, wrong in read.values() for m in wrong]


def _wrong(mistakes: list[Mistake]) -> FixConfiguration:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return FixConfiguration(f"The configuration has {count}.", tuple(mistakes))


def report(error: FixConfiguration) -> str:
    """All mistakes as text, one line each."""
    return "\n".join(str(m) for m in error.mistakes) or str(error)


def _read_service(path: Path, mistakes: list[Mistake]) -> ServiceModel | None:
    return _read(path, f"services/{path.name}", ServiceModel, mistakes)


def _read(path: Path, name: str, model: type[M], mistakes: list[Mistake]) -> M | None:
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            mistakes.append(
                Mistake(name, "", "is larger than a megabyte.", "Split it, or remove what is not configuration.")
            )
            return None
        [data, *others] = documents(content, name) or [None]
    except Unreadable as error:
        mistakes.append(error.mistake)
        return None
    except OSError as error:
        mistakes.append(unreadable(name, error))
        return None
    if others:
        mistakes.append(Mistake(name, "", "holds more than one document.", "Remove the line `---` between them."))
        return None
    if not isinstance(data, dict):
        mistakes.append(Mistake(name, "", "holds no mapping of keys.", "Begin with `key: value` lines."))
        return None
    reserved = [k for k in data if k in RESERVED]
    for key in reserved:
        message = f"`{key}` is reserved for a later release ({RESERVED[key]})."
        mistakes.append(Mistake(name, key, message, "Remove it."))
    try:
        return model.model_validate({k: v for k, v in data.items() if k not in RESERVED})
    except ValidationError as error:
        mistakes += [_mistake(name, model, dict(e)) for e in error.errors(include_url=False)]
        return None


def _mistake(name: str, model: type[BaseModel], error: dict[str, Any]) -> Mistake:
    location = [p for p in error["loc"] if not (isinstance(p, str) and p.startswith("function-"))]
    path = ".".join(str(p) for p in location if p not in SHAPES)
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(name, model, location, path)
        case "missing":
            return Mistake(name, path, "is missing.", f"Add `{location[-1]}:`; see `greenroom schema`.")
        case "value_error":
            return Mistake(name, path, str(error["ctx"]["error"]), "")
        case "literal_error":
            near = difflib.get_close_matches(str(error["input"]), _choices(error), 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Write {error['ctx']['expected']}."
            return Mistake(name, path, f"{error['input']!r} is none of {error['ctx']['expected']}.", hint)
        case "string_pattern_mismatch":
            return Mistake(
                name, path, f"{error['input']!r} is not valid here.", f"It must match {error['ctx']['pattern']}."
            )
        case "greater_than_equal" | "less_than_equal":
            least = error["type"] == "greater_than_equal"
            bound = error["ctx"]["ge" if least else "le"]
            return Mistake(
                name,
                path,
                f"{error['input']} is too {'small' if least else 'large'}.",
                f"Write {bound} or {'more' if least else 'less'}.",
            )
        case "int_type" | "int_parsing" | "int_from_float":
            return Mistake(name, path, f"{error['input']!r} is no whole number.", "Write digits without quotes.")
        case "bool_type" | "bool_parsing":
            return Mistake(name, path, f"{error['input']!r} is neither true nor false.", "Write `true` or `false`.")
        case "dict_type" | "model_type" | "model_attributes_type":
            return Mistake(name, path, f"{error['input']!r} is no mapping.", "Write `key: value` lines, indented.")
        case "list_type" | "tuple_type":
            return Mistake(name, path, f"{error['input']!r} is no list.", "Write it as `[one, two]`.")
        case "string_type":
            return Mistake(name, path, f"{error['input']!r} is no text.", f'Quote it: "{error["input"]}".')
        case _:
            return Mistake(name, path, f"{error['msg'].lower()}, not {error['input']!r}.", "See `greenroom schema`.")


def _choices(error: dict[str, Any]) -> list[str]:
    return [c.strip("' ") for c in str(error["ctx"]["expected"]).replace(" or ", ",").split(",")]


def _unknown_key(name: str, model: type[BaseModel], location: list[Any], path: str) -> Mistake:
    key = str(location[-1])
    known = _keys(model, location[:-1])
    near = difflib.get_close_matches(key, known, 1) or [k for k in known if k == to_camel(key)]
    fix = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(sorted(known))}."
    return Mistake(name, path, f"unknown key `{key}`.", fix)


def _keys(model: type[BaseModel], location: list[Any]) -> list[str]:
    """The keys that the mapping at a location may have."""
    schema = model.model_json_schema(by_alias=True)
    here: dict[str, Any] = schema
    for part in location:
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
