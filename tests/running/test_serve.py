"""`greenroom serve` as people run it: the same words everywhere, and clear ends for what is wrong at the start."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import yaml

from greenroom.demo.outside import Eyes, demand, until
from greenroom.demo.play import SERVE
from greenroom.demo.stage import SECRETS, Stage, stage


@pytest.fixture
async def played() -> AsyncIterator[tuple[Stage, Eyes]]:
    async with stage(None, SERVE, keep=False) as found:
        yield found, Eyes(found)
        if listener := found.noted.get("listener"):
            listener.close()


def read(text: str) -> str:
    """A page, a comment or lines of a terminal as somebody reads them: words, and nothing that marks or breaks them."""
    shown = html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("`", "").replace("\u200b", "")
    return re.sub(r"\s+([.,:])", r"\1", " ".join(shown.split()))


async def asked(scene: Stage, *command: str) -> str:
    code, text = await scene.command(*command)
    demand(code == 0, text)
    return text


def requested(scene: Stage) -> int:
    """A pull request of payments that CI pushed an image for and ada put the label on."""
    sha = scene.shop.commit("payments", "idea", "2")
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.push_image("payments", sha)
    scene.world.label("shop/payments", number, "preview", "ada")
    return number


async def everywhere(scene: Stage, eyes: Eyes, number: int) -> dict[str, str]:
    """What is said of a preview, by the place where people read it."""
    return {
        "explain": read(await asked(scene, "explain", f"payments#{number}")),
        "dashboard": read(await eyes.dashboard()),
        "page": read(await eyes.dashboard(f"/previews/payments/{number}")),
        "comment": read(eyes.comment("payments", number)),
    }


async def test_explain_dashboard_and_comment_say_the_same(played: tuple[Stage, Eyes]) -> None:
    scene, eyes = played
    sha = scene.shop.commit("payments", "idea", "2")
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.world.label("shop/payments", number, "preview", "ada")
    await until(lambda: eyes.says("payments", number, "waiting"))
    sentence = f"Waiting for image {scene.registry_host}/shop/payments:{sha[:7]}…."
    said = await everywhere(scene, eyes, number)
    assert [place for place, text in said.items() if sentence not in text] == []
    assert f"payments#{number}" in await asked(scene, "list")
    scene.images.push("shop/payments", sha)
    await until(lambda: eyes.says("payments", number, "ready"))
    code, unknown = await scene.command("explain", "payments#99")
    assert code == 1
    assert "has not seen this pull request" in unknown
    code, nothing = await scene.command("release", "--yes", f"payments#{number}")
    assert code == 1
    assert "not held, so nothing was released" in nothing


async def test_plan_says_what_will_be_done_and_why_and_does_nothing(played: tuple[Stage, Eyes]) -> None:
    """Nobody tells Greenroom of the pull request, and it looks again in an hour: only who asks for the plan sees it."""
    scene, eyes = played
    assert scene.hooks
    await asyncio.to_thread(scene.stop)
    path = scene.platform / "greenroom.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"resync": "1h"}))
    hooks = scene.hooks.url
    scene.hooks.send_to("")
    await scene.start()

    async def everything_read() -> str:
        answer = await scene.client.get(f"http://127.0.0.1:{scene.ports['metrics']}/readyz")
        demand(answer.status_code == 200, answer.text)
        return answer.text

    await until(everything_read)
    assert "Nothing to do" in await asked(scene, "plan")
    number = requested(scene)
    reason = "ada requested a preview by adding the label `preview`."
    for _ in range(2):
        started, told = (await asked(scene, "plan")).splitlines()
        assert started == f"payments#{number}: started. {reason}"
        assert told.startswith(f"payments#{number}: told. The preview is starting.")
    assert f"payments#{number}" not in await asked(scene, "list")
    assert eyes.comments("payments", number) == []
    scene.hooks.send_to(hooks)
    scene.world.comment("shop/payments", number, "Shall we?", "ada")  # a webhook
    await until(lambda: eyes.says("payments", number, "ready"))

    async def nothing_to_do() -> str:
        text = await asked(scene, "plan")
        demand("Nothing to do" in text, text)
        return text

    await until(nothing_to_do)
    said = await everywhere(scene, eyes, number)
    assert [place for place in ("explain", "page") if "ready All services are up." not in said[place]] == []


async def test_what_is_held_and_what_cannot_be_read_is_reported_alike_in_every_place(
    played: tuple[Stage, Eyes],
) -> None:
    scene, eyes = played
    number = requested(scene)
    await until(lambda: eyes.says("payments", number, "ready"))
    scene.configure(label="review-app")
    await until(lambda: eyes.says("payments", number, "held"))
    [planned] = (await asked(scene, "plan")).splitlines()
    name, held, reason = planned.partition(": held. ")
    assert (name, held) == (f"payments#{number}", ": held. ")
    assert f"`greenroom release payments#{number}`" in reason
    said = await everywhere(scene, eyes, number)
    sentences = read(reason).rstrip(".").split(". ")  # `explain` has the time between the reason and what helps
    assert [(place, s) for place, text in said.items() for s in sentences if s not in text] == []
    scene.world.faults.on("server-error", path="graphql")

    async def trouble() -> str:
        listed = (await asked(scene, "list")).splitlines()
        line = next((line for line in listed if "payments" in line.partition(": ")[0].split(", ")), "")
        demand(line, "\n".join(listed))
        demand(f"▲ {line}" in read(await eyes.dashboard()), f"the dashboard does not say {line!r}")
        return line

    _, _, why = (await until(trouble)).partition(": ")
    assert why.startswith("GitHub returned 500")
    said = await everywhere(scene, eyes, number)
    told = [place for place, text in said.items() if f"Changes in payments are paused: {why}" in text]
    assert told == ["explain", "page"]
    assert f"payments: cannot read. {why}" in await asked(scene, "plan")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "its terminal is closed"])
async def test_a_signal_ends_it_cleanly_and_previews_run_on(played: tuple[Stage, Eyes], number: signal.Signals) -> None:
    scene, eyes = played
    idea = requested(scene)
    await until(lambda: eyes.says("payments", idea, "ready"))
    before = eyes.processes("payments", idea)
    assert scene.process is not None
    scene.process.send_signal(number)
    assert await asyncio.to_thread(scene.process.wait, 10) == 0
    assert eyes.processes("payments", idea) == before
    code, nobody = await scene.command("list")
    assert code == 1
    assert "Is `greenroom serve` running there?" in nobody
    await scene.start()
    await until(lambda: eyes.answers("payments", idea, "/methods"))
    assert eyes.processes("payments", idea) == before


NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("serve", "proxies"),
    [
        (("env", "NO_PROXY=", "no_proxy=", f"HTTP_PROXY={NOBODY}", f"ALL_PROXY={NOBODY}", *SERVE), {}),
        (SERVE, {"HTTP_PROXY": NOBODY, "all_proxy": "socks5://127.0.0.1:9"}),
    ],
    ids=["serve", "demo"],
)
async def test_behind_a_proxy_this_machine_is_reached(
    serve: tuple[str, ...], proxies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    async with stage(None, serve, keep=False) as scene:
        number = requested(scene)
        await until(lambda: Eyes(scene).says("payments", number, "ready"))
        assert scene.hooks
        assert {code for _, code in scene.hooks.log} <= {200, 202, 204}, "webhooks come by no proxy either"


async def test_what_every_object_carries_does_not_change_while_it_runs(played: tuple[Stage, Eyes]) -> None:
    scene, eyes = played
    path = scene.platform / "greenroom.yaml"
    changed = json.loads(path.read_text()) | {"installation": "prod", "namePrefix": "review", "label": "demo"}
    path.write_text(json.dumps(changed))

    async def reported() -> str:
        text = (scene.folder / "greenroom.log").read_text()
        demand("the configuration was reloaded" in text, text[-500:])
        return text

    log = await until(reported)
    for name in ("`installation: prod`", "`namePrefix: review`"):
        assert f"{name} requires a restart" in log
    sha = scene.shop.commit("payments", "idea", "2")
    scene.push_image("payments", sha)
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.world.label("shop/payments", number, "demo", "ada")
    comment = await until(lambda: eyes.says("payments", number, "ready"))
    assert comment.startswith(f"<!-- greenroom:1 {scene.installation} "), "signed as before, and found again"
    [preview_set] = [p.read_text() for p in (scene.state / "rows").glob("*.json") if '"payments"' in p.read_text()]
    assert f'"name": "preview-payments-{number}"' in preview_set


async def test_configuration_that_no_loader_understands_is_reported_and_its_correction_is_read(
    played: tuple[Stage, Eyes],
) -> None:
    scene, _ = played
    path = scene.platform / "services" / "payments.yaml"
    good = path.read_text()

    def logged(event: str) -> Callable[[], Awaitable[str]]:
        async def look() -> str:
            text = (scene.folder / "greenroom.log").read_text()
            demand(event in text, text[-500:])
            return text

        return look

    path.write_text(f"{good}\npublic: !!bool maybe\n")
    log = await until(logged("the changed configuration is not valid; the old one stays in use"))
    assert "services/payments.yaml" in log
    assert "does not fit its tag !!bool" in log
    path.write_text(f"{good}\n# corrected\n")
    await until(logged("the configuration was reloaded"))


async def test_serve_stops_within_seconds_while_github_hangs(played: tuple[Stage, Eyes]) -> None:
    """GitHub takes every request and answers none."""
    scene, _ = played
    await asyncio.to_thread(scene.stop)
    asked, over = asyncio.Queue[bytes](), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        scene.api_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v3"
        scene.configure()
        await scene.start()
        for _ in ("is the token right", "the first pass reads"):
            await asyncio.wait_for(asked.get(), 20)
        assert scene.process is not None
        scene.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(scene.process.wait, 12) == 0
        over.set()


async def test_what_is_probably_not_meant_is_logged_once_and_when_it_changes(played: tuple[Stage, Eyes]) -> None:
    scene, _ = played
    path = scene.platform / "services" / "payments.yaml"
    settings: dict[str, str] = {}

    def write(**env: str) -> None:
        settings.update(env)
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "env": dict(settings)}))

    def logged() -> list[dict[str, str]]:
        return [json.loads(x) for x in (scene.folder / "greenroom.log").read_text().splitlines() if x.startswith("{")]

    def reported() -> list[str]:
        found = [x["what"].partition(": looks")[0] for x in logged() if "may contain a mistake" in x["event"]]
        return [x for x in found if x.startswith("services/payments.yaml")]

    async def read_again(times: int) -> str:
        found = [x for x in logged() if x["event"] == "the configuration was reloaded"]
        demand(len(found) == times, f"it was reloaded {len(found)} times")
        return ""

    await asyncio.to_thread(scene.stop)
    write(DB_PASSWORD="hunter2")
    await scene.start()
    assert reported() == ["services/payments.yaml: env.DB_PASSWORD"]
    write(COLOUR="red")
    await until(lambda: read_again(1))
    write(API_TOKEN="hunter2")
    await until(lambda: read_again(2))
    assert reported() == ["services/payments.yaml: env.DB_PASSWORD", "services/payments.yaml: env.API_TOKEN"]


async def refused(folder: Path, lines: list[str], environment: dict[str, str]) -> tuple[int, list[str]]:
    """Exit code and stderr of a Greenroom that cannot start with this configuration."""
    text = ["installation: test", "domain: preview.example.com", *lines]
    (folder / "greenroom.yaml").write_text("\n".join(text) + "\n")
    (folder / "services").mkdir()
    (folder / "services" / "web.yaml").write_text("repository: acme/web\nimage: r.example.com/web\nport: 8080\n")
    done = await asyncio.to_thread(
        subprocess.run,
        [*SERVE, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("state", ["file", "file/below", "/proc/nowhere"])
async def test_a_state_folder_that_cannot_be_is_reported(state: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, [told] = await refused(tmp_path, ["engine: local", f"state: {state}"], {**os.environ, **SECRETS})
    assert code == 2
    assert told.startswith(f"greenroom.yaml: state: {tmp_path / state} cannot be used (")
    assert told.endswith("Set `state:` to a folder that Greenroom can create and write to.")


def busy_port(scene: Stage) -> None:
    scene.noted["listener"] = socket.create_server(("127.0.0.1", scene.ports["webhook"]))


def corrupt_history(scene: Stage) -> None:
    for path in scene.state.glob("history.sqlite3*"):
        path.write_bytes(b"no database" * 1000)


def locked_history(scene: Stage) -> None:
    held = sqlite3.connect(scene.state / "history.sqlite3", isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    scene.noted["listener"] = held


def unknown_key(scene: Stage) -> None:
    path = scene.platform / "services" / "payments.yaml"
    path.write_text(path.read_text() + "prt: 1\n")


WRONG: dict[str, tuple[Callable[[Stage], None] | None, dict[str, str], int, str]] = {
    "missing token": (
        None,
        {"GREENROOM_GITHUB_TOKEN": ""},
        2,
        "The GitHub token: GREENROOM_GITHUB_TOKEN is empty or not set.",
    ),
    "wrong token": (
        None,
        {"GREENROOM_GITHUB_TOKEN": "ghp_wrongwrongwrongwrongwrong"},
        1,
        "GitHub rejected the token (401)",
    ),
    "port in use": (busy_port, {}, 1, "(Address already in use). Change `listen.webhook`"),
    "corrupt history": (corrupt_history, {}, 1, "is corrupt"),
    "locked history": (locked_history, {}, 1, "is locked by another program. Is another Greenroom running on it?"),
    "unknown key": (unknown_key, {}, 2, "services/payments.yaml: prt: unknown key `prt`. Did you mean `port`?"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_at_the_start_is_one_sentence(played: tuple[Stage, Eyes], name: str) -> None:
    scene, _ = played
    sabotage, environment, code, words = WRONG[name]
    await asyncio.to_thread(scene.stop)
    if sabotage:
        sabotage(scene)
    done = await asyncio.to_thread(
        subprocess.run,
        [*SERVE, str(scene.platform)],
        env={**os.environ, **SECRETS, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code, done.stderr
    [sentence] = [line for line in done.stderr.splitlines() if words in line]
    assert done.stderr.count("services/") <= 1, sentence
    assert "Traceback" not in done.stderr
    assert not [s for s in environment.values() if s and s in done.stderr]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["engine: argocd"], "the preview chart is not set"),
        (
            ["engine: argocd", "argocd: {chart: oci://r/c, chartVersion: '1', kubeconfig: nothing}"],
            "to connect to Kubernetes",
        ),
        (["engine: local", "database: postgresql+psycopg://nobody@127.0.0.1:1/x"], "cannot be used for the history"),
    ],
    ids=["no chart", "no cluster", "no database"],
)
async def test_what_is_wrong_at_the_start_leaves_no_folder_behind(lines: list[str], words: str, tmp_path: Path) -> None:
    code, told = await refused(tmp_path, lines, {**os.environ, **SECRETS, "GREENROOM_PLUGIN_TOKEN": "x"})
    assert code
    assert words in " ".join(told)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["greenroom.yaml", "services"]


SECRET = """
github: { olderSigningKeysFrom: [{ env: KEY_OF_LAST_YEAR }] }
databaseFrom: { file: no-such-file }
registry: { credentials: { r.example.com: { user: ci, passwordFrom: { env: REGISTRY_PASSWORD } } } }
"""
ENVIRONMENT = {n: v for n, v in os.environ.items() if n not in SECRETS}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("engine: local", [*SECRETS]),
        ("engine: argocd\nargocd: { chart: oci://r/c, chartVersion: '1' }", [*SECRETS, "GREENROOM_PLUGIN_TOKEN"]),
        (f"engine: local{SECRET}", [*SECRETS, "KEY_OF_LAST_YEAR", "REGISTRY_PASSWORD", "no-such-file"]),
        (f"engine: local{SECRET}", ["no-such-file"]),
    ],
    ids=["local", "argocd", "everywhere", "one"],
)
async def test_every_secret_that_is_missing_is_named_at_once(text: str, missing: list[str], tmp_path: Path) -> None:
    there = {name: "a secret" for name in (*SECRETS, "KEY_OF_LAST_YEAR", "REGISTRY_PASSWORD") if name not in missing}
    code, sentences = await refused(tmp_path, text.splitlines(), ENVIRONMENT | there)
    assert code == 2
    assert [len([s for s in sentences if name in s]) for name in missing] == [1] * len(missing), sentences
    assert len(sentences) == len(missing), "and nothing else is said"


async def test_a_second_instance_names_the_first(played: tuple[Stage, Eyes], tmp_path: Path) -> None:
    scene, _ = played
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "greenroom", "serve", str(scene.platform)],
        env={**os.environ, **SECRETS},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "Another Greenroom is using" in done.stderr
