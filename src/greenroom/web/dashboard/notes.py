"""What a page says after its form was sent. It is kept here and found by a name, so no text on a page is from a URL."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

KEPT = 100


@dataclass(frozen=True, slots=True)
class Note:
    """One answer to one form. `typed` is put back into the form where the person has to mend it."""

    text: str
    done: bool = False
    typed: str = ""


class Notes:
    """The latest notes of all pages. A name is worth something on its own page only."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], Note] = {}

    def keep(self, path: str, note: Note) -> str:
        """The address of that page with the note on it."""
        name = secrets.token_urlsafe(8)
        self._notes[path, name] = note
        while len(self._notes) > KEPT:
            del self._notes[next(iter(self._notes))]
        return f"{path}?note={name}"

    def find(self, path: str, name: str) -> Note | None:
        """The note of that name; None when there is none, any more."""
        return self._notes.get((path, name))
