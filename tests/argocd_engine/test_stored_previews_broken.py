"""Attempts to break the store of previews: kills between writes, hands, backups, and API servers that answer wrongly."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from argocd_engine.cluster_state import applied_before, first_format, index, stored, the_preview, the_set
from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import FRAME, ONE, QUICK, SETTINGS, play, preview_set
from argocd_engine.test_stored_previews import GONE, Counted
from builders import NOW, PLATFORM, REPOSITORY_ID, changed, spec
from greenroom.argocd import applicationset, stored_preview
from greenroom.argocd.applicationset import INSTALLATION, NUMBER
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, PREVIEW_CONFIGS, PREVIEWS, Kind, NoSuchKind, Object
from greenroom.argocd.lease import Lease
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Recovery, Release, Withdrawal
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Identity
from greenroom.errors import Doubt, Failed, GreenroomError, NotStored, RetryLater
from waiting import idle, until

NEW_ID = 4242
TWO = Identity(REPOSITORY_ID, 2)
THREE = Identity(REPOSITORY_ID, 3)
RELEASE = Release(ONE, HoldKey(HoldKind.BREAKER, since=NOW), "ada", NOW)


def names_of(kube: FakeKube, kind: Kind = PREVIEWS) -> set[str]:
    return {name for plural, _, name in kube.objects if plural == kind.plural}


def at_rest(objects: FakeKube) -> None:
    """Greenroom does not run; what is left of the fake's connections is forgotten."""
    objects._watchers.clear()


# --- kills between writes ---


@pytest.mark.parametrize("writes", range(4))
async def test_killed_while_a_repository_takes_over_the_name_of_a_former_one_nothing_is_stuck(
    writes: int,
) -> None:
    kube = Counted()
    told = Ledger((Withdrawal(ONE, Cause.CLOSED, NOW, told=True),))
    successor = PreviewSet(NEW_ID, "shop", 3, {1: replace(spec(1), id=Identity(NEW_ID, 1))})
    async with play(kube) as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        await played.engine.serve(preview_set(generation=2, ledger=told))
        kube.remove(APPLICATIONS.plural, "argocd", "preview-shop-1")
        kube.writes, kube.ends_after = [], writes
        with contextlib.suppress(RetryLater):
            await played.engine.serve(successor)
    kube.writes = kube.ends_after = None
    async with play(kube) as again:
        observed = await again.engine.observe()
        generation = max(s.generation for s in observed.sets.values())
        if NEW_ID not in observed.sets:
            await again.engine.serve(replace(successor, generation=generation + 1))
        assert not again.engine.lost.done(), again.engine.lost.result()
        assert [r["number"] for r in again.engine.answer("preview-shop", PLATFORM) or ()] == ["1"]


@pytest.mark.parametrize("writes", range(1, 6))
async def test_killed_while_a_pass_makes_the_first_write_after_the_first_format_nothing_is_stuck(
    writes: int,
) -> None:
    """The first write after an upgrade may be that of a pass: its generation is newer than that of the annotation."""
    kube, before = Counted(), preview_set(1, 2, generation=4)
    async with play(kube) as played:
        await played.engine.serve(before)
        await until(lambda: played.seen("preview-shop-2"))
    for key in [k for k in kube.objects if k[0] in (PREVIEWS.plural, PREVIEW_CONFIGS.plural)]:
        kube.remove(*key)
    applied_before(kube, first_format(FRAME, before))
    after = replace(preview_set(2, generation=5), ledger=GONE)
    kube.writes, kube.ends_after = [], writes
    async with play(kube) as played:
        played.parts.objects.changed = lambda: None  # the pass is first
        kube.writes.clear()
        with contextlib.suppress(RetryLater):
            await played.engine.serve(after)
        kube.ends_after = 0  # killed
    kube.writes = kube.ends_after = None
    objects = [o for (kind, _, name), o in kube.objects.items() if (kind, name) == (PREVIEWS.plural, "shop-1")]
    written = any(stored_preview.generation_of(o) == 5 for o in objects)
    async with play(kube) as again:
        await again.parts.upkeep.repair()
        assert not again.engine.lost.done(), again.engine.lost.result()
        found = (await again.engine.observe()).sets[REPOSITORY_ID]
        assert (1 in found.specs) != bool(found.ledger.withdrawals)
        assert bool(found.ledger.withdrawals) is written, "a withdrawal that was stored is kept"
        await again.engine.serve(replace(after, generation=found.generation + 1))
        assert not again.engine.lost.done(), again.engine.lost.result()
        assert stored(kube) == replace(after, generation=found.generation + 1)


