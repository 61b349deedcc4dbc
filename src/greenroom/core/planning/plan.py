"""Actions that lead from what exists to what `desired` requires. Pure; every action and every hold has its reason.

A removal takes several steps, each in a pass of its own. First the spec is taken out, which the breaker counts. Once
the engine works without it, and a by-number read still confirms the removal, the preview is removed. Once nothing is
left, the comment reports it. A doubt at any step stops there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from greenroom.core import messages
from greenroom.core.linking import handover
from greenroom.core.linking.links import different, served_source
from greenroom.core.model.actions import Action, Change, Remove, RemoveLabel, Start, VerifyRemoval, Withdraw
from greenroom.core.model.catalog import Need, Storage
from greenroom.core.model.engine import Cause, EngineState, Health, ObservedPreview, PreviewSet, Release
from greenroom.core.model.github import CommentState
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Identity, Link, Links, Names, PreviewSpec, is_push
from greenroom.core.model.status import MAY_START, Reason
from greenroom.core.model.verdicts import Desired, Go, Run, Stay, Verdict
from greenroom.core.planning import data_generation, preview_sets
from greenroom.core.policy import breaker, labels


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that waits for a person. `key` identifies exactly this hold; it is None when the hold ends without a
    person.
    """

    key: HoldKey | None
    reason: Reason


STALE = timedelta(hours=1)
"""Maximum time that a removal stays open while GitHub's data is outdated. GitHub may never return newer data."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The actions in the order to perform them, the holds, and the state that comments must remember from now on.

    `spent` holds the releases whose hold is over, used or not; a similar hold later needs a new release. `waiting`
    holds removals that wait for the users of their previews. `leaving` holds their reasons, also once the wait is over.
    """

    actions: tuple[Action, ...] = ()
    holds: Mapping[Identity, Hold] = field(default_factory=dict)
    memories: Mapping[Identity, CommentState] = field(default_factory=dict)
    spent: frozenset[Release] = frozenset()
    waiting: frozenset[Identity] = frozenset()
    leaving: Mapping[Identity, Reason] = field(default_factory=dict)


def plan(desired: Desired, observed: EngineState, preview_set: PreviewSet, now: datetime) -> Plan:
    """Return the plan of one repository. `preview_set` is what the engine has, or an empty one if it is new."""
    draft = _Draft.begin(observed, preview_set, now)
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
    order = [Start, Change, Withdraw, Remove, RemoveLabel, VerifyRemoval]
    actions = sorted(draft.actions, key=lambda a: order.index(type(a)))
    spent = draft.spent(desired)
    return Plan(tuple(actions), draft.holds, draft.memories, spent, frozenset(draft.waiting), draft.leaving)


