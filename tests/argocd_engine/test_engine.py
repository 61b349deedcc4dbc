"""The four verbs against an API in memory: what is served, what is removed, and what a restart finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from argocd_engine.fake import Connection, FakeArgo, FakeKube, namespace_of
from builders import NOW, PLATFORM, REPOSITORY_ID, row
from greenroom.argocd import canary, sets
from greenroom.argocd import engine as module
from greenroom.argocd.engine import ArgoEngine, ArgoSettings
from greenroom.argocd.kube import APPLICATION_SETS, APPLICATIONS, NAMESPACES, Kube
from greenroom.argocd.sets import Frame
from greenroom.core.model import Cause, Health, Identity, Ledger, RowSet, Withdrawal
from greenroom.errors import Doubt, Failed, RetryLater

FRAME = Frame(
    "test", "preview", "argocd", "greenroom-previews", "in-cluster", "oci://r.example.com/charts/preview", "p"
)
SETTINGS = ArgoSettings(FRAME, "0.1.0", "https", "none", "", "", "pod-1", logs=True)
ONE = Identity(REPOSITORY_ID, 1)


@dataclass
class Played:
    kube: FakeKube
    engine: ArgoEngine
    argo: FakeArgo
    woken: list[int]

    def application(self, name: str = "preview-shop-1") -> dict[str, Any] | None:
        return self.kube.objects.get((APPLICATIONS.plural, "argocd", name))

    def seen(self, name: str = "preview-shop-1") -> bool:
        """Whether the engine's own copy has the Application too."""
        return ("argocd", name) in self.engine._applications.items


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "PATIENCE", 2.0)
    monkeypatch.setattr(module, "TAKEN_OVER", 0.5)
    monkeypatch.setattr(module, "CANARY_AGAIN", 0.05)


@asynccontextmanager
async def play(
    monkeypatch: pytest.MonkeyPatch,
    kube: FakeKube | None = None,
    *,
    deletes: bool = False,
    leads: bool = True,
    line: Connection | None = None,
    settings: ArgoSettings = SETTINGS,
) -> AsyncIterator[Played]:
    kube = kube or FakeKube()
    monkeypatch.setattr(Kube, "open", lambda kubeconfig: line or kube)
    woken: list[int] = []
    async with ArgoEngine(settings, woken.append) as engine:
        argo = FakeArgo(kube, lambda name: engine.answer(name, PLATFORM), deletes)
        running = asyncio.create_task(argo.run())
        try:
            if leads:
                await engine.lead()
            yield Played(kube, engine, argo, woken)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def rows(*numbers: int, generation: int = 1, ledger: Ledger | None = None) -> RowSet:
    return RowSet(REPOSITORY_ID, "shop", generation, {n: row(n) for n in numbers}, ledger or Ledger())


async def until(check: Any, seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.01)


async def test_what_is_only_remembered_with_a_row_is_no_update(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        old = replace(row(1), asleep=True)  # ready without a pod
        await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 1, {1: old}))
        await until(played.seen)
        assert (await played.engine.observe()).previews[ONE].health is Health.READY
        played.argo.asleep = True
        await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 2, {1: replace(old, lives=(("db", "c1"),))}))
        assert (await played.engine.observe()).previews[ONE].health is Health.READY
        await played.engine.serve(RowSet(REPOSITORY_ID, "shop", 3, {1: replace(old, nonce=1)}))
        assert (await played.engine.observe()).previews[ONE].health is Health.STARTING


async def test_before_it_leads_it_answers_nothing_and_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch, leads=False) as played:
        with pytest.raises(Doubt):
            played.engine.answer("preview-shop", PLATFORM)
        with pytest.raises(Doubt):
            await played.engine.observe()
        assert not played.engine.answers


async def test_what_is_served_becomes_applications_and_is_observed_with_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        observed = await played.engine.observe()
        assert set(observed.previews) == {ONE, Identity(REPOSITORY_ID, 2)}
        assert observed.previews[ONE].row == row(1)
        assert observed.sets[REPOSITORY_ID] == rows(1, 2)
        made = played.kube.objects[(APPLICATION_SETS.plural, "argocd", "preview-shop")]
        assert sets.rows_of(made) == rows(1, 2)
        assert REPOSITORY_ID in played.woken


