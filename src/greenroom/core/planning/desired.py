"""The verdict for every pull request, from facts: which preview should exist, or why not. Pure.

Previews that the engine holds but no list mentions get a verdict too, so that none is forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom.core import messages
from greenroom.core.linking import links
from greenroom.core.linking.links import LinkIndex
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.facts import (
    Cause,
    CommentState,
    Confirmation,
    EngineState,
    Facts,
    Health,
    PreviewSet,
    PullRequest,
    PullRequestFacts,
    SignedState,
)
from greenroom.core.model.spec import (
    Build,
    Chart,
    Choices,
    Config,
    Identity,
    Link,
    LinkOverride,
    Links,
    Origin,
    PreviewSpec,
    Times,
    WaitingPush,
    with_privacy,
)
from greenroom.core.model.status import Reason, Stage
from greenroom.core.model.verdicts import Desired, Go, Run, Stay, Verdict
from greenroom.core.planning import data_generation, names, preview_sets
from greenroom.core.policy import commands, gates, images, labels, quotas
from greenroom.core.policy.expiry import Expiry, expiry
from greenroom.core.policy.removal import removal


@dataclass(frozen=True, slots=True)
class PassContext:
    """The inputs that all verdicts of one pass share."""

    facts: Facts
    platform: Platform
    repository: Repository
    now: datetime
    held: frozenset[Identity]
    index: LinkIndex
    awake: Set[Identity]
    former: tuple[str, ...] = ()


def desired(facts: Facts, platform: Platform, repository: Repository, now: datetime) -> Desired:
    """Return the desired state of one repository: the verdicts and what its comments should hold. `now` is GitHub's
    clock.
    """
    if platform.repository(repository.name) is None:
        stays = _left(platform, repository)
        return Desired({i: replace(stays, spec=at_least_private(i, facts)) for i in held(facts)})
    index = LinkIndex.of(facts.observed)
    before = former(facts, repository)
    context = PassContext(facts, platform, repository, now, frozenset(held(facts)), index, index.awake(), before)
    listed = {p.identity: p for p in facts.listing.pull_requests}
    targets = commands.Targets.of(repository, platform)
    told = {i: _heard(p, facts, targets) for i, p in listed.items()}
    memories = {i: replace(remembered(i.number, facts), choices=told[i].choices, heard=told[i].last) for i in listed}
    answers = {i: h.answer for i, h in told.items() if h.answer}
    verdicts: dict[Identity, Verdict] = {}
    expiries: dict[Identity, Expiry] = {}
    for identity, pull_request in listed.items():
        spec = facts.observed.last_spec(identity)
        verdicts[identity] = _verdict(pull_request, spec, context)
        if spec is not None and identity.number not in facts.stale:
            memory = remembered(identity.number, facts)
            expiries[identity] = expiry(pull_request, spec, platform.lifetime, memory, facts.listing.me, now)
    for identity in context.held - listed.keys():
        spec = facts.observed.last_spec(identity)
        found = removal(identity, spec.names.label if spec else platform.label, facts, None)
        verdicts[identity] = (
            replace(found, spec=at_least_private(identity, facts)) if isinstance(found, Stay) else found
        )
    for identity, (stays, pull_request) in _never_started(facts, platform).items():
        if identity not in verdicts:
            verdicts[identity], listed[identity] = stays, pull_request
            memories[identity] = remembered(identity.number, facts)
    return Desired(quotas.admitted(verdicts, facts, platform), listed, expiries, memories, answers)


def _never_started(facts: Facts, platform: Platform) -> dict[Identity, tuple[Stay, PullRequest]]:
    """Return the closed pull requests whose comment promises a preview, confirmed by a read newer than the list."""
    found = {}
    for number in facts.promised:
        identity, answer = Identity(facts.listing.repository_id, number), facts.confirmed.get(number)
        gone = removal(identity, platform.label, facts, None)
        if isinstance(answer, Confirmation) and isinstance(gone, Go) and gone.cause in (Cause.CLOSED, Cause.MERGED):
            found[identity] = Stay(Stage.NONE, messages.never_started(gone.reason)), answer.pull_request
    return found


def remembered(number: int, facts: PullRequestFacts) -> CommentState:
    """Return the state that our comment holds. While the comment is in doubt, return the choices that the preview runs
    with.
    """
    block = facts.blocks.get(number)
    if block is not None:
        return block.memory
    spec = facts.observed.last_spec(Identity(facts.listing.repository_id, number))
    return CommentState(choices=spec.choices.overrides if spec else ())


def overtaken(repository_id: int, blocks: Mapping[int, SignedState], observed: EngineState) -> frozenset[int]:
    """Return the pull requests to read again: their comment was read in a state before the choices that their preview
    follows.
    """
    specs = {n: observed.spec(Identity(repository_id, n)) for n in blocks}
    return frozenset(n for n, spec in specs.items() if spec and blocks[n].sequence < spec.choices.comment_version)


def choices(number: int, facts: PullRequestFacts) -> tuple[LinkOverride, ...]:
    """Return people's choices."""
    return remembered(number, facts).choices


