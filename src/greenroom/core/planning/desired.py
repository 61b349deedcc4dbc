"""The verdict for every pull request, from facts: which preview should exist, or why not. Pure.

Previews that the engine holds but no list mentions get a verdict too, so that none is forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from dataclasses import replace

from greenroom.core import messages
from greenroom.core.linking import links
from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import Cause, EngineState, Health
from greenroom.core.model.facts import Facts, PullRequestFacts
from greenroom.core.model.github import (
    CommentState,
    Confirmation,
    DataCommand,
    LabelEvent,
    Permissions,
    PullRequest,
    Requested,
    SignedState,
    later_command,
)
from greenroom.core.model.holds import HoldKey, HoldKind
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
    SeedImage,
    Times,
    WaitingPush,
    with_privacy,
)
from greenroom.core.model.status import Reason, Stage
from greenroom.core.model.verdicts import Desired, Go, Run, Stay, Verdict
from greenroom.core.planning import data_generation, names, preview_sets
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.former_repositories import verdict_on_left
from greenroom.core.policy import commands, data_commands, gates, images, labels, quotas, seeds
from greenroom.core.policy.expiry import Expiry, expiry
from greenroom.core.policy.removal import removal


def desired(context: PassContext[Facts]) -> Desired:
    """Return the desired state of one repository: the verdicts and what its comments should hold."""
    facts, platform, repository = context.facts, context.platform, context.repository
    if platform.repository(repository.name) is None:
        stays = verdict_on_left(platform, repository)
        return Desired({i: replace(stays, spec=at_least_private(i, facts)) for i in context.held})
    listed = {p.identity: p for p in facts.listing.pull_requests}
    targets = commands.Targets.of(repository, platform)
    told = {i: _heard(p, context, targets) for i, p in listed.items()}
    memories = {
        i: replace(
            remembered(i.number, facts),
            choices=told[i].choices,
            heard=told[i].last,
            data=data_commands.remembered(told[i].data, facts.observed.spec(i)),
        )
        for i in listed
    }
    answers = {i: answer for i, h in told.items() if (answer := h.answer or _unfollowed(i, context))}
    verdicts: dict[Identity, Verdict] = {}
    expiries: dict[Identity, Expiry] = {}
    for identity, pull_request in listed.items():
        spec = facts.observed.last_spec(identity)
        verdicts[identity] = _verdict(pull_request, spec, context)
        if spec is not None and identity.number not in facts.stale:
            memory = remembered(identity.number, facts)
            expiries[identity] = expiry(pull_request, spec, platform.lifetime, memory, facts.listing.me, context.now)
    for identity in context.held - listed.keys():
        verdicts[identity] = _unlisted(identity, context)
    for identity, (stays, pull_request) in _never_started(context, verdicts).items():
        verdicts[identity], listed[identity] = stays, pull_request
        memories[identity] = remembered(identity.number, facts)
    return Desired(quotas.admitted(verdicts, facts, platform), listed, expiries, memories, answers)


def _unlisted(identity: Identity, context: PassContext[Facts]) -> Go | Stay:
    """Return the verdict on a preview whose pull request the list leaves out."""
    spec = context.facts.observed.last_spec(identity)
    found = removal(identity, spec.names.label if spec else context.platform.label, context.facts, None)
    return replace(found, spec=at_least_private(identity, context.facts)) if isinstance(found, Stay) else found


def _never_started(context: PassContext[Facts], known: Container[Identity]) -> dict[Identity, tuple[Stay, PullRequest]]:
    """Return the closed pull requests whose comment promises a preview, confirmed by a read newer than the list.

    Leave out those that are `known` to have a verdict already.
    """
    found, facts = {}, context.facts
    for identity in (Identity(facts.listing.repository_id, number) for number in facts.promised):
        if identity in known:
            continue
        answer = facts.confirmed.get(identity.number)
        gone = removal(identity, context.platform.label, facts, None)
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


def _heard(pull_request: PullRequest, context: PassContext[Facts], targets: commands.Targets) -> commands.CommandResult:
    """Return the choices after the commands of a pull request. Without the label, its commands wait undecided."""
    facts = context.facts
    asks = labels.carries(pull_request.labels, context.platform.label)
    known, permissions = remembered(pull_request.identity.number, facts), facts.permissions if asks else Permissions()
    found = commands.heard(pull_request.said, known, targets, permissions, context.now)
    if pull_request.identity.number not in facts.blocks:  # without its block, a command cannot be told from an old one
        found = replace(found, data=None)
    asked = facts.asked.get(pull_request.identity.number, Requested())
    choices, data = commands.later(found.choices, asked.choices), later_command(found.data, asked.data)
    return replace(found, choices=choices, data=data)


def link_context(pull_request: PullRequest, context: PassContext[PullRequestFacts]) -> links.LinkContext:
    """Return the inputs for the links of a pull request's preview."""
    facts, platform, repository = context.facts, context.platform, context.repository
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
        starts=spec is None or spec.prepared,
        now=context.now,
    )


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


