"""Events of a scan of a dump: statements, comments, meta-commands and rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `code` has every string as `''` and every body as `$$`; `text` has the beginning of the original.

    `tuples` counts groups in parentheses at the top level. `odd` says why the text cannot be checked, if so.
    """

    line: int
    code: bytes
    text: bytes
    tuples: int
    odd: str


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment until the end of its line, of which `text` has the beginning."""

    line: int
    text: bytes


@dataclass(frozen=True, slots=True)
class MetaCommand:
    """A command to the client and not to the server, such as `\\connect`."""

    line: int
    text: bytes
    inside: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one table. `head` is the statement before them; `samples` are lines of COPY or tuples of INSERT."""

    head: bytes
    count: int
    samples: tuple[bytes, ...]
    copied: bool


@dataclass(frozen=True, slots=True)
class End:
    """The end of the dump. `inside` names what is not finished there, if anything is."""

    line: int
    position: int
    inside: str


Event = Statement | Comment | MetaCommand | Rows | End
