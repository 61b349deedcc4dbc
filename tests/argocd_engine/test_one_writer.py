"""Two instances and a network that is slow: what one of them sent does not undo what the other one did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from argocd_engine.cluster_state import another_instance_wrote, stored
from argocd_engine.fake import Connection, FakeKube
from argocd_engine.test_engine import FRAME, ONE, QUICK, SETTINGS, Played, connecting, play, preview_set
from builders import NOW, PLATFORM, changed
from greenroom.argocd import applicationset
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, LEASES
from greenroom.argocd.engine import ArgoEngine
from greenroom.argocd.lease import Lease
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Withdrawal
from greenroom.errors import Doubt, RetryLater
from waiting import idle, until

SHORT = replace(QUICK, lease_duration=1.2, lease_renewal=0.05)


@dataclass
class Two:
    """The instance that leads, its line to the cluster, and the one that follows it."""

    first: Played
    line: Connection
    second: ArgoEngine

    async def follow(self) -> None:
        """The first is cut off, and the second leads once the Lease has run out."""
        self.line.cut = True
        self.first.argo.ask = lambda name: self.second.answer(name, PLATFORM)
        await self.second.lead()

    @property
    def kept(self) -> PreviewSet:
        return stored(self.first.kube)


@asynccontextmanager
async def two() -> AsyncIterator[Two]:
    kube = FakeKube()
    line = Connection(kube)
    async with play(kube, line=line, timing=SHORT) as first:
        follower = replace(SETTINGS, holder="pod-2")
        async with ArgoEngine(follower, lambda repository_id: None, SHORT, connecting(kube)) as second:
            yield Two(first, line, second)


def outcome(task: asyncio.Task[Any]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


async def test_a_deletion_that_hangs_is_over_before_another_instance_leads() -> None:
    async with two() as both:
        engine = both.first.engine
        await engine.serve(preview_set(1))
        await until(both.first.seen)
        uid = (await engine.observe()).previews[ONE].uid
        await engine.serve(preview_set(generation=2))
        both.line.late = asyncio.Event()
        removing = asyncio.create_task(engine.remove(ONE, uid))
        await both.line.begun.wait()
        await both.follow()
        assert "canceled" in str(outcome(removing))
        await both.second.serve(preview_set(1, generation=3))
        both.line.late.set()
        assert both.first.kube.deleted == []


async def test_a_deletion_that_arrives_late_does_not_find_what_it_was_meant_for() -> None:
    async with two() as both:
        engine = both.first.engine
        await engine.serve(preview_set(1))
        await until(both.first.seen)
        uid = (await engine.observe()).previews[ONE].uid
        await engine.serve(preview_set(generation=2))
        both.line.late, both.line.arrives = asyncio.Event(), True
        removing = asyncio.create_task(engine.remove(ONE, uid))
        await both.line.begun.wait()
        await both.follow()
        again = preview_set(1, generation=3).specs[1]
        await both.second.serve(replace(preview_set(generation=3), specs={1: changed(again, created=NOW)}))
        await until(lambda: applicationset.spec_of(both.first.application() or {}).times.created == NOW)
        await both.line.arrive()
        await asyncio.gather(removing, return_exceptions=True)
        assert both.first.kube.deleted == []


async def test_specs_that_arrive_late_do_not_go_over_newer_ones() -> None:
    async with two() as both:
        engine = both.first.engine
        await engine.serve(preview_set(1, 2))
        both.line.late, both.line.arrives = asyncio.Event(), True
        serving = asyncio.create_task(engine.serve(preview_set(1, 2, generation=2)))
        await both.line.begun.wait()
        await both.follow()
        assert "canceled" in str(outcome(serving))
        ledger = Ledger(withdrawals=(Withdrawal(ONE, Cause.UNLABELED, NOW),))
        await both.second.serve(preview_set(2, generation=3, ledger=ledger))
        await both.line.arrive()
        assert both.kept == preview_set(2, generation=3, ledger=ledger)


async def test_the_first_specs_of_a_repository_do_not_go_over_anothers_first_specs() -> None:
    async with two() as both:
        both.line.late, both.line.arrives = asyncio.Event(), True
        serving = asyncio.create_task(both.first.engine.serve(preview_set(1, 2)))
        await both.line.begun.wait()
        await both.follow()
        await both.second.serve(preview_set(2))
        await both.line.arrive()
        await asyncio.gather(serving, return_exceptions=True)
        assert both.kept == preview_set(2)


async def test_without_the_lease_nothing_may_be_written_and_what_is_being_written_ends() -> None:
    async with two() as both:
        engine = both.first.engine
        async with engine.writing():
            pass
        both.line.cut = True
        for words in ("canceled", "writes nothing, because it could not renew its Lease in time"):
            with pytest.raises(Doubt, match=words):
                async with engine.writing():
                    await asyncio.Event().wait()


async def test_instance_without_the_lease_says_that_another_one_runs_only_when_the_lease_names_it() -> None:
    kube = FakeKube()
    first, second = (Lease(kube, "argocd", "greenroom", holder, SHORT) for holder in ("pod-1", "pod-2"))  # type: ignore[arg-type]
    alone, other = "because it does not hold the Lease", "writes nothing, because another instance holds"
    await first.acquire()
    with pytest.raises(Doubt, match=alone):
        second.check()
    waiting = asyncio.create_task(second.acquire())
    await idle()
    with pytest.raises(Doubt, match=other):
        second.check()
    await first.release()
    with pytest.raises(Doubt, match=alone):
        first.check()
    await waiting
    second.check()
    assert not await first._try()
    with pytest.raises(Doubt, match=other):
        first.check()


async def test_an_instance_that_lost_the_lease_gives_argo_cd_no_specs() -> None:
    async with two() as both:
        old = both.first.engine
        await old.serve(preview_set(1))
        assert [r["name"] for r in old.answer("preview-shop", PLATFORM) or ()] == ["preview-shop-1"]
        await both.follow()
        await both.second.serve(preview_set(1, 2, generation=2))
        for name in ("preview-shop", FRAME.canary):
            with pytest.raises(Doubt, match="Lease"):
                old.answer(name, PLATFORM)
        assert len(both.second.answer("preview-shop", PLATFORM) or ()) == 2


async def test_what_is_being_written_continues_as_long_as_the_lease_is_renewed() -> None:
    async with two() as both:
        began = asyncio.get_running_loop().time()
        async with both.first.engine.writing():
            await until(lambda: asyncio.get_running_loop().time() > began + 2 * SHORT.lease_duration, 10)


async def test_the_lease_is_beside_the_sets_wherever_it_is_requested() -> None:
    async with play() as played:
        assert [key for key in played.kube.objects if key[0] == LEASES.plural] == [
            (LEASES.plural, FRAME.namespace, f"greenroom-{FRAME.installation}")
        ]


async def test_instance_stops_when_another_one_has_written() -> None:
    """Such as one with a Lease elsewhere, or an older version."""
    async with play() as played:
        engine = played.engine
        await engine.serve(preview_set(1))
        another_instance_wrote(played.kube, FRAME, preview_set(1, 2, generation=5))
        await played.parts.upkeep.repair()
        assert (
            "Another instance wrote generation 5 of the specs of shop, but this instance has read only generation 1"
            in engine.lost.result()
        )
        with pytest.raises(Doubt, match="Another instance wrote"):
            await engine.serve(preview_set(generation=2))
        assert stored(played.kube) == preview_set(1, 2, generation=5)


async def test_specs_of_a_newer_version_are_not_taken_for_a_change_by_hand() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        newer = applicationset.application_set(FRAME, preview_set(1, generation=5), {1: 5})
        newer["metadata"]["annotations"][applicationset.INDEX] = "index of version 2"
        played.kube.put(APPLICATION_SETS.plural, newer)
        with pytest.raises(Doubt, match="Another instance wrote generation 5"):
            await played.engine.serve(preview_set(generation=2))
        found = played.kube.objects[APPLICATION_SETS.plural, "argocd", "preview-shop"]
        assert found["metadata"]["annotations"][applicationset.INDEX] == "index of version 2"


class Unanswered(FakeKube):
    """A write arrives, and its answer does not."""

    silent = False

    async def apply(self, *given: Any) -> Any:
        made = await super().apply(*given)
        if self.silent:
            raise RetryLater("The connection was cut.")
        return made


async def test_our_own_write_whose_answer_was_lost_is_no_other_instances() -> None:
    kube = Unanswered()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1))
        for lost in (preview_set(1, 2, generation=2), preview_set(1, 3, generation=2)):
            kube.silent = True
            with pytest.raises(RetryLater):
                await played.engine.serve(lost)
        kube.silent = False
        await played.engine.serve(preview_set(1, 4, generation=2))
        assert not played.engine.lost.done()
        assert stored(kube) == preview_set(1, 4, generation=2)


class Busy(FakeKube):
    """Argo CD tells something of each object between our look and our write."""

    times = 0

    async def get(self, *given: Any) -> Any:
        found = await super().get(*given)
        if found and self.times and given[0] in (APPLICATION_SETS, APPLICATIONS):
            self.times -= 1
            self.put(given[0].plural, self.objects[given[0].plural, given[1], given[2]])
        return found


async def test_argo_cd_telling_something_meanwhile_is_no_conflict() -> None:
    kube = Busy()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        uid = (await played.engine.observe()).previews[ONE].uid
        kube.times = 2
        await played.engine.serve(preview_set(generation=2))
        kube.times = 99
        with pytest.raises(RetryLater, match="keeps changing"):
            await played.engine.serve(preview_set(generation=3))
        kube.times = 0
        played.parts.refreshes.named("preview-shop").push(2)
        await until(lambda: played.parts.refreshes.named("preview-shop").fetched == 2)
        kube.times = 2
        await played.engine.remove(ONE, uid)
        assert kube.deleted == [("applications", "preview-shop-1")]
