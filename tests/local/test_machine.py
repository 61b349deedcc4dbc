"""What this machine cannot do is said in one sentence: the cause, where, what to do."""

from __future__ import annotations

import errno
import itertools
import os
import pwd
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from greenroom.core.model.engine import Health
from greenroom.errors import Doubt, Failed
from greenroom.local import machine
from greenroom.local.account import Account
from greenroom.local.engine import LocalEngine
from greenroom.local.machine import MissingDependency, Trouble
from greenroom.local.processes import Command, start
from local.workshop import Workshop, get, seen, until


@pytest.mark.parametrize(
    ("number", "cause", "remedy"),
    [
        (errno.ENOSPC, "The disk is full", "Free some space."),
        (errno.EDQUOT, "The disk quota is used up", "Free some space or raise the quota."),
        (errno.EROFS, "The disk is mounted read-only", "Make it writable."),
        (errno.EIO, "The disk reports an input/output error", "Check the disk."),
        (errno.EMFILE, "Greenroom has too many files open", "Raise its limit (ulimit -n)."),
        (errno.ENFILE, "This machine has too many files open", "Raise its limit (fs.file-max)."),
        (errno.ENOMEM, "This machine is out of memory", "Close some programs."),
        (errno.EAGAIN, "This machine cannot start another process", "Raise the limit (ulimit -u)."),
    ],
)
def test_an_error_of_the_system_names_the_cause_the_place_and_the_remedy(number: int, cause: str, remedy: str) -> None:
    found = machine.trouble(OSError(number, os.strerror(number), "/var/x.json"))
    assert str(found) == f"{cause}: /var/x.json could not be used ({os.strerror(number)}). {remedy}"


def test_an_error_without_a_place_or_a_known_number_is_a_sentence_too() -> None:
    assert str(machine.trouble(OSError())) == "The operating system refused: an operation failed (OSError)."
    known = machine.trouble(PermissionError(errno.EACCES, "Permission denied", b"/x"))
    assert str(known) == "The operating system refused: /x could not be used (Permission denied)."


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_program_that_failed_because_of_the_disk_is_not_the_commit_s_fault(number: int, tmp_path: Path) -> None:
    error = Failed("The migration of web failed (exit code 1).", log=("Traceback", f"OSError: {os.strerror(number)}"))
    found = machine.excuse(error, [tmp_path])
    assert isinstance(found, Trouble)
    assert "so this failed: The migration of web failed (exit code 1)." in str(found)
    assert found.log == error.log


def test_a_page_that_was_written_in_part_means_a_full_disk(tmp_path: Path) -> None:
    why = 'could not extend file "base/1/2619": wrote only 4096 of 8192 bytes at block 6'
    found = machine.excuse(Failed(f"Its database could not be copied: {why}"), [tmp_path])
    assert str(found).startswith("The disk is full, so this failed: Its database could not be copied: could not extend")
    assert machine.disk_error_or_last([why, "initdb: removing data directory"]) == why


def test_a_failure_of_the_commit_s_own_stays_its_fault(tmp_path: Path) -> None:
    failed = Failed("The migration of web failed (exit code 1).", log=("Too many open files",))
    assert machine.excuse(failed, [tmp_path]) is None
    assert machine.excuse(MissingDependency("There is no PostgreSQL: No space left on device."), [tmp_path]) is None


def test_any_error_becomes_a_trouble_without_secrets() -> None:
    assert str(machine.as_trouble(Doubt("A list was short."))) == "A list was short."
    assert (
        str(machine.as_trouble(KeyError("s3cret")))
        == "Something went wrong on our side (KeyError). See Greenroom's log for details."
    )


def test_a_log_that_cannot_be_opened_is_not_the_command_s_fault(tmp_path: Path) -> None:
    ours = Account(tmp_path)
    (tmp_path / "log").mkdir()
    with pytest.raises(Trouble, match=r"^The operating system refused: .*log could not be used \(Is a directory\)"):
        start(Command(["true"], tmp_path, {}, tmp_path / "log"), ours)
    with pytest.raises(Failed, match="`nothing-of-this-name` could not be started") as failed:
        start(Command(["nothing-of-this-name"], tmp_path, {}, tmp_path / "other"), ours)
    assert not isinstance(failed.value, Trouble)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's previews run as nobody")
def test_error_names_the_user_nobody_when_it_may_not_run_the_program(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    expected = (
        "could not be started as user nobody, which runs previews when Greenroom runs as root: Permission denied."
    )
    with pytest.raises(Failed, match=expected):
        start(Command([str(program)], Path("/"), {}, tmp_path / "log"), Account(tmp_path, nobody.pw_uid, nobody.pw_gid))


async def test_a_task_that_fails_in_any_way_is_started_again(shop: Workshop) -> None:
    woken = itertools.count()

    def wake(repository_id: int) -> None:
        if next(woken) < 3:
            raise RuntimeError("whoever listens is broken")

    with capture_logs() as logged:
        async with LocalEngine(shop.settings, wake) as engine:
            await engine.serve(shop.preview_set(shop.spec(shop.commit("1")), 1))

            async def well() -> bool:
                return (await seen(engine)).health is Health.READY

            await until(well)
            assert (await get(engine)).status_code == 200
    assert "background task failed; restarting" in [entry["event"] for entry in logged]