def _heard(pull_request: PullRequest, facts: Facts, targets: commands.Targets) -> commands.CommandResult:
    known = remembered(pull_request.identity.number, facts)
    found = commands.heard(pull_request.said, known, targets, facts.permissions)
    return replace(found, choices=commands.later(found.choices, facts.asked.get(pull_request.identity.number, ())))


def link_context(
    pull_request: PullRequest, facts: PullRequestFacts, platform: Platform, repository: Repository
) -> links.LinkContext:
    """Return the inputs for the links of a pull request's preview."""
    spec = facts.observed.last_spec(pull_request.identity)
    return links.LinkContext(
        platform,
        repository,
        spec.names if spec else names.naming(platform, repository, pull_request.identity.number),
        pull_request.identity.number,
        pull_request.author.login,
        pull_request.head_ref,
        pull_request.mentions,
        choices(pull_request.identity.number, facts),
        spec.links.targets if spec else (),
    )


def left(observed: EngineState, platform: Platform, ids: Mapping[str, int]) -> tuple[Repository, ...]:
    """Return the repositories that no loop reads any more although the engine still holds previews of them.

    They left the catalog, or GitHub shows another repository under their name. They have no services. `ids` maps
    `owner/name` in lower case to GitHub's id, for each repository of the catalog that was read. Without an id, a
    repository counts as the same one.
    """
    found = []
    for repository_id, preview_set in sorted(observed.sets.items()):
        if not _held(observed, preview_set):
            continue
        slug = _slug(observed, preview_set)
        here = platform.repository(preview_set.repository) or _by_slug(platform, slug)
        if here is None or ids.get(here.slug.lower(), repository_id) != repository_id:
            found.append((preview_set, slug))
    names = [preview_set.repository for preview_set, _ in found] + [r.name for r in platform.repositories]
    return tuple(
        Repository(r.repository if names.count(r.repository) == 1 else former_name(r), slug, ()) for r, slug in found
    )


def left_set(observed: EngineState, name: str) -> PreviewSet | None:
    """Return the preview set of a repository that `left` gave this name, or None when the engine holds none."""
    found = sorted(observed.sets.items())
    exact = [preview_set for _, preview_set in found if former_name(preview_set) == name]
    return next(iter([*exact, *(preview_set for _, preview_set in found if preview_set.repository == name)]), None)


def former_name(preview_set: PreviewSet) -> str:
    """Return the name of a repository whose own name another one has taken: `shop@1296269`, with GitHub's id.

    Names in the catalog cannot contain an `@`.
    """
    return f"{preview_set.repository}@{preview_set.repository_id}"


def former(facts: Facts, repository: Repository) -> tuple[str, ...]:
    """Return the previews of earlier repositories with this one's name, which still use its names and addresses.

    The repository was deleted and created again, another one took its name on GitHub, or the configuration gave the
    name to another repository.
    """
    observed = facts.observed
    found: list[str] = []
    for repository_id, preview_set in sorted(observed.sets.items()):
        if repository_id != facts.listing.repository_id and preview_set.repository == repository.name:
            numbers = sorted(_held(observed, preview_set))
            found += [f"{former_name(preview_set)}#{n}" for n in numbers]
    return tuple(found)


def _left(platform: Platform, repository: Repository) -> Stay:
    """Return the verdict on every preview of a repository that `left` found."""
    if _by_slug(platform, repository.slug):
        return Stay(Stage.HELD, messages.replaced(repository.slug), hold="replaced")
    return Stay(Stage.HELD, messages.not_in_catalog(repository.slug), hold="not-in-catalog")


def _by_slug(platform: Platform, slug: str) -> Repository | None:
    return next((r for r in platform.repositories if r.slug.lower() == slug.lower()), None)


