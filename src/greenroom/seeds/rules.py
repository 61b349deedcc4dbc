"""Rules about statements: which of them a seed may contain. A statement that no rule allows is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

REFUSED, NOTE = "refused", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check. `severity` is `refused` or `note`; `where` is a line, a table or a column, or empty."""

    severity: str
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}" if self.where else self.sentence


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern of statements that are refused with a sentence. `anywhere` also looks into strings and bodies."""

    pattern: re.Pattern[bytes]
    sentence: str
    anywhere: bool = False


def rule(pattern: bytes, sentence: str, *, anywhere: bool = False) -> Rule:
    """Return a rule for statements that begin with a pattern, or contain it anywhere."""
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), sentence, anywhere)


def allowed(patterns: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return one pattern of all statements that are allowed."""
    return re.compile(rb"(?:" + rb"|".join(patterns) + rb")", re.IGNORECASE | re.DOTALL)


def squeezed(code: bytes) -> bytes:
    """Return code on one line, with single spaces."""
    return b" ".join(code.split())


LITERALS = (
    rb"VALUES ?(?:\( ?(?:(?:[EBXN]|_\w+ ?)?''|[-+]?[\w.]++(?:[eE][-+]?\d+)?|, ?| )*+\) ?,? ?)*+"
    rb"(?:ON CONFLICT DO NOTHING ?)?\Z"
)
"""The rows of an INSERT that contain only literal values."""
