"""`greenroom serve` as people run it: the same words everywhere, and clear ends for what is wrong at the start."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from greenroom.demo.outside import Eyes, demand, until
from greenroom.demo.play import SERVE
from greenroom.demo.stage import SECRETS, Stage, stage


@pytest.fixture
async def played() -> AsyncIterator[tuple[Stage, Eyes]]:
    async with stage(None, SERVE, keep=False) as found:
        yield found, Eyes(found)
        if listener := found.noted.get("listener"):
            listener.close()


async def test_explain_plan_dashboard_and_comment_say_the_same(played: tuple[Stage, Eyes]) -> None:
    scene, eyes = played
    sha = scene.shop.commit("payments", "idea", "2")
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.world.label("shop/payments", number, "preview", "ada")
    comment = await until(lambda: eyes.says("payments", number, "Waiting for image"))
    sentence = f"Waiting for image {scene.registry_host}/shop/payments:{sha[:7]}…."
    assert sentence in comment
    code, explained = await scene.command("explain", f"payments#{number}")
    assert code == 0
    assert sentence in re.sub(r"\s+", " ", explained)
    assert sentence in await eyes.dashboard()
    assert sentence in await eyes.dashboard(f"/previews/payments/{number}")
    code, listed = await scene.command("list")
    assert (code, f"payments#{number}" in listed) == (0, True)
    scene.images.push("shop/payments", sha)

    async def planned() -> str:
        code, text = await scene.command("plan")
        demand(code == 0, text)
        return text

    assert "payments#1: started. ada asked for it with the label `preview`." in await planned() or (
        await until(lambda: eyes.says("payments", number, "### Preview ready"))
    )
    await until(lambda: eyes.says("payments", number, "### Preview ready"))
    assert "Nothing to do" in await planned()
    code, unknown = await scene.command("explain", "payments#99")
    assert code == 1
    assert "has not seen this pull request" in unknown
    code, nothing = await scene.command("release", "--yes", f"payments#{number}")
    assert code == 1
    assert "not held, so nothing was released" in nothing


async def test_sigterm_ends_it_cleanly_and_previews_run_on(played: tuple[Stage, Eyes]) -> None:
    scene, eyes = played
    sha = scene.shop.commit("payments", "idea", "2")
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.push_image("payments", sha)
    scene.world.label("shop/payments", number, "preview", "ada")
    await until(lambda: eyes.says("payments", number, "### Preview ready"))
    before = eyes.processes("payments", number)
    assert scene.process is not None
    scene.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(scene.process.wait, 10) == 0
    assert eyes.processes("payments", number) == before
    code, nobody = await scene.command("list")
    assert code == 1
    assert "Is `greenroom serve` running there?" in nobody
    await scene.start()
    await until(lambda: eyes.answers("payments", number, "/methods"))
    assert eyes.processes("payments", number) == before


async def test_what_every_object_carries_does_not_change_while_it_runs(played: tuple[Stage, Eyes]) -> None:
    scene, eyes = played
    path = scene.platform / "greenroom.yaml"
    changed = json.loads(path.read_text()) | {"installation": "prod", "namePrefix": "review", "label": "demo"}
    path.write_text(json.dumps(changed))

    async def told() -> str:
        text = (scene.folder / "greenroom.log").read_text()
        demand("the configuration was read again" in text, text[-500:])
        return text

    log = await until(told)
    for name in ("`installation: prod`", "`namePrefix: review`"):
        assert f"{name} needs a restart" in log
    sha = scene.shop.commit("payments", "idea", "2")
    scene.push_image("payments", sha)
    number = scene.world.open_pull_request("shop/payments", head="idea", sha=sha, by="ada").number
    scene.world.label("shop/payments", number, "demo", "ada")
    comment = await until(lambda: eyes.says("payments", number, "### Preview ready"))
    assert comment.startswith(f"<!-- greenroom:1 {scene.installation} "), "signed as before, and found again"
    [rows] = [p.read_text() for p in (scene.state / "rows").glob("*.json") if '"payments"' in p.read_text()]
    assert f'"name": "preview-payments-{number}"' in rows


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
        "GitHub refuses the token (401)",
    ),
    "port in use": (busy_port, {}, 1, "for the webhook cannot be used (Address already in use). Set `listen.webhook`"),
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
        (["engine: argocd"], "the preview chart is not named"),
        (["engine: argocd", "argocd: {chart: oci://r/c, chartVersion: '1', kubeconfig: nothing}"], "cannot be reached"),
        (["engine: local", "database: postgresql+psycopg://nobody@127.0.0.1:1/x"], "cannot be used for the history"),
    ],
    ids=["no chart", "no cluster", "no database"],
)
async def test_what_is_wrong_at_the_start_leaves_no_folder_behind(lines: list[str], words: str, tmp_path: Path) -> None:
    text = ["installation: test", "domain: preview.example.com", *lines]
    (tmp_path / "greenroom.yaml").write_text("\n".join(text) + "\n")
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "web.yaml").write_text("repository: acme/web\nimage: r.example.com/web\nport: 8080\n")
    done = await asyncio.to_thread(
        subprocess.run,
        [*SERVE, str(tmp_path)],
        env={**os.environ, **SECRETS, "GREENROOM_PLUGIN_TOKEN": "x"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode
    assert words in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["greenroom.yaml", "services"]


async def test_a_second_instance_is_told_of_the_first(played: tuple[Stage, Eyes], tmp_path: Path) -> None:
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
    assert "Another Greenroom runs on" in done.stderr
