"""YAML loader for Compose files that keeps each value as it is written and repeats no value in an error.

Compose reads YAML 1.2. PyYAML reads YAML 1.1, where `no` is false, 0755 is 493 and 22:22 is 1342. This loader resolves
only true, false, null and `<<`. All other values stay text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from greenroom.config import yaml_loader
from greenroom.errors import Mistake


class _Loader(yaml_loader.Loader):
    """YAML loader that keeps values as they are written."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (yaml_loader.MERGE, r"<<", "<"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), list(_first))


def document(content: str, name: str) -> Any:
    """Return the only document of a file, or None if there are several or none.

    Raise `config.yaml_loader.Unreadable` for anything else.
    """
    try:
        found = list(yaml.load_all(content, Loader=_Loader))  # a SafeLoader with fewer types
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = _without_values(getattr(error, "problem", None) or "the text contains a control character")
        where = f"line {mark.line + 1}" if mark else ""
        fix = "Fix the line. Indent with spaces, and quote values that contain `: ` or `#`."
        if mark is None:
            fix = "Remove the control characters from the file."
        if re.search(r"constructor for the tag .!(?:override|reset)", str(error)):
            # These tags control how files are merged, which only Compose does.
            fix = "Import the output of `docker compose config`: the merged file, without `!override` and `!reset`."
        raise yaml_loader.Unreadable(Mistake(name, where, f"is not valid YAML: {said}.", fix)) from None
    except Exception:  # any failure of the loader is a mistake in the file
        fix = "Fix the file, or import the output of `docker compose config`."
        raise yaml_loader.Unreadable(Mistake(name, "", "is not valid YAML.", fix)) from None
    return found[0] if len(found) == 1 else None


def _without_values(problem: str) -> str:
    """Return the problem without its quoted values, because one may be a password."""
    return re.sub(r"'.*'|\".*\"|`(?![\w.-]+`)[^`]*`", "…", problem)
