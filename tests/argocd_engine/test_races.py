"""Two things at once, and things cut in half: what Argo CD fetched is known or asked for again, nobody's place is taken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import FRAME, ONE, Played, play, rows, until
from builders import NOW, PLATFORM, REPOSITORY_ID, row
from greenroom.argocd import engine as module
from greenroom.argocd import lease as leases
from greenroom.argocd import refresh as refreshing
from greenroom.argocd import sets
from greenroom.argocd.kube import APPLICATION_SETS, APPLICATIONS, LEASES, Kind, Object
from greenroom.argocd.refresh import Refresh
from greenroom.core.model import Cause, Identity, Ledger, RowSet, Withdrawal
from greenroom.errors import Doubt, Failed, Full, RetryLater


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN_OVER", 0.3)


class Interrupted(FakeKube):
    """Argo CD asks in the middle of a write, which then fails."""

    meanwhile: Any = None

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        if self.meanwhile:
            call, self.meanwhile = self.meanwhile, None
            call()
            raise RetryLater("cut")
        return await super().apply(kind, namespace, name, body)


async def test_what_was_fetched_of_a_set_that_could_not_be_written_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kube = Interrupted()
    async with play(monkeypatch, kube) as played:
        engine = played.engine
        await engine.serve(rows(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        uid = (await engine.observe()).previews[ONE].uid
        await until(lambda: not wished(played))
        played.argo.asleep = True
        kube.meanwhile = lambda: engine.answer("preview-shop", PLATFORM)
        with pytest.raises(RetryLater):
            await engine.serve(rows(2, generation=2))
        assert numbers(played) == ["1", "2"], "and asked again, with the older rows, as generation 1"
        await engine.serve(rows(generation=2))
        wished(played, take_off=True)  # a pass that had asked before ends now
        with pytest.raises(RetryLater, match="not yet worked without"):
            await engine.remove(ONE, uid)
        played.argo.asleep = False
        await until(lambda: engine._sets.refresh("preview-shop").fetched == 2)
        await engine.remove(ONE, uid)


class Lost(FakeKube):
    """The next write arrives, and its answer does not."""

    lost: bool = False

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        found = await super().apply(kind, namespace, name, body)
        if self.lost:
            self.lost = False
            raise RetryLater("the answer was lost")
        return found


@pytest.mark.parametrize("repository_id", [REPOSITORY_ID, REPOSITORY_ID + 1])
async def test_our_own_write_whose_answer_was_lost_is_not_another_instances(
    monkeypatch: pytest.MonkeyPatch, repository_id: int
) -> None:
    kube = Lost()
    async with play(monkeypatch, kube) as played:
        await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 1))
        kube.lost = True
        with pytest.raises(RetryLater):
            await played.engine.serve(RowSet(repository_id, "shop", 2))
        await played.engine.serve(RowSet(repository_id, "shop", 2))
        assert (await played.engine.observe()).sets[repository_id].generation == 2


async def test_a_change_is_not_held_up_by_a_push_that_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "AGAIN", (0.02, 30.0))
    kube = FakeKube()
    kube.put(APPLICATION_SETS.plural, {"metadata": {"name": "s", "namespace": "a", "annotations": {}}})
    refresh = Refresh(kube, "a", "s")  # type: ignore[arg-type]
    refresh.push(1)
    await until(lambda: annotation(kube) == "1.1")
    await asyncio.sleep(0.05)
    refresh.push(2)
    await until(lambda: annotation(kube) == "2.1", 1)
    await refresh.aclose()


async def test_two_installations_with_prefixes_alike_do_not_see_each_others_previews(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kube = FakeKube()
    labels = {**replace(FRAME, installation="other").labels(), sets.REPOSITORY: "shop"}
    labels |= {sets.REPOSITORY_ID: str(REPOSITORY_ID), sets.NUMBER: "1"}
    for name in ("preview-b-shop-1", "preview-shop-2"):
        number = name.rpartition("-")[2]
        metadata = {"name": name, "namespace": "argocd", "labels": {**labels, sets.NUMBER: number}}
        metadata["annotations"] = {sets.ROW: sets.packed(row(1))}
        kube.put(APPLICATIONS.plural, {"metadata": metadata, "spec": {}})
    async with play(monkeypatch, kube) as played:
        assert {i.number for i in (await played.engine.observe()).foreign} == {2}, "theirs under our name"
        await played.engine.serve(rows(1))
        await until(played.seen)
        assert set((await played.engine.observe()).previews) == {ONE}


async def test_a_repository_made_anew_under_its_old_name_does_not_take_the_old_ones_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1))
        with pytest.raises(Failed, match=r"GitHub's id 7, now 8"):
            await played.engine.serve(RowSet(8, "shop", 1, {}))
        assert sets.rows_of(kept(played.kube)) == rows(1)
        assert numbers(played) == ["1"]


async def test_recreated_repository_takes_the_application_set_over_once_nothing_of_the_old_one_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with play(monkeypatch) as played:
        played.argo.asleep = True
        await played.engine.serve(rows(1))
        going = Withdrawal(ONE, Cause.RELEASED, NOW)
        await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 2, {}, Ledger((going,))))
        with pytest.raises(Failed, match="earlier repository with that name"):
            await played.engine.serve(RowSet(8, "shop", 3, {}))
        await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 3, {}, Ledger((replace(going, told=True),))))
        new = RowSet(8, "shop", 4, {1: replace(row(1), repository_id=8)})
        await played.engine.serve(new)
        assert sets.rows_of(kept(played.kube)) == new
        assert (await played.engine.observe()).sets == {8: new}
        assert len(played.engine.answer("preview-shop", PLATFORM) or []) == 1


async def test_previews_that_come_while_one_is_looked_at_are_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        played.argo.asleep = True
        await played.engine.serve(rows(1, 2, 3))
        found = played.engine.answer("preview-shop", PLATFORM) or []
        played.argo._application("argocd", kept(played.kube), found[0])
        observing = asyncio.create_task(played.engine.observe())
        for each in found[1:]:
            played.argo._application("argocd", kept(played.kube), each)
            await asyncio.sleep(0)
        await observing
        await until(lambda: len(played.engine._watchers) == 3)
        assert set((await played.engine.observe()).previews) == {Identity(REPOSITORY_ID, n) for n in (1, 2, 3)}


async def test_who_stops_gives_the_lease_up_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY", 0.0)
    kube = FakeKube()
    async with play(monkeypatch, kube):
        pass
    await asyncio.sleep(0.05)
    lease = kube.objects[LEASES.plural, "argocd", "greenroom-test"]
    assert lease["spec"]["holderIdentity"] == ""


async def test_a_set_too_large_for_an_annotation_is_refused_and_the_old_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1))
        monkeypatch.setattr(sets, "MAX_ANNOTATION", 100)
        with pytest.raises(Full, match="perRepository"):
            await played.engine.serve(rows(1, 2, generation=2))
        assert numbers(played) == ["1"]
        with pytest.raises(Full):
            await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 2, {1: row(1, nonce=1)}))
        gone = Ledger(withdrawals=(Withdrawal(ONE, Cause.CLOSED, NOW),))
        await played.engine.serve(rows(generation=2, ledger=gone))
        assert numbers(played) == [], "what goes has a reserve"


async def test_a_set_that_somebody_deleted_or_changed_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETS_EVERY", 0.02)
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1))
        await until(played.seen)
        key = (APPLICATION_SETS.plural, "argocd", "preview-shop")

        def whole() -> bool:
            return key in played.kube.objects and sets.carries(kept(played.kube), rows(1))

        played.kube.remove(*key)
        played.kube.remove(APPLICATIONS.plural, "argocd", "preview-shop-1")
        await until(whole)
        await until(played.seen)
        kept(played.kube)["metadata"]["annotations"][sets.ROWS] = "broken"
        await until(whole)
        kept(played.kube)["spec"]["syncPolicy"] = {"applicationsSync": "sync"}
        await until(whole)
        kept(played.kube)["metadata"]["labels"][sets.INSTALLATION] = "other"
        await asyncio.sleep(0.1)
        assert kept(played.kube)["metadata"]["labels"][sets.INSTALLATION] == "other", "what is another's stays theirs"


async def test_a_preview_asked_for_again_while_its_removal_waits_is_not_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with play(monkeypatch) as played:
        engine = played.engine
        await engine.serve(rows(1))
        await until(played.seen)
        uid = (await engine.observe()).previews[ONE].uid
        monkeypatch.setattr(module, "TAKEN_OVER", 3.0)
        played.argo.asleep = True
        await engine.serve(rows(generation=2))
        removing = asyncio.create_task(engine.remove(ONE, uid))
        await asyncio.sleep(0.05)
        await engine.serve(rows(1, generation=3))
        played.argo.asleep = False
        with pytest.raises(Doubt, match="still served"):
            await removing
        assert played.kube.deleted == []


def numbers(played: Played) -> list[str]:
    return [r["number"] for r in played.engine.answer("preview-shop", PLATFORM) or ()]


def kept(kube: FakeKube) -> Object:
    return kube.objects[APPLICATION_SETS.plural, "argocd", "preview-shop"]


def wished(played: Played, *, take_off: bool = False) -> str:
    annotations = kept(played.kube)["metadata"]["annotations"]
    found = str(annotations.get(sets.REFRESH, ""))
    if take_off:
        annotations.pop(sets.REFRESH, None)
    return found


def annotation(kube: FakeKube) -> str:
    return str(kube.objects[APPLICATION_SETS.plural, "a", "s"]["metadata"]["annotations"].get(sets.REFRESH, ""))
