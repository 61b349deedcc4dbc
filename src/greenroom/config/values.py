"""Messages about wrong values, each with a fix. A message repeats a value only if the value cannot be a secret."""

from __future__ import annotations

import difflib
import re
from typing import Any

from greenroom.config import redaction
from greenroom.config.fields import REPOSITORY, in_words
from greenroom.config.file import File, Sentence, Wrong, inside
from greenroom.config.yaml_loader import flow

MAPPINGS = {"dict_type", "model_type", "model_attributes_type"}
LISTS = {"list_type", "tuple_type"}


def no_value(wrong: Wrong) -> Sentence:
    """Return the message and the fix for a key without a value."""
    if wrong.location[-2:-1] == ("env",):
        return "has no value.", f'Write `{wrong.last}: ""`.'
    return "has no value.", "Write a value, or remove the line."


def about_value(file: File, wrong: Wrong) -> Sentence:
    """Return the message and the fix for a wrong value, by the kind of its error."""
    shown = _shown(file, wrong)
    match wrong.kind:
        case kind if kind in MAPPINGS:
            return _no_mapping(file, wrong, shown)
        case kind if kind in LISTS:
            return _no_list(wrong, shown)
        case "string_type":
            return _no_text(file, wrong, shown)
        case "string_pattern_mismatch":
            return _no_match(file, wrong, shown)
        case "literal_error":
            near = difflib.get_close_matches(str(wrong.input), _choices(wrong), 1)
            expected = wrong.context["expected"]
            return (
                f"{shown}is not valid. Expected {expected}.",
                f"Did you mean `{near[0]}`?" if near else f"Write {expected}.",
            )
        case "greater_than_equal" | "less_than_equal":
            least = wrong.kind == "greater_than_equal"
            bound = wrong.context["ge" if least else "le"]
            return f"{shown}is too {'small' if least else 'large'}.", f"Write {bound} or {'more' if least else 'less'}."
        case "string_too_short" | "too_short":
            return "is empty.", "Write a value, or remove the line."
        case "string_too_long":
            return f"is longer than {wrong.context['max_length']} characters.", "Shorten it."
        case "too_long":
            return f"contains more than {wrong.context['max_length']} items.", "Remove the extra items."
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{shown}is not a whole number.", "Write digits without quotes."
        case "bool_type" | "bool_parsing":
            return f"{shown}is neither true nor false.", "Write `true` or `false`."
        case _:
            return f"{shown}is not valid here: {wrong.text[:1].lower()}{wrong.text[1:]}.", "See `greenroom schema`."


def _shown(file: File, wrong: Wrong) -> str:
    """Return the value as it was written, to begin a message; empty if it may be a secret or is not a scalar."""
    if wrong.secret or isinstance(wrong.input, dict | list | tuple):
        return ""
    if isinstance(wrong.input, str):
        text = wrong.input if len(wrong.input) <= 60 else f"{wrong.input[:59]}…"
        return f"{text!r} "
    return f"{file.written.text(wrong.location) or flow(wrong.input)} "


def _no_mapping(file: File, wrong: Wrong, shown: str) -> Sentence:
    given, at = wrong.input, wrong.location
    if at[:1] == ("uses",) and isinstance(given, str) and not wrong.secret:
        return f"{shown}does not name a variable.", f"Write `{flow(_use(given))}`."
    if at[-1:] == ("env",) and isinstance(given, list):
        return "must be a mapping, not a list.", f"Write `env: {flow(_first_variable(given))}`."
    if at[-2:-1] == ("credentials",):
        return "is not a mapping.", f"Write `{at[-1]}: {{ user: NAME, {redaction.place('passwordFrom').strip('`')} }}`."
    if isinstance(given, list):
        return "must be a mapping, not a list.", "Write `key: value` lines, indented."
    return f"{shown}is not a mapping.", "Write `key: value` lines, indented."


def _no_list(wrong: Wrong, shown: str) -> Sentence:
    if isinstance(wrong.input, dict):
        first = next(iter(wrong.input), "")
        if wrong.location == ("uses",) and first:
            return "must be a list, not a mapping.", f"Write `uses: [{flow(_use(str(first)))}]`."
        return "must be a list, not a mapping.", "Write it as `[one, two]`."
    return f"{shown}is not a list.", f"Write it as `[{flow(wrong.input)}]`." if shown else "Write it as `[one, two]`."


def _no_text(file: File, wrong: Wrong, shown: str) -> Sentence:
    given, variable = wrong.input, wrong.location[-2:-1] == ("env",)
    if isinstance(given, dict):
        secret = _at(given, "secretRef").get("name") or _at(given, "valueFrom", "secretKeyRef").get("name")
        if isinstance(secret, str):
            return "must be a string, not a mapping.", f"Write the Secret's name: `envFrom: [{flow(secret)}]`."
        return (
            "must be a string, not a mapping.",
            f'Write `{wrong.last}: "1"`.' if variable else "Write one string instead.",
        )
    if isinstance(given, list):
        plain = [g for g in given if isinstance(g, str) and not redaction.looks_secret(g)]
        one = flow(plain[0]) if plain and not variable and not wrong.secret else '"..."'
        return "must be a string, not a list.", f"Write `{wrong.last}: {one}`."
    if wrong.secret or (variable and redaction.names_secret(wrong.last)):
        return "is not a string.", "Put it in quotes."
    return f"{shown}is not a string.", f'Quote it: "{shown.strip()}".'


def _no_match(file: File, wrong: Wrong, shown: str) -> Sentence:
    if wrong.key and wrong.location[:-1] == ("repositories",) and re.fullmatch(REPOSITORY, str(wrong.input)):
        short = inside(file.data["repositories"], wrong.last)
        if isinstance(short, str):
            return f"{shown}is not a valid short name.", f"Swap the key and the value: `{flow(short)}: {wrong.last}`."
    what, fix = in_words(str(wrong.context["pattern"]), "" if wrong.secret else str(wrong.input))
    return f"{shown}is {what}.", fix


def _use(service: str) -> dict[str, str]:
    return {"service": service, "as": re.sub(r"\W", "_", service).upper() + "_URL"}


def _first_variable(given: list[Any]) -> dict[str, str]:
    """Return the first plain variable of a Kubernetes or Compose list, or an example if all may be secret."""
    for each in given:
        pair = (each.get("name"), each.get("value")) if isinstance(each, dict) else str(each).split("=", 1)
        if len(pair) == 2 and all(isinstance(p, str) for p in pair):
            name, value = str(pair[0]), str(pair[1])
            if not redaction.names_secret(name) and not redaction.looks_secret(value):
                return {name: value}
    return {"DEBUG": "1"}


def _choices(wrong: Wrong) -> list[str]:
    return [c.strip("' ") for c in str(wrong.context["expected"]).replace(" or ", ",").split(",")]


def _at(found: Any, *path: str) -> dict[str, Any]:
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
