"""A commit that is not in the checkout is fetched, with retries. The comment does not ask for a fix."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from greenroom.core.model.engine import Health
from greenroom.local.engine import LocalEngine
from greenroom.local.machine import ASKED_AGAIN
from greenroom.local.worktrees import NotFetched, Worktrees
from local.workshop import Workshop, get, git, quiet, seen, until, wait

MARK = "test-worktrees/7#1"


def pushed_elsewhere(shop: Workshop, release: str) -> str:
    """Return a commit that a colleague pushed: the remote `upstream` has it, but the checkout does not."""
    upstream = shop.folder / "upstream"
    if not upstream.exists():
        shop.commit("0")
        git(shop.folder, "clone", "--quiet", str(shop.repository), str(upstream))
        git(shop.repository, "remote", "add", "upstream", str(upstream))
    (upstream / "server.py").write_text((shop.repository / "server.py").read_text().replace('"0"', f'"{release}"'))
    git(upstream, "commit", "--quiet", "--all", "--message", release)
    return git(upstream, "rev-parse", "HEAD")


async def add(shop: Workshop, sha: str) -> Path:
    return await Worktrees(shop.settings.checkouts, fetch_seconds=1).add("acme/shop", sha, shop.folder / "tree", MARK)


async def test_missing_commit_is_fetched_without_changing_the_checkout(shop: Workshop) -> None:
    sha = pushed_elsewhere(shop, "1")
    git(shop.repository, "config", "fetch.prune", "true")
    before = git(shop.repository, "for-each-ref"), sorted(p.name for p in (shop.repository / ".git").iterdir())
    assert (await add(shop, sha) / "server.py").exists()
    after = git(shop.repository, "for-each-ref"), sorted(p.name for p in (shop.repository / ".git").iterdir())
    assert after[0] == before[0]
    assert set(after[1]) - set(before[1]) == {"worktrees"}


async def test_every_remote_is_tried(shop: Workshop) -> None:
    sha = pushed_elsewhere(shop, "1")
    git(shop.repository, "remote", "add", "a-fork", str(shop.folder / "nowhere"))
    assert (await add(shop, sha) / "server.py").exists()


@pytest.mark.parametrize(
    ("remotes", "cause", "log"),
    [
        ({}, "the checkout has no remote", []),
        ({"initech": "upstream"}, "no remote has the commit", ["git fetch initech: fatal: "]),
        ({"initech": "nowhere"}, "a remote could not be read", ["git fetch initech: fatal: '{folder}/nowhere' does"]),
        (
            {"initech": "upstream", "other": "nowhere"},
            "a remote could not be read",
            ["git fetch initech: fatal: ", "git fetch other: fatal: '{folder}/nowhere' does not appear to be"],
        ),
        (  # the repository's own remote first, whatever the names
            {"a-fork": "nowhere", "initech": "acme/shop.git"},
            "a remote could not be read",
            ["git fetch initech: fatal: '{folder}/acme/shop.git' does not", "git fetch a-fork: fatal: "],
        ),
    ],
)
async def test_failed_fetch_names_the_cause_and_no_folder_remote_or_host(
    shop: Workshop, remotes: dict[str, str], cause: str, log: list[str]
) -> None:
    """The sentence may be in the comment of a public repository. git's own lines are for private ones."""
    pushed_elsewhere(shop, "1")
    git(shop.repository, "remote", "remove", "upstream")
    for name, folder in remotes.items():
        git(shop.repository, "remote", "add", name, str(shop.folder / folder))
    with pytest.raises(NotFetched) as told:
        await add(shop, "abcdef0" + "1" * 33)
    adds = "Add a remote with `git remote add`. Greenroom will then fetch the commit."
    fix = "Run `git fetch` in the checkout." if remotes else adds
    sentence = f"Commit abcdef0 of acme/shop is not in the checkout: {cause}. {fix}"
    assert str(told.value) == sentence
    assert len(told.value.log) == len(log)
    for line, begin in zip(told.value.log, log, strict=True):
        assert line.startswith(begin.format(folder=shop.folder))


