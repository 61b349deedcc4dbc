"""The dashboard: what people read, safely, in the order in which they want it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx2
import pytest
from prometheus_client import generate_latest

from greenroom import logs
from greenroom.controller.status_store import Board, RepositoryHealth
from greenroom.core import messages
from greenroom.core.comment.serving import NOTHING
from greenroom.core.model.catalog import Repository
from greenroom.core.model.ci import MissingImages
from greenroom.core.model.engine import Running
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.migration_report import Finding, FindingKind, MigrationReport, ServiceMigration
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Reason, Stage, Status, Used, User
from greenroom.errors import Failed
from greenroom.store.rows import Event
from greenroom.terminal import printing
from greenroom.web import dashboard as package
from greenroom.web import messages as web_messages
from greenroom.web.admin import admin, trouble
from greenroom.web.admin import status as as_json
from greenroom.web.dashboard import dashboard
from greenroom.web.metrics import Metrics
from greenroom.web.sorting import problems_first, troubles

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PAGE = "/previews/shop/1"
HOSTILE = "<script>alert(1)</script> `code` \"'"
HOLD = HoldKey(HoldKind.LABEL_GONE, "preview")


class Past:
    """A history with one event of every preview, or with what was noted of `shop#9`, or one that is broken."""

    def __init__(self, *noted: Event, broken: Exception | None = None) -> None:
        self._noted = noted
        self._broken = broken

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Event, ...]:
        if self._broken:
            raise self._broken
        return (Event("k", NOW, 7, "shop", 1, "ready", f"All services are up {HOSTILE}."),)

    async def named(self, repository: str, number: int, limit: int = 50) -> tuple[Event, ...]:
        if self._broken:
            raise self._broken
        return self._noted if (repository, number) == ("shop", 9) else ()


OWNERS = {"web": "shop"}
"""The repositories of services that do not have the name of their repository."""


class Nothing:
    repositories: tuple[Repository, ...] = ()
    resync = 600.0

    def read_again(self, repository: str) -> None:
        pass

    async def plan(self) -> list[dict[str, object]]:
        return []

    async def release(self, names: list[str], by: str, seen: Mapping[str, str]) -> list[dict[str, object]]:
        if [name for name in names if name not in seen]:
            raise Failed("shop#1: the reason for the hold has changed.")
        return [{"preview": name, "code": by, "released": seen[name]} for name in names]

    async def redeploy(self, names: list[str], by: str) -> list[dict[str, object]]:
        return [{"preview": name, "code": by} for name in names]

    async def use(self, name: str, text: str, by: str) -> dict[str, object]:
        service, _, to = text.replace("#", " ").partition(" ")
        if not to:
            raise Failed(f"{text!r} is not a valid target. {HOSTILE}")
        self.by = by
        waits = (service, to) in (("shop", "2"), ("payments", "9"))
        target = {
            "service": service,
            "to": to,
            "target": f"{OWNERS.get(service, service)}#{to}" if to.isdecimal() else to,
        }
        return {"preview": name, **target, "done": to != "99", "waits": waits, "now": "staging"}

    async def seeds(self) -> list[dict[str, object]]:
        return []

    async def reset(self, name: str, action: str, by: str) -> dict[str, object]:
        self.by = by
        return {"preview": name, "action": action, "needs": ["postgresql"], "done": True}


LINKED = (Used("web", "payments", "payments#17", "ada chose it", "http://x", "https://github.example.com/p/17"),)


def status(number: int, stage: Stage = Stage.READY, title: str = "A change") -> Status:
    return Status(
        identity=Identity(7, number),
        name=f"shop#{number}",
        repository="shop",
        slug="acme/shop",
        title=title,
        author="ada",
        url=f"https://github.example.com/acme/shop/pull/{number}",
        stage=stage,
        reason=messages.ready(),
        services=(Running("web", f"https://web-pr-{number}.preview.example.com", "a" * 40, "sha256:x", True),),
        created=NOW - timedelta(days=1),
        serving=True,
    )


def board_of(*statuses: Status, trouble: str = "") -> Board:
    health = {"shop": RepositoryHealth("shop", "acme/shop", NOW, trouble, NOW)}
    return Board({s.identity: s for s in statuses}, health, NOW, 1)


def client(
    *statuses: Status, trouble: str = "", host: str = "localhost", past: Past | None = None
) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(dashboard(board_of(*statuses, trouble=trouble), past or Past(), "test"))
    return httpx2.AsyncClient(transport=transport, base_url=f"http://{host}")


def asking(*statuses: Status, trouble: str = "", past: Past | None = None) -> httpx2.AsyncClient:
    """The admin port, asked as the command line does."""
    transport = httpx2.ASGITransport(admin(board_of(*statuses, trouble=trouble), past or Past(), Nothing()))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={"x-greenroom": "cli"})


async def test_the_list_shows_problems_first_and_titles_as_text() -> None:
    shown = [status(1), status(2, Stage.FAILED, HOSTILE), status(3, Stage.HELD), status(4, Stage.NONE)]
    page = (await client(*shown).get("/")).text
    order = [int(n) for n in re.findall(r'href="/previews/shop/(\d+)"', page)]
    assert order == [2, 3, 1, 4]
    assert "<script>alert" not in page
    assert "1 open pull request without a preview" in page


async def test_what_is_removed_automatically_stands_above_what_waits() -> None:
    stages = (Stage.READY, Stage.BLOCKED, Stage.EXPIRING, Stage.WAITING, Stage.HELD, Stage.FAILED)
    page = (await client(*(status(n, s) for n, s in enumerate(stages))).get("/")).text
    order = [stages[int(n)] for n in re.findall(r'<a class="title" href="/previews/shop/(\d+)"', page)]
    assert order == [Stage.FAILED, Stage.HELD, Stage.EXPIRING, Stage.BLOCKED, Stage.WAITING, Stage.READY]


async def test_a_ready_preview_shows_its_address_instead_of_saying_that_it_answers() -> None:
    page = (await client(status(1)).get("/")).text
    assert "All services are up." not in page
    assert ">https://web-pr-1.preview.example.com</a>" in page
    renewed = replace(status(1), reason=messages.data_renewed(NOW))
    assert messages.data_renewed(NOW).text in (await client(renewed).get("/")).text
    worker = replace(status(1), services=(Running("web", "", "a" * 40, "", True),))
    assert "All services are up." in (await client(worker).get("/")).text


@pytest.mark.parametrize(
    ("stage", "reason", "shown"),
    [
        (Stage.FAILED, messages.failed("It broke.", NOTHING), True),
        (Stage.HELD, messages.label_gone("preview"), True),
        (Stage.BLOCKED, messages.draft(), True),
        (Stage.WAITING, messages.waiting_for_image(MissingImages(("r/shop:1",), ("r/shop:1",))), True),
        (Stage.QUEUED, messages.queued(5, "for ada"), False),
    ],
)
async def test_the_first_screen_says_what_to_do_where_something_is_to_do(
    stage: Stage, reason: Reason, shown: bool
) -> None:
    page = (await client(replace(status(1, stage), reason=reason)).get("/")).text
    assert ('<span class="fix">' in page) is shown
    assert (reason.fix[:20] in page) is shown


async def test_page_and_terminal_show_the_place_in_the_queue_that_comments_leave_out() -> None:
    waits = replace(status(1, Stage.QUEUED), reason=messages.queued(5, "for ada"), position=7, services=())
    one = client(waits)
    for path in ("/", "/previews/shop/1"):
        assert "Number 7 in the queue. The limit of 5 previews for ada has been reached." in (await one.get(path)).text
    shown = as_json(waits)
    assert "Number 7 in the queue." in printing.previews({"previews": [shown]}, None)
    told: dict[str, object] = {"status": shown, "expiry": "", "trouble": "", "events": []}
    assert "Number 7 in the queue." in printing.explained(told, None)


async def test_a_held_preview_past_its_lifetime_is_listed_first_and_counted() -> None:
    late = replace(status(2, Stage.HELD), reason=messages.label_gone("preview"), hold=HOLD, overdue=True)
    board = board_of(status(1, Stage.FAILED), status(3, Stage.HELD), late)
    assert [s.number for s in problems_first(board.statuses.values())] == [2, 1, 3]
    text = generate_latest(Metrics(board, dict).registry).decode()
    assert 'greenroom_previews_overdue{repository="shop"} 1.0' in text
    shown = [as_json(s) for s in problems_first(board.statuses.values())]
    first = printing.previews({"previews": shown}, None).splitlines()[0]
    assert first.startswith(
        "shop#2  held    The preview is past its lifetime but is kept until a person decides. This pull request"
    )
    page = (await client(late).get("/previews/shop/2")).text
    assert "The preview is past its lifetime but is kept until a person decides." in page


async def test_without_an_overdue_preview_the_count_is_zero() -> None:
    text = generate_latest(Metrics(board_of(status(1)), dict).registry).decode()
    assert 'greenroom_previews_overdue{repository="shop"} 0.0' in text


SOON, PAST = NOW + timedelta(hours=20), NOW - timedelta(minutes=8)


@pytest.mark.parametrize(
    ("stage", "hold", "expires", "shown"),
    [
        (Stage.READY, None, SOON, True),
        (Stage.READY, None, PAST, False),
        (Stage.HELD, HOLD, SOON, False),
        (Stage.HELD, None, SOON, False),
        (Stage.EXPIRING, None, SOON, False),
        (Stage.REMOVED, None, SOON, False),
        (Stage.READY, None, None, False),
    ],
)
async def test_only_what_is_removed_automatically_is_shown_with_a_date(
    stage: Stage, hold: HoldKey | None, expires: datetime | None, shown: bool
) -> None:
    one = client(replace(status(1, stage), hold=hold, expires=expires))
    assert ("expires in <time" in (await one.get("/")).text) is shown
    assert ("20 h</time>" in (await one.get("/")).text) is shown
    assert ("Expires 2026-03-03 08:00 UTC unless there is activity." in (await one.get(PAGE)).text) is shown


async def test_a_preview_page_shows_when_it_is_removed_and_what_was_changed_by_hand_whatever_else_continues() -> None:
    warning = Reason("expiring", "The preview will be removed at 2026-03-03 08:00 UTC.", "A push keeps it.")
    failed = replace(status(1, Stage.FAILED), warning=warning, expires=SOON, manual_overrides=("links.payments.url",))
    page = (await client(failed).get(PAGE)).text
    assert "The preview will be removed at 2026-03-03 08:00 UTC. A push keeps it." in page
    assert "Expires" not in page, "once is enough"
    assert "These parameters were changed by hand in Argo CD: links.payments.url." in page
    manual_overrides = replace(failed, reason=messages.changed_by_hand((("links.payments.url", "x"),)))
    assert (await client(manual_overrides).get(PAGE)).text.count(
        "These parameters were changed by hand in Argo CD"
    ) == 1


async def test_a_preview_page_begins_with_where_to_go() -> None:
    away = Running("worker", "https://worker-pr-1.preview.example.com", "b" * 40, "", False)
    answer = messages.command_no_service("ada", "paymets", "payments", ["payments"])
    shown = replace(status(1), services=(*status(1).services, away), answer=answer)
    page = (await client(shown).get(PAGE)).text
    pull_request, address, reason, runs = map(
        page.index,
        (
            "https://github.example.com/acme/shop/pull/1",
            "https://web-pr-1",
            "All services are up.",
            "<h2>Services</h2>",
        ),
    )
    assert pull_request < address < reason < runs
    assert '<a href="https://web-pr-1.preview.example.com"' in page
    assert '<a href="https://worker-pr-1' not in page, "an address that does not answer is no link"
    assert "https://worker-pr-1.preview.example.com" in page
    assert "Did you mean <code>payments</code>?" in page
    assert '<a href="https://worker-pr-1' not in (await client(shown).get("/")).text


async def test_the_filter_works_without_javascript() -> None:
    page = (await client(status(1, title="Blue"), status(2, title="Green")).get("/", params={"q": "green shop"})).text
    assert "Green" in page
    assert "Blue" not in page


async def test_a_typed_filter_is_in_the_address_and_a_refresh_leaves_that_alone() -> None:
    one = client(status(1))
    typed = {"hx-request": "true", "hx-source": "input#q"}
    answer = await one.get("/lines", params={"q": "held & ada"}, headers=typed)
    assert answer.headers["hx-replace-url"] == "/?q=held+%26+ada"
    assert "held &amp; ada" in (await one.get(answer.headers["hx-replace-url"])).text
    assert (await one.get("/lines", params={"q": ""}, headers=typed)).headers["hx-replace-url"] == "/"
    refreshed = await one.get("/lines", params={"q": "held", "seen": "0"}, headers={"hx-source": "section#lines"})
    assert "hx-replace-url" not in refreshed.headers


async def test_a_refresh_leaves_open_what_a_person_opened() -> None:
    page = (await client(status(1, Stage.NONE)).get("/")).text
    config = re.search(r'name="htmx-config" content=\'([^\']*)\'', page)
    assert config
    assert "open" in json.loads(config[1])["morphIgnore"], "the attribute is the person's, not the server's"
    assert '<details id="without">' in page


async def test_an_empty_board_teaches_the_three_steps() -> None:
    transport = httpx2.ASGITransport(dashboard(Board(), Past(), "test", label=lambda: "review-app"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one:
        page = (await one.get("/")).text
    assert page.count("<li>") == 3
    assert "Add the label <code>review-app</code> to it" in page


def away(*repositories: str, text: str = "GitHub returned 502 for POST /graphql.") -> dict[str, RepositoryHealth]:
    since = (NOW - timedelta(minutes=len(repositories) - i) for i in range(len(repositories)))
    return {r: RepositoryHealth(r, f"acme/{r}", NOW, text, at) for r, at in zip(repositories, since, strict=True)}


async def test_equal_troubles_of_many_repositories_are_one_banner() -> None:
    many = away(*(f"shop{i:02}" for i in range(40))) | away("alone", text="The token may not see it.")
    board = replace(board_of(status(1)), repositories=many)
    transport = httpx2.ASGITransport(dashboard(board, Past(), "test"))
    page = (await httpx2.AsyncClient(transport=transport, base_url="http://localhost").get("/")).text
    assert page.partition("<section")[2].count('class="trouble"') == 2
    assert "<strong>40 repositories</strong>: GitHub returned 502" in page
    assert "Since 2026-03-02 11:20:00 UTC" in page, "since the first of them"
    assert "shop00, shop01" in page
    shown = printing.previews({"previews": [], "troubles": [trouble(t) for t in troubles(many.values())]}, None)
    assert shown.splitlines() == [
        "alone: The token may not see it.",
        "40 repositories: GitHub returned 502 for POST /graphql.",
    ]


async def test_trouble_is_on_top() -> None:
    page = (await client(status(1), trouble="GitHub returned 500.").get("/")).text
    assert "GitHub returned 500." in page
    assert "Nothing is removed until it can be read again." in page


async def test_one_preview_with_its_story() -> None:
    held = replace(status(1, Stage.HELD, HOSTILE), hold=HOLD, reason=messages.label_gone("preview"), log=(HOSTILE,))
    page = (await client(held).get("/previews/shop/1")).text
    assert "<script>alert" not in page
    assert "<code>preview</code>" in page
    assert "All services are up" in page
    assert (await client().get("/previews/shop/9")).status_code == 404


BROKEN = "The history cannot be read (database is locked). Previews do not depend on it."


async def test_a_history_that_breaks_takes_nothing_else_along() -> None:
    past = Past(broken=Failed(BROKEN))
    page = await client(status(1), past=past).get(PAGE)
    assert (page.status_code, BROKEN in page.text, "https://web-pr-1" in page.text) == (200, True, True)
    answer = await asking(status(1), past=past).get("/api/previews/shop/1")
    assert answer.status_code == 200
    lines = printing.explained(answer.json(), None).splitlines()
    assert lines[0] == "shop#1: ready"
    assert BROKEN in " ".join(" ".join(lines).split())
    for unknown in (client(past=past).get("/previews/shop/9"), asking(past=past).get("/api/previews/shop/9")):
        found = await unknown
        assert (found.status_code, BROKEN in found.text) == (404, True)


@pytest.mark.usefixtures("logging_restored")
async def test_a_page_that_fails_says_so_on_a_page_of_ours_and_shows_no_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    logs.hide("hunter2-of-the-team")
    past = Past(broken=RuntimeError("postgresql://me:hunter2-of-the-team@db/x"))
    page = await client(status(1), past=past).get(PAGE)
    assert page.status_code == 500
    assert "This page failed with an unexpected error (RuntimeError). See Greenroom&#39;s log." in page.text
    assert '<header><a class="brand" href="/">' in page.text
    assert "content-security-policy" in page.headers
    answer = await asking(status(1), past=past).get("/api/previews/shop/1")
    assert answer.status_code == 500
    assert "(RuntimeError). See Greenroom's log." in answer.json()["error"]
    told = capsys.readouterr().err
    assert told.count("Traceback") == 2
    assert "hunter2-of-the-team" not in told


@pytest.mark.parametrize("name", ["explain", "page"])
async def test_what_was_removed_before_a_start_is_shown_from_the_history(name: str) -> None:
    text = "It was closed by ada. All of the preview's resources have been deleted."
    noted = (
        Event("c", NOW, 7, "shop", 9, "removed", text, {"code": "removed"}),
        Event("b", NOW - timedelta(minutes=1), 7, "shop", 9, "removed", "It was closed by ada.", {"code": "closed"}),
    )
    if name == "page":
        page = await client(past=Past(*noted)).get("/previews/shop/9")
        assert (page.status_code, unescape(page.text).count(text), "> removed<" in page.text) == (200, 2, True)
        return
    answer = (await asking(past=Past(*noted)).get("/api/previews/shop/9")).json()
    assert printing.explained(answer, None).splitlines()[:3] == [
        "shop#9: removed",
        f"  {text}",
        "  Since 2026-03-02 12:00 UTC.",
    ]
    assert [e["text"] for e in answer["events"]] == [text], "the step of deleting is no other thing that happened"


async def test_what_was_not_removed_and_is_not_seen_is_reported_with_the_last_known_state() -> None:
    noted = Event("b", NOW, 7, "shop", 9, "removed", "It was closed by ada.", {"code": "closed"})
    ready = Event("a", NOW, 7, "shop", 9, "ready", "All services are up.", {"code": "ready"})
    sentence = (
        "Greenroom has not seen this pull request since it started. The last recorded state, at 2026-03-02 12:00 UTC: "
    )
    for past, last in ((Past(ready), "All services are up."), (Past(noted, ready), "It was closed by ada.")):
        answer = await asking(trouble="GitHub could not be reached.", past=past).get("/api/previews/shop/9")
        assert answer.status_code == 404
        assert (
            answer.json()["error"]
            == f"shop#9: {sentence}{last} Changes in shop are paused: GitHub could not be reached."
        )
        page = await client(trouble="GitHub could not be reached.", past=past).get("/previews/shop/9")
        assert (page.status_code, f"{sentence}{last}" in page.text) == (404, True)
        assert "Changes in <strong>shop</strong> are paused: GitHub could not be reached." in page.text


async def test_the_page_of_a_preview_shows_the_trouble_of_its_repository_as_explain_does() -> None:
    trouble = "GitHub returned 500 for POST /graphql."
    page = (await client(status(1), trouble=trouble).get(PAGE)).text
    assert f"Changes in <strong>shop</strong> are paused: {trouble}" in page
    answer = (await asking(status(1), trouble=trouble).get("/api/previews/shop/1")).json()
    assert f"  Changes in shop are paused: {trouble}" in printing.explained(answer, None).splitlines()
    assert "are paused" not in (await client(status(1)).get(PAGE)).text


@pytest.mark.parametrize(
    ("path", "sent", "example"),
    [
        ("release", b"[", '{"previews": ["shop#42"], "holds": {"shop#42": "..."}, "by": "..."}'),
        ("release", b"[]", '{"previews": ["shop#42"], "holds": {"shop#42": "..."}, "by": "..."}'),
        (
            "release",
            b'{"previews": "shop#1", "by": "ada"}',
            '{"previews": ["shop#42"], "holds": {"shop#42": "..."}, "by": "..."}',
        ),
        ("redeploy", b'{"previews": [1]}', '{"previews": ["shop#42"], "by": "..."}'),
        ("redeploy", b'{"previews": ["shop#1"]}', '{"previews": ["shop#42"], "by": "..."}'),
        ("redeploy", b'{"previews": ["shop#1"], "by": 7}', '{"previews": ["shop#42"], "by": "..."}'),
        ("redeploy", b"\xff", '{"previews": ["shop#42"], "by": "..."}'),
        (
            "use",
            b'{"preview": "shop#1", "target": ["a"]}',
            '{"preview": "shop#42", "target": "payments#17", "by": "..."}',
        ),
    ],
)
async def test_an_invalid_request_is_answered_with_the_right_form(path: str, sent: bytes, example: str) -> None:
    answer = await asking(status(1)).post(f"/api/{path}", content=sent)
    assert (answer.status_code, answer.json()["error"]) == (400, f"The request is not valid. Send {example}.")


async def test_what_is_too_large_is_not_read_whatever_it_says_of_itself() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 50_000

    assert (await asking(status(1)).post("/api/release", content=endless())).status_code == 413


async def test_what_did_not_change_is_not_sent_again() -> None:
    one = client(status(1))
    page = await one.get("/")
    assert (await one.get("/", headers={"if-none-match": page.headers["etag"]})).status_code == 304
    fragment = re.search(r'hx-get="(/lines\?seen=[^"]*)"', page.text)
    assert fragment
    assert (await one.get(fragment.group(1).replace("&amp;", "&"))).status_code == 204
    assert (await one.get("/lines?seen=0-0-")).status_code == 200


async def test_only_loopback_names_and_strict_headers() -> None:
    assert (await client(host="dashboard.evil.example").get("/")).status_code == 403
    assert (await client().get("/", headers={"host": "[bad"})).status_code == 403
    answer = await client().get("/")
    assert answer.headers["referrer-policy"] == "same-origin", "with no-referrer a form posts `Origin: null`"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<style|style=|<script>|onclick|https?://", answer.text)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


STYLE = (Path(package.__file__).parent / "static" / "greenroom.css").read_text()
THEMES = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{[^}]*\}", STYLE)]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
@pytest.mark.parametrize("name", ["text", "quiet", "accent", "bad", "warn", "busy"])
@pytest.mark.parametrize("ground", ["page", "soft"])
def test_every_color_can_be_read(theme: dict[str, str], name: str, ground: str) -> None:
    assert contrast(theme[name], theme[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "soft"])
def test_the_edges_of_fields_and_the_lines_of_the_graph_can_be_seen(theme: dict[str, str], ground: str) -> None:
    assert contrast(theme["edge"], theme[ground]) >= 3
    assert re.search(r"\.graph path \{[^}]*stroke: var\(--edge\)", STYLE)
    assert re.search(r"input, button \{[^}]*border: 1px solid var\(--edge\)", STYLE)
    assert "::placeholder { color: var(--quiet); opacity: 1; }" in STYLE


async def test_the_admin_port_answers_the_command_line_only() -> None:
    board = Board({Identity(7, 1): status(1)}, {}, NOW, 1)
    transport = httpx2.ASGITransport(admin(board, Past(), Nothing()))
    asked = {"x-greenroom": "cli"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one:
        assert (await one.get("/api/previews")).status_code == 403
        assert (await one.get("/api/previews", headers={**asked, "host": "evil.example"})).status_code == 403
        [found] = (await one.get("/api/previews", headers=asked)).json()["previews"]
        assert (found["name"], found["stage"], found["reason"]["code"]) == ("shop#1", "ready", "ready")
        assert (await one.get("/api/previews/shop/2", headers=asked)).json()["error"].startswith("shop#2: Greenroom")
        one_hold = {"previews": ["shop#1"], "holds": {"shop#1": "breaker:x"}, "by": "ada"}
        released = await one.post("/api/release", headers=asked, json=one_hold)
        assert released.json()["released"] == [{"preview": "shop#1", "code": "ada", "released": "breaker:x"}]
        another = await one.post("/api/release", headers=asked, json=one_hold | {"holds": {}})
        assert (another.status_code, "reason for the hold has changed" in another.json()["error"]) == (409, True)
        unseen = {"previews": ["shop#1"], "by": "ada"}
        assert (await one.post("/api/release", headers=asked, json=unseen)).status_code == 400
        assert (await one.post("/api/release", headers=asked, content=b"[]")).status_code == 400


@pytest.mark.parametrize("stage", list(Stage), ids=str)
async def test_every_stage_has_its_place(stage: Stage) -> None:
    board = Board({Identity(7, 1): status(1, stage)}, {}, NOW, 1)
    transport = httpx2.ASGITransport(dashboard(board, Past(), "test"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one:
        page = await one.get("/")
    assert page.status_code == 200
    assert stage is Stage.NONE or stage.value in page.text  # those without a preview are listed apart


# --- data ---


def seeded_client() -> httpx2.AsyncClient:
    one = replace(status(1), seeds=("postgresql starts from seed/shop.sql (6d2f1a3)",), resettable=True)
    board = Board({Identity(7, n): s for n, s in ((1, one), (2, status(2)))}, {}, NOW, 1)
    transport = httpx2.ASGITransport(dashboard(board, Past(), "acme", Nothing()))
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost")


async def test_page_shows_the_seed_and_offers_to_start_over_only_where_that_is_possible() -> None:
    one = seeded_client()
    page = (await one.get(PAGE)).text
    assert "postgresql starts from seed/shop.sql (6d2f1a3)" in page
    assert "Delete the data of shop#1" in page
    assert "Delete the data" not in (await one.get("/previews/shop/2")).text


@pytest.mark.parametrize(
    ("form", "words", "role"),
    [
        (
            {"action": "reset", "sure": "yes"},
            "Saved: postgresql of shop#1 will start over from the same seed",
            "status",
        ),
        (
            {"action": "reseed", "sure": "yes"},
            "will start over from the newest seed, or empty if there is none. The current data will be deleted.",
            "status",
        ),
        ({"action": "reset"}, "Nothing was deleted. To confirm, check the box and send the form again.", "alert"),
        ({"action": "drop", "sure": "yes"}, "Nothing was deleted, because the form contains no valid action.", "alert"),
        (
            {"action": "reset", "sure": "yes", "token": "0" * 64},
            "The form was out of date, so nothing was changed.",
            "alert",
        ),
    ],
)
async def test_data_is_deleted_only_by_a_confirmed_form_of_this_page(
    form: dict[str, str], words: str, role: str
) -> None:
    one = seeded_client()
    found = re.search(r'name="token" value="([0-9a-f]{64})"', (await one.get(PAGE)).text)
    assert found
    origin = {"origin": "http://localhost"}
    answer = await one.post(f"{PAGE}/data", data={"token": found[1], **form}, headers=origin)
    page = (await one.get(answer.headers["location"])).text
    assert words in page.partition(f'role="{role}"')[2]
    assert (await one.post(f"{PAGE}/data", data=form)).status_code == 403, "a form of another site"


# --- links ---


def linked_client() -> httpx2.AsyncClient:
    one = replace(status(1), links=LINKED, used_by=(User("front#2", "", False),))
    board = Board({Identity(7, n): s for n, s in ((1, one), (2, status(2)))}, {}, NOW, 1)
    transport = httpx2.ASGITransport(dashboard(board, Past(), "acme", Nothing()))
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost")


async def test_a_preview_shows_its_links_and_who_uses_it() -> None:
    page = (await linked_client().get("/previews/shop/1")).text
    assert "payments#17" in page
    assert "ada chose it" in page
    assert "front#2" in page


async def sent(
    one: httpx2.AsyncClient, target: str, *, origin: str | None = "http://localhost", token: str = "", path: str = PAGE
) -> httpx2.Response:
    """The form of the first preview's page, as a browser sends it; `token` and `path` say otherwise."""
    found = re.search(r'name="token" value="([0-9a-f]{64})"', (await one.get(PAGE)).text)
    assert found
    data = {"target": target, "token": token or found[1]}
    return await one.post(f"{path}/use", data=data, headers={"origin": origin} if origin else {})


