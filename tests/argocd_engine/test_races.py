"""Two things at once, and things cut in half: what Argo CD fetched is known or asked for again, nobody's place is taken."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from argocd_engine.cluster_state import stored
from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import FRAME, ONE, Played, play, preview_set
from argocd_engine.test_engine import QUICK as ENGINE_QUICK
from builders import NOW, PLATFORM, REPOSITORY_ID, SERVICE, changed, spec
from greenroom.argocd import applicationset, packing
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, LEASES, Kind, Object
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.timing import Timing
from greenroom.core.model.catalog import Manifest
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Withdrawal
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, Failed, RetryLater, TooLarge
from waiting import idle, until

QUICK = replace(ENGINE_QUICK, taken_over=0.3)


class Interrupted(FakeKube):
    """Argo CD asks in the middle of a write, which then fails."""

    meanwhile: Any = None

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        if self.meanwhile:
            call, self.meanwhile = self.meanwhile, None
            call()
            raise RetryLater("cut")
        return await super().apply(kind, namespace, name, body)


async def test_what_was_fetched_of_a_set_that_could_not_be_written_counts_for_nothing() -> None:
    kube = Interrupted()
    async with play(kube) as played:
        engine = played.engine
        await engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        uid = (await engine.observe()).previews[ONE].uid
        await until(lambda: not wished(played))
        played.argo.asleep = True
        kube.meanwhile = lambda: engine.answer("preview-shop", PLATFORM)
        with pytest.raises(RetryLater):
            await engine.serve(preview_set(2, generation=2))
        assert numbers(played) == ["1", "2"], "and asked again, with the older rows, as generation 1"
        await engine.serve(preview_set(generation=2))
        wished(played, take_off=True)  # a pass that had asked before ends now
        with pytest.raises(RetryLater, match="has not yet processed the removal"):
            await engine.remove(ONE, uid)
        played.argo.asleep = False
        await until(lambda: played.parts.refreshes.named("preview-shop").fetched == 2)
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
async def test_our_own_write_whose_answer_was_lost_is_not_another_instances(repository_id: int) -> None:
    kube = Lost()
    async with play(kube) as played:
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 1))
        kube.lost = True
        with pytest.raises(RetryLater):
            await played.engine.serve(PreviewSet(repository_id, "shop", 2))
        await played.engine.serve(PreviewSet(repository_id, "shop", 2))
        assert (await played.engine.observe()).sets[repository_id].generation == 2


async def test_a_change_is_not_held_up_by_a_push_that_waits_long() -> None:
    kube = FakeKube()
    kube.put(APPLICATION_SETS.plural, {"metadata": {"name": "s", "namespace": "a", "annotations": {}}})
    refresh = Refresh(kube, "a", "s", Timing(refresh_pauses=(0.02, 30.0)))  # type: ignore[arg-type]
    refresh.push(1)
    await until(lambda: annotation(kube) == "1.1")
    await idle()
    refresh.push(2)
    await until(lambda: annotation(kube) == "2.1", 1)
    await refresh.aclose()


async def test_two_installations_with_prefixes_alike_do_not_see_each_others_previews() -> None:
    kube = FakeKube()
    labels = {**replace(FRAME, installation="other").labels(), applicationset.REPOSITORY: "shop"}
    labels |= {applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: "1"}
    for name in ("preview-b-shop-1", "preview-shop-2"):
        number = name.rpartition("-")[2]
        metadata = {"name": name, "namespace": "argocd", "labels": {**labels, applicationset.NUMBER: number}}
        metadata["annotations"] = {applicationset.ROW: packing.packed(spec(1))}
        kube.put(APPLICATIONS.plural, {"metadata": metadata, "spec": {}})
    async with play(kube) as played:
        assert {i.number for i in (await played.engine.observe()).other_installations} == {2}, "theirs under our name"
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        assert set((await played.engine.observe()).previews) == {ONE}


async def test_a_repository_created_again_under_its_old_name_does_not_take_the_old_ones_specs() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        with pytest.raises(Failed, match=r"GitHub ID 7; the current one has 8"):
            await played.engine.serve(PreviewSet(8, "shop", 1, {}))
        assert stored(played.kube) == preview_set(1)
        assert numbers(played) == ["1"]


async def test_recreated_repository_takes_the_application_set_over_once_nothing_of_the_old_one_is_left() -> None:
    async with play() as played:
        played.argo.asleep = True
        await played.engine.serve(preview_set(1))
        going = Withdrawal(ONE, Cause.RELEASED, NOW)
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {}, Ledger((going,))))
        with pytest.raises(Failed, match="earlier repository with that name"):
            await played.engine.serve(PreviewSet(8, "shop", 3, {}))
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 3, {}, Ledger((replace(going, told=True),))))
        new = PreviewSet(8, "shop", 4, {1: changed(spec(1), repository_id=8)})
        await played.engine.serve(new)
        assert stored(played.kube) == new
        assert (await played.engine.observe()).sets == {8: new}
        assert len(played.engine.answer("preview-shop", PLATFORM) or []) == 1


async def test_previews_that_come_while_one_is_looked_at_are_no_accident() -> None:
    async with play() as played:
        played.argo.asleep = True
        await played.engine.serve(preview_set(1, 2, 3))
        found = played.engine.answer("preview-shop", PLATFORM) or []
        played.argo.application("argocd", kept(played.kube), found[0])
        observing = asyncio.create_task(played.engine.observe())
        for each in found[1:]:
            played.argo.application("argocd", kept(played.kube), each)
            await asyncio.sleep(0)
        await observing
        await until(lambda: len(played.parts.watchers.known) == 3)
        assert set((await played.engine.observe()).previews) == {Identity(REPOSITORY_ID, n) for n in (1, 2, 3)}


async def test_stopped_instance_releases_the_lease_for_good() -> None:
    kube = FakeKube()
    async with play(kube, timing=replace(QUICK, lease_renewal=0.0)):
        pass
    await idle()
    lease = kube.objects[LEASES.plural, "argocd", "greenroom-test"]
    assert lease["spec"]["holderIdentity"] == ""


async def test_spec_too_large_for_an_annotation_is_named_and_nothing_is_written() -> None:
    words = random.Random(1)
    noise = " ".join(f"{words.getrandbits(64):x}" for _ in range(40_000))
    large = changed(spec(2), services=(replace(SERVICE, manifests=(Manifest("noise", (noise,)),)),))
    async with play() as played:
        await played.engine.serve(preview_set(1))
        with pytest.raises(TooLarge, match=r"at most 240000 bytes\): shop#2 \(\d+ bytes\)") as caught:
            await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1), 2: large}))
        assert caught.value.numbers == {2}
        assert stored(played.kube) == preview_set(1)
        assert numbers(played) == ["1"]
        await played.engine.serve(preview_set(generation=2))
        assert numbers(played) == []


async def test_a_set_that_a_person_deleted_or_changed_is_written_again() -> None:
    async with play(timing=replace(QUICK, repair_every=0.02)) as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        key = (APPLICATION_SETS.plural, "argocd", "preview-shop")

        def whole() -> bool:
            return key in played.kube.objects and applicationset.carries(kept(played.kube), preview_set(1), {1: 1})

        played.kube.remove(*key)
        played.kube.remove(APPLICATIONS.plural, "argocd", "preview-shop-1")
        await until(whole)
        await until(played.seen)
        kept(played.kube)["metadata"]["annotations"][applicationset.INDEX] = "broken"
        await until(whole)
        kept(played.kube)["spec"]["syncPolicy"] = {"applicationsSync": "sync"}
        await until(whole)
        kept(played.kube)["metadata"]["labels"][applicationset.INSTALLATION] = "other"
        read = played.kube.reads
        await until(lambda: played.kube.reads > read + 5)
        assert kept(played.kube)["metadata"]["labels"][applicationset.INSTALLATION] == "other", (
            "what is another's stays theirs"
        )


async def test_a_preview_asked_for_again_while_its_removal_waits_is_not_removed() -> None:
    async with play() as played:
        engine = played.engine
        await engine.serve(preview_set(1))
        await until(played.seen)
        uid = (await engine.observe()).previews[ONE].uid
        played.argo.asleep = True
        await engine.serve(preview_set(generation=2))
        removing = asyncio.create_task(engine.remove(ONE, uid))
        await idle()
        await engine.serve(preview_set(1, generation=3))
        played.argo.asleep = False
        with pytest.raises(Doubt, match="still exists"):
            await removing
        assert played.kube.deleted == []


def numbers(played: Played) -> list[str]:
    return [r["number"] for r in played.engine.answer("preview-shop", PLATFORM) or ()]


def kept(kube: FakeKube) -> Object:
    return kube.objects[APPLICATION_SETS.plural, "argocd", "preview-shop"]


def wished(played: Played, *, take_off: bool = False) -> str:
    annotations = kept(played.kube)["metadata"]["annotations"]
    found = str(annotations.get(applicationset.REFRESH, ""))
    if take_off:
        annotations.pop(applicationset.REFRESH, None)
    return found


def annotation(kube: FakeKube) -> str:
    return str(
        kube.objects[APPLICATION_SETS.plural, "a", "s"]["metadata"]["annotations"].get(applicationset.REFRESH, "")
    )
