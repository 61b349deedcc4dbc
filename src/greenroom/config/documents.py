"""YAML of the configuration: safe, and a key that is written twice is refused."""

from __future__ import annotations

from typing import Any

import yaml

from greenroom.errors import Mistake

MAX_BYTES = 1_000_000
MERGE = "tag:yaml.org,2002:merge"


class Loader(yaml.SafeLoader):
    """YAML that refuses a key written twice."""


def _mapping(loader: Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE:  # `<<: *anchor` may stand before keys that it gives too: they win
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key `{key}` stands twice", key_node.start_mark)
        if isinstance(key, str):
            seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def documents(content: bytes, name: str) -> list[Any]:
    """All documents of a file. Raises `Unreadable`."""
    try:
        return list(yaml.load_all(content, Loader=Loader))
    except yaml.YAMLError as error:
        raise Unreadable(_not_yaml(name, error)) from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(unreadable(name, error)) from None


class Unreadable(Exception):
    """A file that cannot be read, as the mistake that it is."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


def unreadable(name: str, error: Exception) -> Mistake:
    """A file that is there and cannot be read."""
    return Mistake(name, "", f"cannot be read: {error}.", "Make it a readable UTF-8 file.")


def _not_yaml(name: str, error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if problem.endswith("stands twice"):
        return Mistake(name, where, f"{problem}.", "Remove one of the two.")
    return Mistake(name, where, f"is no YAML: {problem}.", "Mend the line; indent with spaces, quote `: ` and `#`.")
