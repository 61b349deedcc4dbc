"""Reads that a pass needs before it can decide: by-number reads, permissions, images. Pure, so it can be tested."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from greenroom.core.linking import links
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.engine import EngineState
from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.github import (
    UNKNOWN_LABEL,
    CommandComment,
    ImageState,
    Kind,
    LabelEvent,
    Listing,
    PullRequest,
)
from greenroom.core.model.seeds import Look, Source, Tree
from greenroom.core.model.spec import Identity, PreviewSpec, SeedImage
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.desired import (
    admission,
    data_command,
    failing,
    keeps_links,
    label_of,
    link_context,
    redeployed,
    remembered,
)
from greenroom.core.policy import data_commands, images, labels, seeds
from greenroom.core.policy.commands import DataWish, Targets, UseCommand, pending, pending_data


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
        return cls(platform.label, frozenset(i for r in ids for i in observed.held(r)))

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
    found = {i.number for i in observed.held(listing.repository_id) - labeled} | (promised - listed)
    return tuple(sorted(found - listing.doubts.keys()))


def label(identity: Identity, observed: EngineState, platform: Platform) -> str:
    """Return the label under which this preview was created; a removal looks for its events."""
    spec = observed.last_spec(identity)
    return spec.names.label if spec else platform.label


def askers(context: PassContext[PullRequestFacts]) -> tuple[str, ...]:
    """Return the people whose permission decides whether a label or a command counts."""
    events = (admission(p, context) for p in _labeled(context))
    labelers = {e.actor.login for e in events if isinstance(e, LabelEvent) and e.actor.kind is Kind.PERSON}
    commanders = {one.by.login for one, _ in _pending(context)} | {one.by.login for one, _ in _pending_data(context)}
    return tuple(sorted(labelers | commanders))


def readers(context: PassContext[PullRequestFacts]) -> dict[tuple[str, str], str]:
    """Return the users of each service whose permission is needed: (service, login), with the `owner/name` of the
    service's repository.
    """
    found = {}
    for one, wish in _pending(context):
        service = context.platform.service(wish.service)
        target = context.platform.repository(service.repository) if service else None
        if target is not None and wish.to not in (links.STAGING, links.DEFAULT):
            found[wish.service, one.by.login] = target.slug
    return found


def rights(context: PassContext[PullRequestFacts]) -> tuple[tuple[str, str], ...]:
    """Return the permissions that decide whether two pull requests belong together: (`owner/name`, login)."""
    found: set[tuple[str, str]] = set()
    asking = {p.identity for p in _admitted(context) if not _without_commit(p, context)}
    for pull_request in context.facts.listing.pull_requests:
        if pull_request.identity in asking or keeps_links(pull_request, context):
            mine = link_context(pull_request, context)
            for spec in links.partners(mine, context.index):
                slugs, people = (mine.repository.slug, spec.pull_request.slug), (mine.author, spec.pull_request.author)
                found |= set(product(slugs, people))
    return tuple(sorted(found))


def references(context: PassContext[PullRequestFacts]) -> tuple[str, ...]:
    """Return the images to look up first: those that the requested previews run or should run."""
    found: set[str] = set()
    for pull_request in _admitted(context):
        identity, facts = pull_request.identity, context.facts
        spec, renew = facts.observed.last_spec(identity), redeployed(identity, facts, context.platform)
        broken = failing(identity, facts)
        found.update(images.references(context.repository, pull_request, spec, renew=renew, failing=broken))
    return tuple(sorted(found))


def merge_references(context: PassContext[PullRequestFacts], missing: Container[str]) -> tuple[str, ...]:
    """Return the images that CI may have pushed instead of the missing ones: tags of GitHub's merge commit."""
    found: set[str] = set()
    for pull_request in (p for p in _admitted(context) if not _without_commit(p, context)):
        spec = context.facts.observed.last_spec(pull_request.identity)
        found.update(images.merge_references(context.repository, pull_request, spec, missing))
    return tuple(sorted(found))


def sources(context: PassContext[PullRequestFacts]) -> dict[Source, Look]:
    """Return the commits whose files decide which seeds the requested previews start from, or whether they still fit
    the ones that they keep, with what to look for.
    """
    return seeds.looks([*_wanted_seeds(context), *(each for each, _ in _held_seeds(context))])