async def test_an_older_or_the_same_generation_is_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1, generation=2))
        for generation in (1, 2):
            with pytest.raises(Doubt, match="not newer"):
                await played.engine.serve(rows(1, generation=generation))


async def test_a_set_that_could_not_be_written_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1))
        played.kube.broken = RetryLater("Kubernetes is away.")
        with pytest.raises(RetryLater):
            await played.engine.serve(rows(1, 2, generation=2))
        played.kube.broken = None
        found = played.engine.answer("preview-shop", PLATFORM)
        assert found is not None
        assert [r["number"] for r in found] == ["1"]
        await played.engine.serve(rows(1, 2, generation=2))


async def test_a_row_that_is_missing_deletes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1))
        await until(played.seen)
        await played.engine.serve(rows(generation=2))
        await until(lambda: sets.REFRESH not in played.kube.objects[("applicationsets", "argocd", "preview-shop")]["metadata"]["annotations"])  # fmt: skip
        assert played.application()
        assert played.kube.deleted == []


async def test_removal_wants_the_row_out_and_argo_cd_to_have_worked_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        engine = played.engine
        await engine.serve(rows(1))
        await until(played.seen)
        uid = (await engine.observe()).previews[ONE].uid
        with pytest.raises(Doubt, match="still served"):
            await engine.remove(ONE, uid)
        played.argo.asleep = True
        await engine.serve(rows(generation=2))
        with pytest.raises(RetryLater, match="not yet worked without"):
            await engine.remove(ONE, uid)
        assert played.application()
        played.argo.asleep = False
        with pytest.raises(Doubt, match="another one"):
            await engine.remove(ONE, "another uid")
        await engine.remove(ONE, uid)
        assert played.kube.deleted == [("applications", "preview-shop-1")]
        await until(lambda: not engine._watchers and not played.application())
        assert (await engine.receipt(ONE)).clean


async def test_the_receipt_names_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(generation=1))
        labels = {**FRAME.labels(), sets.REPOSITORY_ID: str(REPOSITORY_ID), sets.NUMBER: "1"}
        played.kube.put(NAMESPACES.plural, namespace_of("preview-shop-1", labels))
        volume = {"metadata": {"name": "disk"}, "spec": {"claimRef": {"namespace": "preview-shop-1"}}}
        played.kube.put("persistentvolumes", volume)
        found = await played.engine.receipt(ONE)
        assert found.left == ("namespace preview-shop-1", "PersistentVolume disk")
        assert found.unverified


async def test_nothing_is_said_to_be_left_while_argo_cd_may_make_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1))
        await until(played.seen)
        played.argo.asleep = True
        await played.engine.serve(rows(generation=2))
        with pytest.raises(RetryLater, match="not yet worked without"):
            await played.engine.receipt(ONE)
        played.argo.asleep = False
        assert not (await played.engine.receipt(ONE)).clean, "the Application is still there"


async def test_the_receipt_finds_what_ran_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(generation=1))
        labels = {**FRAME.labels(), sets.REPOSITORY_ID: str(REPOSITORY_ID), sets.NUMBER: "1"}
        played.kube.put(NAMESPACES.plural, namespace_of("preview-store-1", labels))
        await until(lambda: ("", "preview-store-1") in played.engine._namespaces.items)
        assert (await played.engine.receipt(ONE)).left == ("namespace preview-store-1",)


async def test_what_was_removed_is_remembered_until_its_removal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        engine = played.engine
        await engine.serve(rows(1))
        await until(played.seen)
        made = played.application() or {}
        made["status"] = {"resources": [{"kind": "ClusterRole", "name": "wide"}, {"kind": "Service", "namespace": "n"}]}
        uid = (await engine.observe()).previews[ONE].uid
        gone = Withdrawal(ONE, Cause.CLOSED, NOW)
        await engine.serve(rows(generation=2, ledger=Ledger(withdrawals=(gone,))))
        await until(lambda: engine._sets.refresh("preview-shop").fetched == 2)
        await engine.remove(ONE, uid)
        await engine.serve(rows(2, generation=3, ledger=Ledger(withdrawals=(gone,))))
        assert "ClusterRole wide" in (await engine.receipt(ONE)).unverified
        await engine.serve(rows(2, generation=4, ledger=Ledger(withdrawals=(replace(gone, told=True),))))
        assert "ClusterRole wide" not in (await engine.receipt(ONE)).unverified


