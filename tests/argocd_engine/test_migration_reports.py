"""Reports of migrations from the logs of a preview's pods: which pod they belong to, and what is missing in them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argocd_engine.fake import FakeKube
from argocd_engine.test_engine import play
from builders import REPOSITORY_ID, SERVICE, changed, spec
from greenroom.argocd import applicationset
from greenroom.argocd.client import PODS, LogText, Object
from greenroom.argocd.look import Look, observed
from greenroom.argocd.migration_reports import LOG_LIMIT, SNAPSHOT_LIMIT, MigrationReports, ReportReader
from greenroom.argocd.migration_runs import ended_runs
from greenroom.argocd.pods import COMPONENT, REVISION, ROLE
from greenroom.argocd.pods import SERVICE as SERVICE_LABEL
from greenroom.background import Tasks
from greenroom.core.messages import migration_summary
from greenroom.core.model.catalog import Process
from greenroom.core.model.engine import Health, PreviewSet
from greenroom.core.model.migration_report import Cause, FindingKind, MigrationReport, ServiceMigration
from greenroom.core.planning.chart_values import revision
from waiting import until

MIGRATING = replace(SERVICE, migrate=("migrate",), processes=(Process("web", port=8080, migrates=True),))
SPEC = changed(spec(1), services=(MIGRATING,))
BEGAN = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
AT = BEGAN.timestamp()


def time(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(seconds: float, text: str, severity: str = "LOG", state: str = "00000") -> str:
    at = (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return f"{at} UTC [7] 6a.7|3/5|0|{state}| {severity}:  {text}"


def table(name: str, rows: int) -> list[Any]:
    columns = [[1, "note", "text", "", rows, 4, ""]]
    return [7, "public", name, "r", 70, 8192, rows, True, 100, 0, 0, rows, None, False, columns]


def line(began: float, at: float, *tables: list[Any]) -> str:
    found = {"greenroom": "snapshot", "version": 1, "began": AT + began, "at": AT + at, "server": 160004}
    lists = ("indexes", "constraints", "sequences", "enums", "objects")
    return json.dumps({**found, **{name: [] for name in lists}, "tables": list(tables), "left_out": 0})


def terminated(began: float, ended: float, exit_code: int = 0) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "startedAt": time(began), "finishedAt": time(ended)}}


WAITING = {"waiting": {"reason": "PodInitializing"}}
CRASHED = {"waiting": {"reason": "CrashLoopBackOff"}}


def web(
    uid: str = "web-uid",
    migrate: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    version: str = revision(MIGRATING, SPEC),
) -> Object:
    """The pod of the process that migrates."""
    states = {
        "report-before": terminated(0, 1),
        "migrate": migrate or terminated(2, 5),
        "report-after": after or terminated(6, 7),
    }
    init = [
        {"name": n, "state": s, **({"lastState": last} if n == "migrate" and last else {})} for n, s in states.items()
    ]
    return {
        "metadata": {
            "name": f"shop-web-{uid}",
            "uid": uid,
            "creationTimestamp": time(0),
            "labels": {SERVICE_LABEL: "shop", COMPONENT: "web", ROLE: "service"},
            "annotations": {REVISION: version},
        },
        "spec": {
            "initContainers": [{"name": "report-before", "env": [{"name": "PGHOST", "value": "shop-postgresql"}]}],
            "containers": [{"name": "web", "image": "shop"}],
        },
        "status": {"phase": "Pending", "initContainerStatuses": init},
    }


DATABASE: Object = {
    "metadata": {
        "name": "shop-postgresql-0",
        "uid": "db-uid",
        "creationTimestamp": time(-60),
        "labels": {SERVICE_LABEL: "shop-postgresql", COMPONENT: "need", ROLE: "need"},
    },
    "spec": {"containers": [{"name": "postgresql"}]},
    "status": {"phase": "Running"},
}
MARKS = (entry(0.5, "greenroom: snapshot"), entry(6.5, "greenroom: snapshot"))
DROPPED = [MARKS[0], entry(3, "statement: DROP TABLE orders"), MARKS[1]]


@dataclass
class Kubelet:
    """The logs of all containers. Each read is counted."""

    before: str = line(0.4, 0.9, table("orders", 150))
    after: str = line(6.4, 6.9)
    server: list[str] = field(default_factory=lambda: list(DROPPED))
    cut: bool = False
    reads: list[tuple[str, str, str]] = field(default_factory=list)

    async def log_since(self, namespace: str, pod: str, container: str, since: str, limit: int) -> LogText | None:
        assert limit == (LOG_LIMIT if container == "postgresql" else SNAPSHOT_LIMIT)
        self.reads.append((pod, container, since))
        await asyncio.sleep(0)
        if container == "postgresql":
            return LogText("\n".join(self.server), self.cut) if self.server else None
        text = {"report-before": self.before, "report-after": self.after}[container]
        return LogText(f"{text}\n") if text else None


class Preview:
    """The reports of one preview, in a cluster with these logs."""

    def __init__(self, kubelet: Kubelet | None = None) -> None:
        self.kubelet = kubelet or Kubelet()
        self.tasks = Tasks()
        self.told = 0
        made: Any = self.kubelet
        self.reports = MigrationReports(ReportReader(made, pauses=(0.0,)), self.tasks, self.changed)

    def changed(self) -> None:
        self.told += 1

    async def of(self, *pods: Object) -> tuple[ServiceMigration, ...]:
        self.reports.of(list(pods), SPEC)
        await self.tasks.join()
        return self.reports.of(list(pods), SPEC)


async def made(kubelet: Kubelet | None = None, *pods: Object) -> MigrationReport:
    [found] = await Preview(kubelet).of(*(pods or (web(),)), DATABASE)
    return found.report


async def test_table_that_was_dropped_with_data_is_an_alarm() -> None:
    preview = Preview()
    [found] = await preview.of(web(), DATABASE)
    assert (found.service, found.need, preview.told) == ("shop", "shop-postgresql", 1)
    assert [(f.kind, f.table, f.count) for f in found.report.alarms] == [(FindingKind.TABLE_DROPPED, "orders", 150)]
    assert [s.text for s in found.report.statements] == ["DROP TABLE orders"]
    assert (found.report.complete, found.report.log_complete, found.report.seconds) == (True, True, 3.0)
    assert {s for pod, _, s in preview.kubelet.reads if pod == "shop-postgresql-0"} == {time(-30)}


async def test_report_does_not_delay_an_observation_and_is_made_once_for_a_pod() -> None:
    preview = Preview()
    assert preview.reports.of([web(), DATABASE], SPEC) == ()
    assert preview.kubelet.reads == [], "the first observation returned before anything was read"
    assert len(await preview.of(web(), DATABASE)) == 1
    assert len(preview.kubelet.reads) == 3
    await preview.of(web(), DATABASE)
    assert (len(preview.kubelet.reads), preview.told) == (3, 1)


async def test_report_of_another_pod_is_not_shown() -> None:
    preview = Preview()
    assert await preview.of(web(), DATABASE)
    pushed = web("new", migrate={"running": {"startedAt": time(20)}}, after=WAITING, version="the next version")
    assert preview.reports.of([web(), pushed, DATABASE], SPEC), "the pod of the spec's version is still there"
    assert preview.reports.of([pushed, DATABASE], SPEC) == ()
    replacement = web("other", migrate={"running": {"startedAt": time(20)}}, after=WAITING)
    assert preview.reports.of([replacement, DATABASE], SPEC) == ()
    assert await preview.of(web("older", version="the last version"), DATABASE) == ()


@pytest.mark.parametrize(
    "pod",
    [
        web(migrate={"running": {"startedAt": time(2)}}, after=WAITING),
        web(after=WAITING),
        web(after={"running": {"startedAt": time(6)}}),
        {**web(), "spec": {"initContainers": [], "containers": [{"name": "web"}]}},
    ],
    ids=["migrates", "no second snapshot yet", "takes the second snapshot", "has no report"],
)
def test_run_that_has_not_ended_is_not_reported(pod: Object) -> None:
    assert ended_runs([pod, DATABASE], SPEC) == ()


FAILED = [
    MARKS[0],
    entry(3, 'column "note" of relation "orders" contains null values', "ERROR", "23502"),
    entry(3, "ALTER TABLE orders ALTER note SET NOT NULL", "STATEMENT", "23502"),
]
NULLS = line(0.4, 0.9, [*table("orders", 100)[:-1], [[1, "note", "text", "", 40, 4, ""]]])


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (terminated(2, 5, 1), None),
        (CRASHED, terminated(2, 5, 1)),
        ({"running": {"startedAt": time(9)}}, terminated(2, 5, 1)),
    ],
    ids=["ended", "waits for the next try", "tries again"],
)
async def test_failed_migration_names_cause_table_and_count(now: dict[str, Any], last: dict[str, Any] | None) -> None:
    found = await made(Kubelet(NULLS, "", FAILED), web(migrate=now, after=WAITING, last=last))
    assert found.failure
    assert (found.failure.cause, found.failure.columns) == (Cause.NULLS, ("note",))
    assert [(f.table, f.count, f.of) for f in found.alarms] == [("orders", 60, 100)]
    assert "failed: NULL values in `orders` (60 rows)" in migration_summary(found)


async def test_migration_that_succeeds_at_last_is_reported_again() -> None:
    preview = Preview(Kubelet(NULLS, line(6.4, 6.9, table("orders", 100)), [*FAILED, MARKS[1]]))
    crashed = web(migrate=CRASHED, after=WAITING, last=terminated(2, 3, 1))
    [failed] = await preview.of(crashed, DATABASE)
    [found] = await preview.of(web(last=terminated(2, 3, 1)), DATABASE)
    assert failed.report.failure
    assert not found.report.failure


@pytest.mark.parametrize(
    "kubelet",
    [
        Kubelet(cut=True),
        Kubelet(server=[]),
        Kubelet(server=DROPPED[1:]),
        Kubelet(server=DROPPED[:-1]),
        Kubelet(server=["a line of another program"]),
    ],
    ids=["longer than the limit", "gone", "begins late", "ends early", "unreadable"],
)
async def test_report_says_that_the_log_is_not_complete(kubelet: Kubelet) -> None:
    found = await made(kubelet)
    assert not found.log_complete
    assert "report incomplete" in migration_summary(found)
    assert len([r for r in kubelet.reads if r[1] == "postgresql"]) == 2, "it was read once more after a pause"


async def test_cut_log_of_a_failed_migration_is_not_complete() -> None:
    found = await made(Kubelet(NULLS, "", FAILED, cut=True), web(migrate=terminated(2, 5, 1), after=WAITING))
    assert not found.log_complete


@pytest.mark.parametrize("before", ["", "[]", '{"greenroom": "snapshot", "version": 1, "failed": true}'])
async def test_report_without_its_first_snapshot_is_left_out(before: str) -> None:
    preview = Preview(Kubelet(before=before))
    assert await preview.of(web(), DATABASE) == ()
    assert preview.told == 0


async def test_report_without_its_second_snapshot_is_not_complete() -> None:
    found = await made(Kubelet(after=""))
    assert not found.complete


async def test_error_while_a_report_is_made_is_not_an_error_of_the_preview() -> None:
    class Broken(Kubelet):
        async def log_since(self, *args: object) -> LogText | None:
            raise RuntimeError("broken")

    assert await Preview(Broken()).of(web(), DATABASE) == ()


async def test_report_has_neither_raw_statements_nor_text_that_looks_like_a_secret() -> None:
    ran = entry(3, "statement: CREATE TABLE ghp_abcdefghijklmnopqrstuvwxyz0123 (a text DEFAULT 'hunter2')")
    found = await made(Kubelet(server=[MARKS[0], ran, MARKS[1]]))
    assert [s.raw for s in found.statements] == [""]
    assert "ghp_" not in repr(found)
    assert "hunter2" not in repr(found)


async def test_report_of_an_older_spec_is_not_shown() -> None:
    [found] = await Preview().of(web(), DATABASE)
    look = Look("uid", SPEC, Health.UPDATING, migrations=(found,))
    newer = changed(SPEC, versions=(replace(SPEC.build.versions[0], digest="sha256:new"),))
    assert observed(SPEC.id, look, SPEC, None).migrations == (found,)
    assert observed(SPEC.id, look, newer, None).migrations == ()
    assert observed(SPEC.id, replace(look, health=Health.REMOVING), SPEC, None).migrations == ()


async def test_engine_observes_the_report_and_wakes_its_repository() -> None:
    kube = FakeKube(wrote=Kubelet().log_since)
    labels = {applicationset.INSTALLATION: "test"}
    for pod in (web(), DATABASE):
        metadata = {**pod["metadata"], "namespace": "preview-shop-1", "labels": {**pod["metadata"]["labels"], **labels}}
        kube.put(PODS.plural, {**pod, "metadata": metadata})
    async with play(kube) as played:
        await played.engine.serve(PreviewSet(REPOSITORY_ID, "shop", 1, {1: SPEC}))
        await until(played.seen)
        await played.engine.observe()
        played.woken.clear()
        await until(lambda: REPOSITORY_ID in played.woken)
        [found] = (await played.engine.observe()).previews[SPEC.id].migrations
        assert [(f.kind, f.table) for f in found.report.alarms] == [(FindingKind.TABLE_DROPPED, "orders")]