@dataclass(slots=True)
class _Draft:
    """A plan under construction, with the hourly budgets that it spends."""

    observed: EngineState
    preview_set: PreviewSet
    now: datetime
    unlabeled: breaker.Budget
    expired: breaker.Budget
    restarts: breaker.Budget
    lost: bool = False
    actions: list[Action] = field(default_factory=list)
    holds: dict[Identity, Hold] = field(default_factory=dict)
    memories: dict[Identity, CommentState] = field(default_factory=dict)
    needed: set[tuple[Identity, HoldKey]] = field(default_factory=set)
    waiting: set[Identity] = field(default_factory=set)
    leaving: dict[Identity, Reason] = field(default_factory=dict)

    @classmethod
    def begin(cls, observed: EngineState, preview_set: PreviewSet, now: datetime) -> _Draft:
        repository_id = preview_set.repository_id
        mine = {i for i in observed.previews if i.repository_id == repository_id}
        held = len(mine | {Identity(repository_id, n) for n in preview_set.specs})
        return cls(
            observed,
            preview_set,
            now,
            breaker.removals(observed, held, repository_id, Cause.UNLABELED, now),
            breaker.removals(observed, held, repository_id, Cause.EXPIRED, now),
            breaker.restarts(observed, held, repository_id, now),
            preview_sets.is_recent(preview_set.recovery, now),
        )

    def released(self, identity: Identity, key: HoldKey) -> Release | None:
        """Return the release of this hold by a person, or None. Note that the hold exists now."""
        self.needed.add((identity, key))
        return preview_sets.release(self.preview_set.ledger, identity, key)

    def spent(self, desired: Desired) -> frozenset[Release]:
        """Return the releases of holds that this pass looked for and did not find. A preview in doubt keeps its
        releases.
        """

        def over(release: Release) -> bool:
            verdict = desired.verdicts.get(release.identity)
            if preview_sets.withdrawal(self.preview_set.ledger, release.identity) or isinstance(verdict, Stay | None):
                return False
            if release.hold.kind is HoldKind.REDEPLOY and isinstance(verdict, Run):
                old = self.preview_set.specs.get(release.identity.number)
                return old is not None and old.chart == verdict.spec.chart
            return (release.identity, release.hold) not in self.needed

        return frozenset(r for r in self.preview_set.ledger.releases if over(r))

    def after_release(self, identity: Identity, verdict: Verdict) -> Verdict:
        """Return the verdict, or the removal of a held preview if a person released it."""
        if not isinstance(verdict, Stay) or not verdict.hold:
            return verdict
        release = self.released(identity, verdict.hold)
        if release is None:
            return verdict
        return Go(Cause.RELEASED, messages.released(release.by), release.by, release.at)

    def conclude(self, identity: Identity, verdict: Verdict) -> bool:
        """Close the entry of a preview once the engine holds nothing of it, unless it starts again."""
        entry = preview_sets.withdrawal(self.preview_set.ledger, identity)
        exists = identity in self.observed.previews or identity.number in self.preview_set.specs
        if entry is None or exists or isinstance(verdict, Run):
            return False
        if isinstance(verdict, Stay) and verdict.reason == messages.stale() and self.now - entry.at < STALE:
            return False  # a read that is older than one before does not say that the preview was requested again
        asked_again = isinstance(verdict, Stay) and verdict.stage in MAY_START
        reason = messages.gone(entry.cause, entry.by, entry.label, entry.why)
        self.actions.append(VerifyRemoval(identity, reason, final=not asked_again))
        return True

    def run(self, identity: Identity, verdict: Run) -> None:
        old = self.preview_set.specs.get(identity.number)
        if old is None:
            self._start(identity, verdict)
        elif verdict.spec != old:
            self._change(identity, old, verdict.spec)

    def stay(self, identity: Identity, verdict: Stay) -> None:
        if verdict.hold:
            self.holds[identity] = Hold(verdict.hold, verdict.reason)
        old = self.preview_set.specs.get(identity.number)
        if old is None or verdict.spec is None:
            return
        new = _chosen(old, verdict.spec)
        new = replace(new, build=replace(new.build, retry=verdict.spec.build.retry))
        if new != old:
            self.actions.append(Change(identity, new, _push(old, new) if is_push(old, new) else self._small(old, new)))

    def _start(self, identity: Identity, verdict: Run) -> None:
        """Start a preview, under the names of an existing one. If a person released other names, remove the existing
        one first.
        """
        preview = self.observed.previews.get(identity)
        spec = verdict.spec
        if preview and _called(preview.spec.names) != _called(spec.names):
            if self.released(identity, _names_key(preview.spec, spec)):
                self._remove(identity, preview, verdict.reason)
                return
            spec = replace(spec, names=preview.spec.names)
        self.actions.append(Start(identity, spec, verdict.reason))

    def _change(self, identity: Identity, old: PreviewSpec, wanted: PreviewSpec) -> None:
        release = (
            self.released(identity, _names_key(old, wanted)) if _called(old.names) != _called(wanted.names) else None
        )
        if release:  # under other names it is another preview
            label, reason = self._label(identity), messages.released(release.by)
            self.actions.append(Withdraw(identity, Cause.RELEASED, release.by, label, reason))
            return
        new = self._without_held_names(identity, old, wanted)
        if new == old:
            return
        if is_push(old, new):
            self.actions.append(Change(identity, new, _push(old, new)))
        elif _same_settings(old, new):
            self.actions.append(Change(identity, new, self._small(old, new)))
        elif _moved(old, new):
            self.actions.append(Change(identity, new, self._relinked(old, new)))
        else:
            self._restart(identity, old, new)

    def _without_held_names(self, identity: Identity, old: PreviewSpec, new: PreviewSpec) -> PreviewSpec:
        """Return the new spec, but keep every name. A loss of names, hosts, services or data waits for a person."""
        gone, lost = _services_gone(old, new), _data_gone(old, new)
        same_names = _called(old.names) == _called(new.names) and _shared(old, new) == _shared(new, old)
        if same_names and not gone and not lost:
            return new
        key = _names_key(old, new)
        if self.released(identity, key):
            return new
        replaces = _called(old.names) != _called(new.names)
        reason = messages.config_names(sorted(gone), sorted(lost), _renamed(old, new), replaces=replaces)
        self.holds[identity] = Hold(key, reason)
        # The seeds of the new configuration do not fit the services that stay.
        data = data_generation.while_held(old, new.data, self.observed.previews.get(identity), self.now)
        new = replace(new, data=data)
        if gone:
            return _chosen(old, new)
        if lost:
            return _pushed_to(_chosen(old, new), new)
        names = replace(old.names, label=new.names.label)
        return replace(new, names=names, config=replace(new.config, injected=old.config.injected))

    def _restart(self, identity: Identity, old: PreviewSpec, new: PreviewSpec) -> None:
        if old.prepared:  # none of its services runs, so nothing restarts
            self.actions.append(Change(identity, new, messages.new_settings()))
            return
        if self._never_ran(identity, old, new):  # nobody loses anything, and the change may be the fix that it needs
            self.actions.append(Change(identity, new, messages.new_settings(), restart=True))
            return
        key = HoldKey(HoldKind.RESTART, _digest(new.config, new.links.targets))
        if held := None if self.released(identity, key) else self._restart_held(identity):
            self.holds.setdefault(identity, Hold(key, held))
            if (small := _chosen(old, new)) != old:
                self.actions.append(Change(identity, small, self._small(old, small)))
        else:
            self.actions.append(Change(identity, new, messages.new_settings(), restart=True))

    def _restart_held(self, identity: Identity) -> Reason | None:
        """Return why a restart has to wait, or None."""
        if self.lost:
            return messages.records_lost()
        scope = self.restarts.take(identity)
        return messages.restart_breaker(self.restarts.limit(scope), scope) if scope else None

    def _never_ran(self, identity: Identity, old: PreviewSpec, new: PreviewSpec) -> bool:
        """Return whether a preview has failed by its own fault without a single running process, and keeps its needs.

        An outage makes many previews fail at once, and they recover with the configuration that they have. A sleeping
        preview keeps its data, which a changed need would replace.
        """
        preview = self.observed.previews.get(identity)
        if preview is None or not preview.services or preview.health is not Health.FAILED or old.asleep:
            return False
        runs = any(service.ready or service.sha for service in preview.services)
        same_needs = [s.needs for s in old.services] == [s.needs for s in new.services]
        return not runs and same_needs and preview.fix != messages.PLATFORM

    def _small(self, old: PreviewSpec, new: PreviewSpec) -> Reason:
        """Return why a spec changes although its commit, images and settings stay."""
        return self._relinked(old, new) if different(old.links.targets, new.links.targets) else _small(old, new)

    def _relinked(self, old: PreviewSpec, new: PreviewSpec) -> Reason:
        moved = different(old.links.targets, new.links.targets)
        return messages.relinked([(link, served_source(link, self.observed)) for link in moved])

    def go(self, identity: Identity, verdict: Go) -> None:
        preview = self.observed.previews.get(identity)
        entry = preview_sets.withdrawal(self.preview_set.ledger, identity)
        served = identity.number in self.preview_set.specs
        if served or (preview and not entry):
            if self._may_go(identity, verdict):
                self.actions.append(
                    Withdraw(identity, verdict.cause, verdict.by, self._label(identity), verdict.reason, verdict.why)
                )
        elif preview:
            self._remove(identity, preview, verdict.reason)

    def _remove(self, identity: Identity, preview: ObservedPreview, why: Reason) -> None:
        """Remove a preview whose spec is deleted, once its users run with other links or the time limit for that has
        passed.
        """
        entry = preview_sets.withdrawal(self.preview_set.ledger, identity)
        found = handover.users(preview, self.observed, self.now - entry.at) if entry else handover.Users()
        removing = preview.health is Health.REMOVING
        if found.waited_for and not removing:
            self.waiting.add(identity)
            self.leaving[identity] = messages.users_move(why, _named(found.waited_for, preview.spec))
            return
        if found.given_up:
            why = self.leaving[identity] = messages.users_stay(why, _named(found.given_up, preview.spec))
        if not removing:
            self.actions.append(Remove(identity, preview.uid, why))

    def _may_go(self, identity: Identity, verdict: Go) -> bool:
        key = HoldKey(HoldKind.BREAKER, since=verdict.since)
        if verdict.cause is Cause.UNLABELED and not self.released(identity, key):
            if self.lost:
                self.holds[identity] = Hold(key, messages.records_lost())
                return False
            if scope := self.unlabeled.take(identity):
                count = self._waiting_for_breaker() + self.unlabeled.limit(scope)
                self.holds[identity] = Hold(key, messages.breaker(count, self.unlabeled.limit(scope), scope))
                return False
        elif verdict.cause is Cause.EXPIRED and (
            turn := self._not_its_turn(identity, verdict.why, self._label(identity))
        ):
            self.holds[identity] = Hold(None, turn)
            return False
        return True

    def _not_its_turn(self, identity: Identity, why: str, removed_label: str = "") -> Reason | None:
        """Return why an expired preview stays for now, or None. `why` is the cause of the expiry."""
        if self.lost:
            return messages.records_lost()
        scope = self.expired.take(identity)
        return messages.its_turn(self.expired.limit(scope), why, removed_label) if scope else None

    def _label(self, identity: Identity) -> str:
        spec = self.preview_set.specs.get(identity.number) or self.observed.previews[identity].spec
        return spec.names.label

    def _waiting_for_breaker(self) -> int:
        return 1 + sum(h.key is not None and h.key.kind is HoldKind.BREAKER for h in self.holds.values())

    def expire(self, identity: Identity, verdict: Verdict, desired: Desired) -> None:
        """Warn, then decide, then take the label off. The comment must remember each step before the next."""
        memory = desired.memories.get(identity, CommentState())
        quiet = replace(memory, warned_at=None, expired_at=None, why="")
        if identity.number not in self.preview_set.specs or isinstance(verdict, Go):
            return
        if identity in self.holds:
            # The comment of a held preview shows no warning, so an earlier one is void. A decided expiry is kept: the
            # label may already be off, and the removal that follows needs its cause.
            if memory != quiet and memory.expired_at is None:
                self.memories[identity] = quiet
            return
        if identity not in desired.expiries:  # the read is too old to decide
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
        if turn := self._not_its_turn(identity, why):
            self.holds[identity] = Hold(None, turn)
            return
        label = self._label(identity)
        self.actions.append(RemoveLabel(identity, labels.spelling(on, label), messages.expired(why, label)))


