"""Facts in, a verdict for every pull request out: which preview should exist, or why not. Pure.

The engine's previews of a repository that no list mentions get a verdict too, so that nothing is forgotten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom.core import caps, commands, gates, images, labels, links, lives, names, reasons, rowsets
from greenroom.core.activity import Expiry, expiry
from greenroom.core.catalogue import Platform, Repository
from greenroom.core.links import Neighbours
from greenroom.core.model import Cause, Confirmation, Facts, Identity, Memory, Observed, PullRequest, RowSet
from greenroom.core.removal import removal
from greenroom.core.rows import Choice, Link, Row
from greenroom.core.status import Reason, Stage
from greenroom.core.verdicts import Desired, Go, Run, Stay, Verdict


@dataclass(frozen=True, slots=True)
class _Pass:
    """What every verdict of one pass needs."""

    facts: Facts
    platform: Platform
    repository: Repository
    now: datetime
    held: frozenset[Identity]
    around: Neighbours
    awake: Set[Identity]
    former: tuple[str, ...] = ()


def desired(facts: Facts, platform: Platform, repository: Repository, now: datetime) -> Desired:
    """What should be, for one repository. `now` is GitHub's clock."""
    if platform.repository(repository.name) is None:
        stays = _left(platform, repository)
        return Desired({i: replace(stays, row=at_least_private(i, facts)) for i in held(facts)})
    around = Neighbours.of(facts.observed)
    before = former(facts, repository)
    ours = _Pass(facts, platform, repository, now, frozenset(held(facts)), around, around.awake(), before)
    listed = {p.identity: p for p in facts.listing.pull_requests}
    told = {i: _heard(p, facts, repository) for i, p in listed.items()}
    memories = {i: replace(remembered(i.number, facts), choices=told[i].choices, heard=told[i].last) for i in listed}
    answers = {i: h.answer for i, h in told.items() if h.answer}
    verdicts: dict[Identity, Verdict] = {}
    expiries: dict[Identity, Expiry] = {}
    for identity, pull_request in listed.items():
        row = served_row(facts, identity)
        verdicts[identity] = _verdict(pull_request, row, ours)
        if row is not None and identity.number not in facts.stale:
            memory = remembered(identity.number, facts)
            expiries[identity] = expiry(pull_request, row, platform.lifetime, memory, facts.listing.me, now)
    for identity in ours.held - listed.keys():
        row = served_row(facts, identity)
        found = removal(identity, row.naming.label if row else platform.label, facts, None)
        verdicts[identity] = replace(found, row=at_least_private(identity, facts)) if isinstance(found, Stay) else found
    for identity, (stays, pull_request) in _never_started(facts, platform).items():
        if identity not in verdicts:
            verdicts[identity], listed[identity] = stays, pull_request
            memories[identity] = remembered(identity.number, facts)
    return Desired(caps.admitted(verdicts, facts, platform), listed, expiries, memories, answers)


def _never_started(facts: Facts, platform: Platform) -> dict[Identity, tuple[Stay, PullRequest]]:
    """Return the closed pull requests whose comment promises a preview, confirmed by a read newer than the list."""
    found = {}
    for number in facts.promised:
        identity, answer = Identity(facts.listing.repository_id, number), facts.confirmed.get(number)
        gone = removal(identity, platform.label, facts, None)
        if isinstance(answer, Confirmation) and isinstance(gone, Go) and gone.cause in (Cause.CLOSED, Cause.MERGED):
            found[identity] = Stay(Stage.NONE, reasons.never_started(gone.reason)), answer.pull_request
    return found


def remembered(number: int, facts: Facts) -> Memory:
    """What our comment holds; while it is in doubt, what people chose as the preview runs."""
    block = facts.blocks.get(number)
    if block is not None:
        return block.memory
    row = served_row(facts, Identity(facts.listing.repository_id, number))
    return Memory(choices=row.choices if row else ())


