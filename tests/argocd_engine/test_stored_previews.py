"""One Preview object for each pull request stores what is served: what survives a crash, a hand and a backup."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given

from argocd_engine.cluster_state import applied_before, first_format, index, stored, the_preview, the_set
from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import FRAME, ONE, QUICK, play, preview_set
from argocd_engine.test_sets import preview_sets
from builders import NOW, PLATFORM, REPOSITORY_ID, SERVICE, changed, spec
from greenroom.argocd import applicationset, stored_preview
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, PREVIEW_CONFIGS, PREVIEWS, Kind, Object
from greenroom.core.model.catalog import Manifest
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Recovery, Watermark, Withdrawal
from greenroom.core.model.records import EMPTY, joined, records
from greenroom.core.model.spec import Identity, Injected, Link
from greenroom.errors import GreenroomError, RetryLater
from waiting import until

DEFINITION = yaml.safe_load((Path(__file__).parents[2] / "charts/greenroom/crds/previews.yaml").read_text())
SCHEMA = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
STORES = (APPLICATION_SETS, PREVIEWS, PREVIEW_CONFIGS)
VALID = jsonschema.Draft202012Validator(SCHEMA)
SECRET = "hunter2-in-a-variable"
LINK = Link("shop", "payments", (("url", "PAYMENTS_URL"),), f"http://user:{SECRET}@payments", f"http://{SECRET}")
PRIVATE = changed(
    spec(1),
    services=(replace(SERVICE, env=(("KEY", SECRET),), manifests=(Manifest("m", (f'{{"a":"{SECRET}"}}',)),)),),
    injected=(Injected("shop", "PUBLIC_URL", SECRET),),
    settings=json.dumps({"registry": SECRET}),
    targets=(LINK,),
)
GONE = Ledger((Withdrawal(ONE, Cause.UNLABELED, NOW, "ada", "preview"),))


# --- the format ---


def _own(found: PreviewSet) -> PreviewSet:
    """A set as it can be: its specs under their own numbers, and only entries of its own repository."""

    def mine(entries: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(replace(e, identity=Identity(REPOSITORY_ID, e.identity.number)) for e in entries)

    ledger = Ledger(*map(mine, (found.ledger.withdrawals, found.ledger.restarts, found.ledger.releases)))
    specs = {each.id.number: each for each in found.specs.values()}
    return replace(found, repository_id=REPOSITORY_ID, specs=specs, ledger=ledger)


own_sets = preview_sets.map(_own)


@given(own_sets)
def test_set_comes_back_from_its_records_as_it_went_in(found: PreviewSet) -> None:
    again = joined(found.repository_id, found.repository, found.generation, records(found), found.recovery)
    mine = {i.number for i in (e.identity for e in _entries(found.ledger))}
    assert again.specs == found.specs
    assert len(_entries(again.ledger)) == len(_entries(found.ledger))
    assert {e.identity.number for e in _entries(again.ledger)} == mine
    assert joined(found.repository_id, found.repository, found.generation, records(again), found.recovery) == again


def _entries(ledger: Ledger) -> list[Any]:
    return [*ledger.withdrawals, *ledger.restarts, *ledger.releases]


@given(own_sets)
def test_record_comes_back_from_its_object_as_it_went_in(found: PreviewSet) -> None:
    for number, kept in records(found).items():
        identity = Identity(found.repository_id, number)
        made = json.loads(json.dumps(stored_preview.stored_spec(FRAME, found.repository, identity, kept, 7)))
        VALID.validate(made)
        config = stored_preview.preview_config(FRAME, "argocd", kept.spec) if kept.spec else None
        configs = {config["metadata"]["name"]: config} if config else {}
        name = {"metadata": {"name": "shop-1"}, "spec": made}
        assert stored_preview.content(name, configs).kept == kept


def test_object_shows_nothing_that_people_may_not_read() -> None:
    kept = records(PreviewSet(REPOSITORY_ID, "shop", 1, {1: PRIVATE}))[1]
    made = stored_preview.stored_spec(FRAME, "shop", ONE, kept, 1)
    assert SECRET not in json.dumps(made)
    config = stored_preview.preview_config(FRAME, "argocd", PRIVATE)
    name = {"metadata": {"name": "shop-1"}, "spec": made}
    assert stored_preview.content(name, {config["metadata"]["name"]: config}).kept.spec == PRIVATE


def fields_of(schema: Object, path: str = "") -> set[str]:
    own = {f"{path}.{name}" for name in schema.get("properties", {})}
    return own.union(*(fields_of(s, f"{path}.{name}") for name, s in schema.get("properties", {}).items()))


def test_definition_names_every_field_of_a_spec() -> None:
    full = replace(changed(PRIVATE, reset_at=NOW))
    found = PreviewSet(REPOSITORY_ID, "shop", 1, {1: full}, GONE, {1: Watermark(NOW, NOW)}, {1: 5})
    made = stored_preview.stored_spec(FRAME, "shop", ONE, records(found)[1], 1)
    described = fields_of(SCHEMA)
    maps = (".names.hosts", ".data.holders")

    def check(value: Object, path: str = "") -> None:
        for name, inner in value.items():
            here = f"{path}.{name}"
            assert here in described, here
            if isinstance(inner, dict) and here not in maps:
                check(inner, here)

    check(made)


# --- one write moves one preview ---


class Counted(FakeKube):
    """It counts the writes of objects, and ends the writer after so many."""

    writes: list[str] | None = None
    ends_after: int | None = None

    def writing(self, kind: Kind, name: str) -> None:
        if self.writes is not None and kind in STORES and not name.endswith(("/status", "--canary")):
            if self.ends_after is not None and len(self.writes) >= self.ends_after:
                raise RetryLater("The process was killed here.")
            self.writes.append(name)
        super().writing(kind, name)


async def test_one_write_moves_one_preview() -> None:
    kube = Counted()
    async with play(kube) as played:
        await played.engine.serve(preview_set(*range(1, 21)))
        kube.writes = []
        pushed = {**preview_set(*range(1, 21)).specs, 7: spec(7, retry=1)}
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, pushed))
        assert kube.writes.count("shop-7") == 1
        assert set(kube.writes) == {"shop-7", "preview-shop"}
        assert index(kube) == {n: 2 if n == 7 else 1 for n in range(1, 21)}


@pytest.mark.parametrize("writes", range(6))
async def test_killed_between_any_two_writes_each_preview_is_as_before_or_as_decided(writes: int) -> None:
    """A withdrawal, a push and a start in one pass. Nothing is lost, and Argo CD is told of nothing that may vanish."""
    kube = Counted()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        played.argo.asleep = True
        kube.writes, kube.ends_after = [], writes
        after = PreviewSet(REPOSITORY_ID, "shop", 2, {2: spec(2, retry=1), 3: spec(3)}, GONE)
        try:
            await played.engine.serve(after)
        except RetryLater:
            assert {r["number"] for r in played.engine.answer("preview-shop", PLATFORM) or ()} == {"1", "2"}
        before = (await played.engine.observe()).previews.keys()
    kube.writes = kube.ends_after = None
    async with play(kube) as again:
        found = (await again.engine.observe()).sets[REPOSITORY_ID]
        assert found.recovery is None, "nothing counts as lost"
        withdrawn = 1 not in found.specs
        assert withdrawn == bool(found.ledger.withdrawals), "a spec goes together with its entry in the ledger"
        assert found.specs.get(2) in (spec(2), spec(2, retry=1))
        assert found.specs.get(3) in (None, spec(3))
        if 3 in found.specs:
            assert withdrawn, "what stops is written first"
        assert before <= (await again.engine.observe()).previews.keys()
        await again.engine.serve(replace(after, generation=found.generation + 1))
        assert stored(kube) == replace(after, generation=found.generation + 1)


class Conflicting(FakeKube):
    """Somebody else writes the status of each Preview between our look and our write, for so many writes."""

    times = 0

    def writing(self, kind: Kind, name: str) -> None:
        if kind == PREVIEWS and self.times and (kind.plural, "argocd", name) in self.objects:
            self.times -= 1
            self.put(kind.plural, self.objects[kind.plural, "argocd", name])
        super().writing(kind, name)


async def test_conflict_on_every_write_changes_nothing_and_passes() -> None:
    kube = Conflicting()
    async with play(kube) as played:
        await played.engine.serve(preview_set(1))
        kube.times = 3
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1)}))
        kube.times = 1000
        with pytest.raises(RetryLater, match="The Preview shop-1 keeps changing"):
            await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 3, {1: spec(1, retry=2)}))
        kube.times = 0
        assert stored(kube).specs == {1: spec(1, retry=1)}
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 3, {1: spec(1, retry=2)}))
        assert stored(kube).specs == {1: spec(1, retry=2)}


async def test_api_server_away_in_the_middle_of_a_withdrawal_leaves_the_preview_served() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        played.kube.broken = RetryLater("Kubernetes cannot be reached.")
        for _ in range(3):
            with pytest.raises(RetryLater):
                await played.engine.serve(preview_set(generation=2, ledger=GONE))
        assert [r["number"] for r in played.engine.answer("preview-shop", PLATFORM) or ()] == ["1"]
        played.kube.broken = None
        await played.engine.serve(preview_set(generation=2, ledger=GONE))
        assert stored(played.kube) == preview_set(generation=2, ledger=GONE)


# --- people's hands ---


async def test_object_that_is_edited_or_deleted_while_greenroom_runs_is_written_again() -> None:
    async with play(timing=replace(QUICK, publish_pause=0.01)) as played:
        kube = played.kube
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.parts.objects.of(ONE))
        edited = copy.deepcopy(the_preview(kube))
        edited["spec"]["build"]["headSha"] = "f" * 40
        kube.put(PREVIEWS.plural, edited)
        await until(lambda: the_preview(kube)["spec"] != edited["spec"])
        assert stored(kube) == preview_set(1, 2)
        kube.remove(PREVIEWS.plural, "argocd", "shop-2")
        await until(lambda: (PREVIEWS.plural, "argocd", "shop-2") in kube.objects)
        assert stored(kube) == preview_set(1, 2)
        assert not played.engine.lost.done()
        assert kube.deleted == []


async def lost(what: Callable[[FakeKube], object]) -> tuple[FakeKube, PreviewSet]:
    """A cluster with two previews and a withdrawn one, after something happened while Greenroom did not run."""
    async with play() as played:
        await played.engine.serve(preview_set(1, 2))
        await until(lambda: played.seen("preview-shop-2"))
        kube = played.kube
        nine = Withdrawal(Identity(REPOSITORY_ID, 9), Cause.UNLABELED, NOW, "ada", told=True)
        before = preview_set(1, 2, generation=2, ledger=Ledger((nine,)))
        await played.engine.serve(before)
    what(kube)
    return kube, before


@pytest.mark.parametrize("name", ["shop-1", "shop-9"])
async def test_object_deleted_while_greenroom_was_away_comes_back_and_is_noted_as_a_loss(name: str) -> None:
    kube, before = await lost(lambda kube: kube.remove(PREVIEWS.plural, "argocd", name))
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert observed.doubts == {}
        found = observed.sets[REPOSITORY_ID]
        assert found.specs == before.specs, "from what runs"
        assert found.recovery == Recovery()
        assert kube.deleted == []
        await played.parts.upkeep.repair()
    async with play(kube) as again:
        assert (await again.engine.observe()).sets[REPOSITORY_ID].recovery == Recovery(), "until a pass dates it"
        dated = replace(found, generation=9, recovery=Recovery(NOW))
        await again.engine.serve(dated)
    async with play(kube) as last:
        assert (await last.engine.observe()).sets[REPOSITORY_ID] == dated


async def test_all_objects_of_a_repository_deleted_with_their_definition_come_back_from_what_runs() -> None:
    def gone(kube: FakeKube) -> None:
        for key in [k for k in kube.objects if k[0] in (PREVIEWS.plural, PREVIEW_CONFIGS.plural)]:
            kube.remove(*key)

    kube, before = await lost(gone)
    async with play(kube) as played:
        found = (await played.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.recovery) == (before.specs, Recovery())


async def test_objects_restored_from_an_older_backup_are_noted_as_a_loss() -> None:
    async with play() as played:
        await played.engine.serve(preview_set(1))
        await until(played.seen)
        kube = played.kube
        backup = copy.deepcopy(the_preview(kube))
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1, retry=1)}))
        await until(lambda: applicationset.spec_of(played.application() or {}) == spec(1, retry=1))
    kube.put(PREVIEWS.plural, backup)
    async with play(kube) as again:
        found = (await again.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.recovery) == ({1: spec(1, retry=1)}, Recovery())


async def test_application_set_deleted_while_greenroom_was_away_comes_back_with_all_specs() -> None:
    kube, before = await lost(lambda kube: kube.remove(APPLICATION_SETS.plural, "argocd", "preview-shop"))
    async with play(kube) as played:
        found = (await played.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.ledger, found.recovery) == (before.specs, before.ledger, Recovery())
        await played.parts.upkeep.repair()
        assert set(index(kube) or ()) == {1, 2, 9}


async def test_missing_config_is_read_from_the_application_and_the_ledger_stays() -> None:
    def without_config(kube: FakeKube) -> None:
        for key in [k for k in kube.objects if k[0] == PREVIEW_CONFIGS.plural]:
            kube.remove(*key)

    kube, before = await lost(without_config)
    async with play(kube) as played:
        found = (await played.engine.observe()).sets[REPOSITORY_ID]
        assert (found.specs, found.ledger, found.recovery) == (before.specs, before.ledger, Recovery())


async def test_lost_object_of_a_preview_that_is_being_removed_brings_no_spec_back() -> None:
    def removing(kube: FakeKube) -> None:
        kube.remove(PREVIEWS.plural, "argocd", "shop-1")
        kube.objects[APPLICATIONS.plural, "argocd", "preview-shop-1"]["metadata"]["deletionTimestamp"] = "2026-11-01"

    kube, _ = await lost(removing)
    async with play(kube) as played:
        found = (await played.engine.observe()).sets[REPOSITORY_ID]
        assert (set(found.specs), found.recovery) == ({2}, Recovery())


@pytest.mark.parametrize(
    "edit",
    [
        {"build": {"headSha": "f" * 40}},
        {"ledger": {"withdrawals": [{"cause": "closed", "at": "2026-11-01T10:00:00+00:00"}]}},
        {"future": {"of": "a newer version"}},
        {"number": "one"},
    ],
)
async def test_edited_object_is_doubt_and_removes_nothing(edit: Object) -> None:
    def by_hand(kube: FakeKube) -> None:
        the_preview(kube)["spec"] |= edit

    kube, _ = await lost(by_hand)
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert "The Preview shop-1 cannot be read" in observed.doubts[REPOSITORY_ID]
        with pytest.raises(GreenroomError):
            played.engine.answer("preview-shop", PLATFORM)
        assert kube.deleted == []


async def test_object_of_a_newer_version_is_doubt() -> None:
    def newer(kube: FakeKube) -> None:
        found = the_preview(kube)["spec"]
        found["names"] = {**found["names"], "port": 80}
        found["checksum"] = stored_preview.checksum(found)

    kube, _ = await lost(newer)
    async with play(kube) as played:
        assert "another version of Greenroom wrote it" in (await played.engine.observe()).doubts[REPOSITORY_ID]


async def test_definition_that_drops_a_field_is_an_error_that_says_what_to_do() -> None:
    class Older(FakeKube):
        def put(self, plural: str, body: Object) -> Object:
            if plural == PREVIEWS.plural:
                body = {**body, "spec": {k: v for k, v in body["spec"].items() if k != "choices"}}
            return super().put(plural, body)

    async with play(Older()) as played:
        with pytest.raises(GreenroomError, match="kubectl apply -f charts/greenroom/crds"):
            await played.engine.serve(preview_set(1))
        assert played.engine.answer("preview-shop", PLATFORM) is None


# --- from the first format, and beside others ---


@pytest.mark.parametrize("crash", [None, 1, 2, 3])
async def test_specs_of_the_first_format_are_moved_once_and_nothing_restarts(crash: int | None) -> None:
    kube, before = Counted(), replace(preview_set(1, 2, generation=4), ledger=Ledger())
    async with play(kube) as played:
        await played.engine.serve(before)
        await until(lambda: played.seen("preview-shop-2"))
    for key in [k for k in kube.objects if k[0] in (PREVIEWS.plural, PREVIEW_CONFIGS.plural)]:
        kube.remove(*key)
    applied_before(kube, first_format(FRAME, before))
    uids = {k[2]: o["metadata"]["uid"] for k, o in kube.objects.items() if k[0] == APPLICATIONS.plural}
    if crash is not None:
        kube.writes, kube.ends_after = [], crash
        async with play(kube) as played:
            await played.parts.upkeep.repair()
        kube.writes = kube.ends_after = None
    async with play(kube) as played:
        observed = await played.engine.observe()
        assert observed.sets == {REPOSITORY_ID: before}
        await until(lambda: index(kube) == {1: 4, 2: 4})
        assert applicationset.ROWS not in the_set(kube)["metadata"]["annotations"]
        assert stored(kube) == before
        await until(lambda: applicationset.REFRESH not in the_set(kube)["metadata"]["annotations"])
    async with play(kube) as again:
        assert (await again.engine.observe()).sets == {REPOSITORY_ID: before}
    assert uids == {k[2]: o["metadata"]["uid"] for k, o in kube.objects.items() if k[0] == APPLICATIONS.plural}


async def test_thousands_of_objects_of_another_installation_are_neither_read_nor_written() -> None:
    kube = FakeKube()
    theirs = replace(FRAME, installation="other")
    for number in range(1, 5001):
        identity = Identity(REPOSITORY_ID, number)
        made = stored_preview.stored_spec(theirs, "shop", identity, replace(EMPTY, comment=1), 3)
        labels = {applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: str(number)}
        kube.put(
            PREVIEWS.plural,
            stored_preview.kubernetes_object(theirs, "argocd", f"their-shop-{number}", labels, made),
        )
    versions = {k: o["metadata"]["resourceVersion"] for k, o in kube.objects.items() if k[0] == PREVIEWS.plural}
    async with play(kube) as played:
        await played.engine.serve(preview_set(1))
        assert (await played.engine.observe()).sets == {REPOSITORY_ID: preview_set(1)}
        await played.parts.upkeep.repair()
    assert versions.items() <= {k: o["metadata"]["resourceVersion"] for k, o in kube.objects.items()}.items()


async def test_name_that_another_installation_holds_is_doubt() -> None:
    kube = FakeKube()
    labels = {applicationset.REPOSITORY_ID: str(REPOSITORY_ID), applicationset.NUMBER: "1"}
    theirs = replace(FRAME, installation="other")
    made = stored_preview.stored_spec(theirs, "shop", ONE, replace(EMPTY, comment=1), 3)
    kube.put(PREVIEWS.plural, stored_preview.kubernetes_object(theirs, "argocd", "shop-1", labels, made))
    async with play(kube) as played:
        with pytest.raises(GreenroomError, match="belongs to another installation"):
            await played.engine.serve(preview_set(1))
    assert the_preview(kube)["metadata"]["labels"][applicationset.INSTALLATION] == "other"


async def test_config_that_nothing_needs_is_deleted_after_an_hour() -> None:
    async with play() as played:
        kube = played.kube
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 1, {1: PRIVATE}))
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 2, {1: spec(1)}))
        configs = [o for k, o in kube.objects.items() if k[0] == PREVIEW_CONFIGS.plural]
        assert len(configs) == 2
        await played.parts.upkeep.repair()
        assert [k for k in kube.objects if k[0] == PREVIEW_CONFIGS.plural] == [
            (
                PREVIEW_CONFIGS.plural,
                "argocd",
                stored_preview.preview_config(FRAME, "argocd", spec(1))["metadata"]["name"],
            )
        ]
        assert stored(kube).specs == {1: spec(1)}