def _verdict(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext[Facts]) -> Verdict:
    found, identity, facts = _judged(pull_request, spec, context), pull_request.identity, context.facts
    if not isinstance(found, Stay):
        return found
    served = facts.observed.spec(identity)
    if served is None or not _follows_links(identity, facts):
        return replace(found, spec=at_least_private(identity, facts))
    return replace(found, spec=_meanwhile(pull_request, served, context))


def _judged(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext[Facts]) -> Verdict:
    facts, identity = context.facts, pull_request.identity
    label = label_of(pull_request, spec, context.platform)
    if identity.number in facts.stale:
        return Stay(Stage.HELD if spec else Stage.WAITING, messages.stale())
    if not labels.carries(pull_request.labels, label):
        if identity in context.held:
            return removal(identity, label, facts, pull_request)
        return Stay(Stage.NONE, messages.not_asked(label))
    return _asked(pull_request, spec, context, label)


def _asked(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext[Facts], label: str) -> Run | Stay:
    """Return the verdict on a pull request that carries the label."""
    facts, platform, identity = context.facts, context.platform, pull_request.identity
    event = admission(pull_request, context)
    if isinstance(event, Stay):
        return event
    if refused := gates.labeler(event, label, facts.permissions):
        return refused
    renew = redeployed(identity, facts, platform)
    broken = failing(identity, facts)
    found = images.versions(context.repository, pull_request, facts.images, spec, renew=renew, failing=broken)
    if isinstance(found, Stay):
        return found
    linked = links.resolved(link_context(pull_request, context), context.index, facts.permissions)
    reason = messages.wanted(label, event.actor.login)
    if isinstance(found, images.NotBuilt) and (isinstance(linked, Reason) or not _prepares(spec, context)):
        return Stay(Stage.WAITING, messages.waiting_for_image(found.missing), missing=found.missing)
    command = data_command(identity, spec, context)
    seeded = _seeds(pull_request, spec, context, renew=data_commands.renews(command))
    if isinstance(seeded, Stay):
        return seeded
    if isinstance(linked, Reason):
        return Stay(Stage.BLOCKED, linked)
    if isinstance(found, images.NotBuilt):
        prepared = _new_spec(pull_request, spec, context, images.Versions(()), linked, seeded, command)
        return Run(prepared, reason, event.at, waits=found.missing)
    new = _new_spec(pull_request, spec, context, found, linked, seeded, command)
    held = seeds.held(context.repository, pull_request, spec, platform, renew=data_commands.renews(command))
    return Run(new, reason, event.at, seeds.outgrown(held, facts.seeds) or found.note)


def data_command(
    identity: Identity, spec: PreviewSpec | None, context: PassContext[PullRequestFacts]
) -> DataCommand | None:
    """Return the command about the data of a preview that is followed now, or None."""
    facts = context.facts
    block = facts.blocks.get(identity.number)
    preview_set = facts.observed.sets.get(identity.repository_id)
    return data_commands.due(block.memory if block else None, spec, preview_set, context.now)


def _unfollowed(identity: Identity, context: PassContext[Facts]) -> Reason | None:
    """Return why the last command about the data had no effect, if it had none."""
    block = context.facts.blocks.get(identity.number)
    return data_commands.answer(block.memory if block else None, context.facts.observed.spec(identity), context.now)


def last_command(identity: Identity, context: PassContext[PullRequestFacts]) -> DataCommand | None:
    """Return the last decided command about the data; None if there is none."""
    block = context.facts.blocks.get(identity.number)
    return block.memory.data if block else None


def _seeds(
    pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext[Facts], *, renew: bool
) -> tuple[SeedImage, ...] | Stay:
    """Return the images that the needs of a preview start from, or why it waits for them."""
    facts = context.facts
    found = seeds.wanted(context.repository, pull_request, spec, context.platform, renew=renew)
    stays = seeds.kept(context.repository, spec, renew=renew)
    return seeds.chosen(found, stays, facts.seeds, context.platform, facts.observed.failed_builds)