async def test_a_restart_finds_rows_ledger_and_generation_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    ledger = Ledger(withdrawals=(Withdrawal(Identity(REPOSITORY_ID, 9), Cause.CLOSED, NOW),))
    async with play(monkeypatch, kube) as played:
        await played.engine.serve(rows(1, generation=7, ledger=ledger))
        await until(played.seen)
        uid = played.application()["metadata"]["uid"]  # type: ignore[index]
    async with play(monkeypatch, kube) as played:
        observed = await played.engine.observe()
        assert observed.sets[REPOSITORY_ID] == rows(1, generation=7, ledger=ledger)
        assert observed.previews[ONE].uid == uid
        with pytest.raises(Doubt):
            await played.engine.serve(rows(generation=7))
    assert kube.deleted == []


async def test_a_standby_waits_until_the_lease_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    async with play(monkeypatch, kube):
        monkeypatch.setattr(Kube, "open", lambda kubeconfig: kube)
        async with ArgoEngine(replace(SETTINGS, holder="pod-2"), lambda repository_id: None) as second:
            waiting = asyncio.create_task(second.lead())
            await asyncio.sleep(0.3)
            assert not waiting.done()
            assert not second.answers
            with pytest.raises(Doubt):
                await second.serve(rows(1))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def test_argo_cds_policy_that_deletes_stops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch, deletes=True) as played:
        with pytest.raises(Doubt, match="whole controller wins"):
            await played.engine.observe()
        with pytest.raises(Doubt, match="whole controller wins"):
            await played.engine.serve(rows(1))
        with pytest.raises(Doubt, match="whole controller wins"):
            played.engine.answer("preview-shop", PLATFORM)


async def test_rows_carry_the_installation_that_made_them_whatever_the_configuration_says_by_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with play(monkeypatch) as played:
        await played.engine.serve(rows(1, 2))
        before = played.engine.answer("preview-shop", PLATFORM)
        assert played.engine.answer("preview-shop", replace(PLATFORM, installation="prod")) == before


async def test_an_unknown_set_is_told_apart_from_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with play(monkeypatch) as played:
        assert played.engine.answer("preview-other", PLATFORM) is None
        await played.engine.serve(rows())
        assert played.engine.answer("preview-shop", PLATFORM) == []


async def test_another_installations_objects_are_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    for name, number in (("preview-shop-1", "1"), ("staging-shop-2", "2")):
        labels = {sets.MANAGED: "greenroom", sets.INSTALLATION: "other", sets.REPOSITORY_ID: str(REPOSITORY_ID)}
        annotations = {sets.ROW: "a row of another version"}
        metadata = {"name": name, "namespace": "argocd", "labels": {**labels, sets.NUMBER: number}}
        kube.put(APPLICATIONS.plural, {"metadata": {**metadata, "annotations": annotations}, "spec": {}})
    theirs = {"metadata": {"name": "preview-shop", "namespace": "argocd", "labels": {}, "annotations": {}}, "spec": {}}
    kube.put(APPLICATION_SETS.plural, theirs)
    async with play(monkeypatch, kube) as played:
        observed = await played.engine.observe()
        assert observed.foreign == {ONE: "other"}
        assert (observed.previews, observed.doubts) == ({}, {})
        with pytest.raises(Failed, match="is not ours"):
            await played.engine.serve(rows(1))


async def test_namespaces_that_previews_could_want_are_told_with_their_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    labels = {**FRAME.labels(), sets.REPOSITORY_ID: "7", sets.NUMBER: "3"}
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-3", labels))
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-4", {}))
    kube.put(NAMESPACES.plural, namespace_of("kube-system", {}))
    async with play(monkeypatch, kube) as played:
        found = (await played.engine.observe()).namespaces
    assert found == {"preview-shop-3": Identity(7, 3), "preview-shop-4": None}
