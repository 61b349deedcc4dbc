"""The command line as people call it: help that fits, a sentence where nobody can answer, a name for the record."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from builders import NOW, REPOSITORY, SERVICE, pull_request
from greenroom.asgi_server import running
from greenroom.cli import main
from greenroom.controller.status_store import Board, RepositoryHealth
from greenroom.core import messages
from greenroom.core.model.catalog import Repository
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status
from greenroom.web.admin import admin

RUNNER = CliRunner(env={"COLUMNS": "200", "KUBERNETES_SERVICE_HOST": ""})
COMMANDS = sorted(main.commands)


class Asked:
    """A loop that notes who asked for what."""

    repositories = (
        replace(REPOSITORY, services=(SERVICE, replace(SERVICE, name="catalog"))),
        Repository("payments", "acme/payments", (replace(SERVICE, name="api"),)),
    )
    resync = 600.0

    def __init__(self) -> None:
        self.by: list[str] = []
        self.seen: list[dict[str, str]] = []
        self.again: list[str] = []
        self.board: Board | None = None

    def read_again(self, repository: str) -> None:
        self.again.append(repository)
        if self.board:
            known = self.board.repositories[repository]
            self.board.report(repository, known.slug, "", NOW + timedelta(seconds=len(self.again)))

    async def plan(self) -> list[dict[str, Any]]:
        return []

    async def release(self, names: list[str], by: str, seen: Mapping[str, str]) -> list[dict[str, Any]]:
        self.by.append(by)
        self.seen.append(dict(seen))
        return [{"preview": n, "code": "label-gone"} for n in names]

    async def redeploy(self, names: list[str], by: str) -> list[dict[str, Any]]:
        self.by.append(by)
        return [{"preview": n, "chart": ""} for n in names]

    async def use(self, name: str, text: str, by: str) -> dict[str, Any]:
        self.by.append(by)
        waits = text.endswith("#99")
        target = {"service": "payments", "to": text[-2:], "target": f"payments#{text[-2:]}"}
        return {"preview": name, **target, "done": True, "waits": waits, "now": "staging"}

    async def reset(self, name: str, action: str, by: str) -> dict[str, Any]:
        self.by.append(by)
        return {"preview": name, "action": action, "needs": ["postgresql"], "done": name != "shop#3"}

    async def seeds(self) -> list[dict[str, Any]]:
        return []

    async def events(self, identity: Identity | None = None, limit: int = 50) -> tuple[Any, ...]:
        return ()

    async def named(self, repository: str, number: int, limit: int = 50) -> tuple[Any, ...]:
        return ()


def status(number: int, stage: Stage, hold: str = "") -> Status:
    key = HoldKey(HoldKind.BREAKER, hold) if hold else None
    reason = messages.label_gone("preview")
    serves = {"head_sha": "a" * 40, "serves_head": stage is Stage.READY}
    name = f"shop#{number}"
    return Status(Identity(7, number), name, "shop", "acme/shop", "", "ada", "", stage, reason, hold=key, **serves)  # type: ignore[arg-type]


@pytest.fixture
async def asked() -> AsyncIterator[tuple[Asked, str]]:
    loop, board = Asked(), Board()
    loop.board = board
    shown = (status(1, Stage.READY), status(2, Stage.HELD, "key"), status(3, Stage.FAILED), status(4, Stage.NONE))
    board.statuses |= {each.identity: each for each in shown}
    board.repositories["shop"] = RepositoryHealth("shop", "acme/shop", NOW)
    pushed = pull_request(1, identity=Identity(7, 1), head_sha="a" * 40)
    board.heads.note([replace(pushed, head_sha="0ddba11" + "0" * 33, updated_at=NOW - timedelta(hours=9)), pushed])
    async with running(admin(board, loop, loop)) as url:
        yield loop, url


async def run(url: str, *arguments: str, **environment: str) -> Result:
    return await asyncio.to_thread(RUNNER.invoke, main, arguments, env={"GREENROOM_ADMIN": url, **environment})


def test_command_without_arguments_prints_the_help() -> None:
    found = RUNNER.invoke(main, [])
    assert found.exit_code == 0
    assert found.stdout == RUNNER.invoke(main, ["--help"]).stdout
    assert found.stderr == ""
    assert all(f"  {name} " in found.stdout for name in COMMANDS)
    assert "..." not in found.stdout.partition("Commands:")[2]


@pytest.mark.parametrize("arguments", [[], *([name, "--help"] for name in COMMANDS)], ids=str)
def test_no_help_is_wider_than_a_terminal(arguments: list[str]) -> None:
    found = RUNNER.invoke(main, arguments)
    assert found.exit_code == 0
    assert max(map(len, found.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_in_a_line_what_it_does(name: str) -> None:
    command = main.commands[name]
    assert isinstance(command, click.Command)
    assert command.short_help
    assert len(command.short_help) <= 60
    assert command.help


def test_the_version_is_an_option_too() -> None:
    assert RUNNER.invoke(main, ["--version"]).stdout.split()[-1] == RUNNER.invoke(main, ["version"]).stdout.strip()


async def test_problems_come_first_in_the_list(asked: tuple[Asked, str]) -> None:
    _, url = asked
    found = await run(url, "list")
    assert [line.split()[0] for line in found.stdout.splitlines()[1:4]] == ["shop#3", "shop#2", "shop#1"]


async def test_where_nobody_can_answer_nothing_is_released(asked: tuple[Asked, str]) -> None:
    loop, url = asked
    for more in ([], ["--json"]):
        found = await run(url, "release", "shop#2", *more)
        assert found.exit_code == 2
        assert "Confirmation needs a terminal." in found.stderr
        assert "greenroom release shop#2 --yes" in found.stderr.replace("\n", " ")
    assert loop.by == []
    assert (await run(url, "release", "shop#2", "--yes")).stdout.endswith("shop#2: released (label-gone)\n")
    assert loop.seen == [{"shop#2": "breaker:key"}], "what was shown is what is asked for"


async def test_what_is_not_held_is_reported_before_anything_is_asked(asked: tuple[Asked, str]) -> None:
    loop, url = asked
    for more in ([], ["--yes"]):
        found = await run(url, "release", "shop#1", "shop#2", *more)
        assert found.exit_code == 1
        assert found.stderr == "shop#1: not held, so nothing was released. Held now: shop#2.\n"
    unknown = await run(url, "release", "shop#2", "shop#77", "--yes")
    assert unknown.stderr == "shop#77: no such preview, so nothing was released. Held now: shop#2.\n"
    assert loop.by == []


@pytest.mark.parametrize("name", ["a b#1", "shöp#1", "..#1", "?#1", "%2e%2e#1", f"shop#{9**30}"])
async def test_unknown_preview_name_is_reported(name: str, asked: tuple[Asked, str]) -> None:
    found = await run(asked[1], "explain", name)
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr == f"{name}: Greenroom has not seen this pull request. Is it open?\n"


@pytest.mark.parametrize("name", ["shop", "#1", "shop#", "shop#x", "shop#٣", "https://github.example.com/acme/shop"])
def test_what_names_no_pull_request_is_answered_with_how_it_is_written(name: str) -> None:
    found = RUNNER.invoke(main, ["explain", name])
    assert found.exit_code == 2
    assert "does not name a pull request. Write shop#42, owner/shop#42" in found.stderr


@pytest.mark.parametrize(
    "name",
    [
        "shop#2",
        "shop#\u200b2",
        "SHOP#2",
        "acme/shop#2",
        "Acme/Shop#2",
        "https://github.example.com/acme/shop/pull/2",
        "https://github.example.com/acme/shop/pull/2/files?w=1#diff-1",
        "https://github.example.com/acme/shop/issues/2",
    ],
)
async def test_preview_is_found_by_any_name_that_github_shows(name: str, asked: tuple[Asked, str]) -> None:
    loop, url = asked
    assert (await run(url, "explain", name)).stdout.startswith("shop#2: held")
    assert (await run(url, "release", name, "--yes")).exit_code == 0
    assert loop.seen == [{"shop#2": "breaker:key"}]


async def test_explain_takes_the_name_of_a_service_and_release_does_not(asked: tuple[Asked, str]) -> None:
    loop, url = asked
    assert (await run(url, "explain", "catalog#2")).stdout.startswith("shop#2: held")
    found = await run(url, "release", "catalog#2", "--yes")
    assert (found.exit_code, loop.seen) == (1, [])
    assert "catalog#2: no such preview" in found.stderr


async def test_list_counts_pull_requests_without_a_preview_and_shows_them_with_all(asked: tuple[Asked, str]) -> None:
    _, url = asked
    shown = (await run(url, "list")).stdout.splitlines()
    assert shown[0] == "Greenroom has not read these repositories yet: payments."
    assert [line.split()[0] for line in shown[1:-1]] == ["shop#3", "shop#2", "shop#1"]
    assert shown[-1] == "1 open pull request without a preview: greenroom list --all"
    assert "shop#4" in (await run(url, "list", "--all")).stdout


@pytest.mark.parametrize(
    "admin",
    ["127.0.0.1:8083", "http://", "http://127.0.0.1:notaport", "http://127.0.0.1:70000", "http://[::1", "http://größe"],
)
def test_what_is_no_address_of_an_admin_port_is_reported(admin: str) -> None:
    found = RUNNER.invoke(main, ["list", "--admin", admin])
    assert found.exit_code == 2
    assert (
        found.stderr == f"{admin} is not the address of an admin port. Use an address such as http://127.0.0.1:8083.\n"
    )


HTTP = b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "the server there does not speak HTTP"),
        (HTTP + b"[1]", "the response is not from Greenroom"),
        (HTTP + b"<html>", "the response is not from Greenroom"),
        (HTTP + b"\xff", "the response is not from Greenroom"),
        (HTTP.replace(b"\r\n\r\n", b"\r\ncontent-length: 9\r\n\r\n{"), "the server there does not speak HTTP"),
        (b"", "the server there does not speak HTTP"),
    ],
)
async def test_what_is_no_greenroom_is_reported_in_one_sentence(answer: bytes, why: str) -> None:
    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    async with server:
        admin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await run(admin, "list")
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr == f"Greenroom is not responding at {admin} ({why}). Is `greenroom serve` running there?\n"


async def test_a_slash_after_the_address_does_no_harm(asked: tuple[Asked, str]) -> None:
    assert (await run(f"{asked[1]}/", "list")).exit_code == 0


def test_an_interrupted_command_ends_with_130_and_no_word() -> None:
    """The one who waits for an answer that does not come; `accept` tells when it has begun to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        admin = f"http://127.0.0.1:{server.getsockname()[1]}"
        child = subprocess.Popen(
            [sys.executable, "-m", "greenroom", "list", "--admin", admin],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        connection, _ = server.accept()
        with connection:
            child.send_signal(signal.SIGINT)
            told = child.communicate(timeout=10)
    assert (child.returncode, told) == (130, (b"", b""))


@pytest.mark.parametrize(
    "command", [("release", "--yes", "shop#2"), ("redeploy", "shop#1"), ("use", "shop#1", "payments", "staging")]
)
async def test_who_asks_is_named(asked: tuple[Asked, str], command: tuple[str, ...]) -> None:
    loop, url = asked
    for more, environment in (((), {}), ((), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}), (("--by", "ada <3"), {})):
        assert (await run(url, *command, *more, LOGNAME="grace", **environment)).exit_code == 0
    assert loop.by == ["grace", "the platform team", "ada <3"]