async def with_a_loss(what: Callable[[FakeKube], object]) -> Counted:
    kube = Counted()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        nine = Withdrawal(Identity(REPOSITORY_ID, 9), Cause.UNLABELED, NOW, "ada", told=True)
        await played.engine.serve(preview_set(1, 2, generation=2, ledger=Ledger((nine,))))
    what(kube)
    return kube


@pytest.mark.parametrize("writes", range(4))
async def test_killed_while_lost_objects_are_written_again_the_loss_stays_noted(writes: int) -> None:
    """Else the next start finds all objects, and the breaker has forgotten its hour."""

    def gone(kube: FakeKube) -> None:
        for name in ("shop-1", "shop-2"):
            kube.remove(PREVIEWS.plural, "argocd", name)

    kube = await with_a_loss(gone)
    kube.writes, kube.ends_after = [], writes
    async with play(kube, timing=replace(QUICK, publish_pause=0.01)):
        await until(lambda: len(kube.writes or ()) >= writes)
        await idle()
    kube.writes = kube.ends_after = None
    async with play(kube) as again:
        assert (await again.engine.observe()).sets[REPOSITORY_ID].recovery == Recovery()


class AnswersLate(FakeKube):
    """The API server stores a write of an ApplicationSet, and answers 500."""

    fails = False

    async def apply(self, kind: Kind, *given: Any) -> Any:
        made = await super().apply(kind, *given)
        if self.fails and kind == APPLICATION_SETS:
            raise RetryLater("Kubernetes is not ready (500).")
        return made


async def test_application_set_that_was_stored_although_the_answer_was_an_error_makes_no_false_loss() -> None:
    kube = AnswersLate()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        kube.fails = True
        with pytest.raises(RetryLater):
            await played.engine.serve(replace(preview_set(1, 2, generation=2), specs={1: spec(1, retry=1), 2: spec(2)}))
        assert index(kube) == {1: 2, 2: 1}
        await played.parts.sets.restore(REPOSITORY_ID)
    async with play(kube) as again:
        assert (await again.engine.observe()).sets[REPOSITORY_ID].recovery is None


# --- people's hands ---


@pytest.mark.parametrize("running", [True, False])
async def test_label_of_the_number_changed_by_hand_mixes_no_previews(running: bool) -> None:
    kube, before = Counted(), preview_set(1, 2, generation=2)

    def relabel() -> None:
        found = copy.deepcopy(the_preview(kube))
        found["metadata"]["labels"][NUMBER] = "2"
        kube.put(PREVIEWS.plural, found)

    async with play(kube, timing=replace(QUICK, publish_pause=0.01)) as played:
        await played.engine.serve(preview_set(2))
        await played.engine.serve(before)
        await until(lambda: played.seen("preview-shop-2"))
        if running:
            kube.writes = []
            relabel()
            await until(lambda: the_preview(kube)["metadata"]["labels"][NUMBER] == "1")
            await idle()
            await played.parts.upkeep.repair()
            assert (await played.engine.observe()).sets[REPOSITORY_ID] == before
            assert stored(kube) == before
            assert len(kube.writes) < 6, "no endless writes"
    if not running:
        relabel()
    async with play(kube) as again:
        observed = await again.engine.observe()
        assert (observed.doubts, observed.sets) == ({}, {REPOSITORY_ID: before})
        await again.parts.upkeep.repair()
        assert stored(kube) == before


async def test_label_of_the_installation_taken_off_by_hand_freezes_nothing() -> None:
    async with play() as played:
        kube = played.kube
        await played.engine.serve(preview_set(1, 2))
        found = copy.deepcopy(the_preview(kube))
        del found["metadata"]["labels"][INSTALLATION]
        kube.put(PREVIEWS.plural, found)
        kube._tell(PREVIEWS.plural, "DELETED", found)  # so says a watch with a label selector
        await until(lambda: played.parts.objects.of(ONE) is None)
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1), 2: spec(2)}))
        assert stored(kube).specs[1] == spec(1, retry=1)


async def test_checksum_taken_off_by_hand_is_a_loss() -> None:
    def off(kube: FakeKube) -> None:
        del the_preview(kube, "shop-9")["spec"]["checksum"]
        del the_preview(kube, "shop-1")["spec"]["checksum"]

    kube = await with_a_loss(off)
    async with play(kube) as played:
        found = (await played.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.recovery) == ({1: spec(1), 2: spec(2)}, Recovery())


