"""What the terminal says: reasons first, true, and within 80 columns; whole in a pipe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenroom.core import messages
from greenroom.core.comment.serving import NOTHING, Serving
from greenroom.core.model.engine import Running
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.migration_report import (
    Finding,
    FindingKind,
    MigrationReport,
    RanStatement,
    ServiceMigration,
)
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Reason, Stage, Status, Used
from greenroom.terminal import printing
from greenroom.web.admin import status as as_json
from greenroom.web.sorting import expiry

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "https://web-pr-1.preview.example.com"


def shown(stage: Stage = Stage.READY, reason: Reason | None = None, **other: Any) -> Status:
    values: dict[str, Any] = {
        "identity": Identity(7, 1),
        "name": "shop#1",
        "repository": "shop",
        "slug": "acme/shop",
        "title": "A change",
        "author": "ada",
        "url": "https://github.example.com/acme/shop/pull/1",
        "services": (Running("web", URL, "4f2c1a9" + "0" * 33, "sha256:x", True),),
    }
    return Status(stage=stage, reason=reason or messages.ready(), **(values | other))


def listed(*statuses: Status, width: int | None = None) -> list[str]:
    return printing.previews({"previews": [as_json(s) for s in statuses]}, width).splitlines()


def explained(status: Status, *events: dict[str, Any]) -> str:
    told: dict[str, Any] = {"status": as_json(status), "expiry": expiry(status, NOW)}
    return printing.explained(told | {"trouble": "", "events": events}, None)


def test_past_events_are_short_in_a_pipe_too_while_the_reason_of_today_is_whole() -> None:
    """`kubectl exec` gives the command no terminal."""
    why = Reason("failed", f"The migration failed: {'x' * 300}", "Push a fix.")
    said = {"at": "2026-03-02T12:00:00+00:00", "kind": "failed", "text": str(why)}
    lines = explained(shown(Stage.FAILED, why), said).splitlines()
    assert "x" * 300 in " ".join(lines)
    assert len(lines[-1]) == 120
    assert lines[-1].startswith("    2026-03-02 12:00 UTC  failed     The migration failed: xxx")


def test_the_list_says_why_and_only_a_ready_one_where() -> None:
    failed = messages.failed(
        "The migration of web failed (exit code 1).",
        Serving(previous=(Running("web", "", "4f2c1a9", "", True),), starting=("9",)),
    )
    assert listed(shown(Stage.FAILED, failed)) == [
        "shop#1  failed  The migration of web failed (exit code 1). The previous version, 4f2c1a9, keeps running."
    ]
    assert listed(shown(Stage.FAILED, failed, log=("Traceback", "KeyError: 'DATABASE_URL'")))[0].startswith(
        "shop#1  failed  KeyError: 'DATABASE_URL'. The migration of web failed"
    )
    assert listed(shown()) == [f"shop#1  ready  {URL}"]
    assert listed(shown(services=())) == ["shop#1  ready  All services are up."]
    gone = messages.by_hand_gone("payments", "payments#9", "preview-shop-1")
    assert listed(shown(reason=gone)) == [f"shop#1  ready  {URL} {gone.text}"]


@pytest.mark.parametrize(
    ("times", "resync", "said"),
    [
        (["12:00:07"], 600.0, "GitHub was last read at 2026-03-02 12:00:07 UTC. A label that was added since then"),
        (["12:00:07", "11:59:58"], 10.0, "Every repository was last read at 2026-03-02 11:59:58 UTC or later. A label"),
        ([], 600.0, ""),
    ],
)
def test_empty_list_says_when_a_new_label_has_an_effect(times: list[str], resync: float, said: str) -> None:
    known = [{"name": "shop", "read_at": f"2026-03-02T{t}+00:00", "trouble": ""} for t in times]
    text = printing.previews({"previews": [], "repositories": known, "resync": resync}, None)
    first, *more = text.splitlines()
    assert first == "No preview exists, and none is requested."
    assert " ".join(map(str.strip, more)).startswith(said)
    flat = " ".join(text.split())
    span = messages.span(timedelta(seconds=resync))
    assert flat.endswith(f"appears with the next webhook, or within {span}.") is bool(times)
    assert all(len(line) <= printing.WIDTH for line in more)


def test_explain_shows_notes_about_a_service() -> None:
    note = "postgresql is this machine's PostgreSQL 15; on a cluster it is PostgreSQL 17; cron report does not run here"
    lines = explained(shown(services=(Running("web", URL, "4f2c1a9" + "0" * 33, "", True, note=note),))).splitlines()
    at = lines.index(f"  web: {URL} (4f2c1a9)")
    assert lines[at + 1 : at + 3] == [
        "    postgresql is this machine's PostgreSQL 15; on a cluster it is PostgreSQL",
        "  17; cron report does not run here.",
    ]


def test_a_line_is_cut_on_a_terminal_only() -> None:
    long = messages.failed("x" * 200, NOTHING)
    assert len(listed(shown(Stage.FAILED, long))[0]) > 200
    [cut] = listed(shown(Stage.FAILED, long), width=60)
    assert len(cut) == 60
    assert cut.endswith("…")


@pytest.mark.parametrize(
    ("running", "line"),
    [
        (Running("web", URL, "4f2c1a9" + "0" * 33, "", True), f"  web: {URL} (4f2c1a9)"),
        (Running("web", URL, "4f2c1a9" + "0" * 33, "", False), f"  web: {URL} (4f2c1a9), not ready"),
        (Running("web", URL, "", "", False), f"  web: {URL}, not ready"),
        (Running("worker", "", "4f2c1a9" + "0" * 33, "", True), "  worker: no address (4f2c1a9)"),
    ],
)
def test_what_runs_is_reported_without_empty_brackets(running: Running, line: str) -> None:
    assert line in explained(shown(services=(running,))).splitlines()


@pytest.mark.parametrize(
    ("name", "why", "line"),
    [
        ("staging", "staging", "  web uses payments from staging."),
        ("payments#17", "ada chose it", "  web uses payments from payments#17: ada chose it."),
        ("this preview", "same preview", "  web uses payments from this preview."),
    ],
)
def test_a_link_says_why_once(name: str, why: str, line: str) -> None:
    link = Used("web", "payments", name, why, "http://x")
    assert line in explained(shown(links=(link,))).splitlines()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (shown(expires=NOW + timedelta(days=1)), True),
        (shown(expires=NOW - timedelta(days=1)), False),
        (shown(Stage.HELD, hold=HoldKey(HoldKind.NOT_SHOWN), expires=NOW + timedelta(days=1)), False),
        (shown(Stage.EXPIRING, expires=NOW + timedelta(days=1)), False),
    ],
)
def test_only_what_is_removed_automatically_is_shown_with_a_date(status: Status, said: bool) -> None:
    assert ("Expires 2026-03-03 12:00 UTC unless there is activity." in explained(status)) is said
    assert ("Expires" in explained(status)) is said


def test_what_was_changed_by_hand_and_when_it_is_removed_is_reported_whatever_else_continues() -> None:
    warning = Reason("expiring", "The preview will be removed at 2026-03-03 12:00 UTC.", "A push keeps it.")
    failed = shown(
        Stage.FAILED,
        messages.failed("It broke.", NOTHING),
        warning=warning,
        manual_overrides=("links.payments.url",),
        expires=NOW,
    )
    lines = explained(failed).splitlines()
    assert "  The preview will be removed at 2026-03-03 12:00 UTC. A push keeps it." in lines
    assert "  These parameters were changed by hand in Argo CD: links.payments.url." in lines


def test_without_a_chart_none_is_named() -> None:
    redeployed = {"redeployed": [{"preview": "shop#1", "chart": ""}, {"preview": "shop#2", "chart": "0.1.0"}]}
    assert printing.redeployed(redeployed).splitlines() == [
        "shop#1: redeploys with the current settings and images",
        "shop#2: redeploys with chart 0.1.0, the current settings and images",
    ]


def test_explanation_says_what_the_migration_did() -> None:
    ran = (RanStatement("DROP TABLE orders", None, ("orders",)),)
    lost = (Finding(FindingKind.TABLE_DROPPED, "orders", 150, True),)
    found = ServiceMigration("shop", "shop-postgresql", MigrationReport((), 2.0, ran, lost))
    line = "Migrations: 1 DDL statement, 2.0 s; `orders` dropped with 150 rows"
    assert line in " ".join(explained(shown(migrations=(found,))).split())
    assert "Migrations" not in explained(shown())
    assert as_json(shown(migrations=(found,)))["migrations"] == [line]
