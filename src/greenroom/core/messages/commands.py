"""Why a command in a comment is not followed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from greenroom.core.comment.sanitize import code
from greenroom.core.model.status import Reason


def command_edited(login: str) -> Reason:
    return Reason(
        "command-edited",
        f"{login}'s last command was edited, so Greenroom ignores it.",
        "Post the command again in a new comment.",
    )


def command_unknown(login: str, line: str) -> Reason:
    fix = (
        "The commands are `/preview use SERVICE#N`, `/preview use SERVICE staging`, `/preview use SERVICE default`"
        " (to undo an earlier `/preview use`), `/preview reset` and `/preview reseed`. To put the preview to sleep, add"
        " the label `preview-sleep`. To keep the preview despite inactivity, add the label `preview-keep`. The platform"
        " team may have renamed these labels."
    )
    odd = next((c for c in line if _looks_otherwise(c)), "")
    why = f": it contains {unicodedata.name(odd, f'U+{ord(odd):04X}')}" if odd else ""
    return Reason("command-unknown", f"{login} wrote `{code(line)}`, which is not a command{why}.", fix)


def _looks_otherwise(character: str) -> bool:
    """Return whether people take a character for another one, or do not see it."""
    if character.isascii():
        return character != " " and unicodedata.category(character)[0] in "CZ"
    category, name = unicodedata.category(character), unicodedata.name(character, "")
    other_alphabet = category[0] == "L" and not name.startswith("LATIN")  # Cyrillic letters look like Latin ones
    return (
        other_alphabet
        or category[0] in "CZ"
        or category in ("Pd", "Pi", "Pf")
        or character == "\N{REPLACEMENT CHARACTER}"
        or unicodedata.normalize("NFKC", character) != character
    )


def command_several_services(login: str, repository: str, services: Sequence[str], to: str) -> Reason:
    target = f"#{to}" if to.isdecimal() else f" {to}"
    return Reason(
        "command-several-services",
        f"{login} named the repository `{code(repository)}`, but this preview uses {len(services)} services from it.",
        f"Comment {' or '.join(f'`/preview use {s}{target}`' for s in services)}.",
    )


def command_no_service(login: str, service: str, near: str, used: Sequence[str]) -> Reason:
    known = f"This preview uses {', '.join(used)}." if used else "This preview has no links to other services."
    fix = f"Did you mean `{near}`?" if near else known
    return Reason("command-no-service", f"{login} named `{code(service)}`, which this preview does not use.", fix)


def command_too_late(login: str, action: str) -> Reason:
    return Reason(
        "command-too-late",
        f"{login} requested `/preview {code(action)}`, but Greenroom could not run the command within half an hour, so"
        " Greenroom ignores the command.",
        "Send the command again.",
    )


def nothing_to_reset(login: str) -> Reason:
    return Reason(
        "nothing-to-reset",
        f"{login}'s command changed nothing, because this preview has no database whose data can be reset.",
        "A database on a volume can be reset only if it has a seed. To start over without a seed, remove the preview's"
        " label, wait until the preview is removed, and add the label again.",
    )


def command_not_allowed(login: str) -> Reason:
    return Reason(
        "command-not-allowed",
        f"Greenroom ignores {login}'s command, which requires write access.",
        "Ask someone with write access to post the same command.",
    )
