"""What a pass must ask before it can decide: by-number reads, permissions, images. Pure, so that it can be tested."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core import images, labels, links
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.commands import Wish, pending
from greenroom.core.desired import held, in_engine, label_of, remembered, rolled, seeker, served_row
from greenroom.core.gates import last_event
from greenroom.core.model import Facts, Identity, Kind, Observed, PullRequest, Said


@dataclass(frozen=True, slots=True)
class Followed:
    """The pull requests that are read to their last comment: others may have hundreds that concern nobody here.

    Those are the ones that carry the label, and those of which something exists. Our own comment stands only where
    the label was at some time, so a pull request that had it is followed too: what it was told must not stay untrue.
    """

    label: str
    held: frozenset[Identity] = frozenset()

    @classmethod
    def of(cls, observed: Observed, platform: Platform) -> Followed:
        """Return what is followed now, in all repositories."""
        ids = {*observed.sets, *(i.repository_id for i in observed.previews)}
        return cls(platform.label, frozenset(i for r in ids for i in in_engine(observed, r)))

    def __call__(self, pull_request: PullRequest) -> bool:
        """Return whether all of its comments matter."""
        names = {*pull_request.labels, *(e.label for e in pull_request.label_events)}
        return pull_request.identity in self.held or labels.carries(names, self.label)


def numbers(facts: Facts, platform: Platform) -> tuple[int, ...]:
    """Pull requests to read by number: held by the engine, but not listed as open and labelled; told to wait, but not
    listed at all.

    Those that are listed and could not be read are in doubt, whatever their number would say.
    """
    labelled = {p.identity for p in facts.listing.pull_requests if _asks(p, facts, platform)}
    listed = {p.identity.number for p in facts.listing.pull_requests}
    found = {i.number for i in held(facts) - labelled} | (facts.told_to_wait - listed)
    return tuple(sorted(found - facts.listing.doubts.keys()))


def label(number: int, facts: Facts, platform: Platform) -> str:
    """The label that a removal of this preview is about: the one that it was made under."""
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
    """Pull requests whose changed files the list does not tell, where they decide which image a service runs."""
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