def _slug(observed: EngineState, preview_set: PreviewSet) -> str:
    """Return the repository's `owner/name` as its previews know it."""
    alive = [p.spec for i, p in observed.previews.items() if i.repository_id == preview_set.repository_id]
    spec = next(iter([*preview_set.specs.values(), *alive]), None)
    return spec.pull_request.slug if spec else preview_set.repository


def _held(observed: EngineState, preview_set: PreviewSet) -> set[int]:
    """Return the numbers of the previews that the engine still holds for the repository of a preview set."""
    found = {i.number for i in observed.previews if i.repository_id == preview_set.repository_id}
    return found | preview_set.specs.keys() | {w.identity.number for w in preview_set.ledger.withdrawals if not w.told}


def held(facts: PullRequestFacts) -> set[Identity]:
    """Return the identities that the engine still holds of this repository: previews, specs, and withdrawals not yet
    reported.
    """
    return in_engine(facts.observed, facts.listing.repository_id)


def in_engine(observed: EngineState, repository_id: int) -> set[Identity]:
    """Return the previews, specs and open withdrawals of one repository."""
    preview_set = observed.sets.get(repository_id) or PreviewSet(repository_id, "")
    return {Identity(repository_id, number) for number in _held(observed, preview_set)}


def label_of(pull_request: PullRequest, spec: PreviewSpec | None, platform: Platform) -> str:
    """Return the label that counts for this pull request: the configured one, or the one that its preview was made
    under.
    """
    if spec is None or labels.carries(pull_request.labels, platform.label):
        return platform.label
    return spec.names.label


def at_least_private(identity: Identity, facts: Facts) -> PreviewSpec | None:
    """Return the served spec, made private if its repository is: the only change that a preview in doubt gets.

    Comments in other repositories link to public specs, so a spec counts as private until it is known to be public.
    A stale read never makes a spec public.
    """
    served = facts.observed.spec(identity)
    return with_privacy(served, served.pull_request.private or facts.listing.private) if served else None


def _verdict(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext) -> Verdict:
    found, identity, facts = _judged(pull_request, spec, context), pull_request.identity, context.facts
    if not isinstance(found, Stay):
        return found
    served = facts.observed.spec(identity)
    if served is None or identity.number in facts.stale or identity in facts.observed.other_installations:
        return replace(found, spec=at_least_private(identity, facts))
    return replace(found, spec=_meanwhile(pull_request, served, context))


def _judged(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext) -> Verdict:
    facts, platform = context.facts, context.platform
    identity = pull_request.identity
    label = label_of(pull_request, spec, platform)
    if identity.number in facts.stale:
        return Stay(Stage.HELD if spec else Stage.WAITING, messages.stale())
    if not labels.carries(pull_request.labels, label):
        if identity in context.held:
            return removal(identity, label, facts, pull_request)
        return Stay(Stage.NONE, messages.not_asked(label))
    return _asked(pull_request, spec, context, label)


def _asked(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext, label: str) -> Run | Stay:
    """Return the verdict on a pull request that carries the label."""
    facts, platform, identity = context.facts, context.platform, pull_request.identity
    if not labels.same(label, platform.label):
        hold = f"config-label:{platform.label}"
        return Stay(Stage.HELD, messages.config_label(label, platform.label), hold=hold)
    if owner := facts.observed.other_installations.get(identity):
        return Stay(Stage.BLOCKED, messages.engine_foreign(owner))
    if spec is None and context.former:
        return Stay(Stage.BLOCKED, messages.name_in_use(context.former))
    if isinstance(taken := _namespace_taken(identity, spec, context), Stay):
        return taken
    event = gates.gate(pull_request, label, platform, facts.permissions)
    if isinstance(event, Stay):
        return event
    renew = redeployed(identity, facts, platform)
    broken = failing(identity, facts)
    found = images.versions(context.repository, pull_request, facts.images, spec, renew=renew, failing=broken)
    if isinstance(found, Stay):
        return found
    linked = links.resolved(
        link_context(pull_request, facts, platform, context.repository), context.index, facts.permissions
    )
    if isinstance(linked, Reason):
        return Stay(Stage.BLOCKED, linked)
    new = _new_spec(pull_request, spec, context, found, linked)
    return Run(new, messages.wanted(label, event.actor.login), event.at, found.note)


