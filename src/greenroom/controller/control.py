"""What people ask of a running instance: a dry run of the next pass, and the release of what is held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from greenroom.controller import events
from greenroom.controller.loop import Loop
from greenroom.controller.reconcile import Reconciler
from greenroom.core import commands, labels, rowsets
from greenroom.core.catalogue import Repository
from greenroom.core.desired import choices, roll_key
from greenroom.core.links import Neighbours
from greenroom.core.model import Identity, Observed, Release, RowSet
from greenroom.core.rows import Choice
from greenroom.core.status import Status
from greenroom.errors import Failed, GreenroomError

USE_SECONDS = 15.0


class Control:
    """The admin port's view of the running loop."""

    def __init__(self, reconciler: Reconciler, loop: Loop) -> None:
        self._reconciler = reconciler
        self._loop = loop

    async def plan(self) -> list[dict[str, Any]]:
        """What the next pass over each repository would do, each with its reason; what waits; what cannot be read.

        Previews of a repository that left the catalogue wait, too.
        """
        try:
            left = await self._reconciler.left()
        except GreenroomError:
            left = ()  # what the engine cannot say, it does not say of any other repository either
        looked_at = (*self._reconciler.platform.repositories, *left)
        return [line for r in looked_at for line in await self._plan(r)]

    async def _plan(self, repository: Repository) -> list[dict[str, Any]]:
        try:
            decision = await self._reconciler.preview(repository)
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
        """Release exactly the holds that a person saw: `seen` has the key of each by the preview's name.

        Raises `Failed` when one of them is not held any more, or is held for something else by now.
        """
        board = self._reconciler.parts.board
        held = {s.name: s for s in board.statuses.values() if s.hold}
        known = {s.name for s in board.statuses.values()}
        if unknown := [n for n in names if n not in known]:
            raise Failed(f"{', '.join(unknown)}: no such preview, so nothing was released. Held now: {_listed(held)}.")
        if free := [n for n in names if n not in held]:
            raise Failed(f"{', '.join(free)}: not held, so nothing was released. Held now: {_listed(held)}.")
        if others := [n for n in names if held[n].hold != seen.get(n)]:
            raise Failed(
                f"{', '.join(others)}: held for something else than was shown, so nothing was released."
                " Read `greenroom release` again; what it says now is what would be released."
            )
        chosen = [held[name] for name in dict.fromkeys(names)]
        for repository_id in sorted({s.identity.repository_id for s in chosen}):
            await self._release(repository_id, [s for s in chosen if s.identity.repository_id == repository_id], by)
        for status in chosen:
            self._loop.wake(status.repository)
        return [{"preview": s.name, "released": s.hold, "code": s.reason.code, "reason": s.reason.text} for s in chosen]

    async def roll(self, names: list[str], by: str) -> list[dict[str, Any]]:
        """Redeploy these previews with the current chart, settings and images, without waiting for their next push."""
        board, platform = self._reconciler.parts.board, self._reconciler.platform
        known = {s.name: s for s in board.statuses.values() if s.created}
        if unknown := [n for n in names if n not in known]:
            raise Failed(f"{', '.join(unknown)}: no preview runs there, so nothing was rolled.")
        chosen = [known[name] for name in dict.fromkeys(names)]
        for repository_id in sorted({s.identity.repository_id for s in chosen}):
            mine = [s.identity for s in chosen if s.identity.repository_id == repository_id]
            await self._let(repository_id, [(i, roll_key(platform)) for i in mine], by)
        for status in chosen:
            self._loop.wake(status.repository)
        return [{"preview": s.name, "chart": platform.cluster.chart_version} for s in chosen]

    async def use(self, name: str, text: str, by: str) -> dict[str, Any]:
        """Point a service that this preview uses elsewhere, as `/preview use` does. Raises `Failed` with the reason.

        `done` is False while our comment could not be written and read back; Greenroom tries again. `waits` is True
        when the target has no preview: until it has one, the link stays at `now`.
        """
        wish = commands.wish(text)
        if wish is None:
            raise Failed(f"{text!r} names no target. Write `payments#17`, `payments staging` or `payments default`.")
        reconciler = self._reconciler
        status = next((s for s in reconciler.parts.board.statuses.values() if s.name == name), None)
        repository = reconciler.platform.repository(status.repository) if status else None
        if status is None or repository is None:
            raise Failed(f"{name}: Greenroom has not seen this pull request; is it open?")
        used = sorted({u.service for s in repository.services for u in s.uses})
        if wish.service not in used:
            near = commands.nearest(wish.service, repository)
            hint = f"Did you mean {near}?" if near else f"It uses {', '.join(used) or 'no other service'}."
            raise Failed(f"{name} does not use {wish.service}. {hint}")
        facts = await reconciler.facts(repository)
        if doubt := facts.listing.doubts.get(status.number):
            raise Failed(f"{name} cannot be read now, so nothing was changed: {doubt}")
        found = next((p for p in facts.listing.pull_requests if p.identity == status.identity), None)
        if found is None or not labels.carries(found.labels, reconciler.platform.label):
            raise Failed(f"{name} has no preview: it is not open, or has no label `{reconciler.platform.label}`.")
        known = choices(status.number, facts)
        last = max((*(s.comment for s in found.said), *(c.comment for c in known)), default=0)
        reconciler.ask(status.identity, Choice(wish.service, wish.to, by, last))
        self._loop.wake(repository.name)
        deadline = time.monotonic() + USE_SECONDS
        while reconciler.asks(status.identity) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        done = not reconciler.asks(status.identity)
        answer = {"preview": name, "service": wish.service, "to": wish.to, "done": done}
        return {**answer, **_missing(wish, status.identity, facts.observed)}

    async def _release(self, repository_id: int, chosen: list[Status], by: str) -> None:
        await self._let(repository_id, [(s.identity, s.hold) for s in chosen], by)

    async def _let(self, repository_id: int, chosen: list[tuple[Identity, str]], by: str) -> None:
        now = self._reconciler.now()
        releases = [Release(identity, hold, by, now) for identity, hold in chosen]

        def added(rows: RowSet) -> RowSet:
            return rowsets.released(rows, releases, now)

        await self._reconciler.amend(repository_id, added)


def _missing(wish: commands.Wish, identity: Identity, observed: Observed) -> dict[str, Any]:
    """Return whether the target has no preview yet, and where the link leads until then; empty without a link."""
    waits = wish.to.isdecimal() and (wish.service, int(wish.to)) not in Neighbours.of(observed).targets
    row = observed.row(identity)
    now = next((k.name for k in row.links if k.target == wish.service), "") if row else ""
    return {"waits": waits, "now": now}


def _listed(held: dict[str, Status]) -> str:
    return ", ".join(sorted(held)) or "nothing"
