"""Content of the pages, in the order that people want: problems first, then running previews, then the rest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from greenroom.controller.status_store import Board
from greenroom.core import messages
from greenroom.core.comment.sanitize import markup
from greenroom.core.model.engine import Running
from greenroom.core.model.status import Stage, Status
from greenroom.web.sorting import Trouble, problems_first, troubles

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
    """The first page: previews with a state to show, pull requests without a preview, repositories in trouble."""

    previews: tuple[Status, ...]
    without: tuple[Status, ...]
    troubles: tuple[Trouble, ...]
    total: int


def listing(board: Board, query: str) -> Listing:
    """Return the first page with the pull requests that match every word of the filter."""
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
    """Return the class of a stage: bad, warn, good, busy or quiet."""
    return TONES.get(stage, "busy")


def shape(stage: Stage) -> str:
    """Return the shape of a stage, so that color is never the only sign."""
    return SHAPES[tone(stage)]


def minute(board: Board) -> int:
    """Return the board's minute. Relative times change with it."""
    return int(board.now.timestamp() // 60) if board.now else 0


def age(at: datetime | None, now: datetime | None) -> str:
    """Return the time that has passed: `5 min`, `3 h`, `2 d`. The board's clock is GitHub's."""
    return _length(now - at) if at and now else ""


def left(at: datetime, now: datetime | None) -> str:
    """Return the time that is left."""
    return _length(at - now) if now else ""


def _length(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return "a moment"


def utc(at: datetime | None) -> str:
    """Return an absolute time as text."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else ""


def marked(sentence: str, url: str = "") -> Markup:
    """Return one of Greenroom's own sentences as HTML, with links to pages of the repository of this pull request."""
    return Markup(markup(sentence, url.rpartition("/pull/")[0]))  # noqa: S704 -- `markup` escapes


def migrations(status: Status) -> tuple[str, ...]:
    """Return what the migrations of a preview did, in one line for each service."""
    return messages.migration_lines(status.migrations)


def soon(at: datetime, now: datetime | None) -> bool:
    """Return whether a time is within two days."""
    return bool(now and at - now < timedelta(days=2))


def opens(status: Status) -> tuple[Running, ...]:
    """Return the services of a preview that people can open now."""
    return tuple(s for s in status.services if s.url and s.ready)


def says_no_more(status: Status) -> bool:
    """Return whether the reason adds nothing to the state."""
    return status.reason.code == "ready"


def place(status: Status) -> str:
    """Return the sentence about the preview's place in the queue or its lifetime; empty for most."""
    return messages.place(status.position, overdue=status.overdue)


def fix(status: Status) -> str:
    """Return the next step, for the stages in which a person must act or wants to know that nobody must."""
    return status.reason.fix if status.stage in FIXED else ""


def page(name: str) -> str:
    """Return the path of the page of `shop#42`; empty if the name is not a preview's."""
    repository, found, number = name.partition("#")
    return f"/previews/{repository}/{number}" if found else ""


def users(status: Status) -> str:
    """Return the services of a preview that use another service: `web`, or `web and worker`."""
    return " and ".join(dict.fromkeys(link.service for link in status.links))