async def test_a_name_is_one_short_line(asked: tuple[Asked, str]) -> None:
    loop, url = asked
    await run(url, "redeploy", "shop#1", "--by", "a\nb" + "x" * 500)
    assert loop.by[0].startswith("a b")
    assert len(loop.by[0]) <= 100


async def test_use_fails_when_the_link_does_not_move(asked: tuple[Asked, str]) -> None:
    _, url = asked
    answer = await run(url, "use", "shop#1", "payments#99")
    assert answer.exit_code == 1
    assert (
        "payments#99 has no preview. Until payments#99 has a preview, shop#1 keeps using payments from staging."
        in " ".join(answer.output.split())
    )
    assert (await run(url, "use", "shop#1", "payments#17")).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "stdout"),
    [
        (("shop#1",), 0, "shop#1 serves aaaaaaa.\n"),
        (("shop#1", "--commit", "aaaaaaaa", "--timeout", "0s"), 0, "shop#1 serves aaaaaaa.\n"),
        (
            ("shop#1", "--commit", "b" * 40, "--timeout", "0s"),
            3,
            "Timed out. shop#1 does not have commit",
        ),
        (
            ("shop#1", "--commit", "0ddba11", "--timeout", "9s"),
            1,
            "shop#1: commit 0ddba11 was superseded by aaaaaaa. Wait for the newer commit instead.",
        ),
        (("shop#3", "--timeout", "0s"), 1, "shop#3 is failed: "),
        (
            ("store#3", "--timeout", "0s"),
            3,
            "Timed out. Greenroom has not seen an open pull request with this number yet.",
        ),
        (
            ("shop#99", "--timeout", "0s"),
            3,
            "Timed out. Greenroom has not seen an open pull request with this number yet.",
        ),
        (("shop#1", "--commit", "main"), 2, ""),
        (("shop#1", "--timeout", "soon"), 2, ""),
    ],
)
async def test_wait_ends_with_a_code_for_scripts(
    arguments: tuple[str, ...], code: int, stdout: str, asked: tuple[Asked, str]
) -> None:
    _, url = asked
    found = await run(url, "wait", *arguments)
    assert found.exit_code == code, found.output
    assert found.stdout.startswith(stdout)


