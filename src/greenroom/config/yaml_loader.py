"""Safe YAML parsing for the configuration. A key that is written twice is an error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from greenroom.errors import Mistake

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
EXPANDS = "its anchors expand to more than"
MERGE = "tag:yaml.org,2002:merge"
TEXT = "tag:yaml.org,2002:str"


class Loader(yaml.SafeLoader):
    """YAML loader that rejects duplicate keys, values that do not fit their tag, and anchors that expand too far."""

    def construct_document(self, node: yaml.Node) -> Any:
        """Construct a document. Raise `yaml.YAMLError` if it is too large with all anchors expanded."""
        _expanded(node, {}, set())
        return super().construct_document(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct one value. Replace PyYAML's bare `KeyError` for `!!bool maybe` with an error that has a line."""
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception:
            tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
            raise yaml.constructor.ConstructorError(
                None, None, f"the value does not fit its tag {tag}", node.start_mark
            ) from None


def _expanded(node: yaml.Node, known: dict[int, int], within: set[int]) -> int:
    """Count the nodes of a document with all anchors expanded; a few hundred bytes can become billions.

    This runs before anything is constructed, because merge keys (`<<`) copy the nodes that they refer to.
    """
    if id(node) in known:
        return known[id(node)]
    if id(node) in within:
        raise yaml.constructor.ConstructorError(None, None, "an anchor contains itself", node.start_mark)
    inner = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in inner for part in pair]
    within.add(id(node))
    known[id(node)] = 1 + sum(_expanded(each, known, within) for each in inner)
    within.remove(id(node))
    if known[id(node)] > MAX_NODES:
        problem = f"{EXPANDS} {MAX_NODES:,} values"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return known[id(node)]


def _mapping(loader: Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE:  # `<<: *anchor` may precede keys that it also sets; those keys win
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key `{key}` appears twice", key_node.start_mark)
        if isinstance(key, str):
            seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def documents(content: bytes, name: str) -> list[Any]:
    """Return all documents of a file. Raise `Unreadable` when the file cannot be parsed."""
    try:
        return list(yaml.load_all(content, Loader=Loader))
    except yaml.YAMLError as error:
        raise Unreadable(_not_yaml(name, error)) from None
    except RecursionError:
        raise Unreadable(Mistake(name, "", "is nested too deeply.", "Flatten it.")) from None
    except Exception as error:  # any failure of the loader is a mistake in the file; it must not end the process
        raise Unreadable(unreadable(name, error)) from None


@dataclass(frozen=True, slots=True)
class Key:
    """A key that YAML does not read as text: its place, its original spelling, and its value if that is a scalar."""

    parent: tuple[str | int, ...]
    text: str
    value: str
    read: str
    value_read: str


class Written:
    """One document as people wrote it. YAML does not read `ON`, `1.10` or `010` as text. Parsed on first use."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._below: dict[int, dict[str, yaml.Node]] = {}

    def text(self, location: Sequence[str | int]) -> str:
        """Return the scalar at a location as it was written; empty if there is none or it comes from `<<`."""
        node = self._root
        for part in location:
            if isinstance(node, yaml.MappingNode):
                node = self._values(node).get(str(part))
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            else:
                return ""
        return str(node.value) if isinstance(node, yaml.ScalarNode) else ""

    def keys_that_are_no_text(self) -> Iterator[Key]:
        """Yield every key that YAML does not read as text, without the keys below it."""
        seen: set[int] = set()
        left: list[tuple[tuple[str | int, ...], Any]] = [((), self._root)]
        while left:
            at, node = left.pop()
            if id(node) in seen or isinstance(node, yaml.ScalarNode):
                continue  # an anchor is one node, however often it is referenced
            seen.add(id(node))
            if isinstance(node, yaml.SequenceNode):
                left += [((*at, i), n) for i, n in enumerate(node.value)]
                continue
            for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
                if key.tag in (TEXT, MERGE):
                    left.append((at if key.tag == MERGE else (*at, key.value), value))
                elif isinstance(key, yaml.ScalarNode):
                    plain = value.value if isinstance(value, yaml.ScalarNode) else ""
                    yield Key(at, key.value, plain, _read_as(key), _read_as(value))

    def _values(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        if id(node) not in self._below:
            self._below[id(node)] = {k.value: v for k, v in node.value if isinstance(k, yaml.ScalarNode)}
        return self._below[id(node)]

    @cached_property
    def _root(self) -> Any:
        return yaml.compose(self._content, Loader=Loader)


def _read_as(node: yaml.Node) -> str:
    """Return the type that YAML reads a scalar as, in words; empty for text."""
    match node.tag.rpartition(":")[2]:
        case "bool":
            return "yes" if node.value.lower() in ("yes", "true", "on") else "no"
        case "null":
            return "nothing"
        case "int" | "float":
            return "a number"
        case "timestamp":
            return "a date"
        case _:
            return ""


class Unreadable(Exception):
    """A file that cannot be read, with the mistake to report."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


def unreadable(name: str, error: Exception) -> Mistake:
    """Return the mistake for a file that exists but cannot be read."""
    return Mistake(
        name, "", f"cannot be read: {error}.", "Make sure that the file is readable and contains UTF-8 text."
    )


def _not_yaml(name: str, error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if problem.endswith("appears twice"):
        return Mistake(name, where, f"{problem}.", "Remove one of the two.")
    if problem.startswith(EXPANDS):
        return Mistake(name, where, f"{problem}.", "Use fewer anchors and aliases.")
    fix = "Fix the line. Indent with spaces, and quote values that contain `: `, `#` or `{`."
    if mark is None:  # PyYAML cannot decode the file, or does not allow a character in it
        fix = "Save the file as UTF-8 text without control characters."
    if problem.endswith("but got '{'"):
        fix = 'Quote the value that contains `{`, as in "pr-{sha}".'
    return Mistake(name, where, f"is not valid YAML: {problem}.", fix)


def flow(value: Any) -> str:
    """Return a value as one line of YAML."""
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


def is_short(value: Any) -> bool:
    """Return whether a value fits into a sentence. Scalars and lists of scalars do."""
    inner = value if isinstance(value, list) else [value]
    return not any(isinstance(v, dict | list) for v in inner)
