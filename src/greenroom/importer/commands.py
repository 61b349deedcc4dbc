"""Words of commands: lines are split as a shell would, and commands with secrets are left out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from greenroom.importer import secrets
from greenroom.importer.draft import Draft

_SHELLS = re.compile(r"(?:.*/)?(?:ba|da|z|a)?sh")
_SHELL = re.compile(r"[$&|;<>`]|^\w+=")


def split(line: str) -> list[str]:
    """Return a command's words, or those of `sh -c` with the line if it needs a shell."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    shell = len(words) == 3 and _SHELLS.fullmatch(words[0]) and re.fullmatch(r"-\w*c", words[1])
    return words if words and (shell or not _SHELL.search(line)) else ["sh", "-c", line]


def kept(words: list[str], what: str, draft: Draft, names: Iterable[str] = ()) -> list[str]:
    """Return the command unchanged. If it reveals something secret, add a note and return an empty list.

    `what` describes the command in the note. `names` are the variables whose values are in the command.
    """
    if not secrets.command(words) and not any(map(secrets.name, names)):
        return words
    draft.note(
        f"{what} seems to contain a secret and was left out. Rewrite it to use the value from a Secret: "
        "`[sh, -c, 'exec serve --token \"$TOKEN\"']`, and list that Secret under `envFrom:`."
    )
    return []