def _named(users: Sequence[PreviewSpec], target: PreviewSpec) -> list[str]:
    """Return the names of users for the target's comment. A public comment does not name private previews."""
    shown = [
        f"{u.names.repository}#{u.id.number}"
        for u in users
        if target.pull_request.private or not u.pull_request.private
    ]
    return [*shown, *(["another preview"] if len(shown) < len(users) else [])]


def _push(old: PreviewSpec, new: PreviewSpec) -> Reason:
    if new.prepared and old.build.head_sha != new.build.head_sha:
        return messages.waits_for_push(new.build.head_sha)
    if old.prepared and not new.prepared:
        return messages.images_there(new.build.head_sha)
    if old.build.head_sha == new.build.head_sha and old.build.versions != new.build.versions:
        known = {v.service: v.sha for v in old.build.versions}
        others = [v for v in new.build.versions if v.sha not in (new.build.head_sha, known.get(v.service, v.sha))]
        return messages.image_of(others[0].service, others[0].sha) if others else messages.new_image(new.build.head_sha)
    if (old.build.head_sha, old.build.versions) != (new.build.head_sha, new.build.versions):
        return messages.new_version(new.build.head_sha)
    return (
        messages.data_reset() if old.data.generation != new.data.generation else messages.tried_again(new.build.retry)
    )


