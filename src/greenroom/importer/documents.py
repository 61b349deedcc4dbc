"""YAML of a Compose file: every value as it is written there, and an error that repeats none.

Compose reads YAML 1.2, PyYAML 1.1, where `no` is false, 0755 is 493 and 22:22 is 1342. Here nothing but true, false,
null and `<<` is more than a text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from greenroom.config import documents
from greenroom.errors import Mistake


class _Loader(documents.Loader):
    """Values as they are written."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (documents.MERGE, r"<<", "<"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), list(_first))


def document(content: str, name: str) -> Any:
    """The only document of a file, or None where there are more or none. Raises `config.documents.Unreadable`."""
    try:
        found = list(yaml.load_all(content, Loader=_Loader))  # a SafeLoader with fewer types
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = _without_values(getattr(error, "problem", None) or "it cannot be read")
        where = f"line {mark.line + 1}" if mark else ""
        fix = "Mend the line; indent with spaces, quote `: ` and `#`."
        if re.search(r"constructor for the tag .!(?:override|reset)", str(error)):
            # They say how files are merged, which only Compose itself does.
            fix = "Import what `docker compose config` prints: the merged file, without `!override` and `!reset`."
        raise documents.Unreadable(Mistake(name, where, f"is no YAML: {said}.", fix)) from None
    except Exception:  # any failure of the loader is a mistake in the file
        fix = "Mend it, or import what `docker compose config` prints."
        raise documents.Unreadable(Mistake(name, "", "is no YAML that can be read.", fix)) from None
    return found[0] if len(found) == 1 else None


def _without_values(problem: str) -> str:
    """What is wrong, without what stands there: that may be a password."""
    return re.sub(r"'.*'|\".*\"|`(?![\w.-]+`)[^`]*`", "…", problem)
