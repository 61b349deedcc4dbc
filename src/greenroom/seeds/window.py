"""The part of a dump that the scanner holds in memory, and the draft of the current statement."""

from __future__ import annotations

import re

from greenroom.seeds.dialects import masked
from greenroom.seeds.events import Statement

KEPT_CODE = 1 << 20
KEPT_TEXT = 1 << 18
KEPT_NOTE = 4096
ALL_ROWS, STEP = 10_000, 20
"""The first `ALL_ROWS` rows of each table are all sampled, then one row in `STEP`."""

_SPACE = re.compile(rb"[ \t\r\n\f\v]*+")
_BEFORE_PREFIX = re.compile(rb"(?:^|[^\w$\x80-\xff])[eE]$")


class Window:
    """Bytes that were read and not consumed yet. `line` and `position` count what was consumed."""

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        self.line = 1
        self.position = 0
        self.final = False
        self._masked: bytes | None = None

    @property
    def masked(self) -> bytes:
        """Return the data with MySQL's escapes masked."""
        if self._masked is None:
            self._masked = masked(self.data)
        return self._masked

    @property
    def end(self) -> int:
        """Return the index after the last byte."""
        return len(self.data)

    @property
    def left(self) -> int:
        """Return the number of bytes that are not consumed."""
        return len(self.data) - self.at

    def add(self, block: bytes) -> None:
        """Append a block, and drop what was consumed."""
        self.replace(self.data[self.at :] + block)

    def replace(self, data: bytes) -> None:
        """Hold other data than before."""
        self.data, self.at, self._masked = data, 0, None

    def skip(self, to: int) -> int:
        """Consume until that index. Return the number of lines that ended."""
        lines = self.data.count(b"\n", self.at, to)
        self.line += lines
        self.position += to - self.at
        self.at = to
        return lines

    def take(self, to: int) -> bytes:
        """Consume until that index, and return the bytes."""
        taken = self.data[self.at : to]
        self.skip(self.at + len(taken))
        return taken

    def take_newline(self) -> bool:
        """Consume a newline, if it is next. Return whether it is, or nothing is left."""
        rest = self.data[self.at : self.at + 2]
        end = 1 if rest[:1] == b"\n" else 2 if rest == b"\r\n" else 0
        self.skip(self.at + end)
        return end > 0 or (self.final and not self.left)

    def skip_space(self) -> None:
        """Consume white space."""
        found = _SPACE.match(self.data, self.at)
        if found:
            self.skip(found.end())


class Sampling:
    """The choice of rows whose values are read: by their number within the table, and not by blocks."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}

    def chosen(self, head: bytes, rows: list[bytes]) -> tuple[bytes, ...]:
        """Return the sample of these rows, which follow those of the last call with the same head."""
        first = self._rows.get(head, 0)
        self._rows[head] = first + len(rows)
        early = rows[: max(0, ALL_ROWS - first)]
        start = len(early)
        start += -(first + start) % STEP
        return (*early, *rows[start::STEP])


class Draft:
    """The statement that is being read."""

    def __init__(self) -> None:
        self.reset()
        self.line = 1
        self._note = b""
        self.noted_line = 1

    def reset(self) -> None:
        """Begin the next statement."""
        self._code = bytearray()
        self._text = bytearray()
        self.begun = False
        self.tuples = 0
        self.odd = ""
        self.escapes = False
        self.is_name = False
        self.after_escapes = False
        self._last = b""

    @property
    def kept_code(self) -> bytes:
        """Return the code so far."""
        return bytes(self._code)

    @property
    def last_byte(self) -> int:
        """Return the last byte of code, or 0."""
        return self._last[-1] if self._last else 0

    def code(self, text: bytes) -> None:
        """Append code outside of strings."""
        self.begun = True
        if not text.isspace():
            self.after_escapes = False
        self._append(text)
        self._keep(text)

    def space(self) -> None:
        """Append one space for a comment."""
        if self.begun:
            self._append(b" ")
            self._keep(b" ")

    def prefixed(self, letters: bytes) -> bool:
        """Return whether the code ends with one of these letters as a word of its own."""
        return self._last[-1:] in (letters[:1], letters[1:]) and bool(_BEFORE_PREFIX.search(self._last))

    def string(self, quote: bytes, *, is_name: bool) -> None:
        """Begin a string, or a quoted name, whose content is part of the code."""
        self.begun = True
        self.is_name = is_name
        self._keep(quote)
        self._append(quote)

    def content(self, text: bytes) -> None:
        """Append content of a string, a name or a body."""
        self._keep(text)
        if self.is_name:
            self._append(text)

    def string_ends(self, quote: bytes) -> None:
        """End a string or a quoted name."""
        if not self.is_name:
            self._append(quote)
            self.after_escapes = self.escapes
        self.is_name = False

    def body(self, tag: bytes) -> None:
        """Begin a body in dollar quotes."""
        self.begun = True
        self._keep(tag)

    def body_ends(self) -> None:
        """End a body."""
        self._append(b"$$")

    def notes(self, text: bytes, line: int) -> None:
        """Append to a comment or a command of the client."""
        if not self._note:
            self.noted_line = line
        self._note = (self._note + text)[:KEPT_NOTE]

    def note(self) -> bytes:
        """Return that comment or command, and forget it."""
        text, self._note = self._note.strip(), b""
        return text

    def statement(self) -> Statement:
        """Return the statement."""
        return Statement(self.line, bytes(self._code).strip(), bytes(self._text).strip(), self.tuples, self.odd)

    def _append(self, text: bytes) -> None:
        self._last = (self._last + text)[-3:]
        if len(self._code) + len(text) > KEPT_CODE:
            self.odd = self.odd or "It is too long."
        else:
            self._code += text

    def _keep(self, text: bytes) -> None:
        self._text += text[: KEPT_TEXT - len(self._text)]
