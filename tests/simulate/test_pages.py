"""Pages of the simulated GitHub: people can do what they do on GitHub, and other sites cannot."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from greenroom.simulate.pages import pages
from greenroom.simulate.run import one_address
from greenroom.simulator.app import Simulator
from greenroom.simulator.registry import Images, registry
from greenroom.simulator.webhooks import Delivery, Webhooks
from simulate.test_hub import SLUG, Project

ADDRESS = "http://127.0.0.1:8090"
OURS = {"origin": ADDRESS}
PAGE = f"/{SLUG}/pull/1"


class Browser:
    def __init__(self, project: Project) -> None:
        self.hooks = Webhooks(project.world, "secret")
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=pages(project.hub, self.hooks, "http://127.0.0.1:8082")),
            base_url=ADDRESS,
        )

    async def send(self, path: str, headers: dict[str, str] = OURS, **form: str) -> httpx2.Response:
        return await self.client.post(path, data=form, headers=headers)

    async def read(self, path: str = PAGE) -> str:
        return (await self.client.get(path)).raise_for_status().text


@pytest.fixture
async def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.commit("one")
    await made.hub.look()
    return made


@pytest.fixture
async def browser(project: Project) -> Browser:
    return Browser(project)


async def test_a_pull_request_is_opened_labeled_commented_on_and_closed_on_the_page(
    project: Project, browser: Browser
) -> None:
    assert "<option>change</option>" in await browser.read("/")
    assert (await browser.send(f"/{SLUG}/pulls", branch="change")).headers["location"] == PAGE
    assert "<option>change</option>" not in await browser.read("/")
    await browser.send(f"{PAGE}/label", label="preview")
    assert project.pull.labels == ["preview"]
    assert "<mark>preview</mark>" in await browser.read()
    await browser.send(f"{PAGE}/comment", body="/preview use shop#2")
    assert project.pull.comments[0].body == "/preview use shop#2"
    await browser.send(f"{PAGE}/unlabel", label="preview")
    assert project.pull.labels == []
    await browser.send(f"{PAGE}/close")
    assert project.pull.state == "closed"
    await browser.send(f"{PAGE}/reopen")
    assert project.pull.state == "open"


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("label", {"label": "something-else"}),
        ("comment", {"body": " "}),
        ("reopen", {}),
        ("delete", {}),
    ],
)
async def test_impossible_action_is_reported_and_changes_nothing(
    project: Project, browser: Browser, action: str, form: dict[str, str]
) -> None:
    await project.hub.open(SLUG, "change", "")
    before = list(project.events)
    answer = await browser.send(f"{PAGE}/{action}", OURS, **form)
    assert f"`{action}` is not possible now, or the form was incomplete" in await browser.read(
        answer.headers["location"]
    )
    assert project.events == before


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "https://evil.example"}, {"origin": "null"}, {**OURS, "host": "evil.example:8090"}],
)
async def test_form_from_another_site_changes_nothing(
    project: Project, browser: Browser, headers: dict[str, str]
) -> None:
    await project.hub.open(SLUG, "change", "")
    assert (await browser.send(f"{PAGE}/close", headers)).status_code == 403
    assert (await browser.send(f"/{SLUG}/pulls", headers, branch="change")).status_code == 403
    assert project.pull.state == "open"


async def test_a_comment_is_shown_as_on_github_without_its_hidden_line(project: Project, browser: Browser) -> None:
    await project.hub.open(SLUG, "change", "")
    body = "<!-- greenroom:1 signed -->\n### Preview ready\n\n| a | b |\n| - | - |\n| web | http://a.localhost:8000 |\n"
    project.world.comment(SLUG, 1, body, "greenroom[bot]")
    shown = await browser.read()
    assert "<h3>Preview ready</h3>" in shown
    assert '<td><a href="http://a.localhost:8000">http://a.localhost:8000</a></td>' in shown
    assert "signed" not in shown


async def test_a_script_in_a_comment_does_not_run(project: Project, browser: Browser) -> None:
    await project.hub.open(SLUG, "change", "<script>alert(1)</script>")
    policy = (await browser.client.get(PAGE)).headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy


@pytest.mark.parametrize(
    ("status", "says"),
    [(None, "Is `greenroom serve` running?"), (401, "the same webhook secret?"), (503, "See the log of"), (202, "")],
)
async def test_page_warns_when_greenroom_does_not_accept_webhooks(
    project: Project, browser: Browser, status: int | None, says: str
) -> None:
    browser.hooks.log.append((Delivery("push", "1", b""), status))
    shown = await browser.read("/")
    assert says in shown
    assert ('role="alert"' in shown) == bool(says)


@pytest.mark.parametrize("path", [f"/{SLUG}/pull/2", "/acme/other/pull/1", "/nothing"])
async def test_a_page_that_does_not_exist_is_404(browser: Browser, path: str) -> None:
    assert (await browser.client.get(path)).status_code == 404


async def test_a_form_that_is_too_large_is_refused(project: Project, browser: Browser) -> None:
    await project.hub.open(SLUG, "change", "")
    assert (await browser.send(f"{PAGE}/comment", body="x" * 80_000)).status_code == 413
    assert project.pull.comments == []


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("127.0.0.1:8090", True),
        ("localhost:8090", True),
        ("[::1]:8090", True),
        ("evil.example:8090", False),
        ("127.0.0.1.evil.example:8090", False),
        ("", False),
    ],
)
async def test_only_loopback_names_are_answered_by_the_pages_the_api_and_the_registry(
    project: Project, host: str, answered: bool
) -> None:
    """A page elsewhere may rebind its own name to 127.0.0.1."""
    await project.hub.open(SLUG, "change", "a private description")
    project.world.token("a-token", "greenroom[bot]")
    everything = one_address(
        Simulator(project.world), registry(Images()), pages(project.hub, Webhooks(project.world, "s"), "http://x")
    )
    headers = {"host": host, "authorization": "Bearer a-token"}
    pull, labels = f"/api/v3/repos/{SLUG}/pulls/1", f"/api/v3/repos/{SLUG}/issues/1/labels"
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=everything), base_url="http://127.0.0.1:8090", headers=headers
    ) as client:
        answers = [
            await client.get("/"),
            await client.get(pull),
            await client.post(labels, json={"labels": ["preview"]}),
            await client.get("/v2/acme/shop/tags/list"),
        ]
    assert [a.status_code != 403 for a in answers] == [answered] * 4
    assert project.pull.labels == (["preview"] if answered else [])