@pytest.mark.parametrize(
    ("target", "words", "role"),
    [
        (
            "payments staging",
            "Saved: the link to payments points to staging. The change takes effect within seconds.",
            "status",
        ),
        (
            "shop#2",
            "Saved, but shop#2 has no preview. Until shop#2 has a preview, shop#1 keeps using shop from staging.",
            "alert",
        ),
        ("web#2", "Saved: the link to web points to shop#2. The change takes effect within seconds.", "status"),
        (
            "web default",
            "Saved: the choice for web is removed. The configuration decides the target of the link. The change takes",
            "status",
        ),
        (
            "payments#99",
            "The change is not saved yet, because Greenroom could not write and verify the comment that stores the change.",
            "alert",
        ),
        ("paymnts", "&#x27;paymnts&#x27; is not a valid target.", "alert"),
    ],
)
async def test_a_form_leads_back_to_its_page_which_says_what_came_of_it(target: str, words: str, role: str) -> None:
    one = linked_client()
    answer = await sent(one, target)
    assert answer.status_code == 303
    page = (await one.get(answer.headers["location"])).text
    before, found, after = page.partition(f'role="{role}"')
    assert found
    assert words in after
    assert 'id="preview"' not in before, "what is refreshed does not hold the message, so it stays"
    assert "<script>alert" not in page
    typed = re.search(r'<input id="target"[^>]*>', page)
    assert typed
    assert (f'value="{target}"' in typed[0]) is (role == "alert"), "what has to be mended stands there again"
    assert words not in (await one.get(PAGE)).text
    assert words not in (await one.get(answer.headers["location"].replace("/1?", "/2?"))).text