def trunks(
    context: PassContext[PullRequestFacts], trees: Mapping[Source, Tree | str], images: Mapping[str, ImageState]
) -> dict[Source, Look]:
    """Return the commits of base branches whose migrations go into the seed images that are to be built here."""
    return seeds.trunk_looks(_wanted_seeds(context), trees, images, context.platform, sources(context))


def held_images(context: PassContext[PullRequestFacts]) -> tuple[SeedImage, ...]:
    """Return the seeds that previews keep, whose labels are compared with the branches."""
    return tuple(dict.fromkeys(seed for _, seed in _held_seeds(context)))


def seed_references(context: PassContext[PullRequestFacts], trees: Mapping[Source, Tree | str]) -> tuple[str, ...]:
    """Return the seed images to look up, for the dumps that were found."""
    found = {seeds.reference(each, trees, context.platform) for each in _wanted_seeds(context)}
    return tuple(sorted(found - {""}))


def _wanted_seeds(context: PassContext[PullRequestFacts]) -> list[seeds.Wanted]:
    found = list[seeds.Wanted]()
    for pull_request, spec, renew in _choosing(context):
        found += seeds.wanted(context.repository, pull_request, spec, context.platform, renew=renew)
    return found


def _held_seeds(context: PassContext[PullRequestFacts]) -> list[tuple[seeds.Wanted, SeedImage]]:
    found = list[tuple[seeds.Wanted, SeedImage]]()
    for pull_request, spec, renew in _choosing(context):
        found += seeds.held(context.repository, pull_request, spec, context.platform, renew=renew)
    return found


def _choosing(context: PassContext[PullRequestFacts]) -> Iterator[tuple[PullRequest, PreviewSpec | None, bool]]:
    """Yield the pull requests whose seeds are chosen, with their spec, and whether a person wants another seed."""
    for pull_request in (p for p in _admitted(context) if not _without_commit(p, context)):
        spec = context.facts.observed.last_spec(pull_request.identity)
        yield pull_request, spec, data_commands.renews(data_command(pull_request.identity, spec, context))


def files(listing: Listing, platform: Platform, repository: Repository) -> tuple[PullRequest, ...]:
    """Return the pull requests whose changed files the list lacks, if the files decide which image a service runs."""
    if not any(s.paths for s in repository.services):
        return ()
    asked = (p for p in listing.pull_requests if labels.carries(p.labels, platform.label) and not p.fork)
    return tuple(p for p in asked if p.changed is None and p.base_sha)


def _labeled(context: PassContext[PullRequestFacts]) -> Iterator[PullRequest]:
    """Return the pull requests that carry the label. A stale read is not acted on, so nothing is looked up for it."""
    facts = context.facts
    fresh = (p for p in facts.listing.pull_requests if p.identity.number not in facts.stale)
    return (p for p in fresh if labels.carries(p.labels, context.platform.label))


def _admitted(context: PassContext[PullRequestFacts]) -> list[PullRequest]:
    """Return the labeled pull requests that no gate stops before the look-ups."""
    return [p for p in _labeled(context) if isinstance(admission(p, context), LabelEvent)]


def _without_commit(pull_request: PullRequest, context: PassContext[PullRequestFacts]) -> bool:
    """Return whether a preview waits for GitHub's merge commit, whatever the registry has."""
    spec = context.facts.observed.last_spec(pull_request.identity)
    return images.without_commit(context.repository, pull_request, spec) is not None


def _pending(context: PassContext[PullRequestFacts]) -> list[tuple[CommandComment, UseCommand]]:
    """Return the commands to decide. They are decided once, also on a pull request that a gate stops."""
    targets = Targets.of(context.repository, context.platform)
    return [
        each
        for p in context.facts.listing.pull_requests
        if labels.carries(p.labels, context.platform.label)
        for known in [remembered(p.identity.number, context.facts)]
        for each in pending(p.said, known.choices, targets, known.heard)
    ]


def _pending_data(context: PassContext[PullRequestFacts]) -> list[tuple[CommandComment, DataWish]]:
    """Return the commands about the data to decide."""
    return [
        each
        for p in context.facts.listing.pull_requests
        if labels.carries(p.labels, context.platform.label)
        for each in pending_data(p.said, remembered(p.identity.number, context.facts).heard)
    ]


def _asks(pull_request: PullRequest, observed: EngineState, platform: Platform) -> bool:
    spec = observed.last_spec(pull_request.identity)
    return labels.carries(pull_request.labels, label_of(pull_request, spec, platform))