async def test_object_of_a_removed_preview_that_a_backup_brings_back_starts_nothing() -> None:
    kube = FakeKube()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        backup = copy.deepcopy(the_preview(kube))
        await played.engine.serve(preview_set(2, generation=2, ledger=GONE))
        await played.engine.serve(preview_set(2, generation=3))
        await played.parts.objects.delete(the_preview(kube))
        await until(lambda: applicationset.REFRESH not in the_set(kube)["metadata"]["annotations"])
        kube.remove(APPLICATIONS.plural, "argocd", "preview-shop-1")
    kube.put(PREVIEWS.plural, backup)
    async with play(kube) as again:
        assert (await again.engine.observe()).sets[REPOSITORY_ID].specs == {2: spec(2)}
        assert [r["number"] for r in again.engine.answer("preview-shop", PLATFORM) or ()] == ["2"]
        await again.parts.upkeep.repair()
    assert set(stored(kube).specs) == {2}


async def test_older_object_from_a_backup_replays_no_release() -> None:
    kube = FakeKube()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, ledger=Ledger(releases=(RELEASE,))))
        await until(played.seen)
        backup = copy.deepcopy(the_preview(kube))
        await played.engine.serve(preview_set(1, generation=2))
    kube.put(PREVIEWS.plural, backup)
    async with play(kube) as again:
        found = (await again.engine.observe()).sets[REPOSITORY_ID]
        assert found.recovery == Recovery()
        assert found.ledger.releases == ()


async def test_config_that_was_edited_is_written_again() -> None:
    def edited(kube: FakeKube) -> None:
        other = stored_preview.preview_config(FRAME, "argocd", changed(spec(1), settings='{"registry":"evil"}'))
        for key in [k for k in kube.objects if k[0] == PREVIEW_CONFIGS.plural]:
            kube.objects[key]["spec"] = other["spec"]

    kube = await with_a_loss(edited)
    async with play(kube) as played:
        assert (await played.engine.observe()).sets[REPOSITORY_ID].specs == {1: spec(1), 2: spec(2)}
        await played.parts.upkeep.repair()
    assert stored(kube).specs == {1: spec(1), 2: spec(2)}


# --- who fights with somebody ---


class Mutated(FakeKube):
    """An admission webhook, or an older definition, changes each Preview on its way."""

    mutates = False
    count = 0

    def put(self, plural: str, body: Object) -> Object:
        if plural == PREVIEWS.plural and self.mutates:
            self.count += 1
            body = {**body, "spec": {k: v for k, v in body["spec"].items() if k != "choices"}}
        return super().put(plural, body)


async def test_objects_that_something_else_changes_at_each_write_are_not_written_without_end() -> None:
    kube = Mutated()
    async with play(kube, timing=replace(QUICK, publish_pause=0.001)) as played:
        await played.engine.serve(preview_set(1))
        kube.mutates = True
        kube.put(PREVIEWS.plural, the_preview(kube))
        for _ in range(50):
            await played.parts.published.write()
            await idle(20)
        assert kube.count < 10


class RefusesOne(FakeKube):
    """An admission policy of the cluster refuses one object."""

    refused = ""

    def writing(self, kind: Kind, name: str) -> None:
        if kind in (PREVIEWS, PREVIEW_CONFIGS) and name == self.refused:
            raise Failed("Kubernetes rejected Greenroom's request: denied by a policy.")
        super().writing(kind, name)


@pytest.mark.parametrize("refused", ["Preview", "PreviewConfig"])
async def test_object_that_a_policy_refuses_is_named_and_the_others_are_stored(refused: str) -> None:
    kube = RefusesOne()
    async with play(kube) as played:
        await played.engine.serve(preview_set(*range(1, 21)))
        secret = changed(spec(7), settings='{"token":"looks like a secret"}')
        config = stored_preview.preview_config(FRAME, "argocd", secret)["metadata"]["name"]
        kube.refused = {"Preview": "shop-7", "PreviewConfig": config}[refused]
        pushed = {n: spec(n, retry=1) if n != 7 else secret for n in range(1, 21)}
        with pytest.raises(NotStored, match="denied by a policy") as caught:
            await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, pushed))
        assert caught.value.numbers == {7}
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {**pushed, 7: spec(7)}))
        assert stored(kube).specs == {**pushed, 7: spec(7)}


# --- what a real API server does ---


async def test_object_that_vanished_before_its_write_is_created_again() -> None:
    """A PUT of an object that does not exist is a 404, which the watch has not told yet."""
    async with play() as played:
        kube = played.kube
        await played.engine.serve(preview_set(1, 2))
        kube.objects.pop((PREVIEWS.plural, "argocd", "shop-1"))
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1), 2: spec(2)}))
        assert stored(kube).specs[1] == spec(1, retry=1)


