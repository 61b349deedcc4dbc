"""Tokens of SQL as PostgreSQL reads it, and statements without their literals, which may be values of rows.

https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

HIDDEN = "'…'"
SHOWN = 240
"""Maximum number of characters to show of a statement."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*)
      |(?P<comment>/\*)
      |(?P<string>[eE]'(?:[^'\\]|\\.|'')*'?|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'?)
      |(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
      |(?P<quoted>(?:[uU]&)?"(?:[^"]|"")*"?)
      |(?P<number>\d[\w.]*(?:(?<=[eE])[+-]\d+)?|\.\d[\w]*|\$\d+)
      |(?P<word>[^\W\d][\w$]*)
      |(?P<symbol>::|(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+|.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_SIZED = frozenset(
    ("varchar", "varying", "character", "char", "bpchar", "numeric", "decimal", "bit", "time", "timestamp", "interval")
)
"""Types that can have a size in parentheses. The size is part of the schema, so it is shown."""
_DDL = frozenset(
    ("CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "REINDEX", "CLUSTER", "REFRESH", "SECURITY", "IMPORT")
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its kind: `word`, `quoted`, `string`, `number` or `symbol`."""

    kind: str
    text: str

    @property
    def upper(self) -> str:
        """Return a keyword as PostgreSQL compares it; empty for everything that is not a word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """Return the identifier that it is: unquoted ones are lower case."""
        return self.text[1:].removesuffix('"').replace('""', '"') if self.kind == "quoted" else self.text.lower()


def tokens(sql: str) -> tuple[Token, ...]:
    """Return the tokens of SQL without spaces and comments. Text that is not SQL becomes tokens too."""
    return tuple(_tokens(sql))


def _tokens(sql: str) -> Iterator[Token]:
    at = 0
    while at < len(sql):
        found = _TOKEN.match(sql, at)
        if found is None:  # pragma: no cover -- the last alternative matches every character
            return
        kind, at = str(found.lastgroup), found.end()
        if kind == "comment":
            at = _comment_end(sql, at)
        elif kind == "dollar":
            end = sql.find(found.group(), at)
            start, at = found.start(), len(sql) if end < 0 else end + len(found.group())
            yield Token("string", sql[start:at])
        elif kind != "space":
            yield Token(kind, found.group())


def _comment_end(sql: str, at: int) -> int:
    """Return where a comment ends. Comments nest."""
    depth = 1
    for found in _COMMENT.finditer(sql, at):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)


def statements(sql: str) -> tuple[tuple[Token, ...], ...]:
    """Split SQL at its semicolons: some drivers send several statements at once, and the server logs them as one."""
    found: list[tuple[Token, ...]] = []
    current: list[Token] = []
    for token in tokens(sql):
        if token.text == ";" and token.kind == "symbol":
            found.append(tuple(current))
            current = []
        else:
            current.append(token)
    return tuple(s for s in [*found, tuple(current)] if s)


def is_ddl(statement: tuple[Token, ...]) -> bool:
    """Return whether a statement only changes the schema, so that it may be shown. Statements with data never are."""
    return statement[0].upper in _DDL


def shown(statement: tuple[Token, ...]) -> str:
    """Return a DDL statement on one line without literals, without bodies, and at most `SHOWN` characters."""
    if any(t.kind == "string" and t.text.endswith("\\'") and t.text[:1] not in "eE" for t in statement):
        return f"{statement[0].text} …"  # with standard_conforming_strings off, this literal ends somewhere else
    kept, more = _header(statement)
    text = "".join(_spaced(kept, i) for i in range(len(kept))).strip() + (" …" if more else "")
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _header(statement: tuple[Token, ...]) -> tuple[tuple[Token, ...], bool]:
    """Cut the bodies of functions, rules, views and tables from queries: they may contain INSERT, UPDATE or DELETE."""
    if statement[0].upper != "CREATE":
        return statement, False
    words = [t.upper for t in statement]
    if {"FUNCTION", "PROCEDURE"} & set(words[:5]):
        end = next((i for i, t in enumerate(statement) if t.text == "("), len(statement))
        return statement[:end], True
    stop = "DO" if "RULE" in words[:4] else "AS"
    if stop == "AS" and not {"VIEW", "TABLE"} & set(words[:6]):
        return statement, False
    depth = 0
    for i, token in enumerate(statement):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "symbol" else 0
        if depth == 0 and words[i] == stop:
            return statement[: i + 1], True
    return statement, False


def _spaced(kept: tuple[Token, ...], i: int) -> str:
    token, before = kept[i], kept[i - 1] if i else None
    text = token.text
    if token.kind == "string" or (token.kind == "number" and not _size(kept, i)):
        text = HIDDEN
    text = re.sub(r"\s+", " ", text)
    tight = before is None or token.text in (",", ")", ".", "::") or before.text in ("(", ".", "::")
    called = token.text == "(" and before is not None and before.name in _SIZED
    return text if tight or called else f" {text}"


def _size(kept: tuple[Token, ...], i: int) -> bool:
    """Return whether a number is the size of a type, such as 12 and 2 in `numeric(12, 2)`."""
    while i and (kept[i].kind == "number" or kept[i].text == ","):
        i -= 1
    return i > 0 and kept[i].text == "(" and kept[i - 1].kind == "word" and kept[i - 1].name in _SIZED
