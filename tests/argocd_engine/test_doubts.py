"""Something of ours that cannot be read: doubt about that preview or repository, told; all others go on."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from argocd_engine.cluster_state import stored, the_preview, the_set
from argocd_engine.fake import FakeKube, namespace_of
from argocd_engine.test_engine import FRAME, ONE, SETTINGS, play, preview_set
from builders import PLATFORM, REPOSITORY_ID, changed, spec
from greenroom.argocd import applicationset
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, NAMESPACES, PREVIEWS
from greenroom.core.model.engine import Health, PreviewSet, Recovery
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, Failed
from waiting import until

OTHER = Identity(8, 1)
OTHERS = PreviewSet(8, "other", 1, {1: changed(spec(1), repository_id=8, repository="other", names=replace(spec(1).names, name="preview-other-1", namespace="preview-other-1"))})  # fmt: skip


async def kept() -> FakeKube:
    """A cluster in which an instance served two repositories, and ended."""
    async with play() as played:
        await played.engine.serve(preview_set(1, 2))
        await played.engine.serve(OTHERS)
        await until(lambda: all(map(played.seen, ("preview-shop-1", "preview-shop-2", "preview-other-1"))))
        return played.kube


def edit(kube: FakeKube, name: str = "shop-1") -> dict[str, Any]:
    """A person edits what an object stores. Returns the object as it was."""
    before = copy.deepcopy(the_preview(kube, name))
    the_preview(kube, name)["spec"]["build"]["headSha"] = "f" * 40
    return before


def break_spec(kube: FakeKube, name: str = "preview-shop-1") -> None:
    found = kube.objects[APPLICATIONS.plural, "argocd", name]
    found["metadata"]["annotations"][applicationset.ROW] = "broken"
    kube.put(APPLICATIONS.plural, found)


async def test_a_spec_that_cannot_be_read_is_doubt_about_its_preview_alone() -> None:
    kube = await kept()
    break_spec(kube)
    async with play(kube) as played:
        played.argo.asleep = True
        observed = await played.engine.observe()
        found = observed.previews[ONE]
        assert (found.health, found.spec) == (Health.FAILED, spec(1))
        assert "The annotation greenroom.dev/row of the Application preview-shop-1 cannot be read" in found.why
        assert "Restore the annotation, or delete the Application" in found.why
        assert set(observed.previews) == {ONE, Identity(REPOSITORY_ID, 2), OTHER}
        assert observed.doubts == {}


async def test_what_can_no_longer_be_read_is_reported_once() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        assert (await played.engine.observe()).previews[ONE].why == ""
        played.argo.asleep = True
        break_spec(played.kube)
        await until(lambda: played.parts.watchers.known["preview-shop-1"].broken)
        assert "cannot be read" in (await played.engine.observe()).previews[ONE].why


async def test_a_spec_that_cannot_be_read_and_is_not_served_is_doubt_about_its_repository_alone() -> None:
    kube = await kept()
    async with play(kube) as played:
        await played.engine.serve(preview_set(2, generation=2))
    break_spec(kube)
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert set(observed.doubts) == {REPOSITORY_ID}
        assert "Application preview-shop-1 cannot be read" in observed.doubts[REPOSITORY_ID]
        assert OTHER in observed.previews


async def test_specs_of_a_set_that_cannot_be_read_are_private_to_those_that_link_to_them() -> None:
    async with play() as played:
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 1, {1: spec(1, private=False)}))
        await until(lambda: played.seen("preview-shop-1"))
        kube = played.kube
    edit(kube)
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert set(observed.doubts) == {REPOSITORY_ID}
        assert observed.sets[REPOSITORY_ID].specs == {1: spec(1, private=True)}


async def test_a_set_that_cannot_be_read_is_doubt_about_its_repository_alone() -> None:
    kube = await kept()
    edit(kube)
    async with play(kube) as played:
        engine, observed = played.engine, await played.engine.observe()
        why = "The Preview shop-1 cannot be read"
        assert set(observed.doubts) == {REPOSITORY_ID}
        assert why in observed.doubts[REPOSITORY_ID]
        assert "Restore the object. If you cannot, delete it" in observed.doubts[REPOSITORY_ID]
        assert observed.sets[REPOSITORY_ID].specs == {1: spec(1), 2: spec(2)}, "for those that link to them"
        with pytest.raises(Doubt, match=why):
            engine.answer("preview-shop", PLATFORM)
        with pytest.raises(Doubt, match=why):
            await engine.serve(preview_set(1))
        with pytest.raises(Doubt, match=why):
            await engine.remove(ONE, observed.previews[ONE].uid)
        assert the_preview(kube)["spec"]["build"]["headSha"] == "f" * 40, "as the person left it"
        await engine.serve(replace(OTHERS, generation=2))
        assert [r["name"] for r in engine.answer("preview-other", PLATFORM) or ()] == ["preview-other-1"]


async def test_its_repository_is_known_by_its_applications_too() -> None:
    kube = await kept()
    the_set(kube)["metadata"]["annotations"][applicationset.INDEX] = "edited"
    del the_set(kube)["metadata"]["labels"][applicationset.REPOSITORY_ID]
    del the_set(kube)["metadata"]["labels"][applicationset.REPOSITORY]
    async with play(kube) as played:
        assert set((await played.engine.observe()).doubts) == {REPOSITORY_ID}


async def test_a_set_that_a_person_put_back_is_read_without_a_restart() -> None:
    kube = await kept()
    before = edit(kube)
    async with play(kube) as played:
        await played.parts.upkeep.repair()
        assert (await played.engine.observe()).doubts
        kube.put(PREVIEWS.plural, before)
        await until(lambda: (played.parts.objects.of(ONE) or {})["spec"] == before["spec"])
        played.woken.clear()
        await played.parts.upkeep.repair()
        assert REPOSITORY_ID in played.woken
        observed = await played.engine.observe()
        assert (observed.doubts, observed.sets[REPOSITORY_ID]) == ({}, preview_set(1, 2))
        await played.engine.serve(preview_set(1, generation=2))


async def test_an_edited_object_that_a_person_deletes_is_written_again_from_what_runs() -> None:
    kube = await kept()
    edit(kube)
    async with play(kube) as played:
        kube.remove(PREVIEWS.plural, "argocd", "shop-1")
        await until(lambda: played.parts.objects.of(ONE) is None)
        await played.parts.upkeep.repair()
        observed = await played.engine.observe()
        assert observed.doubts == {}
        assert observed.sets[REPOSITORY_ID] == replace(preview_set(1, 2), recovery=Recovery())
        await played.parts.upkeep.repair()
        assert stored(kube) == replace(preview_set(1, 2), recovery=Recovery())


async def test_sets_of_another_name_prefix_are_doubt() -> None:
    kube = await kept()
    settings = replace(SETTINGS, frame=replace(FRAME, prefix="review"))
    async with play(kube, settings=settings) as played:
        observed = await played.engine.observe()
        assert set(observed.doubts) == {REPOSITORY_ID, 8}
        assert (
            "The ApplicationSet preview-shop was created with a different `namePrefix:`"
            in observed.doubts[REPOSITORY_ID]
        )
        with pytest.raises(Doubt, match="namePrefix"):
            await played.engine.serve(preview_set(1, generation=2))


@pytest.mark.parametrize("what", ["chart", "destination", "project"])
async def test_previews_of_another_chart_cluster_or_project_are_doubt(what: str) -> None:
    """A spec does not say these: writing the set would move every preview at once."""
    kube = await kept()
    before = the_set(kube)["spec"]
    other: dict[str, Any] = {"chart": "oci://other.example.com/preview", "destination": "other", "project": "other"}
    settings = replace(SETTINGS, frame=replace(FRAME, **{what: other[what]}))
    async with play(kube, settings=settings) as played:
        assert "were created from" in (await played.engine.observe()).doubts[REPOSITORY_ID]
        with pytest.raises(Doubt, match="To change `argocd:`, first restore its old value"):
            await played.engine.serve(replace(preview_set(1), generation=9))
        await played.parts.upkeep.repair()
    assert the_set(kube)["spec"] == before


async def test_a_set_that_render_made_says_what_to_do_first() -> None:
    kube = FakeKube()
    metadata = {"name": "preview-shop", "namespace": "argocd", "labels": {applicationset.RENDERED: "true"}}
    kube.put(APPLICATION_SETS.plural, {"metadata": metadata, "spec": {}})
    async with play(kube) as played:
        with pytest.raises(Failed, match="created by `greenroom render`"):
            await played.engine.serve(preview_set(1))


async def test_without_all_specs_nothing_can_be_called_an_orphan() -> None:
    kube = await kept()
    edit(kube)
    labels = {**FRAME.labels(), applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: "3"}
    kube.put(NAMESPACES.plural, namespace_of("preview-shop-3", labels))
    async with play(kube) as played:
        with pytest.raises(Doubt, match="Preview shop-1 cannot be read"):
            await played.engine.sweep()


async def test_an_accident_with_one_preview_stays_with_it() -> None:
    kube = await kept()
    odd(kube)
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert "preview-shop-1 could not be observed" in observed.previews[ONE].why
        assert set(observed.previews) == {ONE, Identity(REPOSITORY_ID, 2), OTHER}


def odd(kube: FakeKube) -> None:
    kube.objects[APPLICATIONS.plural, "argocd", "preview-shop-1"]["metadata"]["creationTimestamp"] = "yesterday"
