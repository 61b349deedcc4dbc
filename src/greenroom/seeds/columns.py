"""`seed.columns.yaml`: where the values of each text column of a dump come from. An unlisted column fails the check."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from greenroom.config.yaml_loader import MAX_BYTES, Loader
from greenroom.core.model.seeds import COLUMNS
from greenroom.errors import FixConfiguration, Mistake
from greenroom.seeds import shapes
from greenroom.seeds.rules import NOTE, REFUSED, Finding
from greenroom.seeds.tables import Table, Tables

CLASSES = ("public", "synthetic", "masked")
UNCLASSIFIED = "unclassified"

_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

# Columns in which migration tools record what ran. The tools fill them with names of files, versions and times. Not
# listed, because they can hold other text: `logs` of Prisma and `installed_by` of Flyway.
_LEDGERS = {
    "alembic_version": {"version_num"},
    "ar_internal_metadata": {"key", "value"},
    "django_migrations": {"app", "name"},
    "flyway_schema_history": {"version", "description", "type", "script"},
    "knex_migrations": {"name"},
    "_prisma_migrations": {"id", "checksum", "migration_name"},
    "schema_migrations": {"version"},
}

HEADER = """\
# Where the values of each text column come from. `greenroom seed check` fails until every column is classified:
#   public      everyone may read them: product names, country codes
#   synthetic   generated values that never belonged to a person
#   masked      values of people, replaced by a masking tool
# The check also looks at the values. To accept a shape in one column: {is: synthetic, allow: [email]}.
# Shapes: %s.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """The classification of one column, and the shapes that its values may have."""

    name: str
    allow: frozenset[str] = frozenset()


Columns = Mapping[str, Mapping[str, Entry]]
"""Entries by table and column."""


def beside(dump: Path) -> Path:
    """Return the place of the columns file of a dump."""
    return dump.parent / COLUMNS


def read(path: Path) -> Columns:
    """Read a columns file. Raise `FixConfiguration` with every mistake in it."""
    try:
        text = path.read_bytes()
        if len(text) > MAX_BYTES:
            raise FixConfiguration(f"{path}: The file is larger than {MAX_BYTES:,} bytes. List only columns in it.")
        content = yaml.load(text.decode(), Loader)  # noqa: S506  # a subclass of SafeLoader
    except OSError as error:
        raise FixConfiguration(f"{path} cannot be read ({(error.strerror or 'unknown error').lower()}).") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise FixConfiguration(f"{path}: {where}The file is not valid YAML. Fix its syntax.") from None
    content = {} if content is None else content
    mistakes = tuple(_mistakes(str(path), content))
    if mistakes:
        raise FixConfiguration(f"{path} has {len(mistakes)} mistakes.", mistakes)
    return {table: {name: _entry(value) for name, value in columns.items()} for table, columns in content.items()}


def _entry(value: str | dict[str, object]) -> Entry:
    if isinstance(value, str):
        return Entry(value)
    allow = value.get("allow", [])
    return Entry(str(value["is"]), frozenset(allow if isinstance(allow, list) else ()))


def _mistakes(file: str, content: object) -> Iterator[Mistake]:
    if not isinstance(content, dict):
        yield Mistake(
            file, "", "The file is not a mapping of tables.", "Draft the file with `greenroom seed columns DUMP`."
        )
        return
    for table, columns in content.items():
        if not isinstance(columns, dict):
            yield Mistake(file, str(table), "The entry is not a mapping of columns.", "Write `column: public`.")
            continue
        for name, value in columns.items():
            if problem := _problem(value):
                yield Mistake(file, f"{table}.{name}", *problem)


def _problem(value: object) -> tuple[str, str] | None:
    classes = f"Use {', '.join(CLASSES)}."
    if isinstance(value, str):
        return None if value in (*CLASSES, UNCLASSIFIED) else (f"{value!r} is not a classification.", classes)
    if not isinstance(value, dict) or set(value) - {"is", "allow"} or value.get("is") not in CLASSES:
        return "This is not a classification.", f"{classes} With exceptions: {{is: masked, allow: [email]}}."
    allow = value.get("allow", [])
    unknown = [key for key in allow if key not in shapes.KEYS] if isinstance(allow, list) else ["allow"]
    if unknown:
        return f"{unknown[0]!r} is not a shape.", f"Use {', '.join(shapes.KEYS)}."
    return None


def entry(columns: Columns, tables: Tables, table: str, column: str) -> Entry | None:
    """Return the entry of a column; that of a partition is also the one of its partitioned table."""
    while table:
        if found := columns.get(table, {}).get(column):
            return found
        table = tables.found[table].parent if table in tables.found else ""
    return None


def listed(tables: Tables) -> Iterator[tuple[Table, list[str]]]:
    """Yield each table that is not a partition, with the columns that must be classified."""
    for table in tables.found.values():
        ledger = _LEDGERS.get(table.name.rpartition(".")[2], set())
        columns = [n for n, type_ in table.columns.items() if n not in ledger and tables.holds_text(type_)]
        if columns and not table.parent:
            yield table, columns


def findings(columns: Columns, tables: Tables, file: str) -> Iterator[Finding]:
    """Yield one finding for each table with columns that are not classified, and one for each stale entry."""
    for table, names in listed(tables):
        missing = [name for name in names if _is_open(columns, tables, table.name, name)]
        if missing:
            count = "1 column is" if len(missing) == 1 else f"{len(missing)} columns are"
            yield Finding(
                REFUSED,
                table.name,
                f"{count} not classified: {_some(missing)}. Classify each as public, synthetic or masked in"
                f" {file}; `greenroom seed columns` drafts the file.",
            )
    for table_name, entries in columns.items():
        known = tables.found[table_name].columns if table_name in tables.found else {}
        stale = [name for name in entries if name not in known]
        if stale:
            yield Finding(
                NOTE, table_name, f"{file} lists columns that the dump does not contain: {_some(stale)}. Remove them."
            )


def _is_open(columns: Columns, tables: Tables, table: str, name: str) -> bool:
    found = entry(columns, tables, table, name)
    return found is None or found.name == UNCLASSIFIED


def _some(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest


def draft(tables: Tables, known: Columns) -> str:
    """Return the text of a columns file for a dump. Entries that are known already are kept."""
    lines = [HEADER % ", ".join(shapes.KEYS)]
    for table, names in sorted(listed(tables), key=lambda pair: pair[0].name):
        lines.append(f"{_key(table.name)}:\n")
        lines += [f"  {_key(name)}: {_value(known.get(table.name, {}).get(name))}\n" for name in names]
    return "".join(lines)


def _value(known: Entry | None) -> str:
    if known is None:
        return UNCLASSIFIED
    return f"{{is: {known.name}, allow: [{', '.join(sorted(known.allow))}]}}" if known.allow else known.name


def _key(name: str) -> str:
    """Return a YAML key. JSON's quoting is valid in YAML, and keeps `on`, `null` and `12` texts."""
    return name if _PLAIN_KEY.fullmatch(name) and name.lower() not in _YAML_WORDS else json.dumps(name)
