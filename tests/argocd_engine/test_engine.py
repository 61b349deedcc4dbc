"""The four verbs against an API in memory: what is served, what is removed, and what a restart finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from argocd_engine.cluster_state import stored
from argocd_engine.fake import Connection, FakeArgo, FakeKube, namespace_of
from builders import NOW, PLATFORM, REPOSITORY_ID, changed, spec
from greenroom.argocd import applicationset
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, NAMESPACES
from greenroom.argocd.clusters import Connect
from greenroom.argocd.engine import ArgoEngine
from greenroom.argocd.parts import EVERY, Parts
from greenroom.argocd.settings import ArgoSettings
from greenroom.argocd.timing import Timing
from greenroom.core.model.engine import Cause, Health, Ledger, PreviewSet, Withdrawal
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, Failed, RetryLater
from waiting import idle, until

FRAME = InstallationSpec(
    "test", "preview", "argocd", "greenroom-previews", "in-cluster", "oci://r.example.com/charts/preview", "p"
)
SETTINGS = ArgoSettings(FRAME, "0.1.0", "https", "none", "", "", "pod-1", logs=True)
QUICK = Timing(canary_patience=2.0, taken_over=0.5, canary_retry=0.05)
ONE = Identity(REPOSITORY_ID, 1)


@dataclass
class Played:
    kube: FakeKube
    engine: ArgoEngine
    argo: FakeArgo
    woken: list[int]

    @property
    def parts(self) -> Parts:
        """The parts of the engine: what runs once a minute is called by the test, and what takes a while is seen."""
        return self.engine._parts

    def application(self, name: str = "preview-shop-1") -> dict[str, Any] | None:
        return self.kube.objects.get((APPLICATIONS.plural, "argocd", name))

    def seen(self, name: str = "preview-shop-1") -> bool:
        """Whether the engine's own copy has the Application too."""
        return ("argocd", name) in self.parts.copies.applications.items


def connecting(kube: Any) -> Connect:
    """A connection to this API, whatever the kubeconfig says."""
    return lambda kubeconfig: kube


@asynccontextmanager
async def play(
    kube: FakeKube | None = None,
    *,
    deletes: bool = False,
    leads: bool = True,
    line: Connection | None = None,
    settings: ArgoSettings = SETTINGS,
    timing: Timing = QUICK,
) -> AsyncIterator[Played]:
    kube = kube or FakeKube()
    woken: list[int] = []
    async with ArgoEngine(settings, woken.append, timing, connecting(line or kube)) as engine:
        argo = FakeArgo(kube, lambda name: engine.answer(name, PLATFORM), deletes)
        running = asyncio.create_task(argo.run())
        try:
            if leads:
                await engine.lead()
            yield Played(kube, engine, argo, woken)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def preview_set(*numbers: int, generation: int = 1, ledger: Ledger | None = None) -> PreviewSet:
    return PreviewSet(REPOSITORY_ID, "shop", generation, {n: spec(n) for n in numbers}, ledger or Ledger())


async def test_what_is_only_remembered_with_a_spec_is_no_update() -> None:
    async with play() as played:
        old = changed(spec(1), asleep=True)  # ready without a pod
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 1, {1: old}))
        await until(played.seen)
        assert (await played.engine.observe()).previews[ONE].health is Health.READY
        played.argo.asleep = True
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: changed(old, holders=(("db", "c1"),))}))
        assert (await played.engine.observe()).previews[ONE].health is Health.READY
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 3, {1: changed(old, retry=1)}))
        assert (await played.engine.observe()).previews[ONE].health is Health.STARTING


async def test_before_it_leads_it_answers_nothing_and_knows_nothing() -> None:
    async with play(leads=False) as played:
        with pytest.raises(Doubt):
            played.engine.answer("preview-shop", PLATFORM)
        with pytest.raises(Doubt):
            await played.engine.observe()
        assert not played.engine.answers


