"""Reads that a pass needs before it can decide: by-number reads, permissions, images. Pure, so it can be tested."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.core.linking import links
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.facts import (
    UNKNOWN_LABEL,
    CommandComment,
    EngineState,
    Kind,
    Listing,
    PullRequest,
    PullRequestFacts,
)
from greenroom.core.model.spec import Identity
from greenroom.core.planning.desired import (
    failing,
    in_engine,
    label_of,
    link_context,
    redeployed,
    remembered,
)
from greenroom.core.policy import images, labels
from greenroom.core.policy.commands import Targets, UseCommand, pending
from greenroom.core.policy.gates import last_event


@dataclass(frozen=True, slots=True)
class Followed:
    """Filter for pull requests whose comments are all read. Others may have hundreds that do not matter here.

    It matches pull requests that have or had the label, and those with a preview. Our own comment exists only where the
    label was at some time; without the label it still has to be kept up to date.
    """

    label: str
    held: frozenset[Identity] = frozenset()

    @classmethod
    def of(cls, observed: EngineState, platform: Platform) -> Followed:
        """Return the filter for all repositories, from what the engine holds."""
        ids = {*observed.sets, *(i.repository_id for i in observed.previews)}
        return cls(platform.label, frozenset(i for r in ids for i in in_engine(observed, r)))

    def __call__(self, pull_request: PullRequest) -> bool:
        """Return whether to read all comments of this pull request."""
        names = {*pull_request.labels, *(e.label for e in pull_request.label_events)}
        # An event of a label that was deleted in the repository may be one of this label.
        return pull_request.identity in self.held or labels.carries(names, self.label) or UNKNOWN_LABEL in names


def numbers(
    listing: Listing, observed: EngineState, platform: Platform, promised: frozenset[int] = frozenset()
) -> tuple[int, ...]:
    """Return the pull requests to read by number: those that the engine holds but that are not listed as open and
    labeled, and those whose comment promises a preview but that are not listed at all.

    Pull requests that are listed and could not be read stay in doubt, so they are left out.
    """
    labeled = {p.identity for p in listing.pull_requests if _asks(p, observed, platform)}
    listed = {p.identity.number for p in listing.pull_requests}
    found = {i.number for i in in_engine(observed, listing.repository_id) - labeled} | (promised - listed)
    return tuple(sorted(found - listing.doubts.keys()))


def label(identity: Identity, observed: EngineState, platform: Platform) -> str:
    """Return the label under which this preview was created; a removal looks for its events."""
    spec = observed.last_spec(identity)
    return spec.names.label if spec else platform.label


def askers(facts: PullRequestFacts, platform: Platform, repository: Repository) -> tuple[str, ...]:
    """Return the people whose permission decides whether a label or a command counts."""
    events = (
        last_event(p.label_events, platform.label)
        for p in facts.listing.pull_requests
        if labels.carries(p.labels, platform.label) and not p.fork
    )
    labellers = {e.actor.login for e in events if e and e.added and e.actor.kind is Kind.PERSON}
    return tuple(sorted(labellers | {one.by.login for one, _ in _pending(facts, platform, repository)}))


def readers(facts: PullRequestFacts, platform: Platform, repository: Repository) -> dict[tuple[str, str], str]:
    """Return the users of each service whose permission is needed: (service, login), with the `owner/name` of the
    service's repository.
    """
    found = {}
    for one, wish in _pending(facts, platform, repository):
        service = platform.service(wish.service)
        target = platform.repository(service.repository) if service else None
        if target is not None and wish.to not in (links.STAGING, links.DEFAULT):
            found[wish.service, one.by.login] = target.slug
    return found


def rights(facts: PullRequestFacts, platform: Platform, repository: Repository) -> tuple[tuple[str, str], ...]:
    """Return the permissions that decide whether two pull requests belong together: (`owner/name`, login)."""
    index = links.LinkIndex.of(facts.observed)
    found: set[tuple[str, str]] = set()
    for pull_request in facts.listing.pull_requests:
        if labels.carries(pull_request.labels, platform.label) and not pull_request.fork:
            mine = link_context(pull_request, facts, platform, repository)
            for spec in links.partners(mine, index):
                found |= {
                    (s, p)
                    for s in (repository.slug, spec.pull_request.slug)
                    for p in (mine.author, spec.pull_request.author)
                }
    return tuple(sorted(found))


def _pending(
    facts: PullRequestFacts, platform: Platform, repository: Repository
) -> list[tuple[CommandComment, UseCommand]]:
    targets = Targets.of(repository, platform)
    return [
        each
        for p in facts.listing.pull_requests
        if labels.carries(p.labels, platform.label)
        for known in [remembered(p.identity.number, facts)]
        for each in pending(p.said, known.choices, targets, known.heard)
    ]


def references(facts: PullRequestFacts, platform: Platform, repository: Repository) -> tuple[str, ...]:
    """Return the images to look up: those of every labeled pull request that is not from a fork."""
    found: set[str] = set()
    for pull_request in facts.listing.pull_requests:
        if labels.carries(pull_request.labels, platform.label) and not pull_request.fork:
            spec, renew = (
                facts.observed.last_spec(pull_request.identity),
                redeployed(pull_request.identity, facts, platform),
            )
            broken = failing(pull_request.identity, facts)
            found.update(images.references(repository, pull_request, spec, renew=renew, failing=broken))
    return tuple(sorted(found))


def files(listing: Listing, platform: Platform, repository: Repository) -> tuple[PullRequest, ...]:
    """Return the pull requests whose changed files the list lacks, if the files decide which image a service runs."""
    if not any(s.paths for s in repository.services):
        return ()
    asked = (p for p in listing.pull_requests if labels.carries(p.labels, platform.label) and not p.fork)
    return tuple(p for p in asked if p.changed is None and p.base_sha)


def merge_references(
    listing: Listing, platform: Platform, repository: Repository, missing: set[str]
) -> tuple[str, ...]:
    """Return the images that CI may have pushed instead of the missing ones: tags of GitHub's merge commit."""
    found: set[str] = set()
    for pull_request in listing.pull_requests:
        if not labels.carries(pull_request.labels, platform.label) or pull_request.fork:
            continue
        for service in repository.services:
            wanted = service.image.reference(pull_request.head_sha, pull_request.identity.number)
            merge = images.merge_reference(service, pull_request)
            if merge and wanted in missing:
                found.add(merge)
    return tuple(sorted(found))


def _asks(pull_request: PullRequest, observed: EngineState, platform: Platform) -> bool:
    spec = observed.last_spec(pull_request.identity)
    return labels.carries(pull_request.labels, label_of(pull_request, spec, platform))