def overtaken(facts: Facts) -> frozenset[int]:
    """Pull requests whose comment was read as it was before the choices that their preview follows: read again."""
    rows = {n: facts.observed.row(Identity(facts.listing.repository_id, n)) for n in facts.blocks}
    return frozenset(n for n, row in rows.items() if row and facts.blocks[n].sequence < row.sequence)


def choices(number: int, facts: Facts) -> tuple[Choice, ...]:
    """What people chose."""
    return remembered(number, facts).choices


def _heard(pull_request: PullRequest, facts: Facts, repository: Repository) -> commands.Heard:
    known = remembered(pull_request.identity.number, facts)
    found = commands.heard(pull_request.said, known, repository, facts.permissions, facts.readers)
    return replace(found, choices=commands.later(found.choices, facts.asked.get(pull_request.identity.number, ())))


def seeker(pull_request: PullRequest, facts: Facts, platform: Platform, repository: Repository) -> links.Seeker:
    """What the links of a pull request's preview are resolved from."""
    row = served_row(facts, pull_request.identity)
    return links.Seeker(
        platform,
        repository,
        row.naming if row else names.naming(platform, repository, pull_request.identity.number),
        pull_request.identity.number,
        pull_request.author.login,
        pull_request.head_ref,
        pull_request.mentions,
        choices(pull_request.identity.number, facts),
        row.links if row else (),
    )


def left(observed: Observed, platform: Platform, ids: Mapping[str, int]) -> tuple[Repository, ...]:
    """Return the repositories that no loop reads any more although the engine still holds previews of them.

    They left the catalog, or GitHub shows another repository under their name. They have no services. `ids` maps
    `owner/name` in lower case to GitHub's id, for each repository of the catalog that was read. Without an id, a
    repository counts as the same one.
    """
    found = []
    for repository_id, rows in sorted(observed.sets.items()):
        if not _held(observed, rows):
            continue
        slug = _slug(observed, rows)
        here = platform.repository(rows.repository) or _by_slug(platform, slug)
        if here is None or ids.get(here.slug.lower(), repository_id) != repository_id:
            found.append((rows, slug))
    names = [rows.repository for rows, _ in found] + [r.name for r in platform.repositories]
    return tuple(
        Repository(r.repository if names.count(r.repository) == 1 else former_name(r), slug, ()) for r, slug in found
    )


def left_rows(observed: Observed, name: str) -> RowSet | None:
    """Return the row set of a repository that `left` gave this name, or None when the engine holds none."""
    found = sorted(observed.sets.items())
    exact = [rows for _, rows in found if former_name(rows) == name]
    return next(iter([*exact, *(rows for _, rows in found if rows.repository == name)]), None)


def former_name(rows: RowSet) -> str:
    """Return the name of a repository whose own name another one has taken: `shop@1296269`, with GitHub's id.

    Names in the catalog cannot contain an `@`.
    """
    return f"{rows.repository}@{rows.repository_id}"


def former(facts: Facts, repository: Repository) -> tuple[str, ...]:
    """Return the previews of earlier repositories with this one's name, which still use its names and addresses.

    The repository was deleted and created again, another one took its name on GitHub, or the configuration gave the
    name to another repository.
    """
    observed = facts.observed
    found: list[str] = []
    for repository_id, rows in sorted(observed.sets.items()):
        if repository_id != facts.listing.repository_id and rows.repository == repository.name:
            numbers = sorted(_held(observed, rows))
            found += [f"{former_name(rows)}#{n}" for n in numbers]
    return tuple(found)


def _left(platform: Platform, repository: Repository) -> Stay:
    """Return the verdict on every preview of a repository that `left` found."""
    if _by_slug(platform, repository.slug):
        return Stay(Stage.HELD, reasons.replaced(repository.slug), hold="replaced")
    return Stay(Stage.HELD, reasons.not_in_catalogue(repository.slug), hold="not-in-catalogue")


def _by_slug(platform: Platform, slug: str) -> Repository | None:
    return next((r for r in platform.repositories if r.slug.lower() == slug.lower()), None)