def _same_settings(old: PreviewSpec, new: PreviewSpec) -> bool:
    return old.config == new.config and not different(old.links.targets, new.links.targets)


def _moved(old: PreviewSpec, new: PreviewSpec) -> bool:
    """Return whether only the targets of the links, or the users of this preview, change, but not the configuration."""
    called = old.config.injected == new.config.injected or old.links.callers != new.links.callers
    moved = all(_leads_elsewhere(old, k) for k in different(old.links.targets, new.links.targets))
    return old.services == new.services and called and moved


def _leads_elsewhere(old: PreviewSpec, link: Link) -> bool:
    """Return whether a different preview answers for a link than before, not the same one under another address."""
    before = {(k.service, k.target): k.number for k in old.links.targets}
    return before.get((link.service, link.target), 0) != link.number


def _small(old: PreviewSpec, new: PreviewSpec) -> Reason:
    """Return why a spec changes although its commit, images, settings and links stay."""
    if old.asleep != new.asleep:
        return messages.falls_asleep() if new.asleep else messages.wakes()
    if old.chart != new.chart:
        return messages.redeployed(new.chart.version)
    if old.links.callers != new.links.callers:
        return messages.opened(sorted({caller.namespace for caller in new.links.callers}))
    return messages.same_version()


def _chosen(old: PreviewSpec, new: PreviewSpec) -> PreviewSpec:
    """Return the old spec with the new parts that are not configuration: choices, links, the data's life, and the facts
    of the pull request. Comments elsewhere show its URL unless it is private, so these changes never wait.
    """
    fresh = {(k.service, k.target, k.variables): k for k in new.links.targets}
    moved = (fresh.get((k.service, k.target, k.variables), k) for k in old.links.targets)
    targets = tuple(m if _leads_elsewhere(old, m) else k for k, m in zip(old.links.targets, moved, strict=True))
    kept = {s.name for s in old.services}
    callers = tuple(c for c in new.links.callers if c.service in kept)
    values = {(i.service, i.variable): i.value for i in new.config.injected}
    injected = tuple(replace(i, value=values.get((i.service, i.variable), i.value)) for i in old.config.injected)
    return replace(
        old,
        links=Links(targets, callers),
        config=replace(old.config, injected=injected) if callers != old.links.callers else old.config,
        choices=new.choices,
        data=new.data,
        times=replace(old.times, waiting=new.times.waiting),
        pull_request=new.pull_request,
    )


