"""Notes that a page shows after its form was sent. They are kept here by name, so no text on a page is from a URL."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

KEPT = 100


@dataclass(frozen=True, slots=True)
class Note:
    """The answer to one form. `typed` is put back into the form if the person has to correct it."""

    text: str
    done: bool = False
    typed: str = ""


class Notes:
    """The latest notes of all pages. A name is valid only on its own page."""

    def __init__(self) -> None:
        self._notes: dict[tuple[str, str], Note] = {}

    def keep(self, path: str, note: Note) -> str:
        """Keep a note, and return the address of its page with the note on it."""
        name = secrets.token_urlsafe(8)
        self._notes[path, name] = note
        while len(self._notes) > KEPT:
            del self._notes[next(iter(self._notes))]
        return f"{path}?note={name}"

    def find(self, path: str, name: str) -> Note | None:
        """Return the note with this name; None if there is none or it was dropped."""
        return self._notes.get((path, name))