@pytest.mark.parametrize("login", ["ada:hunter2-hunter2", "hunter2-hunter2"])
async def test_credentials_in_a_remote_url_are_not_shown(shop: Workshop, login: str) -> None:
    shop.commit("1")
    git(shop.repository, "remote", "add", "origin", f"http://{login}@127.0.0.1:9/acme/shop.git")
    with pytest.raises(NotFetched) as told:
        await add(shop, "abcdef0" + "1" * 33)
    assert "git fetch origin: fatal: " in "".join(told.value.log)
    assert "hunter2" not in f"{told.value} {told.value.log}"


@pytest.mark.parametrize(
    ("answer", "cause", "log"),
    [
        (b"", "a remote could not be reached within 1 s", "git fetch origin: did not finish within 1 s"),
        (
            b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
            "a remote asks for a password",
            "git fetch origin: fatal: could not read Username for 'http://127.0.0.1:{port}': terminal prompts disabled",
        ),
    ],
)
async def test_fetch_from_a_remote_that_hangs_or_asks_for_a_password_times_out(
    shop: Workshop, answer: bytes, cause: str, log: str
) -> None:
    async def remote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()
        writer.close()

    shop.commit("1")
    server = await asyncio.start_server(remote, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    git(shop.repository, "remote", "add", "origin", f"http://127.0.0.1:{port}/acme/shop.git")
    began = time.monotonic()
    async with server:
        with pytest.raises(NotFetched) as told:
            await add(shop, "abcdef0" + "1" * 33)
    sentence = f"Commit abcdef0 of acme/shop is not in the checkout: {cause}. Run `git fetch` in the checkout."
    assert str(told.value) == sentence
    assert told.value.log == (log.format(port=port),)
    assert time.monotonic() - began < 10


async def test_preview_with_a_missing_commit_starts_once_a_person_fetches_it(shop: Workshop) -> None:
    sha = pushed_elsewhere(shop, "1")
    git(shop.repository, "remote", "remove", "upstream")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        found = await wait(engine, Health.FAILED)
        assert f"Commit {sha[:7]} of acme/shop is not in the checkout: the checkout has no remote." in found.why
        assert found.fix == ASKED_AGAIN
        git(shop.repository, "fetch", "--quiet", str(shop.folder / "upstream"))
        await wait(engine, Health.READY)
        assert (await get(engine)).json()["release"] == "1"


async def test_fetch_is_retried_while_the_last_version_serves(shop: Workshop) -> None:
    sha = pushed_elsewhere(shop, "1")
    upstream, away = shop.folder / "upstream", shop.folder / "away"
    upstream.rename(away)
    told: list[str] = []
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(git(shop.repository, "rev-parse", "HEAD")), 1))
        await wait(engine, Health.READY)
        await engine.serve(shop.preview_set(shop.spec(sha), 2))
        told.append((await wait(engine, Health.FAILED)).why)
        assert (await get(engine)).json()["release"] == "0"
        away.rename(upstream)

        async def deployed() -> bool:
            found = await seen(engine)
            told.append(found.why)
            assert found.health is Health.FAILED or not found.why
            return found.services[0].sha == sha

        await until(deployed)
        assert (await wait(engine, Health.READY)).why == ""
        assert (await get(engine)).json()["release"] == "1"
    assert set(told) == {told[0], ""}, "each new try would otherwise edit the comment"


async def test_a_partial_clone_whose_remote_hangs_ends_in_time(shop: Workshop) -> None:
    """git fetches from such a remote when it only looks for a commit."""

    async def remote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    shop.commit("1")
    server = await asyncio.start_server(remote, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    git(shop.repository, "remote", "add", "origin", f"http://127.0.0.1:{port}/acme/shop.git")
    for key, value in (
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
        ("core.repositoryformatversion", "1"),
        ("extensions.partialclone", "origin"),
    ):
        git(shop.repository, "config", key, value)
    async with server:
        with pytest.raises(NotFetched):
            async with asyncio.timeout(10):
                await add(shop, "abcdef0" + "1" * 33)


async def test_a_partial_clone_has_the_files_of_its_worktree_fetched(shop: Workshop) -> None:
    sha = shop.commit("1")
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(shop.repository, "config", key, "true")
    partial = shop.folder / "partial"
    how = ("--quiet", "--no-checkout", "--filter=blob:none")
    git(shop.folder, "clone", *how, f"file://{shop.repository}", str(partial))
    tree = await Worktrees({"acme/shop": partial}).add("acme/shop", sha, shop.folder / "tree", MARK)
    assert (tree / "server.py").exists()
