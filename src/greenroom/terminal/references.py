"""Ways in which people name a preview: `shop#42`, `acme/shop#42`, `Web.App#42`, or the pull request's address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"(?P<repository>[^#]+)#(?P<number>[0-9]{1,40})")
_ADDRESS = re.compile(
    r"https?://[^/\s]+/(?P<repository>[\w.-]+/[\w.-]+)/(?:pull|issues)/(?P<number>[0-9]{1,40})(?:[/?#].*)?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A preview as somebody named it. `repository` is a short name, or `owner/name` as on GitHub."""

    repository: str
    number: int


def parsed(text: str) -> Reference | None:
    """Return what a text names, or None when it names no pull request."""
    match = _ADDRESS.fullmatch(text) or _NAME.fullmatch(text)
    return Reference(match["repository"], int(match["number"])) if match else None


def resolved(reference: Reference, repositories: list[dict[str, Any]]) -> str:
    """Return the name of the preview, `shop#42`, from the repositories that the running instance knows.

    GitHub does not tell upper case from lower in the names of owners and repositories, so neither does this. What
    nothing matches stays as it was written: the answer then says that it is unknown.
    """
    wanted = reference.repository.lower()
    exact = [r["name"] for r in repositories if r["name"] == reference.repository]
    by_slug = [r["name"] for r in repositories if wanted in (r["slug"].lower(), r["name"].lower())]
    by_tail = [r["name"] for r in repositories if r["slug"].lower().rpartition("/")[2] == wanted]
    for found in (exact, by_slug, by_tail):
        if len(found) == 1:
            return f"{found[0]}#{reference.number}"
    return f"{reference.repository}#{reference.number}"
