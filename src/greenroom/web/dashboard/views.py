"""What the pages show, in the order in which a person wants it: problems first, then what runs, then the rest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from greenroom.controller.board import Board
from greenroom.core import reasons
from greenroom.core.model import Running
from greenroom.core.status import Stage, Status
from greenroom.web.order import Trouble, problems_first, troubles

TONES = {
    Stage.FAILED: "bad",
    Stage.HELD: "warn",
    Stage.BLOCKED: "warn",
    Stage.EXPIRING: "warn",
    Stage.READY: "good",
    Stage.ASLEEP: "quiet",
    Stage.REMOVED: "quiet",
    Stage.NONE: "quiet",
}
FIXED = (Stage.FAILED, Stage.HELD, Stage.EXPIRING, Stage.BLOCKED, Stage.WAITING)
SHAPES = {"bad": "✕", "warn": "▲", "good": "●", "busy": "◐", "quiet": "○"}


@dataclass(frozen=True, slots=True)
class Listing:
    """The first page: previews with something to say, pull requests without one, repositories in trouble."""

    previews: tuple[Status, ...]
    without: tuple[Status, ...]
    troubles: tuple[Trouble, ...]
    total: int


def listing(board: Board, query: str) -> Listing:
    """Everything that matches the words of the filter."""
    words = query.lower().split()
    found = problems_first(s for s in board.statuses.values() if all(w in _searched(s) for w in words))
    return Listing(
        previews=tuple(s for s in found if s.stage is not Stage.NONE),
        without=tuple(s for s in found if s.stage is Stage.NONE),
        troubles=troubles(board.repositories.values()),
        total=len(board.statuses),
    )


def _searched(status: Status) -> str:
    parts = (status.name, status.title, status.author, status.stage.value, status.reason.text)
    return " ".join((*parts, *(s.url for s in status.services))).lower()


def tone(stage: Stage) -> str:
    """The class of a stage: bad, warn, good, busy or quiet."""
    return TONES.get(stage, "busy")


def shape(stage: Stage) -> str:
    """A stage's shape, so that colour is never the only sign."""
    return SHAPES[tone(stage)]


def minute(board: Board) -> int:
    """The board's minute: relative times change with it."""
    return int(board.now.timestamp() // 60) if board.now else 0


def age(at: datetime | None, now: datetime | None) -> str:
    """How long ago: `5 min`, `3 h`, `2 d`; the board's clock is GitHub's."""
    return _length(now - at) if at and now else ""


def left(at: datetime, now: datetime | None) -> str:
    """How long until then."""
    return _length(at - now) if now else ""


def _length(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "a moment"


def utc(at: datetime | None) -> str:
    """An absolute time."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def marked(sentence: str) -> Markup:
    """A sentence of ours as HTML: what stands in backticks is code, everything else is text."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:
        return escape(sentence)
    shown = (Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts))
    return Markup("").join(shown)


def soon(at: datetime, now: datetime | None) -> bool:
    """Whether that is within two days."""
    return bool(now and at - now < timedelta(days=2))


def opens(status: Status) -> tuple[Running, ...]:
    """The services of a preview that somebody can open now."""
    return tuple(s for s in status.services if s.url and s.ready)


def says_no_more(status: Status) -> bool:
    """Whether the reason says no more than the state does."""
    return status.reason.code == "ready"


def place(status: Status) -> str:
    """Return the sentence about the preview's place in the queue or its lifetime; empty for most."""
    return reasons.place(status.position, overdue=status.overdue)


def fix(status: Status) -> str:
    """The next step, where somebody has to take one or would like to know that nobody has."""
    return status.reason.fix if status.stage in FIXED else ""


def page(name: str) -> str:
    """The page of `shop#42`; empty for what is no preview."""
    repository, found, number = name.partition("#")
    return f"/previews/{repository}/{number}" if found else ""


def users(status: Status) -> str:
    """The services of a preview that use something: `web`, or `web and worker`."""
    return " and ".join(dict.fromkeys(link.service for link in status.links))