@pytest.mark.parametrize(
    ("own", "when"),
    [
        (status(1, Stage.READY), "The change takes effect within seconds."),
        (status(1, Stage.WAITING), "The change takes effect within seconds."),  # its last good version takes it over
        (
            replace(status(1, Stage.WAITING), created=None),
            "The change takes effect when the preview starts (it is waiting now).",
        ),
        (
            replace(status(1, Stage.QUEUED), created=None),
            "The change takes effect when the preview starts (it is queued now).",
        ),
        (status(1, Stage.ASLEEP), "The change takes effect when the preview wakes up (it is asleep now)."),
    ],
)
def test_what_is_noted_takes_effect_once_something_runs(own: Status, when: str) -> None:
    target = {"service": "payments", "to": "staging", "target": "staging"}
    answer = {"preview": "shop#1", **target, "done": True, "waits": False, "now": ""}
    assert (
        web_messages.linked(answer, [own, status(2, Stage.ASLEEP)])
        == f"Saved: the link to payments points to staging. {when}"
    )


async def test_a_form_names_nobody_whom_it_does_not_know() -> None:
    control, one = Nothing(), replace(status(1), links=LINKED)
    transport = httpx2.ASGITransport(dashboard(Board({one.identity: one}), Past(), "acme", control))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as browser:
        await sent(browser, "payments staging")
    assert control.by == "someone on the dashboard"