async def test_deleted_object_is_no_longer_in_the_copy() -> None:
    """The watch may tell late; a write over the deleted version would fail until then."""
    async with play() as played:
        kube = played.kube
        await played.engine.serve(preview_set(1, 2))
        await played.engine.serve(preview_set(2, generation=2))
        kube._watchers.clear()
        await played.parts.objects.delete(the_preview(kube))
        await played.engine.serve(preview_set(2, generation=3))
        assert names_of(kube) == {"shop-2"}


async def test_late_deletion_event_does_not_hide_an_object_that_was_created_since() -> None:
    async with play() as played:
        kube = played.kube
        await played.engine.serve(preview_set(1))
        old = copy.deepcopy(the_preview(kube))
        kube.remove(PREVIEWS.plural, "argocd", "shop-1")
        await until(lambda: played.parts.objects.of(ONE) is None)
        await played.parts.sets.restore(REPOSITORY_ID)
        seen = the_preview(kube)["metadata"]["resourceVersion"]
        played.parts.objects._mirror.written(the_preview(kube))
        played.parts.objects._mirror._take("DELETED", old)
        found = played.parts.objects.of(ONE)
        assert found
        assert found["metadata"]["resourceVersion"] == seen


async def test_list_that_began_before_our_write_does_not_hide_it() -> None:
    async with play() as played:
        kube, mirror = played.kube, played.parts.objects._mirror
        await played.engine.serve(preview_set(1))
        before = await kube.listed(PREVIEWS, "argocd")
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1), 2: spec(2)}))
        kube._watchers.clear()
        mirror.written(the_preview(kube))
        mirror.written(the_preview(kube, "shop-2"))

        async def listed(*given: Any, **more: Any) -> Any:
            return before

        kube.listed = listed  # type: ignore[method-assign]
        await mirror._list()
        assert played.parts.objects.of(ONE) == the_preview(kube)
        assert played.parts.objects.of(TWO) == the_preview(kube, "shop-2")


class StoresAndFails(Counted):
    """The API server stores one write, and answers with an error."""

    async def create(self, *given: Any) -> Any:
        return self._answer(await super().create(*given))

    async def replace(self, *given: Any) -> Any:
        return self._answer(await super().replace(*given))

    async def apply(self, *given: Any) -> Any:
        return self._answer(await super().apply(*given))

    fails_at: int | None = None

    def _answer(self, made: Any) -> Any:
        if self.fails_at is not None and self.writes is not None and len(self.writes) == self.fails_at:
            self.fails_at = None
            raise RetryLater("Kubernetes is not ready (500).")
        return made


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("write", range(1, 6))
async def test_any_write_that_was_stored_although_the_answer_was_an_error(write: int, killed: bool) -> None:
    kube = StoresAndFails()
    after = PreviewSet(REPOSITORY_ID, "shop", 2, {2: spec(2, retry=1), 3: spec(3)}, GONE)
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        played.argo.asleep = True
        kube.writes, kube.fails_at = [], write
        with suppress(RetryLater):
            await played.engine.serve(after)
        kube.fails_at = None
        if not killed:
            await played.parts.sets.restore(REPOSITORY_ID)
            await played.parts.upkeep.repair()
            generation = (await played.engine.observe()).sets[REPOSITORY_ID].generation
            await played.engine.serve(replace(after, generation=generation + 1))
            assert stored(kube) == replace(after, generation=generation + 1)
        assert not played.engine.lost.done()
    async with play(kube) as again:
        observed = await again.engine.observe()
        found = observed.sets[REPOSITORY_ID]
        assert (found.recovery, observed.doubts) == (None, {})
        assert (1 not in found.specs) == bool(found.ledger.withdrawals)
        await again.engine.serve(replace(after, generation=found.generation + 1))
        assert stored(kube) == replace(after, generation=found.generation + 1)
        assert not again.engine.lost.done()


