"""`greenroom simulate` with `greenroom serve`: any local project gets a preview, without GitHub."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from click.testing import CliRunner

from greenroom.cli import main
from greenroom.config import SecretSource
from greenroom.config.settings import GitHubSettings
from greenroom.demo.stage import NO_PROXY, free_ports
from greenroom.local.engine import stop_all
from greenroom.local.settings import LocalSettings
from greenroom.simulate import run
from local.workshop import SERVER, git, taken, until

PORTS = ("github", "webhook", "dashboard", "admin", "metrics", "previews")


class Laptop:
    """A project, its configuration, and the two commands of docs/local.md."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.project, self.platform = folder, folder / "notes", folder / "platform"
        self.project.mkdir()
        git(self.project, "init", "--quiet", "--initial-branch", "main")
        self.commit("1")
        self.ports = free_ports(PORTS)
        self.address = f"http://127.0.0.1:{self.ports['github']}"
        (self.platform / "services").mkdir(parents=True)
        self.write()

    def commit(self, release: str) -> None:
        (self.project / "server.py").write_text(SERVER.format(release=release, extra="", status=200))
        git(self.project, "add", "--all")
        git(self.project, "commit", "--quiet", "--message", f"Release {release}")

    def write(self, service: dict[str, Any] | None = None, **changes: object) -> None:
        """Write the configuration. A change of None leaves its key out."""
        listen = {n: f"127.0.0.1:{self.ports[n]}" for n in ("webhook", "dashboard", "admin", "metrics")}
        platform = {
            "installation": "mine",
            "domain": "preview.localhost",
            "scheme": "http",
            "engine": "local",
            "github": {"apiUrl": f"{self.address}/api/v3"},
            "listen": listen,
            "local": {"proxyPort": self.ports["previews"], "checkouts": {"me/notes": "../notes"}},
            **changes,
        }
        kept = {k: v for k, v in platform.items() if v is not None}
        (self.platform / "greenroom.yaml").write_text(yaml.safe_dump(kept))
        web = {"command": ["python", "server.py"], "port": 8000}
        image = f"{self.address.removeprefix('http://')}/me/notes"
        notes = {"repository": "me/notes", "image": image, "processes": {"web": web}, **(service or {})}
        (self.platform / "services" / "notes.yaml").write_text(yaml.safe_dump(notes))

    @contextlib.contextmanager
    def running(self, command: str, environment: dict[str, str]) -> Iterator[Path]:
        """Run a command during the block and yield its log. The command must exit with 0."""
        log = self.folder / f"{command}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "greenroom", command, str(self.platform)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **NO_PROXY, **environment},
            )
        try:
            yield log
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    folder = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    folder.chmod(0o755)
    yield Laptop(folder)
    shutil.rmtree(folder)


def answers(client: httpx2.AsyncClient, url: str, word: str, **headers: str) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return word in (await client.get(url, headers=headers)).text
        return False

    return check


def exported(log: Path) -> dict[str, str]:
    return dict(re.findall(r"^  export (\w+)=(\S+)$", log.read_text(), re.MULTILINE))


async def test_branch_of_a_local_project_gets_a_preview_that_follows_it(laptop: Laptop) -> None:
    git(laptop.project, "checkout", "--quiet", "-b", "change")
    laptop.commit("2")
    pull, ours = f"{laptop.address}/me/notes/pull/1", {"origin": laptop.address}
    preview = f"http://127.0.0.1:{laptop.ports['previews']}/"
    host = {"host": "notes-pr-1.preview.localhost"}
    async with httpx2.AsyncClient(trust_env=False) as client:
        with laptop.running("simulate", {}) as log:
            await until(answers(client, laptop.address, "<option>change</option>"))
            secrets = exported(log)
            assert sorted(secrets) == ["GREENROOM_GITHUB_TOKEN", "GREENROOM_SIGNING_KEY", "GREENROOM_WEBHOOK_SECRET"]
            with laptop.running("serve", secrets):
                health = f"http://127.0.0.1:{laptop.ports['metrics']}/readyz"
                await until(answers(client, health, "ready\n"), 60)
                await client.post(f"{laptop.address}/me/notes/pulls", data={"branch": "change"}, headers=ours)
                await client.post(f"{pull}/label", data={"label": "preview"}, headers=ours)
                await until(answers(client, pull, "Preview ready"), 60)
                assert (await client.get(preview, headers=host)).json()["release"] == "2"
                dashboard = f"http://127.0.0.1:{laptop.ports['dashboard']}/previews/notes/1"
                assert f'href="{pull}"' in (await client.get(dashboard)).text
                laptop.commit("3")
                await until(answers(client, preview, '"release": "3"', **host), 60)
        with laptop.running("simulate", {}), laptop.running("serve", secrets):
            await until(answers(client, preview, '"release": "3"', **host), 60)
            await client.post(f"{pull}/close", headers=ours)
            await until(answers(client, pull, "Preview removed"), 60)
            assert (await client.get(preview, headers=host)).status_code == 404
    await stop_all(LocalSettings(laptop.platform / ".greenroom", {"me/notes": laptop.project}, "mine"))