async def test_a_message_comes_from_no_address() -> None:
    assert "gone" not in (await linked_client().get(PAGE, params={"note": "gone", "said": "gone"})).text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
async def test_a_form_of_another_site_changes_nothing(origin: str | None) -> None:
    answer = await sent(linked_client(), "payments#17", origin=origin)
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.text
    assert "<header>" in answer.text


@pytest.mark.parametrize(("token", "path"), [("0" * 64, "/previews/shop/1"), ("", "/previews/shop/2"), ("é", PAGE)])
async def test_a_form_that_is_out_of_date_changes_nothing_and_keeps_what_was_typed(token: str, path: str) -> None:
    one = linked_client()
    answer = await sent(one, "payments#17", token=token, path=path)
    assert answer.status_code == 303
    page = (await one.get(answer.headers["location"])).text
    assert "so nothing was changed. Send the form again." in page
    if path == PAGE:
        assert 'value="payments#17"' in page


async def test_the_address_of_a_form_leads_to_its_page() -> None:
    answer = await linked_client().get("/previews/shop/1/use")
    assert (answer.status_code, answer.headers["location"]) == (303, "/previews/shop/1")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/previews/shop/one", 404),
        ("GET", "/previews/shop/9", 404),
        ("GET", "/static/nothing.css", 404),
        ("POST", "/", 405),
        ("POST", "/previews/shop/9/use", 404),
    ],
)
async def test_what_is_not_there_is_reported_on_a_page_of_ours(method: str, path: str, code: int) -> None:
    answer = await linked_client().request(method, path)
    assert answer.status_code == code
    assert '<header><a class="brand" href="/">' in answer.text
    assert "All previews" in answer.text
    assert "content-security-policy" in answer.headers


