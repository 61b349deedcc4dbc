"""What `kubectl get previews` shows: objects from statuses, written once, restored, and deleted an hour after the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import FRAME
from builders import NOW, REPOSITORY_ID, changed, identity, sha, spec
from greenroom.argocd import preview_object, stored_preview
from greenroom.argocd.client import EVENTS, PREVIEWS, Kind, NoSuchKind, Object
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.preview_object import View
from greenroom.argocd.preview_objects import PreviewObjects
from greenroom.argocd.published import PublishedPreviews
from greenroom.argocd.refreshes import Refreshes
from greenroom.argocd.set_reader import SetReader
from greenroom.argocd.set_writer import SetWriter
from greenroom.argocd.store import PreviewSets
from greenroom.argocd.timing import Timing
from greenroom.background import Tasks
from greenroom.clock import SystemClock
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Running, Withdrawal
from greenroom.core.model.records import EMPTY, StoredPreview
from greenroom.core.model.spec import Identity, LinkOverride, PreviewSpec, WaitingPush
from greenroom.core.model.status import Reason, Stage, Status, Used
from greenroom.errors import FixCredentials, GreenroomError, RetryLater
from waiting import until

DEFINITION = yaml.safe_load((Path(__file__).parents[2] / "charts/greenroom/crds/previews.yaml").read_text())
SCHEMA = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
URL = "https://shop-pr-1.preview.example.com"


def running(of: str, *, ready: bool = True) -> Running:
    return Running("shop", URL, of, "sha256:1", ready)


def status(number: int = 1, stage: Stage = Stage.READY, **changes: Any) -> Status:
    given: dict[str, Any] = {
        "title": "The new prices, not public yet",
        "author": "ada",
        "url": f"https://github.com/acme/shop/pull/{number}",
        "reason": Reason("ready" if stage is Stage.READY else "no-image", "It is so.", "Do this."),
        "services": (running(sha(number)),) if stage is Stage.READY else (),
        "serving": stage is Stage.READY,
        "head_sha": sha(number),
        "serves_head": stage is Stage.READY,
        "log": ("password=hunter2",),
        **changes,
    }
    return Status(identity(number), f"shop#{number}", "shop", "acme/shop", stage=stage, **given)


def strict(schema: Object) -> Object:
    """The schema as the API server takes it: it drops a field that the schema does not name."""
    made = {k: strict(v) if isinstance(v, dict) else v for k, v in schema.items()}
    if made.get("type") == "object" and "properties" in made:
        made["additionalProperties"] = False
    return made


@pytest.mark.parametrize(
    ("given", "of"),
    [
        (status(stage=Stage.WAITING), None),
        (status(), spec()),
        (
            status(
                expires=NOW,
                services=(replace(running(sha(1)), note="slow"), running("")),
                links=(Used("shop", "payments", "payments#2", "same branch", "http://x"),),
            ),
            changed(
                spec(),
                waiting=WaitingPush(sha(1, 2), NOW),
                overrides=(LinkOverride("payments", "2", "ada", 9),),
                reset_at=NOW,
            ),
        ),
        (status(stage=Stage.REMOVED), None),
    ],
    ids=["waiting", "ready", "everything", "removed"],
)
def test_object_is_what_its_definition_describes_and_holds_no_title_environment_or_log(
    given: Status, of: PreviewSpec | None
) -> None:
    kept = StoredPreview(of) if of else EMPTY
    made = {"spec": stored_preview.stored_spec(FRAME, "shop", given.identity, kept, 1)}
    made["status"] = preview_object.object_status(View(given, of), {}, 1, NOW)
    for part in ("spec", "status"):
        jsonschema.validate(made[part], strict(SCHEMA)["properties"][part])
    assert not {"prices", "hunter2"} & set(str(made).replace("=", " ").split())


def test_columns_show_what_the_object_has() -> None:
    view = View(status(expires=NOW), changed(spec(), asleep=False))
    made: Any = {"metadata": {"creationTimestamp": "2026-03-02T12:00:00Z"}}
    made["status"] = preview_object.object_status(view, {}, 1, NOW)
    shown = {}
    for column in DEFINITION["spec"]["versions"][0]["additionalPrinterColumns"]:
        value: Any = made
        for key in column["jsonPath"].removeprefix(".").split("."):
            value = value[key]
        shown[column["name"]] = value
    assert shown == {
        "State": "ready",
        "URL": URL,
        "Commit": sha(1)[:7],
        "Age": "2026-03-02T12:00:00Z",
        "Expires": "2026-03-02T12:00:00Z",
        "Author": "ada",
        "Reason": "It is so.",
    }


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, None),
        (2, f"{URL}/0,{URL}/1"),
        (3, f"{URL}/0,{URL}/1,{URL}/2"),
        (5, f"{URL}/0,{URL}/1,{URL}/2 + 2 more..."),
    ],
)
def test_object_shows_the_addresses_of_all_services(number: int, shown: str | None) -> None:
    services = tuple(replace(running(sha(1)), url=f"{URL}/{i}") for i in range(number))
    made = preview_object.object_status(View(status(services=services), spec()), {}, 1, NOW)
    assert made.get("addresses") == shown


def test_installation_with_a_prefix_of_its_own_has_names_of_its_own() -> None:
    assert stored_preview.object_name(replace(FRAME, prefix="qa"), "shop", 1) == "qa-shop-1"


@pytest.mark.parametrize(
    ("of", "given", "summary", "served"),
    [
        (spec(), status(), sha(1)[:7], [sha(1)]),
        (spec(), status(services=(running("b" * 40),), stage=Stage.UPDATING), f"bbbbbbb -> {sha(1)[:7]}", ["b" * 40]),
        (spec(), status(services=(running(sha(1), ready=False),), stage=Stage.STARTING), sha(1)[:7], []),
        (spec(), status(services=(running(sha(1)),), stage=Stage.HELD), sha(1)[:7], [sha(1)]),
        (spec(), status(head_sha="c" * 40), f"{sha(1)[:7]} -> ccccccc", [sha(1)]),
        (None, status(stage=Stage.WAITING), sha(1)[:7], []),
        (None, status(stage=Stage.REMOVING, head_sha="", services=(running(sha(1)),)), sha(1)[:7], [sha(1)]),
        (None, status(stage=Stage.REMOVING, services=(running(sha(1)),)), sha(1)[:7], [sha(1)]),
        (None, status(stage=Stage.REMOVED, head_sha=""), "", []),
    ],
    ids=[
        "the head",
        "an older one",
        "nothing",
        "held",
        "a push that is not served",
        "waiting",
        "not listed",
        "removing",
        "removed",
    ],
)
def test_commit_shows_what_serves_and_what_comes(
    of: PreviewSpec | None, given: Status, summary: str, served: list[str]
) -> None:
    found = preview_object.object_status(View(given, of), {}, 1, NOW)["commit"]
    assert (found["summary"], found["served"]) == (summary, served)


def true(view: View) -> set[str]:
    conditions = preview_object.object_status(view, {}, 1, NOW)["conditions"]
    assert all(c["reason"].isalnum() for c in conditions)
    return {c["type"] for c in conditions if c["status"] == "True"}


@pytest.mark.parametrize(
    ("stage", "holds"),
    [
        (Stage.READY, {"Ready", "Serving"}),
        (Stage.EXPIRING, {"Ready", "Serving"}),
        (Stage.UPDATING, {"Serving", "Progressing"}),
        (Stage.WAITING, {"Progressing"}),
        (Stage.HELD, {"Held", "Serving"}),
        (Stage.FAILED, set()),
        (Stage.REMOVING, {"Progressing"}),
        (Stage.REMOVED, set()),
    ],
)
def test_conditions_follow_the_state(stage: Stage, holds: set[str]) -> None:
    serving = stage in (Stage.READY, Stage.EXPIRING, Stage.UPDATING, Stage.HELD)
    assert true(View(replace(status(stage=stage), serving=serving, serves_head=True), spec())) == holds


def test_preview_that_serves_another_commit_than_the_head_is_not_ready() -> None:
    assert true(View(status(serves_head=False), spec())) == {"Serving"}


def test_preview_whose_earlier_version_has_not_ended_is_not_ready_yet() -> None:
    view = View(status(services=(replace(running(sha(1)), ending=True),)), spec())
    assert true(view) == {"Serving", "Progressing"}
    [found] = [c for c in preview_object.object_status(view, {}, 1, NOW)["conditions"] if c["type"] == "Ready"]
    assert (found["reason"], found["message"]) == ("Ending", "An earlier version of shop has not stopped yet.")


def test_status_that_is_older_than_its_spec_is_not_ready() -> None:
    assert true(View(status(), changed(spec(), head_sha="f" * 40))) == {"Serving"}


def test_while_a_repository_cannot_be_read_nobody_knows_whether_it_is_ready() -> None:
    first = preview_object.object_status(View(status(), spec(), "GitHub returned 500; retry in 5 s."), {}, 1, NOW)
    assert {c["type"]: c["status"] for c in first["conditions"]} == {
        "Ready": "Unknown",
        "Serving": "Unknown",
        "Held": "False",
        "Progressing": "Unknown",
    }
    assert first["conditions"][0]["reason"] == "Doubt"
    later = preview_object.object_status(View(status(), spec(), "GitHub returned 500; retry in 9 s."), first, 1, NOW)
    assert later == first, "a sentence that changes with each try is not written again"


def test_condition_keeps_its_time_until_it_changes_and_names_the_spec_that_it_is_about() -> None:
    first = preview_object.object_status(View(status(stage=Stage.STARTING)), {}, 1, NOW)
    second = preview_object.object_status(View(status(), spec()), first, 2, NOW + timedelta(minutes=1))
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert times == {
        "Ready": "2026-03-02T12:01:00Z",
        "Serving": "2026-03-02T12:01:00Z",
        "Held": "2026-03-02T12:00:00Z",
        "Progressing": "2026-03-02T12:01:00Z",
    }
    assert {c["observedGeneration"] for c in second["conditions"]} == {second["observedGeneration"]} == {2}


# --- writing ---


@dataclass
class Cluster(FakeKube):
    """Counts writes; the kind is unknown until `installed`."""

    installed: bool = True
    writes: list[str] = field(default_factory=list)
    lists: int = 0

    async def listed(self, kind: Kind, namespace: str = "", **params: str) -> tuple[list[Object], str]:
        self.lists += 1
        if kind == PREVIEWS and not self.installed:
            raise NoSuchKind("no such kind")
        return await super().listed(kind, namespace, **params)

    def writing(self, kind: Kind, name: str) -> None:
        if kind == PREVIEWS:
            self.writes.append(name)
        super().writing(kind, name)


@dataclass
class Clock:
    """Clocks that the test moves. Each round of the writer ends with a pause, which is counted."""

    now: datetime = NOW
    monotonic: float = 0.0
    rounds: int = 0

    async def pause(self, seconds: float) -> None:
        self.rounds += 1
        await asyncio.sleep(seconds)

    def system(self) -> SystemClock:
        return SystemClock(monotonic=lambda: self.monotonic, now=lambda: self.now, sleep=self.pause)


@dataclass
class Played:
    kube: Cluster
    published: PublishedPreviews
    known: KnownSets
    clock: Clock

    def object(self, name: str = "shop-1") -> Object | None:
        return self.kube.objects.get((PREVIEWS.plural, "argocd", name))

    def state(self, name: str = "shop-1") -> str:
        return str(((self.object(name) or {}).get("status") or {}).get("state"))

    @property
    def told(self) -> list[tuple[str, str]]:
        events = (o for (plural, _, _), o in self.kube.objects.items() if plural == EVENTS.plural)
        return [(e["reason"], e["type"]) for e in events]

    async def rounds(self) -> None:
        """Let the writer go over everything a few times more."""
        before = self.clock.rounds
        await until(lambda: self.clock.rounds >= before + 4)

    async def ready(self) -> None:
        """Show that the preview is ready, and wait until its object says so."""
        self.show(status())
        await until(lambda: self.state() == "ready")

    def show(self, *statuses: Status, read: tuple[int, ...] = (REPOSITORY_ID,), trouble: str = "") -> None:
        troubles = {"shop": trouble} if trouble else {}
        self.published.show({s.identity: s for s in statuses}, read, troubles)


@asynccontextmanager
async def play(
    kube: Cluster | None = None, serves: PreviewSet | None = None, *, installed: bool = True
) -> AsyncIterator[Played]:
    kube = kube or Cluster(installed=installed)
    known = KnownSets(FRAME)
    known.served[REPOSITORY_ID] = serves or PreviewSet(REPOSITORY_ID, "shop", 1, {1: spec(1)})
    clock = Clock()
    timing = Timing(
        clock=clock.system(),
        copy_fresh=1e9,
        publish_pause=0.01,
        repair_every=0.02,
        definitions_every=0.01,
    )
    tasks, lost = Tasks(), list[str]()
    objects = PreviewObjects(kube, FRAME, "argocd", timing, lost.append)  # type: ignore[arg-type]
    sets = PreviewSets(
        known,
        Refreshes(kube, FRAME, timing),  # type: ignore[arg-type]
        SetReader(kube, FRAME, objects),  # type: ignore[arg-type]
        SetWriter(kube, FRAME, lost.append),  # type: ignore[arg-type]
        objects,
    )
    published = PublishedPreviews(kube, objects, known, sets.restore, sets.discard, timing)  # type: ignore[arg-type]

    async def run() -> None:
        await objects.installed()
        await objects.read(tasks)
        with suppress(GreenroomError, KeyError):
            await sets.restore(REPOSITORY_ID)
        kube.writes.clear()
        await published.run()

    tasks.start("published", run())
    try:
        yield Played(kube, published, known, clock)
    finally:
        await tasks.aclose()


async def test_object_follows_its_status_and_every_change_is_an_event() -> None:
    async with play() as played:
        played.show(status(stage=Stage.STARTING))
        await until(lambda: played.state() == "starting")
        await played.ready()
        await until(lambda: len(played.told) == 2)
        played.show(status(stage=Stage.FAILED))
        await until(lambda: played.state() == "failed")
        await until(lambda: played.told == [("Starting", "Normal"), ("Ready", "Normal"), ("Failed", "Warning")])


async def test_what_did_not_change_is_not_written_again() -> None:
    async with play() as played:
        await played.ready()
        played.show(status())
        await played.rounds()
        assert played.kube.writes == ["shop-1/status"]


async def test_edited_or_deleted_object_is_written_again() -> None:
    async with play() as played:
        await played.ready()
        found = played.object()
        assert found
        played.kube.put(PREVIEWS.plural, {**found, "spec": {**found["spec"], "number": 99}})
        await until(lambda: (played.object() or {})["spec"]["number"] == 1)
        played.kube.remove(PREVIEWS.plural, "argocd", "shop-1")
        await until(lambda: played.state() == "ready")


async def test_object_stays_for_an_hour_after_the_removal_and_as_long_as_it_stores_something() -> None:
    async with play() as played:
        await played.ready()
        gone = Withdrawal(identity(1), Cause.CLOSED, NOW, "ada", told=True)
        played.known.served[REPOSITORY_ID] = PreviewSet(REPOSITORY_ID, "shop", 2, ledger=Ledger((gone,)))
        played.show(status(stage=Stage.REMOVED))
        await until(lambda: played.state() == "removed")
        await until(lambda: "build" not in (played.object() or {})["spec"])
        assert (played.object() or {})["spec"]["ledger"]["withdrawals"][0]["cause"] == "closed"
        played.clock.now = NOW + timedelta(minutes=59)
        await played.rounds()
        assert played.object()
        played.clock.now = NOW + timedelta(minutes=61)
        await played.rounds()
        assert played.object(), "the hour of the breaker is counted from it"
        played.known.served[REPOSITORY_ID] = PreviewSet(REPOSITORY_ID, "shop", 3)
        await until(lambda: played.object() is None)
        await played.rounds()
        assert played.object() is None  # the status is shown for a day, but the object does not come back


async def test_object_of_a_repository_that_was_not_read_stays() -> None:
    async with play() as played:
        played.show(status(1), status(2, Stage.WAITING))
        await until(lambda: played.state("shop-2") == "waiting")
        kube = played.kube
    async with play(kube) as played:
        played.show(status(1), read=())
        await played.rounds()
        assert played.object("shop-2")
        played.show(status(1))
        await until(lambda: played.object("shop-2") is None)
        assert played.object("shop-1")


async def test_pull_request_without_a_preview_has_no_object() -> None:
    async with play() as played:
        played.show(status(1), status(2, Stage.NONE))
        await until(lambda: played.state() == "ready")
        assert played.object("shop-2") is None


async def test_definition_that_is_missing_is_waited_for() -> None:
    async with play(installed=False) as played:
        played.show(status())
        await until(lambda: played.kube.lists > 1)
        assert played.kube.writes == []
        played.kube.installed = True
        await until(lambda: played.state() == "ready")


async def test_definition_of_an_older_version_makes_no_endless_writes() -> None:
    class Old(Cluster):
        async def apply(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
            pruned = {**body, "status": {"state": body["status"]["state"]}} if "status" in body else body
            return await super().apply(kind, namespace, name, pruned)

    async with play(Old()) as played:
        await played.ready()
        played.show(status())
        await played.rounds()
        assert played.kube.writes == ["shop-1/status"]


async def test_refused_write_is_tried_again() -> None:
    async with play() as played:
        played.kube.broken = RetryLater("not now")
        played.show(status())
        await played.rounds()
        assert played.state() != "ready"
        played.kube.broken = None
        await until(lambda: played.state() == "ready")


async def test_refused_object_does_not_keep_the_others_from_being_written() -> None:
    class Refusing(Cluster):
        def writing(self, kind: Kind, name: str) -> None:
            if name == "shop-1":
                raise FixCredentials("Kubernetes denied the request: shop-1 belongs to another installation.")
            super().writing(kind, name)

    async with play(Refusing()) as played:
        played.show(status(1), status(2))
        await until(lambda: played.state("shop-2") == "ready")
        assert played.object() is None


async def test_trouble_that_lasts_makes_ready_unknown_until_the_repository_is_read_again() -> None:
    async with play() as played:

        def ready() -> str:
            conditions = ((played.object() or {}).get("status") or {}).get("conditions") or [{}]
            return str(conditions[0].get("status"))

        played.show(status())
        await until(lambda: ready() == "True")
        played.show(status(), trouble="GitHub returned 500.")
        await played.rounds()
        assert ready() == "True"
        played.clock.monotonic += 121  # and no pass comes: GitHub named an hour to wait
        await until(lambda: ready() == "Unknown")
        played.show(status())
        await until(lambda: ready() == "True")


async def test_object_of_a_renamed_repository_keeps_its_name() -> None:
    async with play() as played:
        await played.ready()
        played.known.served[REPOSITORY_ID] = PreviewSet(REPOSITORY_ID, "store", 2, {1: spec(1)})
        played.show(replace(status(), repository="store", name="store#1"))
        await until(lambda: (played.object() or {})["metadata"]["labels"]["greenroom.dev/repository"] == "store")
        await played.rounds()
        assert played.state() == "ready"
        assert played.object("store-1") is None


async def test_preview_of_a_repository_that_replaced_another_one_finds_a_name_of_its_own() -> None:
    async with play() as played:
        await played.ready()
        former = replace(status(stage=Stage.HELD), repository="shop@7")
        new = replace(status(stage=Stage.WAITING), identity=Identity(8, 1))
        played.show(former, new)
        await until(lambda: played.state("shop.8-1") == "waiting" and played.state() == "held")
        assert (played.object("shop.8-1") or {})["metadata"]["labels"]["greenroom.dev/repository-id"] == "8"


async def test_restart_keeps_the_object_of_a_preview_that_was_just_removed() -> None:
    async with play() as played:
        await played.ready()
        played.known.served[REPOSITORY_ID] = PreviewSet(REPOSITORY_ID, "shop", 2)
        played.show(status(stage=Stage.REMOVED))
        await until(lambda: played.state() == "removed")
        kube = played.kube
    async with play(kube, PreviewSet(REPOSITORY_ID, "shop", 2)) as played:
        played.show()
        await played.rounds()
        assert played.object()
        played.clock.now = NOW + timedelta(minutes=61)
        await until(lambda: played.object() is None)


async def test_unlabeled_pull_request_loses_its_object_although_other_repositories_were_not_read() -> None:
    async with play() as played:
        played.show(status(1), status(2, Stage.WAITING))
        await until(lambda: played.state("shop-2") == "waiting")
        played.show(status(1), status(2, Stage.NONE))
        await until(lambda: played.object("shop-2") is None)


async def test_object_of_another_installation_is_not_taken_over() -> None:
    kube = Cluster()
    labels = {"greenroom.dev/installation": "other"}
    kube.put(PREVIEWS.plural, {"metadata": {"name": "shop-1", "namespace": "argocd", "labels": labels}, "spec": {}})
    async with play(kube) as played:
        played.show(status(1), status(2))
        await until(lambda: played.state("shop-2") == "ready")
        assert (played.object() or {})["metadata"]["labels"] == labels


async def test_object_deleted_before_its_status_was_written_comes_back() -> None:
    class Deleting(Cluster):
        gone: bool = False

        def put(self, plural: str, body: Object) -> Object:
            found = super().put(plural, body)
            if not self.gone and plural == PREVIEWS.plural:
                self.gone = True
                self.remove(plural, "argocd", body["metadata"]["name"])
            return found

    async with play(Deleting()) as played:
        await played.ready()


async def test_write_that_was_refused_for_a_moment_is_repeated_over_the_same_object() -> None:
    async with play() as played:
        await played.ready()
        played.kube.broken = RetryLater("not now")
        played.show(status(stage=Stage.FAILED))
        await played.rounds()
        assert played.state() == "ready"
        played.kube.broken = None
        await until(lambda: played.state() == "failed")


async def test_removed_preview_of_a_replaced_repository_does_not_hide_the_living_one() -> None:
    async with play() as played:
        removed = replace(status(stage=Stage.REMOVED), identity=Identity(999, 1))
        played.show(status(), removed)
        await until(lambda: played.state() == "ready")
        await played.rounds()
        played.show(removed, status())
        await played.rounds()
        assert played.state() == "ready"


async def test_error_of_one_object_does_not_keep_the_others_from_being_written() -> None:
    class Broken(Cluster):
        def writing(self, kind: Kind, name: str) -> None:
            if name == "shop-1":
                raise KeyError("spec")
            super().writing(kind, name)

    async with play(Broken()) as played:
        played.show(status(1), status(2))
        await until(lambda: played.state("shop-2") == "ready")
