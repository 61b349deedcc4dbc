"""Which tables a DDL statement changes, and under which lock.

https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from greenroom.core.migration_report.sql_text import Token
from greenroom.core.model.migration_report import Lock

Name = tuple[str, ...]
"""The parts of an identifier: the schema, if there is one, and the name."""

_NOISE = {"IF", "EXISTS", "NOT", "ONLY", "CONCURRENTLY"}


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of a statement on tables. `index` is the name of an index that it creates or drops."""

    tables: tuple[Name, ...] = ()
    lock: Lock = Lock.NONE
    index: Name = ()


def effect(statement: Sequence[Token]) -> Effect:
    """Return the effect of a statement. Statements without an effect on an existing table have an empty one."""
    words = [t.upper for t in statement]
    verb, rest = words[0], words[1:]
    if verb == "ALTER" and rest[:1] == ["TABLE"]:
        return Effect(tuple(_names(statement, 2, 1)) + _parents(statement), _alter_lock(words))
    if verb == "DROP" and rest[:1] == ["TABLE"]:
        return Effect(tuple(_names(statement, 2)), Lock.ACCESS_EXCLUSIVE)
    if verb == "DROP" and rest[:1] == ["INDEX"]:
        lock = Lock.SHARE_UPDATE_EXCLUSIVE if "CONCURRENTLY" in words else Lock.ACCESS_EXCLUSIVE
        return Effect((), lock, next(_names(statement, 2), ()))
    if verb == "CREATE" and "INDEX" in words[1:3]:
        return _create_index(statement, words)
    if verb == "CREATE" and {"TRIGGER", "POLICY", "RULE"} & set(words[1:5]) and "ON" in words:
        lock = Lock.SHARE_ROW_EXCLUSIVE if "TRIGGER" in words[1:5] else Lock.ACCESS_EXCLUSIVE
        return Effect(tuple(_names(statement, words.index("ON") + 1, 1)), lock)
    if verb in ("CLUSTER", "REFRESH"):
        start = words.index("VIEW") + 1 if "VIEW" in words else 1
        return Effect(tuple(_names(statement, start, 1)), Lock.ACCESS_EXCLUSIVE)
    return Effect()


def name_at(statement: Sequence[Token], at: int) -> tuple[Name, int]:
    """Return the qualified name at a position, and the position after it. It is empty if there is none."""
    parts: list[str] = []
    while at < len(statement) and statement[at].kind in ("word", "quoted"):
        parts.append(statement[at].name)
        at += 1
        if at >= len(statement) or statement[at].text != ".":
            break
        at += 1
    return tuple(parts), at


def _names(statement: Sequence[Token], at: int, limit: int = 100) -> Iterator[Name]:
    """Yield the names of a list such as that of DROP TABLE."""
    while limit:
        while at < len(statement) and statement[at].upper in _NOISE:
            at += 1
        name, at = name_at(statement, at)
        if not name:
            return
        yield name
        limit -= 1
        if at >= len(statement) or statement[at].text != ",":
            return
        at += 1


def _parents(statement: Sequence[Token]) -> tuple[Name, ...]:
    """Return the tables that new foreign keys refer to: they are locked as well."""
    places = [i + 1 for i, t in enumerate(statement) if t.upper == "REFERENCES"]
    return tuple(n for n in (name_at(statement, p)[0] for p in places) if n)


def _alter_lock(words: Sequence[str]) -> Lock:
    if "VALIDATE" in words or ("STATISTICS" in words and "SET" in words):
        return Lock.SHARE_UPDATE_EXCLUSIVE
    if "FOREIGN" in words and "ADD" in words and "COLUMN" not in words:
        return Lock.SHARE_ROW_EXCLUSIVE
    return Lock.ACCESS_EXCLUSIVE


def _create_index(statement: Sequence[Token], words: Sequence[str]) -> Effect:
    if "ON" not in words:
        return Effect()
    on = words.index("ON")
    lock = Lock.SHARE_UPDATE_EXCLUSIVE if "CONCURRENTLY" in words[:on] else Lock.SHARE
    name = next(_names(statement, words.index("INDEX") + 1, 1), ())
    return Effect(tuple(_names(statement, on + 1, 1)), lock, name if name != ("on",) else ())
