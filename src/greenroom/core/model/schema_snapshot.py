"""A database at one moment: names, types, sizes and counts. It contains no value of any row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `filled` is the number of its non-null values, an estimate unless the table's rows are exact; `width`
    is their average size in bytes. Both are `None` if nothing is known.
    """

    number: int
    name: str
    type: str
    not_null: bool = False
    identity: bool = False
    generated: bool = False
    default: str = ""
    filled: int | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or materialized view. `file` is its relfilenode, which changes when the table is rewritten.

    `inserted`, `updated` and `deleted` are the server's counters; they include transactions that were rolled back.
    `live` does not. `changed` is when the last transaction that changed its schema committed, if the server records it.
    """

    oid: int
    schema: str
    name: str
    kind: str
    file: int
    size: int
    rows: int
    exact: bool
    inserted: int
    updated: int
    deleted: int
    live: int
    changed: float | None = None
    partition: bool = False
    columns: tuple[Column, ...] = ()

    @property
    def label(self) -> str:
        """Return its name, with its schema unless that is `public`."""
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        """Return the column of that name."""
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Index:
    """An index. Its definition begins with its method. `violations` is the number of surplus duplicates, and is counted
    only for invalid unique indexes.
    """

    table: int
    name: str
    valid: bool
    unique: bool
    definition: str
    violations: int | None = None


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint. `kind` is a letter of `pg_constraint.contype`; `violations` is counted only if it is NOT VALID."""

    table: int
    name: str
    kind: str
    valid: bool
    definition: str
    violations: int | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence and the table that it numbers. `behind` is how many of its next values are below the largest id."""

    schema: str
    name: str
    table: int | None
    behind: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Output of `snapshot.sh`. `began` and `at` are the start and the end of its queries, in seconds since 1970 by
    the server's clock. `left_out` is the number of tables above the limit. `objects` are functions, views, triggers,
    policies, domains and extensions as kind, name and hash.
    """

    began: float
    at: float
    server: int
    tables: tuple[Table, ...] = ()
    indexes: tuple[Index, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    enums: tuple[tuple[str, tuple[str, ...]], ...] = ()
    objects: tuple[tuple[str, str, str], ...] = ()
    left_out: int = 0

    def named(self, name: tuple[str, ...]) -> Table | None:
        """Return the table of a name, with or without its schema."""
        found = [t for t in self.tables if t.name == name[-1] and (len(name) == 1 or t.schema == name[-2])]
        return next((t for t in found if t.schema == "public"), found[0] if found else None)