def _prepares(spec: PreviewSpec | None, context: PassContext[Facts]) -> bool:
    """Return whether a preview without images is prepared.

    A preview that has run a version keeps it. A prepared preview stays prepared, even if the configuration changes.
    """
    return context.repository.prepare if spec is None else spec.prepared


def admission(pull_request: PullRequest, context: PassContext[PullRequestFacts]) -> Stay | LabelEvent:
    """Return the event that requests a preview for a labeled pull request, or the first gate that needs no look-up.

    Permissions, images and links are looked up only for what passes here.
    """
    facts, platform, identity = context.facts, context.platform, pull_request.identity
    spec = facts.observed.last_spec(identity)
    label = label_of(pull_request, spec, platform)
    if not labels.same(label, platform.label):
        hold = HoldKey(HoldKind.CONFIG_LABEL, platform.label)
        return Stay(Stage.HELD, messages.config_label(label, platform.label), hold=hold)
    if owner := facts.observed.other_installations.get(identity):
        return Stay(Stage.BLOCKED, messages.engine_foreign(owner))
    if spec is None and context.former:
        return Stay(Stage.BLOCKED, messages.name_in_use(context.former))
    return _namespace_taken(identity, spec, context) or gates.gate(pull_request, label, platform)


def _namespace_taken(
    identity: Identity, spec: PreviewSpec | None, context: PassContext[PullRequestFacts]
) -> Stay | None:
    """Return the verdict if the namespace exists and belongs to something else. Such a namespace is never adopted."""
    name = (
        spec.names.namespace if spec else names.naming(context.platform, context.repository, identity.number).namespace
    )
    owners = context.facts.observed.namespaces
    if name not in owners or owners[name] == identity:
        return None
    return Stay(Stage.BLOCKED, messages.namespace_taken(name))


def keeps_links(pull_request: PullRequest, context: PassContext[PullRequestFacts]) -> bool:
    """Return whether links are resolved for a served spec, also while its preview has to wait for something else."""
    facts, identity = context.facts, pull_request.identity
    spec = facts.observed.spec(identity)
    if spec is None or not _follows_links(identity, facts):
        return False
    label = label_of(pull_request, spec, context.platform)
    asks = labels.carries(pull_request.labels, label)
    return asks or isinstance(removal(identity, label, facts, pull_request), Stay)


def _follows_links(identity: Identity, facts: PullRequestFacts) -> bool:
    return identity.number not in facts.stale and identity not in facts.observed.other_installations


def _meanwhile(pull_request: PullRequest, spec: PreviewSpec, context: PassContext[Facts]) -> PreviewSpec:
    """Return the spec to serve while the requested version waits: the running version, with current links and sleep."""
    linked = links.resolved(link_context(pull_request, context), context.index, context.facts.permissions)
    stands = replace(pull_request, head_sha=spec.build.head_sha)
    kept = spec.links.targets if isinstance(linked, Reason) else linked
    command = data_command(spec.id, spec, context)
    command = None if data_commands.renews(command) else command  # the newest seed is chosen with the next version
    runs = images.Versions(spec.build.versions)
    stays = _new_spec(stands, spec, context, runs, kept, spec.data.seeds, command)
    if pull_request.head_sha == spec.build.head_sha:
        return stays
    known = spec.times.waiting
    waiting = known if known and known.head_sha == pull_request.head_sha else None
    waiting = waiting or WaitingPush(pull_request.head_sha, context.now)
    return replace(stays, times=replace(stays.times, waiting=waiting))


def _new_spec(
    pull_request: PullRequest,
    spec: PreviewSpec | None,
    context: PassContext[Facts],
    found: images.Versions,
    linked: tuple[Link, ...],
    seeded: tuple[SeedImage, ...],
    command: DataCommand | None,
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
        data=data_generation.next_data(spec, preview, seeded, command, last_command(identity, context), context.now),
        links=Links(linked),
        choices=_choices(pull_request, spec, context),
    )
    config = replace(new.config, injected=links.injected(new, context.platform, context.index))
    return replace(new, config=config, links=Links(linked, links.callers(new, context.index)))


def _choices(pull_request: PullRequest, spec: PreviewSpec | None, context: PassContext[Facts]) -> Choices:
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


def redeploy_key(platform: Platform) -> HoldKey:
    """Return the key that `greenroom redeploy` releases: this chart with these settings."""
    made_with = f"{platform.cluster.chart_version} {platform.cluster.settings}"
    return HoldKey(HoldKind.REDEPLOY, hashlib.sha256(made_with.encode()).hexdigest()[:12])