@pytest.mark.parametrize(
    ("arguments", "answer", "code", "text"),
    [
        (("shop#1", "--yes"), "", 0, "Saved: postgresql of shop#1 will start over from the same seed"),
        (
            ("shop#1", "--reseed"),
            "y\n",
            0,
            "Saved: postgresql of shop#1 will start over from the newest seed, or empty if there is none.",
        ),
        (("shop#1",), "n\n", 1, "Delete the data of shop#1? [y/N]: n"),
        (("shop#3", "--yes"), "", 1, "The command is not saved yet"),
    ],
)
async def test_reset_asks_before_it_deletes(
    asked: tuple[Asked, str], arguments: tuple[str, ...], answer: str, code: int, text: str
) -> None:
    loop, url = asked
    found = await asyncio.to_thread(
        RUNNER.invoke, main, ["reset", *arguments], input=answer, env={"GREENROOM_ADMIN": url}
    )
    assert found.exit_code == code
    assert text in found.stdout
    assert bool(loop.by) is (answer != "n\n")


async def test_wait_for_a_repository_that_nobody_knows_ends_once_all_are_read(asked: tuple[Asked, str]) -> None:
    loop, board = Asked(), Board()
    for name in ("shop", "payments"):
        board.repositories[name] = RepositoryHealth(name, f"acme/{name}", NOW)
    async with running(admin(board, loop, loop)) as url:
        found = await run(url, "wait", "store#3", "--timeout", "1m")
    assert (found.exit_code, found.stderr) == (1, "store#3: no such repository. Greenroom knows payments, shop.\n")