async def test_a_form_says_what_it_does_before_it_does_it() -> None:
    page = (await linked_client().get(PAGE)).text
    assert '<label for="target">Let web use</label>' in page
    assert 'placeholder="payments#17 or payments staging"' in page
    assert "<button>Change the link (web restarts)</button>" in page


async def test_a_form_that_is_too_large_is_not_read() -> None:
    answer = await sent(linked_client(), "x" * 5000)
    assert answer.status_code == 413
    assert "Nothing was changed" in answer.text


async def test_without_a_running_loop_there_is_no_form() -> None:
    page = await client(replace(status(1), links=LINKED)).get("/previews/shop/1")
    assert '<form class="use"' not in page.text
    assert (await client(status(1)).post("/previews/shop/1/use")).status_code == 404


async def test_the_admin_port_and_the_command_line_say_the_same_of_links() -> None:
    why = "until the preview that ada chose with /preview use payments#17 exists and may be used"
    long = (*LINKED, Used("web", "search", "staging", why, "http://y"))
    paying = replace(status(17), services=(Running("payments", "http://p", "b" * 40, "", True),), name="payments#17")
    board = Board(
        {Identity(7, s.identity.number): s for s in (replace(status(1), links=long), status(2), paying)}, {}, NOW, 1
    )
    transport = httpx2.ASGITransport(admin(board, Past(), Nothing()))
    asked = {"x-greenroom": "cli"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=asked) as one:
        graph = (await one.get("/api/graph")).json()
        assert [(k["preview"], k["name"]) for k in graph["links"]] == [("shop#1", "payments#17"), ("shop#1", "staging")]
        text = printing.graph(graph)
        assert "shop#1  payments -> payments#17 bbbbbbb  ada chose it" in text
        assert why in " ".join(text.split()), "a long reason has a line of its own"
        assert max(map(len, text.splitlines())) <= 80
        assert "shop#2" in text
        used = await one.post("/api/use", json={"preview": "shop#1", "target": "payments#17", "by": "root"})
        assert (
            printing.used(used.json())
            == "Saved: the link to payments points to payments#17. The change takes effect within seconds."
        )
        later = await one.post("/api/use", json={"preview": "shop#1", "target": "payments#9", "by": "root"})
        stays = "Until payments#9 has a preview, shop#1 keeps using payments from staging. If payments#9 should have a preview, check the number."
        assert printing.used(later.json()) == f"Saved, but payments#9 has no preview. {stays}"
        never = await one.post("/api/use", json={"preview": "shop#1", "target": "payments#99", "by": "root"})
        assert printing.used(never.json()).startswith("The change is not saved yet")
        refused = await one.post("/api/use", json={"preview": "shop#1", "target": "nonsense", "by": "root"})
        assert (refused.status_code, refused.json()["error"][:34]) == (409, "'nonsense' is not a valid target. ")
        assert (await one.post("/api/use", json={"preview": "shop#1"})).status_code == 400
    assert printing.graph({"links": [], "apart": []}) == "No previews are running."


