"""A streaming scanner of plain SQL dumps. Its result does not depend on the blocks in which the dump is read.

It finds the ends of statements as psql and mysql find them. It holds little: of long strings, lines and statements,
only the beginning is kept. A row of INSERT is the longest text that is held.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from greenroom.seeds import dialects
from greenroom.seeds.dialects import Dialect
from greenroom.seeds.events import Comment, End, Event, MetaCommand
from greenroom.seeds.row_scan import take_lines, take_tuples
from greenroom.seeds.text_scan import skip_comment, string_ahead, take_line, take_string
from greenroom.seeds.window import Draft, Sampling, Window

_INSERTS = re.compile(rb"(?:INSERT|REPLACE)\b", re.IGNORECASE)
LOOKAHEAD = 1 << 16
"""Bytes that must be read after a position before the code there is matched, except at the end of the dump.

No match is longer than this.
"""


def scan(blocks: Iterable[bytes], dialect: Dialect, lookahead: int = LOOKAHEAD) -> Iterator[Event]:
    """Yield the events of a dump, and `End` as the last one."""
    scanner = Scanner(dialect, lookahead)
    for block in blocks:
        yield from scanner.feed(block)
    yield from scanner.finish()


class Scanner:
    """The state between two blocks."""

    def __init__(self, dialect: Dialect, lookahead: int = LOOKAHEAD) -> None:
        self.dialect = dialect
        self._lookahead = lookahead
        self.window = Window()
        self.draft = Draft()
        self.sampling = Sampling()
        self.events: list[Event] = []
        self.inside = ""
        self._delimiter = b";"
        self._special = dialect.special(b";")
        self._step: Callable[[], bool] = self._code
        self._closing = b""
        self._head = b""
        self._depth = 0
        self._executed = 0
        self._began_executed = self._has_executed = False
        self._comments = 0

    def feed(self, block: bytes) -> list[Event]:
        """Return the events that this block completes."""
        self.window.add(block)
        return self._advance()

    def finish(self) -> list[Event]:
        """Return the last events."""
        self.window.final = True
        events = self._advance()
        inside = self.inside or ("a statement" if self.draft.begun else "")
        return [*events, End(self.window.line, self.window.position, inside)]

    def _advance(self) -> list[Event]:
        while self._step():
            pass
        events, self.events = self.events, []
        return events

    # Code, outside of strings, comments and rows.

    def _code(self) -> bool:
        window = self.window
        if not self.draft.begun:
            window.skip_space()
            if not window.final and window.left < self._lookahead:
                return False
            if self._begins_statement():
                return True
        limit = window.end if window.final else window.end - self._lookahead
        if window.at >= limit:
            return False
        found = self._special.search(window.data, window.at)
        if found is None or found.start() >= limit:
            self._ordinary(window.take(limit))
            return False
        if found.start() > window.at:
            self._ordinary(window.take(found.start()))
        self._special_bytes(found.group())
        return True

    def _ordinary(self, code: bytes) -> None:
        """Add code. A server skips executable comments of newer versions, so it may run only what follows one."""
        if self._began_executed and not self._executed and code.strip():
            self.draft.odd = self.draft.odd or "Code follows an executable comment that begins the statement."
        self.draft.code(code)

    def _begins_statement(self) -> bool:
        """Handle what is only allowed at the beginning of a statement. Return whether anything was."""
        window, limit = self.window, self.window.at + self._lookahead
        self.draft.line = window.line
        if self.dialect.backslashes:
            if found := dialects.SANDBOX.match(window.data, window.at, limit):
                window.take(found.end())
                return True
            if found := dialects.DELIMITER.match(window.data, window.at, limit):
                window.take(found.end())
                self._delimiter = found[1]
                self._special = self.dialect.special(self._delimiter)
                return True
        if self._delimiter == b";" and (found := self.dialect.head.match(window.data, window.at, limit)):
            self._head = window.take(found.end())
            self.inside, self._step = "the rows of an INSERT", self._insert
            return True
        return False

    def _special_bytes(self, found: bytes) -> None:
        window = self.window
        if found == self._delimiter and found not in (b"'", b'"'):
            self._semicolon(found)
        elif found in (b"(", b")"):
            self._parenthesis(found)
        elif found in (b"--", b"#"):
            self._enter(self._line_comment, "")
        elif found == b"/*":
            self._block_comment_begins()
        elif found == b"*/":
            self._executed_ends()
        elif found == b"$":
            self._dollar()
        elif found == b"\\":
            self._enter(self._meta, "")
        else:
            window.take(window.at + 1)
            self._string(found)

    def _enter(self, step: Callable[[], bool], inside: str) -> None:
        self._step, self.inside = step, inside

    def _leave(self) -> None:
        self._step, self.inside = self._code, ""

    def _parenthesis(self, found: bytes) -> None:
        self._ordinary(self.window.take(self.window.at + 1))
        if found == b"(":
            self.draft.tuples += self._depth == 0
            self._depth += 1
        elif self._depth:
            self._depth -= 1

    def _semicolon(self, found: bytes) -> None:
        self.window.take(self.window.at + len(found))
        routine = not self.dialect.backslashes and dialects.open_blocks(self.draft.kept_code) > 0
        if not self.dialect.backslashes and (self._depth or routine):
            self.draft.code(found)
            return
        if self._executed:
            self.draft.odd, self._executed = self.draft.odd or "The statement ends inside an executable comment.", 0
        if self._has_executed and _INSERTS.match(self.draft.kept_code.lstrip()):
            self.draft.odd = self.draft.odd or "An INSERT contains an executable comment."
        self._began_executed = self._has_executed = False
        statement = self.draft.statement()
        copies = not self.dialect.backslashes and dialects.COPY_FROM_STDIN.match(statement.code)
        if copies and not self.window.take_newline():
            self.draft.odd = "The rows begin on the same line as the COPY statement."
            statement = self.draft.statement()
        if statement.code or statement.odd:
            self.events.append(statement)
        self._depth = 0
        self.draft.reset()
        if copies:
            self._head = statement.code
            self._enter(self._copy, "the rows of a COPY")

    # Strings and bodies.

    def _string(self, quote: bytes) -> None:
        draft, mysql = self.draft, self.dialect.backslashes
        if self._began_executed and not self._executed:
            draft.odd = draft.odd or "Code follows an executable comment that begins the statement."
        escapes = mysql and quote != b"`"
        if quote == b"'" and not mysql:
            escapes = draft.prefixed(b"eE")
            if draft.after_escapes and not escapes:
                draft.odd = draft.odd or "An escape string is continued by another string."
                escapes = True
        draft.escapes = escapes
        self._closing = quote
        draft.string(quote, is_name=quote == b"`" or (quote == b'"' and not mysql))
        if self._executed and b"*/" in string_ahead(self.window, quote, self._lookahead):
            draft.odd = draft.odd or "A string extends past the end of an executable comment."
        self._enter(self._in_string, "a quoted name" if draft.is_name else "a string")

    def _in_string(self) -> bool:
        progress, ended = take_string(self.window, self.draft, self._closing)
        if ended:
            self._leave()
        return progress

    def _dollar(self) -> None:
        window, draft = self.window, self.draft
        limit = window.at + self._lookahead - 1
        found = dialects.DOLLAR.match(window.data, window.at, limit)
        if (tag := dialects.TAG.match(window.data, window.at, limit)) and tag.end() == limit:
            draft.odd = draft.odd or "The tag of a dollar-quoted string is too long."
        if found is None or draft.last_byte in dialects.IDENTIFIER_BYTES:
            draft.code(window.take(window.at + 1))
            return
        self._closing = window.take(found.end())
        draft.body(self._closing)
        self._enter(self._in_body, "a quoted body")

    def _in_body(self) -> bool:
        window = self.window
        end = window.data.find(self._closing, window.at)
        if end < 0:
            kept = 0 if window.final else len(self._closing) - 1
            self.draft.content(window.take(max(window.at, window.end - kept)))
            return False
        self.draft.content(window.take(end + len(self._closing)))
        self.draft.body_ends()
        self._leave()
        return True

    # Comments and commands to the client.

    def _line_comment(self) -> bool:
        ended = take_line(self.window, self.draft)
        if ended or self.window.final:
            self.events.append(Comment(self.draft.noted_line, self.draft.note()))
            self.draft.space()
            self._leave()
        return ended

    def _meta(self) -> bool:
        ended = take_line(self.window, self.draft)
        if ended or self.window.final:
            self.events.append(MetaCommand(self.draft.noted_line, self.draft.note(), self.draft.begun))
            self._leave()
        return ended

    def _block_comment_begins(self) -> None:
        window = self.window
        if self.dialect.backslashes and (
            found := dialects.EXECUTED.match(window.data, window.at, window.at + self._lookahead)
        ):
            window.take(found.end())
            self._began_executed = self._began_executed or not self.draft.begun
            self._has_executed = True
            if found[1] and int(found[1]) > dialects.NEWEST:
                self.draft.odd = (
                    self.draft.odd or "No server runs this executable comment, because its version is too new."
                )
            self._executed += 1
            self.draft.space()
            return
        window.take(window.at + 2)
        self._comments = 1
        self._enter(self._block_comment, "a comment")

    def _executed_ends(self) -> None:
        self.window.take(self.window.at + 2)
        if not self._executed:
            self.draft.code(b"*/")
        self._executed = max(0, self._executed - 1)
        self.draft.space()

    def _block_comment(self) -> bool:
        """Skip a comment. PostgreSQL's comments nest, MySQL's do not."""
        self._comments = skip_comment(self.window, self._comments, nests=not self.dialect.backslashes)
        if not self._comments:
            self.draft.space()
            self._leave()
        return not self._comments

    # Rows.

    def _copy(self) -> bool:
        progress, ended = take_lines(self.window, self.sampling, self._head, self.events)
        if ended:
            self._leave()
        return progress

    def _insert(self) -> bool:
        progress, ended = take_tuples(self.window, self.sampling, self.dialect, self._head, self.events)
        if ended == "all":
            self._leave()
        elif ended == "odd":  # the rest of the statement is judged as code
            self.draft.code(self._head)
            self.draft.tuples = int(dialects.COLUMN_LIST.search(self._head) is not None)
            self._leave()
        return progress