def _slug(observed: Observed, rows: RowSet) -> str:
    """Return the repository's `owner/name` as its previews know it."""
    alive = [p.row for i, p in observed.previews.items() if i.repository_id == rows.repository_id]
    row = next(iter([*rows.rows.values(), *alive]), None)
    return row.slug if row else rows.repository


def _held(observed: Observed, rows: RowSet) -> set[int]:
    """Return the numbers of the previews that the engine still holds for the repository of a row set."""
    found = {i.number for i in observed.previews if i.repository_id == rows.repository_id}
    return found | rows.rows.keys() | {w.identity.number for w in rows.ledger.withdrawals if not w.told}


def held(facts: Facts) -> set[Identity]:
    """What the engine still holds of this repository: previews, rows, and withdrawals not yet told."""
    return in_engine(facts.observed, facts.listing.repository_id)


def in_engine(observed: Observed, repository_id: int) -> set[Identity]:
    """Return the previews, rows and open withdrawals of one repository."""
    rows = observed.sets.get(repository_id) or RowSet(repository_id, "")
    return {Identity(repository_id, number) for number in _held(observed, rows)}


def served_row(facts: Facts, identity: Identity) -> Row | None:
    """The row that is served, or the one that a withdrawn preview was made from."""
    served = facts.observed.row(identity)
    preview = facts.observed.previews.get(identity)
    return served or (preview.row if preview else None)


def label_of(pull_request: PullRequest, row: Row | None, platform: Platform) -> str:
    """The label that counts for this pull request: the configured one, or that which its preview was made under."""
    if row is None or labels.carries(pull_request.labels, platform.label):
        return platform.label
    return row.naming.label


def at_least_private(identity: Identity, facts: Facts) -> Row | None:
    """Return the served row, made private if its repository is: the only change that a preview in doubt gets.

    Comments in other repositories link to public rows, so a row counts as private until it is known to be public.
    A stale read never makes a row public.
    """
    served = facts.observed.row(identity)
    return replace(served, private=served.private or facts.listing.private) if served else None


def _verdict(pull_request: PullRequest, row: Row | None, ours: _Pass) -> Verdict:
    found, identity, facts = _judged(pull_request, row, ours), pull_request.identity, ours.facts
    if not isinstance(found, Stay):
        return found
    served = facts.observed.row(identity)
    if served is None or identity.number in facts.stale or identity in facts.observed.foreign:
        return replace(found, row=at_least_private(identity, facts))
    return replace(found, row=_meanwhile(pull_request, served, ours))


def _judged(pull_request: PullRequest, row: Row | None, ours: _Pass) -> Verdict:
    facts, platform = ours.facts, ours.platform
    identity = pull_request.identity
    label = label_of(pull_request, row, platform)
    if identity.number in facts.stale:
        return Stay(Stage.HELD if row else Stage.WAITING, reasons.stale())
    if not labels.carries(pull_request.labels, label):
        if identity in ours.held:
            return removal(identity, label, facts, pull_request)
        return Stay(Stage.NONE, reasons.not_asked(label))
    return _asked(pull_request, row, ours, label)


def _asked(pull_request: PullRequest, row: Row | None, ours: _Pass, label: str) -> Run | Stay:
    """The verdict on a pull request that carries the label."""
    facts, platform, identity = ours.facts, ours.platform, pull_request.identity
    if not labels.same(label, platform.label):
        hold = f"config-label:{platform.label}"
        return Stay(Stage.HELD, reasons.config_label(label, platform.label), hold=hold)
    if owner := facts.observed.foreign.get(identity):
        return Stay(Stage.BLOCKED, reasons.engine_foreign(owner))
    if row is None and ours.former:
        return Stay(Stage.BLOCKED, reasons.name_in_use(ours.former))
    if isinstance(taken := _namespace_taken(identity, row, ours), Stay):
        return taken
    event = gates.gate(pull_request, label, platform, facts.permissions)
    if isinstance(event, Stay):
        return event
    renew = rolled(identity, facts, platform)
    found = images.versions(ours.repository, pull_request, facts.images, row, renew=renew)
    if isinstance(found, Stay):
        return found
    linked = links.resolved(seeker(pull_request, facts, platform, ours.repository), ours.around, facts.rights)
    if isinstance(linked, Reason):
        return Stay(Stage.BLOCKED, linked)
    new = _new_row(pull_request, row, ours, found, linked)
    return Run(new, reasons.wanted(label, event.actor.login), event.at, found.note)


