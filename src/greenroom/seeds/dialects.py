"""The lexical rules of PostgreSQL's and MySQL's dumps, as regular expressions over bytes.

They follow the clients that restore the dumps: psqlscan.l of psql, and client/mysql.cc of mysql and mariadb. Possessive
quantifiers keep the time linear and the memory constant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_PG_NAME = rb'(?:"(?:[^"]|"")*+"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*+)'
_MY_NAME = rb"(?:`(?:[^`]|``)*+`|[A-Za-z_\x80-\xff][\w$\x80-\xff]*+)"

_PLAIN = rb"[\w.+, \n]*+"
_TUPLE = rb"\(" + _PLAIN + rb"(?:(?:'(?<!\w')[^']*+'|-(?!-))" + _PLAIN + rb")*+\)"
"""One row of literals. A string after a letter, such as E'…', has other rules and is not matched.

In MySQL's rows, escaped bytes are masked first, which is three times as fast as matching them.
"""


def masked(data: bytes) -> bytes:
    """Return MySQL's code with every escaped quote and backslash as a byte that no pattern for rows matches outside of
    strings. The length does not change.
    """
    return data.replace(b"\\\\", b"\0\0").replace(b"\\'", b"\0\0")


ESCAPED = re.compile(rb"(?>[^'\\]++|\\[\s\S])*+")
ESCAPED_DOUBLE = re.compile(rb'(?>[^"\\]++|\\[\s\S])*+')
"""The content of a string in which a backslash escapes the next byte."""

TAG = re.compile(rb"\$[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*+")
DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*+)?\$")
EXECUTED = re.compile(rb"/\*M?!(\d*)")
NEWEST = 129_999
"""The newest version that an executable comment of a dump can ask for. MariaDB 12 is 12xxxx there, MySQL 9 is 9xxxx."""
SANDBOX = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/")
DELIMITER = re.compile(rb"delimiter[ \t]+(\S+)[ \t]*\r?(?:\n|\Z)", re.IGNORECASE)
COPY_FROM_STDIN = re.compile(rb"COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
_ROUTINE = re.compile(rb"CREATE\s+(OR\s+REPLACE\s+)?(FUNCTION|PROCEDURE)\b", re.IGNORECASE)
COLUMN_LIST = re.compile(rb"\)\s*(OVERRIDING SYSTEM VALUE\s*)?VALUES\s*\Z")
_WORDS = re.compile(rb'"(?:[^"]|"")*+"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*+|[()]')
IDENTIFIER_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$") | set(range(128, 256))


_OR_REST = rb"|[\s\S]++"
"""With this alternative, `findall` returns the consecutive items, then everything after the last item."""


_ATOMIC = {b"begin": 1, b"case": 1, b"end": -1}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences between the two. `head` matches an INSERT before its rows, `row` one row and a comma."""

    name: str
    head: re.Pattern[bytes]
    row: re.Pattern[bytes]
    rows: re.Pattern[bytes]
    last: re.Pattern[bytes]
    backslashes: bool

    def special(self, delimiter: bytes) -> re.Pattern[bytes]:
        """Return the pattern of the next byte that is not plain code."""
        end = re.escape(delimiter)
        if self.backslashes:
            return re.compile(rb"['\"`\\()#]|--(?=\s|\Z)|/\*|\*/|" + end)
        return re.compile(rb"['\"$\\()]|--|/\*|" + end)


@lru_cache(maxsize=8)
def statements(head: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return the patterns of one statement that inserts one row with this head, and of many of them for `findall`."""
    one = re.escape(head) + _TUPLE + rb";\r?\n"
    return re.compile(one), re.compile(one + _OR_REST)


def _dialect(name: str, identifier: bytes, backslashes: bool) -> Dialect:
    table = identifier + rb"(?:\." + identifier + rb")?+"
    columns = rb"(?:\s*+\(\s*+" + identifier + rb"(?:\s*+,\s*+" + identifier + rb")*+\s*+\))?+"
    overriding = rb"(?:\s++OVERRIDING SYSTEM VALUE)?+"
    head = rb"(?:INSERT (?:IGNORE )?+|REPLACE )INTO " + table + columns + overriding + rb"\s++VALUES\s*+(?=\()"
    row = _TUPLE + rb"\s*+,\s*+"
    last = rb"(" + _TUPLE + rb")\s*+(?:ON CONFLICT DO NOTHING\s*+)?+;"
    rows = re.compile(row + _OR_REST)
    return Dialect(name, re.compile(head), re.compile(row), rows, re.compile(last), backslashes)


POSTGRESQL = _dialect("PostgreSQL", _PG_NAME, backslashes=False)
MYSQL = _dialect("MySQL", _MY_NAME, backslashes=True)


def open_blocks(code: bytes) -> int:
    """Return how many blocks of a routine in standard SQL (BEGIN ATOMIC) are open, counted as psql counts them."""
    if not _ROUTINE.match(code):
        return 0
    depth = parentheses = 0
    for word in _WORDS.findall(code):
        parentheses = max(0, parentheses + {b"(": 1, b")": -1}.get(word, 0))
        step = _ATOMIC.get(word.lower(), 0) if parentheses == 0 else 0
        if step and (depth or word.lower() == b"begin"):
            depth += step
    return depth
