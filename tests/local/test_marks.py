"""A process is known as ours by its mark: of this installation, of this state folder, of that preview."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from greenroom.core.model.engine import Health
from greenroom.local import account, processes
from greenroom.local.engine import LocalEngine, stop_all
from greenroom.local.names import folder_of, mark_of
from local.workshop import IDENTITY, Workshop, quiet, seen, until, wait


async def test_two_instances_of_one_name_leave_each_other_alone(shop: Workshop) -> None:
    sha = shop.commit("1")
    beside = replace(shop.settings, state=shop.folder / "another")
    async with LocalEngine(shop.settings, quiet) as one, LocalEngine(beside, quiet) as other:
        await one.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(one, Health.READY)
        before = shop.pids()
        await other.serve(shop.preview_set(shop.spec(sha), 1))
        uid = (await wait(other, Health.READY)).uid
        assert shop.pids() == before
        await other.serve(shop.preview_set(None, 2))
        await other.remove(IDENTITY, uid)
        assert (await other.receipt(IDENTITY)).left == ()
        assert shop.pids() == before
        assert (await seen(one)).health is Health.READY
    await stop_all(beside)


@contextlib.contextmanager
def of_an_earlier_version(home: Path) -> Iterator[int]:
    """A process with the mark of versions that did not tell state folders apart; its pid."""
    environment = {"GREENROOM_PREVIEW": f"test/{IDENTITY}", "HOME": str(home)}
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment)
    started = processes.started(child.pid)
    assert started
    try:
        yield child.pid
    finally:
        child.communicate(b"\n", timeout=10)


async def test_what_an_earlier_version_left_is_found_and_another_instance_s_is_not(shop: Workshop) -> None:
    shop.settings.state.mkdir()
    folder = folder_of(account.account(shop.settings.state), IDENTITY)
    with of_an_earlier_version(folder / "home") as ours, of_an_earlier_version(shop.folder / "home") as theirs:
        async with LocalEngine(shop.settings, quiet) as engine:

            async def read() -> bool:
                return f"process {ours}" in (await engine.receipt(IDENTITY)).left

            await until(read)
            assert f"process {theirs}" not in (await engine.receipt(IDENTITY)).left


async def test_what_an_earlier_version_left_is_ended_before_anything_is_started(shop: Workshop) -> None:
    sha = shop.commit("1")
    shop.settings.state.mkdir()
    run_as = account.account(shop.settings.state)
    home = folder_of(run_as, IDENTITY) / "home"
    command = processes.Command(
        ["sleep", "60"], Path("/"), {"GREENROOM_PREVIEW": f"test/{IDENTITY}", "HOME": str(home)}, shop.folder / "log"
    )
    pid, started = processes.start(command, run_as)
    async with LocalEngine(shop.settings, quiet) as engine:
        await engine.serve(shop.preview_set(shop.spec(sha), 1))
        await wait(engine, Health.READY)
        assert not processes.alive(pid, started)


def test_a_folder_has_one_mark_by_whatever_path_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    marks = {mark_of("test", tmp_path / name, IDENTITY) for name in ("state", "link", "link/../state", "state/")}
    assert len(marks) == 1
    assert mark_of("test", tmp_path / "other", IDENTITY) not in marks