CLUSTER = {"engine": "argocd", "argocd": {"chart": "oci://r.example.com/preview", "chartVersion": "0.1.0"}}
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "an address that a cluster does not reach": (
        CLUSTER,
        {},
        "which is not an address of a simulated GitHub. Write `apiUrl: http://127.0.0.1:8090/api/v3`, with 127.0.0.1"
        " replaced by an address of this machine that the cluster can reach. GitHub is simulated at that address.",
    ),
    "the real GitHub": (
        {"github": None},
        {},
        "greenroom.yaml: github.apiUrl: is https://api.github.com, which is not an address of a simulated GitHub."
        " Write `apiUrl: http://127.0.0.1:8090/api/v3`. GitHub is simulated at that address.",
    ),
    "another path": ({"github": {"apiUrl": "http://127.0.0.1:8090"}}, {}, "`apiUrl: http://127.0.0.1:8090/api/v3`"),
    "no checkout": (
        {"local": {"checkouts": {}}},
        {},
        "greenroom.yaml: local.checkouts.me/notes: is missing. Set the path of a local clone of the repository.",
    ),
    "no folder": ({"local": {"checkouts": {"me/notes": "nowhere"}}}, {}, "platform/nowhere is not a folder."),
    "no repository": ({"local": {"checkouts": {"me/notes": "."}}}, {}, "not a git repository"),
    "a real registry": (
        {},
        {"image": "registry.example.com/me/notes"},
        "services/notes.yaml: image: is in registry.example.com; the simulated registry is {address}."
        " Write `image: {address}/me/notes`.",
    ),
    "a merge commit": ({}, {"image": {"repository": "{address}/me/notes", "from": "merge"}}, "Write `from: head`."),
}


@pytest.mark.parametrize(("platform", "service", "sentence"), WRONG.values(), ids=WRONG)
def test_configuration_that_cannot_be_simulated_is_rejected_with_the_fix(
    laptop: Laptop, platform: dict[str, Any], service: dict[str, Any], sentence: str
) -> None:
    address = laptop.address.removeprefix("http://")
    if isinstance(service.get("image"), dict):
        service = {"image": {**service["image"], "repository": f"{address}/me/notes"}}
    laptop.write(service, **platform)
    done = CliRunner().invoke(main, ["simulate", str(laptop.platform)])
    assert done.exit_code == 2
    assert sentence.format(address=address) in done.stderr


@pytest.mark.parametrize("branches", [(), ("trunk",)], ids=["no commit", "no base branch"])
def test_a_checkout_without_a_base_branch_is_refused(laptop: Laptop, branches: tuple[str, ...]) -> None:
    shutil.rmtree(laptop.project)
    laptop.project.mkdir()
    git(laptop.project, "init", "--quiet", "--initial-branch", "trunk")
    for _ in branches:
        laptop.commit("1")
    done = CliRunner().invoke(main, ["simulate", str(laptop.platform)])
    assert done.exit_code == 2
    expected = (
        "has no branch `main` or `master`. Set its base branch: `git symbolic-ref" if branches else "has no commits."
    )
    assert expected in done.stderr


def test_a_cluster_has_a_real_registry_and_an_address_of_this_machine(laptop: Laptop) -> None:
    elsewhere = {"github": {"apiUrl": "http://198.18.0.9:8090/api/v3"}}
    laptop.write({"image": "registry.example.com/me/notes"}, **CLUSTER, **elsewhere)
    done = CliRunner().invoke(main, ["simulate", str(laptop.platform)])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Set `github.apiUrl` to an address of this machine." in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "255.255.255.255", "8.8.8.8", "10.0.0.1.example.com"])
def test_a_github_without_a_password_listens_at_one_private_address_only(laptop: Laptop, host: str) -> None:
    laptop.write({"image": "registry.example.com/me/notes"}, **CLUSTER, github={"apiUrl": f"http://{host}:8090/api/v3"})
    done = CliRunner().invoke(main, ["simulate", str(laptop.platform)])
    assert done.exit_code == 2
    assert "which is not an address of a simulated GitHub" in done.stderr


def test_the_command_for_the_secret_shows_no_value_that_a_person_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_GITHUB_TOKEN", "ghp_of_a_person")
    monkeypatch.delenv("GREENROOM_WEBHOOK_SECRET", raising=False)
    token, hooks = SecretSource("token", env="GREENROOM_GITHUB_TOKEN"), SecretSource("hooks", file="/run/it's/hooks")
    told = run._cluster(GitHubSettings("http://198.19.255.1:8090/api/v3", token, (hooks,), token))
    assert '--from-literal=github-token="$GREENROOM_GITHUB_TOKEN"' in told
    assert shlex.join(["--from-file=webhook-secret=/run/it's/hooks"]) in told
    assert "ghp_of_a_person" not in told


def test_port_in_use_is_reported(laptop: Laptop) -> None:
    with taken(laptop.ports["github"]):
        done = CliRunner().invoke(main, ["simulate", str(laptop.platform)])
    assert done.exit_code == 1
    assert "Is another `greenroom simulate` running?" in done.stderr
