"""Names that people use for a preview: `shop#42`, `acme/shop#42`, `Web.App#42`, or the pull request's address."""

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
    """A preview as a person named it. `repository` is a short name, or `owner/name` as on GitHub."""

    repository: str
    number: int


def parsed(text: str) -> Reference | None:
    """Return the pull request that a text names, or None if it names none.

    A zero-width space is ignored. Comments contain it so that GitHub makes no link of a name, and people copy it along.
    """
    text = text.replace("\u200b", "")
    match = _ADDRESS.fullmatch(text) or _NAME.fullmatch(text)
    return Reference(match["repository"], int(match["number"])) if match else None


def resolved(reference: Reference, repositories: list[dict[str, Any]], *, services: bool = False) -> str:
    """Return the name of the preview, `shop#42`, from the repositories that the running instance knows.

    GitHub ignores case in the names of owners and repositories, and so does this function. A reference that matches
    nothing stays as it was written; the answer then says that it is unknown. With `services`, the name of a service
    stands for its repository, because people in a monorepo know the services by name. Use that for questions only: a
    command must not act on a preview that was not named.
    """
    wanted = reference.repository.lower()
    exact = [r["name"] for r in repositories if r["name"] == reference.repository]
    by_slug = [r["name"] for r in repositories if wanted in (r["slug"].lower(), r["name"].lower())]
    by_tail = [r["name"] for r in repositories if r["slug"].lower().rpartition("/")[2] == wanted]
    by_service = [r["name"] for r in repositories if services and wanted in r["services"]]
    for found in (exact, by_slug, by_tail, by_service):
        if len(found) == 1:
            return f"{found[0]}#{reference.number}"
    return f"{reference.repository}#{reference.number}"
