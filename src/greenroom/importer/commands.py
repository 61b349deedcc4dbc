"""Words of commands: a line split as a shell would, and nothing secret among them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from greenroom.importer import secrets
from greenroom.importer.draft import Draft

_SHELLS = re.compile(r"(?:.*/)?(?:ba|da|z|a)?sh")
_SHELL = re.compile(r"[$&|;<>`]|^\w+=")


def split(line: str) -> list[str]:
    """A command's words; where it asks for what only a shell does, that of a shell."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    shell = len(words) == 3 and _SHELLS.fullmatch(words[0]) and re.fullmatch(r"-\w*c", words[1])
    return words if words and (shell or not _SHELL.search(line)) else ["sh", "-c", line]


def kept(words: list[str], what: str, draft: Draft, names: Iterable[str] = ()) -> list[str]:
    """The command as it is, or none and a note where it gives away something secret.

    `what` is said of it, `names` are of the variables whose values are in it.
    """
    if not secrets.command(words) and not any(map(secrets.name, names)):
        return words
    draft.note(
        f"{what} holds what looks secret and was left out. Write it with the value from a Secret: "
        "`[sh, -c, 'exec serve --token \"$TOKEN\"']`, and that Secret under `envFrom:`."
    )
    return []