def _namespace_taken(identity: Identity, row: Row | None, ours: _Pass) -> Stay | None:
    """A namespace that exists and is not this preview's is never adopted."""
    name = row.naming.namespace if row else names.naming(ours.platform, ours.repository, identity.number).namespace
    owners = ours.facts.observed.namespaces
    if name not in owners or owners[name] == identity:
        return None
    return Stay(Stage.BLOCKED, reasons.namespace_taken(name))


def _meanwhile(pull_request: PullRequest, row: Row, ours: _Pass) -> Row:
    """What is served while the version that was asked for waits: the one that runs, linked and awake as people say."""
    linked = links.resolved(
        seeker(pull_request, ours.facts, ours.platform, ours.repository), ours.around, ours.facts.rights
    )
    stands = replace(pull_request, head_sha=row.head_sha)
    kept = row.links if isinstance(linked, Reason) else linked
    stays = _new_row(stands, row, ours, images.Versions(row.versions), kept)
    if pull_request.head_sha == row.head_sha:
        return stays
    since = row.waiting_since if row.waiting_head == pull_request.head_sha else ours.now
    return replace(stays, waiting_head=pull_request.head_sha, waiting_since=since)


def _new_row(
    pull_request: PullRequest, row: Row | None, ours: _Pass, found: images.Versions, linked: tuple[Link, ...]
) -> Row:
    repository, cluster, identity = ours.repository, ours.platform.cluster, pull_request.identity
    preview = ours.facts.observed.previews.get(identity)
    naming = names.naming(ours.platform, repository, pull_request.identity.number)
    same_head = row is not None and row.head_sha == pull_request.head_sha
    kept = row if row is not None and same_head and not rolled(identity, ours.facts, ours.platform) else None
    data = lives.data(row, preview, ours.now)
    sleepy = labels.carries(pull_request.labels, ours.platform.lifetime.sleep_label)
    chosen, block = choices(identity.number, ours.facts), ours.facts.blocks.get(identity.number)
    sequence = row.sequence if row else 0
    new = Row(
        repository_id=pull_request.identity.repository_id,
        repository=repository.name,
        slug=repository.slug,
        number=pull_request.identity.number,
        author=pull_request.author.login,
        naming=naming,
        head_sha=pull_request.head_sha,
        head_since=row.head_since if row and same_head else ours.now,
        created=row.created if row else ours.now,
        versions=found.versions,
        services=repository.services,
        links=linked,
        incarnation=data.incarnation,
        nonce=lives.nonce(row, preview, same_head),
        chart_version=kept.chart_version if kept else cluster.chart_version,
        settings=kept.settings if kept else cluster.settings,
        lives=data.lives,
        renewed=data.renewed,
        asleep=sleepy and identity not in ours.awake,
        sleepy=sleepy,
        url=pull_request.url,
        branch=pull_request.head_ref,
        private=ours.facts.listing.private,
        mentions=pull_request.mentions,
        choices=chosen,
        sequence=block.sequence if block and (row is None or row.choices != chosen) else sequence,
    )
    opened, given = links.opened(new, ours.around), links.given(new, ours.platform, ours.around)
    return replace(new, open_to=opened, given=given)


def rolled(identity: Identity, facts: Facts, platform: Platform) -> bool:
    """Return whether a person asked to redeploy this preview before its next push."""
    rows = facts.observed.sets.get(identity.repository_id)
    return rows is not None and rowsets.is_released(rows.ledger, identity, roll_key(platform))


def roll_key(platform: Platform) -> str:
    """What `greenroom roll` releases: this chart with these settings."""
    made_with = f"{platform.cluster.chart_version} {platform.cluster.settings}"
    return f"{rowsets.ROLL}{hashlib.sha256(made_with.encode()).hexdigest()[:12]}"