async def test_until_the_policy_is_proved_it_says_that_it_cannot_act_why_and_what_helps() -> None:
    timing = replace(QUICK, canary_patience=0.5, canary_retry=0.1)
    kube, woken = FakeKube(), list[int]()
    async with ArgoEngine(SETTINGS, woken.append, timing, connecting(kube)) as engine:
        await engine.lead()
        unable = (await engine.observe()).unable
        assert unable.startswith(
            "Greenroom cannot start, change or remove previews right now. Argo CD did not request the specs of "
        )
        assert unable.endswith("set `plugin.baseUrl` in the values of the Greenroom chart.")
        with pytest.raises(Doubt, match="did not request the specs"):
            await engine.serve(preview_set(1))
        with pytest.raises(Doubt, match="did not request the specs"):
            await engine.remove(ONE, "uid")
        with pytest.raises(Doubt, match="did not request the specs"):
            engine.answer("preview-shop", PLATFORM)
        woken.clear()
        running = asyncio.create_task(FakeArgo(kube, lambda name: engine.answer(name, PLATFORM), False).run())
        await until(lambda: EVERY in woken)
        assert not (await engine.observe()).unable
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_served_becomes_applications_and_is_observed_with_its_spec() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        observed = await played.engine.observe()
        assert set(observed.previews) == {ONE, Identity(REPOSITORY_ID, 2)}
        assert observed.previews[ONE].spec == spec(1)
        assert observed.sets[REPOSITORY_ID] == preview_set(1, 2)
        assert stored(played.kube) == preview_set(1, 2)
        assert REPOSITORY_ID in played.woken


async def test_an_older_or_the_same_generation_is_doubt() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1, generation=2))
        for generation in (1, 2):
            with pytest.raises(Doubt, match="not newer"):
                await played.engine.serve(preview_set(1, generation=generation))


async def test_a_set_that_could_not_be_written_is_not_served() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        played.kube.broken = RetryLater("Kubernetes is away.")
        with pytest.raises(RetryLater):
            await played.engine.serve(preview_set(1, 2, generation=2))
        played.kube.broken = None
        found = played.engine.answer("preview-shop", PLATFORM)
        assert found is not None
        assert [r["number"] for r in found] == ["1"]
        await played.engine.serve(preview_set(1, 2, generation=2))


async def test_a_spec_that_is_missing_deletes_nothing() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        await played.engine.serve(preview_set(generation=2))
        await until(lambda: applicationset.REFRESH not in played.kube.objects[("applicationsets", "argocd", "preview-shop")]["metadata"]["annotations"])  # fmt: skip
        assert played.application()
        assert played.kube.deleted == []


async def test_removal_wants_the_spec_out_and_argo_cd_to_have_worked_without_it() -> None:
    async with play() as played:
        engine = played.engine
        await engine.serve(preview_set(1))
        await until(played.seen)
        uid = (await engine.observe()).previews[ONE].uid
        with pytest.raises(Doubt, match="still exists"):
            await engine.remove(ONE, uid)
        played.argo.asleep = True
        await engine.serve(preview_set(generation=2))
        with pytest.raises(RetryLater, match="has not yet processed the removal"):
            await engine.remove(ONE, uid)
        assert played.application()
        played.argo.asleep = False
        with pytest.raises(Doubt, match="replaced by another one"):
            await engine.remove(ONE, "another uid")
        await engine.remove(ONE, uid)
        assert played.kube.deleted == [("applications", "preview-shop-1")]
        await until(lambda: not played.parts.watchers.known and not played.application())
        assert (await engine.receipt(ONE)).clean


async def test_the_receipt_names_what_is_left() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(generation=1))
        labels = {**FRAME.labels(), applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: "1"}
        played.kube.put(NAMESPACES.plural, namespace_of("preview-shop-1", labels))
        volume = {"metadata": {"name": "disk"}, "spec": {"claimRef": {"namespace": "preview-shop-1"}}}
        played.kube.put("persistentvolumes", volume)
        found = await played.engine.receipt(ONE)
        assert found.left == ("namespace preview-shop-1", "PersistentVolume disk")
        assert found.unverified


async def test_nothing_is_reported_as_left_while_argo_cd_may_make_it_again() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        played.argo.asleep = True
        await played.engine.serve(preview_set(generation=2))
        with pytest.raises(RetryLater, match="has not yet processed the removal"):
            await played.engine.receipt(ONE)
        played.argo.asleep = False
        assert not (await played.engine.receipt(ONE)).clean, "the Application is still there"


async def test_the_receipt_finds_what_ran_under_another_name() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(generation=1))
        labels = {**FRAME.labels(), applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: "1"}
        played.kube.put(NAMESPACES.plural, namespace_of("preview-store-1", labels))
        await until(lambda: ("", "preview-store-1") in played.parts.copies.namespaces.items)
        assert (await played.engine.receipt(ONE)).left == ("namespace preview-store-1",)