async def test_definitions_deleted_while_greenroom_runs_and_applied_again_lose_nothing() -> None:
    class Undefined(FakeKube):
        gone = False

        async def listed(self, kind: Kind, *given: Any, **more: Any) -> Any:
            self._check(kind)
            return await super().listed(kind, *given, **more)

        async def create(self, kind: Kind, *given: Any) -> Any:
            self._check(kind)
            return await super().create(kind, *given)

        def _check(self, kind: Kind) -> None:
            if self.gone and kind in (PREVIEWS, PREVIEW_CONFIGS):
                raise NoSuchKind("Kubernetes does not know it.")

    kube, before = Undefined(), preview_set(1, 2, ledger=Ledger((Withdrawal(THREE, Cause.CLOSED, NOW, told=True),)))
    async with play(kube, timing=replace(QUICK, publish_pause=0.01)) as played:
        await played.engine.serve(before)
        kube.gone = True
        for key in [k for k in kube.objects if k[0] in (PREVIEWS.plural, PREVIEW_CONFIGS.plural)]:
            kube.remove(*key)
        await until(lambda: played.parts.objects.of(ONE) is None)
        with pytest.raises(GreenroomError):
            await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1), 2: spec(2)}))
        assert len(played.engine.answer("preview-shop", PLATFORM) or ()) == 2
        kube.gone = False
        await played.parts.upkeep.repair()
        assert stored(kube) == before
        assert not played.engine.lost.done()


async def test_objects_in_another_namespace_are_a_loss_and_those_left_behind_start_nothing_later() -> None:
    kube, elsewhere = FakeKube(), replace(SETTINGS, object_namespace="previews")
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, 2, ledger=Ledger(releases=(RELEASE,))))
        await until(lambda: played.seen("preview-shop-2"))
    async with play(kube, settings=elsewhere) as moved:
        found = (await moved.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.recovery) == (preview_set(1, 2).specs, Recovery())
        await moved.engine.serve(preview_set(2, generation=2, ledger=GONE))
        await moved.engine.serve(preview_set(2, generation=3))
        await until(lambda: applicationset.REFRESH not in the_set(kube)["metadata"]["annotations"])
        kube.remove(APPLICATIONS.plural, "argocd", "preview-shop-1")
    async with play(kube) as back:
        found = (await back.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.ledger, found.recovery) == ({2: spec(2)}, Ledger(), Recovery())


async def test_copy_of_an_object_changes_nothing_and_is_not_written_without_end() -> None:
    kube = Counted()
    async with play(kube, timing=replace(QUICK, publish_pause=0.001)) as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        kube.writes = []
        duplicate = copy.deepcopy(the_preview(kube))
        duplicate["metadata"] = {k: v for k, v in duplicate["metadata"].items() if k in ("labels", "namespace")}
        kube.put(PREVIEWS.plural, {**duplicate, "metadata": {**duplicate["metadata"], "name": "a-copy"}})
        for _ in range(20):
            await played.parts.published.write()
            await idle(20)
        assert kube.writes == []
        later = PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1), 2: spec(2)})
        await played.engine.serve(later)
        await until(lambda: applicationset.spec_of(played.application() or {}) == spec(1, retry=1))
    for _ in range(3):
        async with play(kube) as again:
            observed = await again.engine.observe()
            assert (observed.sets, observed.doubts) == ({REPOSITORY_ID: later}, {})


async def test_lease_that_vanished_before_its_renewal_is_taken_again() -> None:
    kube = FakeKube()
    lease = Lease(kube, "argocd", "greenroom", "pod-1", QUICK)  # type: ignore[arg-type]
    await lease.acquire()
    get = kube.get

    async def and_deleted(*given: Any) -> Any:
        found = await get(*given)
        kube.objects.clear()
        return found

    kube.get = and_deleted  # type: ignore[method-assign, assignment]
    with pytest.raises(Doubt, match="no longer exists"):  # the next renewal creates it; nobody else has it
        await lease._try()


async def test_object_that_a_failed_write_emptied_is_not_deleted_while_the_index_names_it() -> None:
    """Greenroom may be killed before it writes the object again, and the next start would find a loss."""
    kube, told = Counted(), Ledger((Withdrawal(TWO, Cause.CLOSED, NOW, told=True),))
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, ledger=told))
        await until(played.seen)
        kube.writes, kube.ends_after = [], 1
        with pytest.raises(RetryLater):  # the entry is over, its object is written, and the ApplicationSet is not
            await played.engine.serve(preview_set(1, generation=2))
        assert kube.writes == ["shop-2"]
        played.parts.published.show({}, [REPOSITORY_ID], {})
        await played.parts.published.write()
    kube.writes, kube.ends_after = [], 0
    async with play(kube) as played:
        played.parts.published.show({}, [REPOSITORY_ID], {})
        await played.parts.published.write()
        assert "shop-2" in names_of(kube)
    kube.writes = kube.ends_after = None
    async with play(kube) as again:
        assert (await again.engine.observe()).sets[REPOSITORY_ID].recovery is None
        await again.engine.serve(preview_set(1, generation=3))
        again.parts.published.show({}, [REPOSITORY_ID], {})
        await again.parts.published.write()
        await until(lambda: "shop-2" not in names_of(kube))
