"""What to do: `desired` compared with what exists. Pure; every action has its reason, and so has every hold.

A preview goes in steps, each seen by a pass of its own: row out (counted by the breaker) -> the engine works without
it, and a by-number read still says so -> removed -> nothing left, told. A doubt at any step stops there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime

from greenroom.core import breaker, labels, reasons, rowsets
from greenroom.core.actions import Action, Change, Conclude, Remove, Start, TakeLabelOff, Withdraw
from greenroom.core.links import different
from greenroom.core.model import Cause, Health, Identity, Memory, Observed, Release, RowSet
from greenroom.core.rows import Link, Naming, Row
from greenroom.core.status import Reason, Stage
from greenroom.core.verdicts import Desired, Go, Run, Stay, Verdict


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that waits for a person. `key` names exactly this hold; empty when it passes by itself."""

    key: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions in the order to perform them, what waits, and what comments must remember from now on.

    `spent` are releases whose hold is over, used or not: another hold like it is another question.
    """

    actions: tuple[Action, ...] = ()
    holds: Mapping[Identity, Hold] = field(default_factory=dict)
    memories: Mapping[Identity, Memory] = field(default_factory=dict)
    spent: frozenset[Release] = frozenset()


def plan(desired: Desired, observed: Observed, rows: RowSet, now: datetime) -> Plan:
    """The plan of one repository. `rows` is its row set as the engine has it (an empty one for a new repository)."""
    draft = _Draft.begin(observed, rows, now)
    for identity in sorted(desired.verdicts):
        verdict = draft.after_release(identity, desired.verdicts[identity])
        if draft.conclude(identity, verdict):
            continue
        match verdict:
            case Run():
                draft.run(identity, verdict)
            case Go():
                draft.go(identity, verdict)
            case Stay():
                draft.stay(identity, verdict)
        draft.expire(identity, verdict, desired)
    order = [Start, Change, Withdraw, Remove, TakeLabelOff, Conclude]
    actions = sorted(draft.actions, key=lambda a: order.index(type(a)))
    return Plan(tuple(actions), draft.holds, draft.memories, draft.spent(desired))


@dataclass(slots=True)
class _Draft:
    """A plan in the making, with the budgets of the hour that it spends."""

    observed: Observed
    rows: RowSet
    now: datetime
    unlabelled: breaker.Budget
    expired: breaker.Budget
    restarts: breaker.Budget
    actions: list[Action] = field(default_factory=list)
    holds: dict[Identity, Hold] = field(default_factory=dict)
    memories: dict[Identity, Memory] = field(default_factory=dict)
    needed: set[tuple[Identity, str]] = field(default_factory=set)

    @classmethod
    def begin(cls, observed: Observed, rows: RowSet, now: datetime) -> _Draft:
        repository_id = rows.repository_id
        mine = {i for i in observed.previews if i.repository_id == repository_id}
        held = len(mine | {Identity(repository_id, n) for n in rows.rows})
        return cls(
            observed,
            rows,
            now,
            breaker.removals(observed, held, repository_id, Cause.UNLABELLED, now),
            breaker.removals(observed, held, repository_id, Cause.EXPIRED, now),
            breaker.restarts(observed, held, repository_id, now),
        )

    def released(self, identity: Identity, key: str) -> Release | None:
        """What a person released of a hold that there is now."""
        self.needed.add((identity, key))
        return rowsets.release(self.rows.ledger, identity, key)

    def spent(self, desired: Desired) -> frozenset[Release]:
        """The releases of holds that this pass looked for and did not find. Doubt ends none."""

        def over(release: Release) -> bool:
            verdict = desired.verdicts.get(release.identity)
            if rowsets.withdrawal(self.rows.ledger, release.identity) or isinstance(verdict, Stay | None):
                return False
            if release.hold.startswith(rowsets.ROLL) and isinstance(verdict, Run):
                old = self.rows.rows.get(release.identity.number)
                return old is not None and _made_with(old) == _made_with(verdict.row)
            return (release.identity, release.hold) not in self.needed

        return frozenset(r for r in self.rows.ledger.releases if over(r))

    def after_release(self, identity: Identity, verdict: Verdict) -> Verdict:
        """A held preview that a person released goes; everything else is as `desired` says."""
        if not isinstance(verdict, Stay) or not verdict.hold:
            return verdict
        release = self.released(identity, verdict.hold)
        if release is None:
            return verdict
        return Go(Cause.RELEASED, reasons.released(release.by), release.by, release.at)

    def conclude(self, identity: Identity, verdict: Verdict) -> bool:
        """Close the entry of a preview of which the engine holds nothing any more, unless it starts again."""
        entry = rowsets.withdrawal(self.rows.ledger, identity)
        exists = identity in self.observed.previews or identity.number in self.rows.rows
        if entry is None or exists or isinstance(verdict, Run):
            return False
        asked_again = isinstance(verdict, Stay) and verdict.stage in (Stage.WAITING, Stage.QUEUED, Stage.BLOCKED)
        reason = reasons.gone(entry.cause, entry.by, entry.label, entry.why)
        self.actions.append(Conclude(identity, reason, final=not asked_again))
        return True

    def run(self, identity: Identity, verdict: Run) -> None:
        old = self.rows.rows.get(identity.number)
        if old is None:
            self._start(identity, verdict)
        elif verdict.row != old:
            self._change(identity, old, verdict.row)

    def stay(self, identity: Identity, verdict: Stay) -> None:
        if verdict.hold:
            self.holds[identity] = Hold(verdict.hold, verdict.reason)
        old = self.rows.rows.get(identity.number)
        if old is None or verdict.row is None:
            return
        new = replace(_chosen(old, verdict.row), nonce=verdict.row.nonce)
        if new != old:
            self.actions.append(Change(identity, new, _push(old, new) if _pushed(old, new) else _small(old, new)))

    def _start(self, identity: Identity, verdict: Run) -> None:
        """Start it, under the names of the one that still exists; that goes first if a person released other names."""
        preview = self.observed.previews.get(identity)
        row = verdict.row
        if preview and _called(preview.row.naming) != _called(row.naming):
            if self.released(identity, _names_key(preview.row, row)):
                if preview.health is not Health.REMOVING:
                    self.actions.append(Remove(identity, preview.uid, verdict.reason))
                return
            row = replace(row, naming=preview.row.naming, repository=preview.row.repository)
        self.actions.append(Start(identity, row, verdict.reason))

    def _change(self, identity: Identity, old: Row, wanted: Row) -> None:
        release = (
            self.released(identity, _names_key(old, wanted)) if _called(old.naming) != _called(wanted.naming) else None
        )
        if release:  # under other names it is another preview
            label, reason = self._label(identity), reasons.released(release.by)
            self.actions.append(Withdraw(identity, Cause.RELEASED, release.by, label, reason))
            return
        new = self._without_held_names(identity, old, wanted)
        if new == old:
            return
        if _pushed(old, new):
            self.actions.append(Change(identity, new, _push(old, new)))
        elif _same_settings(old, new):
            self.actions.append(Change(identity, new, _small(old, new)))
        elif _moved(old, new):
            self.actions.append(Change(identity, new, reasons.relinked(different(old.links, new.links))))
        else:
            self._restart(identity, old, new)

    def _without_held_names(self, identity: Identity, old: Row, new: Row) -> Row:
        """The new row as far as it keeps every name; names, hosts, services and data that go wait for a person."""
        gone, lost = _services_gone(old, new), _data_gone(old, new)
        same_names = _called(old.naming) == _called(new.naming) and _shared(old, new) == _shared(new, old)
        if same_names and not gone and not lost:
            return new
        key = _names_key(old, new)
        if self.released(identity, key):
            return new
        self.holds[identity] = Hold(key, reasons.config_names(sorted(gone), sorted(lost)))
        if gone:
            return _chosen(old, new)
        if lost:
            return _pushed_to(_chosen(old, new), new)
        kept = replace(old.naming, label=new.naming.label)
        return replace(new, naming=kept, given=old.given, repository=old.repository)

    def _restart(self, identity: Identity, old: Row, new: Row) -> None:
        key = f"restart:{_digest(new.services, new.links, new.given)}"
        scope = "" if self.released(identity, key) else self.restarts.take(identity)
        if scope:
            self.holds.setdefault(identity, Hold(key, reasons.restart_breaker(self.restarts.limit(scope), scope)))
            if (small := _chosen(old, new)) != old:
                self.actions.append(Change(identity, small, _small(old, small)))
        else:
            self.actions.append(Change(identity, new, reasons.new_settings(), restart=True))

    def go(self, identity: Identity, verdict: Go) -> None:
        preview = self.observed.previews.get(identity)
        entry = rowsets.withdrawal(self.rows.ledger, identity)
        served = identity.number in self.rows.rows
        if served or (preview and not entry):
            if self._may_go(identity, verdict):
                self.actions.append(
                    Withdraw(identity, verdict.cause, verdict.by, self._label(identity), verdict.reason, verdict.why)
                )
        elif preview and preview.health is not Health.REMOVING:
            self.actions.append(Remove(identity, preview.uid, verdict.reason))

    def _may_go(self, identity: Identity, verdict: Go) -> bool:
        key = f"breaker:{verdict.since.isoformat()}"
        if verdict.cause is Cause.UNLABELLED and not self.released(identity, key):
            if scope := self.unlabelled.take(identity):
                count = self._waiting_for_breaker() + self.unlabelled.limit(scope)
                self.holds[identity] = Hold(key, reasons.breaker(count, self.unlabelled.limit(scope), scope))
                return False
        elif verdict.cause is Cause.EXPIRED and (scope := self.expired.take(identity)):
            self.holds[identity] = Hold("", reasons.its_turn(self.expired.limit(scope)))
            return False
        return True

    def _label(self, identity: Identity) -> str:
        row = self.rows.rows.get(identity.number) or self.observed.previews[identity].row
        return row.naming.label

    def _waiting_for_breaker(self) -> int:
        return 1 + sum(h.key.startswith("breaker:") for h in self.holds.values())

    def expire(self, identity: Identity, verdict: Verdict, desired: Desired) -> None:
        """Warn, then decide, then take the label off: each remembered in the comment before the next."""
        memory = desired.memories.get(identity, Memory())
        quiet = replace(memory, warned_at=None, expired_at=None, why="")
        if identity.number not in self.rows.rows or isinstance(verdict, Go):
            return
        if identity in self.holds:
            # The comment of a held preview shows no warning, so an earlier one is void. A decided expiry is kept: the
            # label may already be off, and the removal that follows needs its cause.
            if memory != quiet and memory.expired_at is None:
                self.memories[identity] = quiet
            return
        if identity not in desired.expiries:  # the read is too old to say
            return
        expiry = desired.expiry(identity)
        if expiry.warn:
            self.memories[identity] = replace(quiet, warned_at=self.now, why=expiry.why)
        elif not expiry.warned and memory != quiet:
            self.memories[identity] = quiet
        elif expiry.due and memory.expired_at is None:
            self.memories[identity] = replace(memory, expired_at=self.now, why=expiry.why)
        elif expiry.due:
            self._take_label_off(identity, expiry.why, desired.pull_requests[identity].labels)

    def _take_label_off(self, identity: Identity, why: str, on: Set[str]) -> None:
        if scope := self.expired.take(identity):
            self.holds[identity] = Hold("", reasons.its_turn(self.expired.limit(scope)))
            return
        label = self._label(identity)
        self.actions.append(TakeLabelOff(identity, labels.spelling(on, label), reasons.expired(why, label)))


def _pushed(old: Row, new: Row) -> bool:
    """Whether what runs is another commit, image, incarnation or try; a changed configuration goes along with it."""
    return (old.head_sha, old.versions, old.incarnation, old.nonce) != (
        new.head_sha,
        new.versions,
        new.incarnation,
        new.nonce,
    )


def _push(old: Row, new: Row) -> Reason:
    if old.head_sha == new.head_sha and old.versions != new.versions:
        return reasons.new_image(new.head_sha)
    if (old.head_sha, old.versions) != (new.head_sha, new.versions):
        return reasons.new_version(new.head_sha)
    return reasons.new_incarnation() if old.incarnation != new.incarnation else reasons.tried_again(new.nonce)


def _same_settings(old: Row, new: Row) -> bool:
    return (old.services, old.given) == (new.services, new.given) and not different(old.links, new.links)


def _moved(old: Row, new: Row) -> bool:
    """Whether nothing changed but which previews the links lead to, or who uses this one: no configuration did."""
    called = old.given == new.given or old.open_to != new.open_to
    moved = all(_leads_elsewhere(old, k) for k in different(old.links, new.links))
    return old.services == new.services and called and moved


def _leads_elsewhere(old: Row, link: Link) -> bool:
    """Whether another preview answers for a link than before, not the same under another address."""
    before = {(k.service, k.target): k.number for k in old.links}
    return before.get((link.service, link.target), 0) != link.number


def _small(old: Row, new: Row) -> Reason:
    """Why a row changes whose commit, images and settings stay."""
    if different(old.links, new.links):
        return reasons.relinked(different(old.links, new.links))
    if old.asleep != new.asleep:
        return reasons.falls_asleep() if new.asleep else reasons.wakes()
    if (old.chart_version, old.settings) != (new.chart_version, new.settings):
        return reasons.rolled(new.chart_version)
    if old.open_to != new.open_to:
        return reasons.opened(sorted({namespace for _, namespace, _ in new.open_to}))
    return reasons.same_version()


def _chosen(old: Row, new: Row) -> Row:
    """Return the old row with the parts that are not configuration: sleep, the data's life, choices, links, and what is
    known of the pull request. Comments elsewhere show `url` unless the row is `private`, so these changes never wait.
    """
    fresh = {(k.service, k.target, k.variables): k for k in new.links}
    moved = (fresh.get((k.service, k.target, k.variables), k) for k in old.links)
    kept = {s.name for s in old.services}
    open_to = tuple(o for o in new.open_to if o[0] in kept)
    values = {(service, variable): value for service, variable, value in new.given}
    given = tuple((s, v, values.get((s, v), value)) for s, v, value in old.given)
    return replace(
        old,
        links=tuple(m if _leads_elsewhere(old, m) else k for k, m in zip(old.links, moved, strict=True)),
        open_to=open_to,
        given=given if open_to != old.open_to else old.given,
        asleep=new.asleep,
        sleepy=new.sleepy,
        incarnation=new.incarnation,
        lives=new.lives,
        renewed=new.renewed,
        choices=new.choices,
        sequence=new.sequence,
        waiting_head=new.waiting_head,
        waiting_since=new.waiting_since,
        author=new.author,
        url=new.url,
        branch=new.branch,
        private=new.private,
        mentions=new.mentions,
    )


def _pushed_to(old: Row, new: Row) -> Row:
    """The old row with what a push brings to services that stay."""
    return replace(
        old,
        head_sha=new.head_sha,
        head_since=new.head_since,
        versions=new.versions,
        nonce=new.nonce,
        chart_version=new.chart_version,
        settings=new.settings,
    )


def _made_with(row: Row) -> tuple[str, str]:
    return row.chart_version, row.settings


def _services_gone(old: Row, new: Row) -> set[str]:
    return {s.name for s in old.services} - {s.name for s in new.services}


def _data_gone(old: Row, new: Row) -> set[str]:
    """The needs of services that stay whose data would go: they are not wanted any more, or are of another kind."""
    kept = {(s.name, n.name): (n.kind, n.storage) for s in new.services for n in s.needs}
    stays = {s.name for s in new.services}
    return {
        f"{s.name}'s {n.name}"
        for s in old.services
        for n in s.needs
        if n.keeps and s.name in stays and kept.get((s.name, n.name)) != (n.kind, n.storage)
    }


def _called(naming: Naming) -> tuple[str, str]:
    return naming.name, naming.namespace


def _shared(row: Row, other: Row) -> list[tuple[str, str]]:
    """The hosts of the services that both rows have: one that comes or goes changes no name."""
    both = {s.name for s in row.services} & {s.name for s in other.services}
    return sorted((service, host) for service, host in row.naming.hosts if service in both)


def _names_key(old: Row, new: Row) -> str:
    gone, lost = sorted(_services_gone(old, new)), sorted(_data_gone(old, new))
    return f"config-names:{_digest(replace(new.naming, label=''), gone, *((lost,) if lost else ()))}"


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]
