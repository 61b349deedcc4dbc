"""What the terminal says: reasons first, true, and within 80 columns; whole in a pipe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenroom.core import reasons
from greenroom.core.model import Identity, Running
from greenroom.core.status import Reason, Stage, Status, Used
from greenroom.terminal import printing
from greenroom.web.admin import status as as_json
from greenroom.web.order import expiry

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
    return Status(stage=stage, reason=reason or reasons.ready(), **(values | other))


def listed(*statuses: Status, width: int | None = None) -> list[str]:
    return printing.previews({"previews": [as_json(s) for s in statuses]}, width).splitlines()


def explained(status: Status) -> str:
    told: dict[str, Any] = {"status": as_json(status), "expiry": expiry(status, NOW)}
    return printing.explained(told | {"trouble": "", "events": []}, None)


def test_the_list_says_why_and_only_a_ready_one_where() -> None:
    failed = reasons.failed("The migration of web failed (exit code 1).", "4f2c1a9")
    assert listed(shown(Stage.FAILED, failed)) == [
        "shop#1  failed  The migration of web failed (exit code 1). The last good version, 4f2c1a9, keeps serving."
    ]
    assert listed(shown()) == [f"shop#1  ready  {URL}"]
    assert listed(shown(services=())) == ["shop#1  ready  Everything answers."]


def test_a_line_is_cut_on_a_terminal_only() -> None:
    long = reasons.failed("x" * 200, "")
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
def test_what_runs_is_told_without_empty_brackets(running: Running, line: str) -> None:
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
        (shown(Stage.HELD, hold="key", expires=NOW + timedelta(days=1)), False),
        (shown(Stage.EXPIRING, expires=NOW + timedelta(days=1)), False),
    ],
)
def test_only_what_will_go_by_itself_is_said_to_go(status: Status, said: bool) -> None:
    assert ("Expires 2026-03-03 12:00 UTC unless there is activity." in explained(status)) is said
    assert ("Expires" in explained(status)) is said


def test_what_was_changed_by_hand_and_when_it_goes_is_told_whatever_else_goes_on() -> None:
    warning = Reason("expiring", "The preview will be removed at 2026-03-03 12:00 UTC.", "A push keeps it.")
    failed = shown(
        Stage.FAILED, reasons.failed("It broke.", ""), warning=warning, by_hand=("links.payments.url",), expires=NOW
    )
    lines = explained(failed).splitlines()
    assert "  The preview will be removed at 2026-03-03 12:00 UTC. A push keeps it." in lines
    assert "  Changed in Argo CD by hand: links.payments.url." in lines


def test_without_a_chart_none_is_named() -> None:
    rolled = {"rolled": [{"preview": "shop#1", "chart": ""}, {"preview": "shop#2", "chart": "0.1.0"}]}
    assert printing.rolled(rolled).splitlines() == [
        "shop#1: redeploys with the current settings and images",
        "shop#2: redeploys with chart 0.1.0, the current settings and images",
    ]
