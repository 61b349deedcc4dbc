"""Choice of the seed images that may be deleted. An image is kept unless everything about it is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

NEWEST = 5
YOUNG = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Stored:
    """A tag of the seeds' repository. `parts` are the images of an index.

    `group` identifies the need by dump and stock image; it is None if the image does not say it, or is not a seed.
    """

    tag: str
    digest: str
    built: datetime | None = None
    group: tuple[str, ...] | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A tag, and why it is kept; empty if it may be deleted."""

    stored: Stored
    why: str = ""


@dataclass(frozen=True, slots=True)
class InUse:
    """Names of previews by the digest or the tag of the image that they use."""

    digests: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def user(self, stored: Stored) -> str:
        """Return who uses an image; empty if nobody does."""
        found = (self.digests.get(digest, "") for digest in (stored.digest, *stored.parts))
        return self.tags.get(stored.tag, "") or next(filter(None, found), "")


def verdicts(images: Sequence[Stored], used: InUse, now: datetime) -> list[Verdict]:
    """Return what to do with each image, oldest first. A digest is kept as long as one of its tags is."""
    newest = _newest(images)
    own = [Verdict(each, _why(each, used, each.tag in newest, now)) for each in images]
    shared: dict[str, str] = {}
    for verdict in own:
        if verdict.why:
            for digest in (verdict.stored.digest, *verdict.stored.parts):
                shared.setdefault(digest, f"the same image as {verdict.stored.tag}")
    found = [Verdict(each.stored, each.why or shared.get(each.stored.digest, "")) for each in own]
    return sorted(found, key=lambda verdict: (verdict.stored.built or now, verdict.stored.tag))


def _why(each: Stored, used: InUse, newest: bool, now: datetime) -> str:
    if user := used.user(each):
        return f"used by {user}"
    if each.built is None or each.group is None:
        return "does not say which dump it is from"
    if now - each.built < YOUNG:
        return f"younger than {YOUNG.days} days"
    return f"one of the {NEWEST} newest of its dump" if newest else ""


def _newest(images: Sequence[Stored]) -> set[str]:
    groups = defaultdict(list)
    for each in images:
        if each.group is not None and each.built is not None:
            groups[each.group].append((each.built, each.tag))
    return {tag for group in groups.values() for _, tag in sorted(group, reverse=True)[:NEWEST]}