async def test_what_was_removed_is_remembered_until_its_removal_is_reported() -> None:
    async with play() as played:
        engine = played.engine
        await engine.serve(preview_set(1))
        await until(played.seen)
        made = played.application() or {}
        made["status"] = {"resources": [{"kind": "ClusterRole", "name": "wide"}, {"kind": "Service", "namespace": "n"}]}
        uid = (await engine.observe()).previews[ONE].uid
        gone = Withdrawal(ONE, Cause.CLOSED, NOW)
        await engine.serve(preview_set(generation=2, ledger=Ledger(withdrawals=(gone,))))
        await until(lambda: played.parts.refreshes.named("preview-shop").fetched == 2)
        await engine.remove(ONE, uid)
        await engine.serve(preview_set(2, generation=3, ledger=Ledger(withdrawals=(gone,))))
        assert "ClusterRole wide" in (await engine.receipt(ONE)).unverified
        await engine.serve(preview_set(2, generation=4, ledger=Ledger(withdrawals=(replace(gone, told=True),))))
        assert "ClusterRole wide" not in (await engine.receipt(ONE)).unverified


async def test_a_restart_finds_specs_ledger_and_generation_and_changes_nothing() -> None:
    kube = FakeKube()
    ledger = Ledger(withdrawals=(Withdrawal(Identity(REPOSITORY_ID, 9), Cause.CLOSED, NOW),))
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, generation=7, ledger=ledger))
        await until(played.seen)
        uid = played.application()["metadata"]["uid"]  # type: ignore[index]
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert observed.sets[REPOSITORY_ID] == preview_set(1, generation=7, ledger=ledger)
        assert observed.previews[ONE].uid == uid
        with pytest.raises(Doubt):
            await played.engine.serve(preview_set(generation=7))
    assert kube.deleted == []


async def test_a_standby_waits_until_the_lease_is_given_up() -> None:
    kube = FakeKube()
    async with play(kube):
        follower = replace(SETTINGS, holder="pod-2")
        async with ArgoEngine(follower, lambda repository_id: None, QUICK, connecting(kube)) as second:
            waiting = asyncio.create_task(second.lead())
            await idle()
            assert not waiting.done()
            assert not second.answers
            with pytest.raises(Doubt):
                await second.serve(preview_set(1))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def test_argo_cds_policy_that_deletes_stops_everything() -> None:
    async with play(deletes=True) as played:
        assert "controller-wide policy" in (await played.engine.observe()).unable
        with pytest.raises(Doubt, match="controller-wide policy"):
            await played.engine.serve(preview_set(1))
        with pytest.raises(Doubt, match="controller-wide policy"):
            played.engine.answer("preview-shop", PLATFORM)


async def test_specs_carry_the_installation_that_made_them_whatever_the_configuration_says_by_now() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1, 2))
        before = played.engine.answer("preview-shop", PLATFORM)
        assert played.engine.answer("preview-shop", replace(PLATFORM, installation="prod")) == before


async def test_an_unknown_set_is_distinguished_from_an_empty_one() -> None:
    async with play() as played:
        assert played.engine.answer("preview-other", PLATFORM) is None
        await played.engine.serve(preview_set())
        assert played.engine.answer("preview-shop", PLATFORM) == []


async def test_objects_of_another_installation_are_recognized() -> None:
    kube = FakeKube()
    for name, number in (("preview-shop-1", "1"), ("staging-shop-2", "2")):
        labels = {
            applicationset.MANAGED: "greenroom",
            applicationset.INSTALLATION: "other",
            applicationset.REPOSITORY_ID: str(REPOSITORY_ID),
        }
        annotations = {applicationset.ROW: "a row of another version"}
        metadata = {"name": name, "namespace": "argocd", "labels": {**labels, applicationset.NUMBER: number}}
        kube.put(APPLICATIONS.plural, {"metadata": {**metadata, "annotations": annotations}, "spec": {}})
    theirs = {"metadata": {"name": "preview-shop", "namespace": "argocd", "labels": {}, "annotations": {}}, "spec": {}}
    kube.put(APPLICATION_SETS.plural, theirs)
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert observed.other_installations == {ONE: "other"}
        assert (observed.previews, observed.doubts) == ({}, {})
        with pytest.raises(Failed, match="does not belong to this installation"):
            await played.engine.serve(preview_set(1))


async def test_namespaces_that_previews_could_want_are_reported_with_their_owners() -> None:
    kube = FakeKube()
    labels = {**FRAME.labels(), applicationset.REPOSITORY_ID: "7", applicationset.NUMBER: "3"}
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-3", labels))
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-4", {}))
    kube.put(NAMESPACES.plural, namespace_of("kube-system", {}))
    async with play(kube) as played:
        found = (await played.engine.observe()).namespaces
    assert found == {"preview-shop-3": Identity(7, 3), "preview-shop-4": None}