def _pushed_to(old: PreviewSpec, new: PreviewSpec) -> PreviewSpec:
    """Return the old spec with the changes of a push to services that stay."""
    times = replace(old.times, head_since=new.times.head_since)
    return replace(old, build=new.build, chart=new.chart, times=times)


def _services_gone(old: PreviewSpec, new: PreviewSpec) -> set[str]:
    return {s.name for s in old.services} - {s.name for s in new.services}


def _data_gone(old: PreviewSpec, new: PreviewSpec) -> set[str]:
    """Return the needs whose data would be lost although their services stay: they are no longer wanted, change kind,
    or start from another seed although nobody asked for it.
    """
    kept = {(s.name, n.name): n for s in new.services for n in s.needs}
    stays = {s.name for s in new.services}
    return {
        f"{s.name}'s {n.name}"
        for s in old.services
        for n in s.needs
        if n.keeps and s.name in stays and not _keeps_data(old, new, s.name, n, kept.get((s.name, n.name)))
    }


def _keeps_data(old: PreviewSpec, new: PreviewSpec, service: str, before: Need, after: Need | None) -> bool:
    if after is None or (after.kind, after.storage) != (before.kind, before.storage):
        return False
    seed, fresh = old.data.seed(service, before.name), new.data.seed(service, before.name)
    # The mode and an own image decide whether there is a volume at all.
    volume = before.storage is Storage.PERSISTENT
    if old.prepared or seed is None:  # a copy of a seed would take the place of what is on the volume
        return old.prepared or not (volume and fresh)
    if data_generation.commanded(old.data, new.data):
        return True
    if volume and (before.seed_options.mode, before.image) != (after.seed_options.mode, after.image):
        return False
    return fresh is None or fresh.digest == seed.digest or after.seed_options.follow


def _called(naming: Names) -> tuple[str, str]:
    return naming.name, naming.namespace


def _renamed(old: PreviewSpec, new: PreviewSpec) -> tuple[str, str]:
    """Return the first name or host that differs between two specs, before and after; empty if none does.

    A service that is public in only one of them has no host in the other.
    """
    pairs = [*zip(_called(old.names), _called(new.names), strict=True)]
    pairs += [(host, new.names.hosts.get(service, "")) for service, host in _shared(old, new)]
    pairs += [(old.names.hosts.get(service, ""), host) for service, host in _shared(new, old)]
    return next(((was, now) for was, now in pairs if was != now), ("", ""))


def _shared(spec: PreviewSpec, other: PreviewSpec) -> list[tuple[str, str]]:
    """Return the hosts of the services that both specs have. An added or removed service does not count as a rename."""
    both = {s.name for s in spec.services} & {s.name for s in other.services}
    return sorted((service, host) for service, host in spec.names.hosts.items() if service in both)


def _names_key(old: PreviewSpec, new: PreviewSpec) -> HoldKey:
    gone, lost = sorted(_services_gone(old, new)), sorted(_data_gone(old, new))
    names = replace(new.names, label="")
    return HoldKey(HoldKind.CONFIG_NAMES, _digest(names, gone, *((lost,) if lost else ())))


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]
