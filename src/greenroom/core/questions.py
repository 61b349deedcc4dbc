"""What a pass must ask before it can decide: by-number reads, permissions, images. Pure, so that it can be tested."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core import images, labels, links
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.commands import Wish, pending
from greenroom.core.desired import held, in_engine, label_of, remembered, rolled, seeker, served_row
from greenroom.core.gates import last_event
from greenroom.core.model import UNKNOWN_LABEL, Facts, Identity, Kind, Observed, PullRequest, Said


@dataclass(frozen=True, slots=True)
class Followed:
    """Filter for pull requests whose comments are all read. Others may have hundreds that do not matter here.

    It matches pull requests that have or had the label, and those with a preview. Our own comment exists only where the
    label was at some time; without the label it still has to be kept up to date.
    """

    label: str
    held: frozenset[Identity] = frozenset()

    @classmethod
    def of(cls, observed: Observed, platform: Platform) -> Followed:
        """Return the filter for all repositories, from what the engine holds."""
        ids = {*observed.sets, *(i.repository_id for i in observed.previews)}
        return cls(platform.label, frozenset(i for r in ids for i in in_engine(observed, r)))

    def __call__(self, pull_request: PullRequest) -> bool:
        """Return whether to read all comments of this pull request."""
        names = {*pull_request.labels, *(e.label for e in pull_request.label_events)}
        # An event of a label that was deleted in the repository may be one of this label.
        return pull_request.identity in self.held or labels.carries(names, self.label) or UNKNOWN_LABEL in names


def numbers(facts: Facts, platform: Platform) -> tuple[int, ...]:
    """Return the pull requests to read by number: those that the engine holds but that are not listed as open and
    labeled, and those whose comment promises a preview but that are not listed at all.

    Pull requests that are listed and could not be read stay in doubt, so they are left out.
    """
    labelled = {p.identity for p in facts.listing.pull_requests if _asks(p, facts, platform)}
    listed = {p.identity.number for p in facts.listing.pull_requests}
    found = {i.number for i in held(facts) - labelled} | (facts.promised - listed)
    return tuple(sorted(found - facts.listing.doubts.keys()))


def label(number: int, facts: Facts, platform: Platform) -> str:
    """Return the label under which this preview was created; a removal looks for its events."""
    identity = Identity(facts.listing.repository_id, number)
    row = served_row(facts, identity)
    return row.naming.label if row else platform.label


def askers(facts: Facts, platform: Platform, repository: Repository) -> tuple[str, ...]:
    """People whose permission decides whether a label or a command counts."""
    events = (
        last_event(p.label_events, platform.label)
        for p in facts.listing.pull_requests
        if labels.carries(p.labels, platform.label) and not p.fork
    )
    labellers = {e.actor.login for e in events if e and e.added and e.actor.kind is Kind.PERSON}
    return tuple(sorted(labellers | {one.by.login for one, _ in _pending(facts, platform, repository)}))


def readers(facts: Facts, platform: Platform, repository: Repository) -> dict[tuple[str, str], str]:
    """Who wants to use which service: (service, login) with the `owner/name` of the service's repository."""
    found = {}
    for one, wish in _pending(facts, platform, repository):
        service = platform.service(wish.service)
        target = platform.repository(service.repository) if service else None
        if target is not None and wish.to not in (links.STAGING, links.DEFAULT):
            found[wish.service, one.by.login] = target.slug
    return found


def rights(facts: Facts, platform: Platform, repository: Repository) -> tuple[tuple[str, str], ...]:
    """Whose permission where decides whether two pull requests belong together: (`owner/name`, login)."""
    around = links.Neighbours.of(facts.observed)
    found: set[tuple[str, str]] = set()
    for pull_request in facts.listing.pull_requests:
        if labels.carries(pull_request.labels, platform.label) and not pull_request.fork:
            mine = seeker(pull_request, facts, platform, repository)
            for row in links.partners(mine, around):
                found |= {(s, p) for s in (repository.slug, row.slug) for p in (mine.author, row.author)}
    return tuple(sorted(found))


def _pending(facts: Facts, platform: Platform, repository: Repository) -> list[tuple[Said, Wish]]:
    return [
        each
        for p in facts.listing.pull_requests
        if labels.carries(p.labels, platform.label)
        for known in [remembered(p.identity.number, facts)]
        for each in pending(p.said, known.choices, repository, known.heard)
    ]


def references(facts: Facts, platform: Platform, repository: Repository) -> tuple[str, ...]:
    """Images to look up: those of every labelled pull request that is not a fork's."""
    found: set[str] = set()
    for pull_request in facts.listing.pull_requests:
        if labels.carries(pull_request.labels, platform.label) and not pull_request.fork:
            row, renew = served_row(facts, pull_request.identity), rolled(pull_request.identity, facts, platform)
            found.update(images.references(repository, pull_request, row, renew=renew))
    return tuple(sorted(found))


def files(facts: Facts, platform: Platform, repository: Repository) -> tuple[PullRequest, ...]:
    """Return the pull requests whose changed files the list lacks, if the files decide which image a service runs."""
    if not any(s.paths for s in repository.services):
        return ()
    asked = (p for p in facts.listing.pull_requests if labels.carries(p.labels, platform.label) and not p.fork)
    return tuple(p for p in asked if p.changed is None and p.base_sha)


def merge_references(facts: Facts, platform: Platform, repository: Repository, missing: set[str]) -> tuple[str, ...]:
    """What CI may have pushed instead of the missing images: tags of GitHub's merge commit."""
    found: set[str] = set()
    for pull_request in facts.listing.pull_requests:
        if not labels.carries(pull_request.labels, platform.label) or pull_request.fork:
            continue
        for service in repository.services:
            wanted = service.image.reference(pull_request.head_sha, pull_request.identity.number)
            merge = images.merge_reference(service, pull_request)
            if merge and wanted in missing:
                found.add(merge)
    return tuple(sorted(found))


def _asks(pull_request: PullRequest, facts: Facts, platform: Platform) -> bool:
    row = served_row(facts, pull_request.identity)
    return labels.carries(pull_request.labels, label_of(pull_request, row, platform))
