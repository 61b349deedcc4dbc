"""What is read and written as ourselves leads nowhere else, whatever a commit or its processes put in the way."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from greenroom.core.model.engine import Health
from greenroom.errors import Failed
from greenroom.local import account, files, processes
from greenroom.local.engine import LocalEngine
from greenroom.local.names import folder_of
from local.workshop import IDENTITY, NEED, SEED, Workshop, quiet, until, wait

ELSEWHERE = "the file itself"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A commit's tree, beside a file that is none of its business."""
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("SECRET")
    made = tmp_path / "tree"
    (made / "seed").mkdir(parents=True)
    (made / "seed" / "catalog.sql").write_text("SELECT 1;")
    (made / "link.sql").symlink_to("seed/catalog.sql")
    (made / "folder").symlink_to("seed")
    (made / "out.sql").symlink_to(tmp_path / "private" / "key")
    (made / "up.sql").symlink_to("../private/key")
    (made / "outside").symlink_to(tmp_path / "private")
    (made / "environ").symlink_to("/proc/self/environ")
    (made / "twice").symlink_to("out.sql")
    os.mkfifo(made / "pipe")
    return made


@pytest.mark.parametrize("name", ["seed/catalog.sql", "link.sql", "folder/catalog.sql", "./seed/../link.sql"])
def test_a_file_of_the_commit_is_read(tree: Path, name: str) -> None:
    assert files.of_commit(tree, name) == b"SELECT 1;"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("out.sql", ELSEWHERE),
        ("up.sql", ELSEWHERE),
        ("twice", ELSEWHERE),
        ("outside/key", ELSEWHERE),
        ("environ", ELSEWHERE),
        ("../private/key", ELSEWHERE),
        ("/etc/hostname", ELSEWHERE),
        ("pipe", "is not a file"),
        ("seed", "is not a file"),
        (".", "is not a file"),
        ("no.sql", "No such file"),
    ],
)
def test_nothing_else_is(tree: Path, name: str, why: str) -> None:
    with pytest.raises(Failed, match=why) as refused:
        files.of_commit(tree, name)
    assert "SECRET" not in str(refused.value)


def test_the_tree_may_be_reached_through_a_link(tree: Path) -> None:
    (tree.parent / "checkout").symlink_to(tree)
    assert files.of_commit(tree.parent / "checkout", "link.sql") == b"SELECT 1;"


async def test_a_seed_that_leads_out_of_its_commit_is_refused(shop: Workshop) -> None:
    secret = shop.folder / "secret"
    secret.write_text("SUPERSECRET of ours\n")
    secret.chmod(0o600)
    (shop.repository / "seed.sql").symlink_to(secret)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=NEED), 1))
        found = await wait(engine, Health.FAILED)
        assert found.why == "The seed seed.sql points outside the commit. Commit the file itself, not a symlink."
        assert "SUPERSECRET" not in repr(found)


NOT_TEXT = (
    "is neither SQL in UTF-8 nor a pg_dump archive. Create the dump with `pg_dump --format=custom` or"
    " `pg_dump --format=plain --encoding=UTF8`."
)


@pytest.mark.parametrize(
    ("dump", "sentence"),
    [
        (
            b"\x1f\x8b\x08\x00",
            "is truncated or corrupt: it cannot be decompressed completely. Dump the database again.",
        ),
        (b"SELECT 'a\x00b';", NOT_TEXT),
        (b"SELECT '\xff';", NOT_TEXT),
    ],
)
async def test_a_seed_that_is_no_dump_is_refused_in_a_sentence(shop: Workshop, dump: bytes, sentence: str) -> None:
    (shop.repository / "seed.sql").write_bytes(dump)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1"), needs=NEED), 1))
        found = await wait(engine, Health.FAILED)
        assert found.why == f"The seed seed.sql {sentence}"


async def test_a_log_shows_the_latest_start_only(tmp_path: Path) -> None:
    command = processes.Command(["echo", "first"], tmp_path, {"PATH": os.environ["PATH"]}, tmp_path / "log")

    async def ended() -> bool:
        return processes.started(pid) is None

    for word in ("first", "second"):
        pid, _ = processes.start(replace(command, arguments=["echo", word]), account.Account(tmp_path))
        await until(ended)
        processes.reap()
    assert processes.tail(tmp_path / "log") == ("second",)


async def test_a_process_starts_although_its_log_is_on_a_full_disk(tmp_path: Path) -> None:
    command = processes.Command(["true"], tmp_path, {"PATH": os.environ["PATH"]}, Path("/dev/full"))
    pid, _ = processes.start(command, account.Account(tmp_path))

    async def ended() -> bool:
        return processes.started(pid) is None

    await until(ended)


def test_a_log_that_became_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("SECRET")
    (tmp_path / "log").symlink_to(tmp_path / "private")
    os.mkfifo(tmp_path / "pipe")
    assert processes.tail(tmp_path / "log") == ()
    assert processes.tail(tmp_path / "pipe") == ()


async def test_previews_own_their_home_and_nothing_that_we_work_in(shop: Workshop) -> None:
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1", seed__sql=SEED), needs=NEED), 1))
        await wait(engine, Health.READY)
        run_as = shop.run_as
        folder = folder_of(run_as, IDENTITY)
        ours = [folder.parent, folder, *(p for p in folder.iterdir() if p.name != "home")]
        assert {p.name for p in ours} >= {"previews", "7-1", "trees"}
        assert {p.stat().st_uid for p in ours} == {os.geteuid()}
        assert (folder / "home").stat().st_uid == (run_as.user if run_as.user is not None else os.geteuid())
        [process] = [p for i in [shop.record().serving] if i for p in i.processes]
        assert Path(process.log).is_relative_to(shop.settings.state)
        assert Path(process.log).parent.stat().st_mode & 0o077 == 0
        assert not Path(process.log).is_relative_to(run_as.home)
        await engine.serve(shop.preview_set(None, 2))
        await engine.remove(IDENTITY, shop.record().uid)
        assert not Path(process.log).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works in folders that somebody else had")
async def test_a_folder_that_became_a_link_is_not_worked_in(shop: Workshop) -> None:
    shop.settings.state.mkdir()
    run_as = account.account(shop.settings.state)
    (shop.folder / "elsewhere").mkdir()
    (run_as.home / "previews").symlink_to(shop.folder / "elsewhere")
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(shop.commit("1")), 1))
        found = await wait(engine, Health.FAILED)
        assert "previews is a symlink, but Greenroom needs a folder there" in found.why
        assert list((shop.folder / "elsewhere").iterdir()) == []