async def test_the_page_of_links_leads_to_every_preview_by_keyboard() -> None:
    paying = replace(status(3), name="pay#17", services=(Running("payments", "http://p", "b" * 40, "", True),))
    paying = replace(paying, identity=Identity(8, 17), repository="pay")
    linked = (replace(LINKED[0], name="pay#17"),)
    board = Board({s.identity: s for s in (replace(status(1), links=linked), paying)}, {}, NOW, 1)
    transport = httpx2.ASGITransport(dashboard(board, Past(), "test"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one:
        page = (await one.get("/graph")).text
    table = page.partition("<tbody>")[2]
    assert '<a href="/previews/shop/1">shop#1</a>' in table
    assert '<td>payments<td><a href="/previews/pay/17">pay#17</a> <code>bbbbbbb</code>' in table


async def test_the_graph_is_drawn_and_reported_in_a_table() -> None:
    page = (await linked_client().get("/graph")).text
    assert page.count("<path") == 1
    assert "shop#1 uses payments from payments#17: ada chose it" in page
    assert "<td>payments#17<td>ada chose it" in page
    assert 'Not linked to any other preview: <a href="/previews/shop/2">shop#2</a>.' in page
    assert "No preview uses another one" in (await client(status(1)).get("/graph")).text
    assert not re.search(r"<style|style=|<script>|onclick", page)


def keys(value: object) -> set[str]:
    """Every key of a JSON value, also inside."""
    if isinstance(value, dict):
        return set(value) | {k for v in value.values() for k in keys(v)}
    return {k for v in value for k in keys(v)} if isinstance(value, list) else set()


@pytest.mark.parametrize("path", ["previews", "previews/shop/1", "previews/shop/9", "plan", "graph"])
async def test_json_has_a_version_and_keys_in_snake_case_that_the_page_names(path: str) -> None:
    linked = replace(status(1), links=LINKED, used_by=(User("web#2", "", False),))
    answer = (await asking(linked).get(f"/api/{path}")).json()
    assert answer["version"] == 1
    assert {k for k in keys(answer) if not re.fullmatch(r"[a-z]+(_[a-z]+)*", k)} == set()
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    if "error" not in answer:
        assert {k for k in keys(answer) if f"`{k}`" not in page} == set()


async def test_date_that_is_the_maximum_age_does_not_move_with_activity() -> None:
    old = replace(status(1), expires=SOON, expires_why="age")
    assert (
        "Expires 2026-03-03 08:00 UTC, when the preview reaches its maximum age." in (await client(old).get(PAGE)).text
    )


async def test_page_of_a_preview_says_what_the_migration_did() -> None:
    lost = (Finding(FindingKind.TABLE_DROPPED, "<b>orders", 150, True),)
    found = ServiceMigration("shop", "shop-postgresql", MigrationReport((), 2.0, (), lost))
    page = (await client(replace(status(1), migrations=(found,))).get("/previews/shop/1")).text
    assert "Migrations: no DDL, 2.0 s; <code>&lt;b&gt;orders</code> dropped with 150 rows" in page
    assert "Migrations" not in (await client(status(1)).get("/previews/shop/1")).text
