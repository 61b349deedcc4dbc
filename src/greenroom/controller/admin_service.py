"""Requests of people to a running instance: a dry run of the next pass, and the release of holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.clock import wait_until
from greenroom.controller import events
from greenroom.controller.loop import Loop
from greenroom.controller.reconcile import Reconciler
from greenroom.core.linking.links import LinkIndex, preview_name, source
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.engine import EngineState, PreviewSet, Release
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import DataAction, DataCommand
from greenroom.core.model.holds import HoldKey
from greenroom.core.model.spec import Identity, LinkOverride
from greenroom.core.model.status import Status
from greenroom.core.planning import preview_sets
from greenroom.core.planning.desired import choices, redeploy_key
from greenroom.core.policy import commands, labels
from greenroom.errors import Doubt, Failed, GreenroomError

USE_SECONDS = 15.0


class Control:
    """The admin port's view of the running loop."""

    def __init__(self, reconciler: Reconciler, loop: Loop, *, use_seconds: float = USE_SECONDS) -> None:
        self._reconciler = reconciler
        self._loop = loop
        self._use_seconds = use_seconds

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """Return the repositories of the catalog."""
        return self._reconciler.platform.repositories

    @property
    def resync(self) -> float:
        """Return the seconds between two full reads of GitHub."""
        return self._loop.resync

    def read_again(self, repository: str) -> None:
        """Read a repository again soon. Ignore an unknown name."""
        self._loop.wake(repository)

    async def plan(self) -> list[dict[str, Any]]:
        """Return what the next pass over each repository would do, each with its reason, and what waits or cannot be
        read.

        Include held previews of repositories that left the catalog.
        """
        try:
            left = await self._reconciler.left()
        except GreenroomError:
            left = ()  # reads of the other repositories will report the same error
        looked_at = (*self._reconciler.platform.repositories, *left)
        return [line for r in looked_at for line in await self._plan(r)]

    async def _plan(self, repository: Repository) -> list[dict[str, Any]]:
        try:
            decision = await self._reconciler.dry_run(repository)
        except GreenroomError as error:
            return [{"preview": repository.name, "action": "cannot read", "code": "doubt", "reason": str(error)}]
        lines = [
            {
                "preview": f"{repository.name}#{a.identity.number}",
                "action": events.KINDS[type(a)],
                "code": a.reason.code,
                "reason": str(a.reason),
            }
            for a in decision.actions
        ]
        return lines + [
            {"preview": s.name, "action": "held", "code": s.reason.code, "reason": str(s.reason)}
            for s in decision.statuses.values()
            if s.hold
        ]

    async def release(self, names: list[str], by: str, seen: Mapping[str, str]) -> list[dict[str, Any]]:
        """Release exactly the holds that a person saw. `seen` maps each preview's name to the key of its hold.

        Raise `Failed` when one of them is no longer held, or has a different hold by now.
        """
        board = self._reconciler.parts.board
        held = {s.name: s for s in board.statuses.values() if s.hold}
        known = {s.name for s in board.statuses.values()}
        if unknown := [n for n in names if n not in known]:
            raise Failed(f"{', '.join(unknown)}: no such preview, so nothing was released. Held now: {_listed(held)}.")
        if free := [n for n in names if n not in held]:
            raise Failed(f"{', '.join(free)}: not held, so nothing was released. Held now: {_listed(held)}.")
        if others := [n for n in names if str(held[n].hold) != seen.get(n)]:
            raise Failed(
                f"{', '.join(others)}: the reason for the hold has changed, so nothing was released."
                " Run `greenroom release` again to see the current holds."
            )
        chosen = [held[name] for name in dict.fromkeys(names)]
        for repository_id in sorted({s.identity.repository_id for s in chosen}):
            await self._release(repository_id, [s for s in chosen if s.identity.repository_id == repository_id], by)
        for status in chosen:
            self._loop.wake(status.repository)
        return [
            {"preview": s.name, "released": str(s.hold), "code": s.reason.code, "reason": s.reason.text} for s in chosen
        ]

    async def redeploy(self, names: list[str], by: str) -> list[dict[str, Any]]:
        """Redeploy these previews with the current chart, settings and images, without waiting for their next push."""
        board, platform = self._reconciler.parts.board, self._reconciler.platform
        known = {s.name: s for s in board.statuses.values() if s.created}
        if unknown := [n for n in names if n not in known]:
            raise Failed(f"{', '.join(unknown)}: no such preview is running, so nothing was redeployed.")
        chosen = [known[name] for name in dict.fromkeys(names)]
        for repository_id in sorted({s.identity.repository_id for s in chosen}):
            mine = [s.identity for s in chosen if s.identity.repository_id == repository_id]
            await self._let(repository_id, [(i, redeploy_key(platform)) for i in mine], by)
        for status in chosen:
            self._loop.wake(status.repository)
        return [{"preview": s.name, "chart": platform.cluster.chart_version} for s in chosen]

    async def use(self, name: str, text: str, by: str) -> dict[str, Any]:
        """Change the target of a service that this preview uses, as `/preview use` does. Raise `Failed` with the
        reason.

        `done` is False while our comment could not be written and read back; Greenroom tries again. `waits` is True
        when the target has no preview: until it has one, the link stays at `now`.
        """
        wish = commands.wish(text)
        if wish is None:
            raise Failed(
                f"{text!r} is not a valid target. Write `payments#17`, `payments staging` or `payments default`."
            )
        reconciler = self._reconciler
        status, repository = self._seen(name)
        targets = commands.Targets.of(repository, reconciler.platform)
        if (named := targets.named(wish)) is None:
            if len(several := targets.by_repository.get(wish.service, ())) > 1:
                raise Failed(
                    f"{name} uses several services from {wish.service}. Name one of them: {', '.join(several)}."
                )
            near = targets.nearest(wish.service)
            hint = f"Did you mean {near}?" if near else f"{name} uses {', '.join(targets.used) or 'no other service'}."
            raise Failed(f"{name} does not use {wish.service}. {hint}")
        wish = named
        facts, last = await self._asking(status, repository)
        reconciler.choices.add(status.identity, LinkOverride(wish.service, wish.to, by, last))
        done = await self._taken_up(status, repository)
        answer = {"preview": name, "service": wish.service, "to": wish.to, "done": done}
        return {**answer, **_missing(wish, status.identity, facts.observed, reconciler.platform)}

    async def reset(self, name: str, action: str, by: str) -> dict[str, Any]:
        """Delete the data of this preview, as `/preview reset` and `/preview reseed` do.

        Raise `Failed` with the reason why nothing was deleted.
        `done` is False while our comment could not be written and read back; Greenroom tries again.
        """
        reconciler = self._reconciler
        status, repository = self._seen(name)
        facts, last = await self._asking(status, repository)
        spec = facts.observed.spec(status.identity)
        if spec is None or not spec.resettable:
            raise Failed(
                f"{name} has no database whose data can be reset. A database on a volume can only be reset if it has a"
                " seed."
            )
        reconciler.choices.command(status.identity, DataCommand(DataAction(action), by, last, reconciler.now()))
        done = await self._taken_up(status, repository)
        return {"preview": name, "action": action, "needs": [need.name for _, need in spec.resettable], "done": done}

    async def seeds(self) -> list[dict[str, Any]]:
        """Return the seed images that previews use. Raise `Doubt` unless all of them are known."""
        observed = await self._reconciler.parts.engine.observe()
        for sentence in observed.doubts.values():
            raise Doubt(f"The previews of a repository cannot be read completely: {sentence}")
        served = [spec for preview_set in observed.sets.values() for spec in preview_set.specs.values()]
        specs = [*served, *(preview.spec for preview in observed.previews.values())]
        found = {(seed.reference, seed.digest, spec.title) for spec in specs for seed in spec.data.seeds}
        return [{"image": image, "digest": digest, "preview": name} for image, digest, name in sorted(found)]

    def _seen(self, name: str) -> tuple[Status, Repository]:
        """Return the status of a pull request by its name, and its repository. Raise `Failed` if it is unknown."""
        statuses, platform = self._reconciler.parts.board.statuses, self._reconciler.platform
        status = next((s for s in statuses.values() if s.name == name), None)
        repository = platform.repository(status.repository) if status else None
        if status is None or repository is None:
            raise Failed(f"{name}: Greenroom has not seen this pull request. Is it open?")
        return status, repository

    async def _asking(self, status: Status, repository: Repository) -> tuple[Facts, int]:
        """Return the facts of a pull request that requests a preview, and the id of its last command.

        Raise `Failed` if it requests none, or cannot be read.
        """
        facts, label = await self._reconciler.facts(repository), self._reconciler.platform.label
        if doubt := facts.listing.doubts.get(status.number):
            raise Failed(f"Greenroom cannot read {status.name} right now, so nothing was changed: {doubt}")
        found = next((p for p in facts.listing.pull_requests if p.identity == status.identity), None)
        if found is None or not labels.carries(found.labels, label):
            raise Failed(f"{status.name} has no preview because it is not open or does not have the label `{label}`.")
        known = choices(status.number, facts)
        return facts, max((*(s.comment for s in found.said), *(c.comment for c in known)), default=0)

    async def _taken_up(self, status: Status, repository: Repository) -> bool:
        """Wait until our comment holds what was asked for. Return whether it does."""
        self._loop.wake(repository.name)

        async def taken_up() -> bool:
            return not self._reconciler.choices.waits(status.identity)

        return await wait_until(taken_up, self._use_seconds, every=0.1)

    async def _release(self, repository_id: int, chosen: list[Status], by: str) -> None:
        await self._let(repository_id, [(s.identity, s.hold) for s in chosen if s.hold], by)

    async def _let(self, repository_id: int, chosen: list[tuple[Identity, HoldKey]], by: str) -> None:
        now = self._reconciler.now()
        releases = [Release(identity, hold, by, now) for identity, hold in chosen]

        def added(preview_set: PreviewSet) -> PreviewSet:
            return preview_sets.released(preview_set, releases, now)

        await self._reconciler.amend(repository_id, added)


def _missing(
    wish: commands.UseCommand, identity: Identity, observed: EngineState, platform: Platform
) -> dict[str, Any]:
    """Return the name of the target, whether it has no preview yet, and where the link leads until then.

    That place is empty without a link.
    """
    waits = wish.to.isdecimal() and (wish.service, int(wish.to)) not in LinkIndex.of(observed).targets
    spec = observed.spec(identity)
    now = next((source(k, platform) for k in spec.links.targets if k.target == wish.service), "") if spec else ""
    target = preview_name(wish.service, int(wish.to), platform) if wish.to.isdecimal() else wish.to
    return {"target": target, "waits": waits, "now": now}


def _listed(held: dict[str, Status]) -> str:
    return ", ".join(sorted(held)) or "nothing"