def _namespace_taken(identity: Identity, spec: PreviewSpec | None, context: PassContext) -> Stay | None:
    """Return the verdict if the namespace exists and belongs to something else. Such a namespace is never adopted."""
    name = (
        spec.names.namespace if spec else names.naming(context.platform, context.repository, identity.number).namespace
    )
    owners = context.facts.observed.namespaces
    if name not in owners or owners[name] == identity:
        return None
    return Stay(Stage.BLOCKED, messages.namespace_taken(name))


def _meanwhile(pull_request: PullRequest, spec: PreviewSpec, context: PassContext) -> PreviewSpec:
    """Return the spec to serve while the requested version waits: the running version, with current links and sleep."""
    linked = links.resolved(
        link_context(pull_request, context.facts, context.platform, context.repository),
        context.index,
        context.facts.permissions,
    )
    stands = replace(pull_request, head_sha=spec.build.head_sha)
    kept = spec.links.targets if isinstance(linked, Reason) else linked
    stays = _new_spec(stands, spec, context, images.Versions(spec.build.versions), kept)
    if pull_request.head_sha == spec.build.head_sha:
        return stays
    known = spec.times.waiting
    waiting = known if known and known.head_sha == pull_request.head_sha else None
    waiting = waiting or WaitingPush(pull_request.head_sha, context.now)
    return replace(stays, times=replace(stays.times, waiting=waiting))


def _new_spec(
    pull_request: PullRequest,
    spec: PreviewSpec | None,
    context: PassContext,
    found: images.Versions,
    linked: tuple[Link, ...],
) -> PreviewSpec:
    repository, cluster, identity = context.repository, context.platform.cluster, pull_request.identity
    preview = context.facts.observed.previews.get(identity)
    same_head = spec is not None and spec.build.head_sha == pull_request.head_sha
    kept = (
        spec if spec is not None and same_head and not redeployed(identity, context.facts, context.platform) else None
    )
    new = PreviewSpec(
        id=identity,
        names=names.naming(context.platform, repository, identity.number),
        build=Build(pull_request.head_sha, found.versions, data_generation.retries(spec, preview, same_head)),
        config=Config(repository.services),
        pull_request=Origin(
            slug=repository.slug,
            author=pull_request.author.login,
            url=pull_request.url,
            branch=pull_request.head_ref,
            private=context.facts.listing.private,
            mentions=pull_request.mentions,
        ),
        times=Times(
            created=spec.times.created if spec else context.now,
            head_since=spec.times.head_since if spec and same_head else context.now,
        ),
        chart=kept.chart if kept else Chart(cluster.chart_version, cluster.settings),
        data=data_generation.data(spec, preview, context.now),
        links=Links(linked),
        choices=_choices(pull_request, spec, context),
    )
    config = replace(new.config, injected=links.injected(new, context.platform, context.index))
    return replace(new, config=config, links=Links(linked, links.callers(new, context.index)))


def _choices(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext) -> Choices:
    identity = pull_request.identity
    sleepy = labels.carries(pull_request.labels, context.platform.lifetime.sleep_label)
    chosen, block = choices(identity.number, context.facts), context.facts.blocks.get(identity.number)
    version = spec.choices.comment_version if spec else 0
    if block and (spec is None or spec.choices.overrides != chosen):
        version = block.sequence
    return Choices(chosen, version, asleep=sleepy and identity not in context.awake, sleep_requested=sleepy)


def failing(identity: Identity, facts: PullRequestFacts) -> str:
    """Return the service that keeps a preview from running with the versions of its spec; empty when none does."""
    preview, spec = facts.observed.previews.get(identity), facts.observed.spec(identity)
    if (
        preview is None
        or spec is None
        or preview.health is not Health.FAILED
        or preview.spec.build.versions != spec.build.versions
    ):
        return ""
    return preview.failing


def redeployed(identity: Identity, facts: PullRequestFacts, platform: Platform) -> bool:
    """Return whether a person asked to redeploy this preview before its next push."""
    preview_set = facts.observed.sets.get(identity.repository_id)
    return preview_set is not None and preview_sets.is_released(preview_set.ledger, identity, redeploy_key(platform))


def redeploy_key(platform: Platform) -> str:
    """Return the key that `greenroom redeploy` releases: this chart with these settings."""
    made_with = f"{platform.cluster.chart_version} {platform.cluster.settings}"
    return f"{preview_sets.REDEPLOY}{hashlib.sha256(made_with.encode()).hexdigest()[:12]}"
