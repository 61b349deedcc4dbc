"""The copy that keeps itself current, the Lease, and the refresh: what happens when connections and others interfere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from argocd_engine.fake import FakeKube
from greenroom.argocd.applicationset import REFRESH
from greenroom.argocd.client import APPLICATION_SETS, PODS, Expired, Kind, Object
from greenroom.argocd.informer import Mirror
from greenroom.argocd.lease import Lease
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.errors import Doubt, RetryLater
from waiting import HandClock, idle, until


def pod(name: str, version: str) -> Object:
    return {"metadata": {"name": name, "namespace": "a", "resourceVersion": version, "managedFields": ["long"]}}


@dataclass
class Scripted:
    """Lists and watches as a list of what each gives; an exception is raised."""

    lists: list[list[Object] | Exception]
    watches: list[list[Object | Exception]]
    asked: list[str] = field(default_factory=list)

    async def listed(self, kind: Kind, namespace: str = "", **params: str) -> tuple[list[Object], str]:
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(found, Exception):
            raise found
        return found, "100"

    async def watch(self, kind: Kind, namespace: str, version: str, seconds: int, labels: str) -> AsyncIterator[Object]:
        self.asked.append(version)
        for event in self.watches.pop(0) if self.watches else []:
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.watches:
            await asyncio.Event().wait()


async def copied(kube: Scripted, timing: Timing = DEFAULT) -> tuple[Mirror, list[str], asyncio.Task[None]]:
    changed: list[str] = []
    mirror = Mirror(kube, PODS, lambda found: changed.append(found["metadata"]["name"]), timing)  # type: ignore[arg-type]
    task = asyncio.create_task(mirror.run())
    return mirror, changed, task


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def names(mirror: Mirror) -> set[str]:
    return {name for _, name in mirror.items}


async def test_a_copy_follows_events_and_reports_each_change_once() -> None:
    events: list[Object | Exception] = [
        {"type": "ADDED", "object": pod("two", "101")},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "150"}}},
        {"type": "DELETED", "object": pod("one", "151")},
    ]
    mirror, changed, task = await copied(Scripted([[pod("one", "1")]], [events]))
    await until(lambda: names(mirror) == {"two"})
    assert changed == ["one", "two", "one"]
    assert "managedFields" not in mirror.whole()["a", "two"]["metadata"]
    await ended(task)


async def test_deletion_during_a_watch_gap_is_reported_after_the_next_list() -> None:
    kube = Scripted([[pod("one", "1"), pod("two", "2")], [pod("two", "2"), pod("three", "3")]], [[Expired("too old")]])
    mirror, changed, task = await copied(kube)
    await until(lambda: names(mirror) == {"two", "three"})
    assert sorted(changed) == ["one", "one", "three", "two"], "two did not change and is not told again"
    await ended(task)


async def test_a_watch_that_the_server_ends_continues_where_it_was() -> None:
    first: list[Object | Exception] = [{"type": "ADDED", "object": pod("two", "123")}]
    kube = Scripted([[pod("one", "1")]], [first, []])
    mirror, _, task = await copied(kube)
    await until(lambda: len(kube.asked) == 2)
    assert kube.asked == ["100", "123"]
    assert names(mirror) == {"one", "two"}
    await ended(task)


async def test_a_copy_that_stands_still_is_doubt() -> None:
    mirror, _, task = await copied(Scripted([RetryLater("refused")], []))
    await idle()
    with pytest.raises(Doubt, match="not finished reading"):
        mirror.whole()
    await ended(task)
    kube = Scripted([[pod("one", "1")], RetryLater("refused")], [[RetryLater("cut")]])
    clock = HandClock()
    mirror, _, task = await copied(kube, clock.timing())
    await until(mirror.ready.is_set)
    await clock.move(46)
    with pytest.raises(Doubt, match="out of date"):
        mirror.whole()
    assert names(mirror) == {"one"}, "nothing is gone because nobody answers"
    await ended(task)


# --- the Lease ---


def a_lease(kube: FakeKube, holder: str, timing: Timing = DEFAULT) -> Lease:
    return Lease(kube, "greenroom", "greenroom-test", holder, timing)  # type: ignore[arg-type]


SHORT = Timing(lease_duration=0.3, lease_renewal=0.02)


async def test_the_lease_is_taken_kept_and_given_up() -> None:
    kube = FakeKube()
    one = a_lease(kube, "one")
    with pytest.raises(Doubt):
        one.check()
    await one.acquire()
    one.check()
    again = a_lease(kube, "one")
    async with asyncio.timeout(1):
        await again.acquire()
    await one.release()
    with pytest.raises(Doubt):
        one.check()
    async with asyncio.timeout(1):
        await a_lease(kube, "two").acquire()


async def test_a_holder_that_does_not_renew_loses_it_after_its_time() -> None:
    kube = FakeKube()
    clock = HandClock()
    one, two = (a_lease(kube, holder, clock.timing()) for holder in ("one", "two"))
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    await idle()
    await clock.move(15)
    assert not waiting.done()
    await clock.move(1)
    await asyncio.wait_for(waiting, 5)
    with pytest.raises(Doubt):
        one.check()
    assert kube.objects["leases", "greenroom", "greenroom-test"]["spec"]["holderIdentity"] == "two"
    keeping = asyncio.create_task(one.keep())
    await idle()
    await clock.move(2)
    assert "Another process took or changed the Lease" in await asyncio.wait_for(keeping, 5)


async def test_a_lease_that_cannot_be_renewed_is_given_up_in_time() -> None:
    kube = FakeKube()
    one = a_lease(kube, "one", SHORT)
    await one.acquire()
    kube.broken = RetryLater("Kubernetes is away.")
    assert "could not be renewed" in await asyncio.wait_for(one.keep(), 5)
    with pytest.raises(Doubt):
        one.check()


# --- the refresh ---


def a_set(kube: FakeKube, *pauses: float) -> Refresh:
    kube.put(APPLICATION_SETS.plural, {"metadata": {"name": "preview-shop", "namespace": "argocd", "annotations": {}}})
    return Refresh(kube, "argocd", "preview-shop", Timing(refresh_pauses=pauses))  # type: ignore[arg-type]


def wish(kube: FakeKube) -> str:
    found = kube.objects["applicationsets", "argocd", "preview-shop"]
    return str(found["metadata"]["annotations"].get(REFRESH, ""))


async def test_a_generation_that_is_fetched_in_time_is_not_asked_for_again() -> None:
    kube = FakeKube()
    refresh = a_set(kube, 0.0)
    refresh.push(1)
    refresh.asked()
    await idle()
    assert wish(kube) == ""
    assert await refresh.taken_over(0.5)
    await refresh.aclose()


async def test_lost_refresh_request_is_repeated_with_another_value() -> None:
    kube = FakeKube()
    refresh = a_set(kube, 0.02, 0.02, 0.02)
    refresh.push(4)
    seen: set[str] = set()
    async with asyncio.timeout(3):
        while len(seen - {""}) < 3:
            seen.add(wish(kube))
            await asyncio.sleep(0.005)
    assert {s.partition(".")[0] for s in seen - {""}} == {"4"}
    assert not await refresh.taken_over(0.1)
    refresh.asked()
    assert not await refresh.taken_over(0.1), "fetched, but its pass is not over: the annotation is still there"
    kube.objects["applicationsets", "argocd", "preview-shop"]["metadata"]["annotations"].clear()
    assert await refresh.taken_over(0.5)
    refresh.serves(5)
    assert not await refresh.taken_over(0.05), "what was fetched is older than what is served"
    await refresh.aclose()
