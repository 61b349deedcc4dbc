"""The simulated GitHub survives a restart, and its file cannot run code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from greenroom.errors import Failed
from greenroom.simulate.keeping import Kept
from greenroom.simulator.world import World


def test_world_is_restored_after_a_restart(tmp_path: Path) -> None:
    world, file = World(), tmp_path / "state" / "simulated.pickle"
    number = world.open_pull_request("acme/notes", head="change", sha="1" * 40, by="ada").number
    world.label("acme/notes", number, "preview", "ada")
    world.comment("acme/notes", number, "Good", "greenroom[bot]")
    Kept(file).keep(world)
    assert file.stat().st_mode & 0o077 == 0
    again = World()
    Kept(file).resume(again)
    pull = again.pull_request("acme/notes", number)
    assert pull.labels == ["preview"]
    assert [item.type for item in pull.timeline] == ["PullRequestCommit", "LabeledEvent", "IssueComment"]
    assert pull.timeline[-1].data["comment"] is pull.comments[0]
    assert pull.author is again.user("ada")
    assert again.id() == world.id()
    assert again.repository("acme/other").id == world.repository("acme/other").id


def test_the_first_start_has_no_file(tmp_path: Path) -> None:
    world = World()
    Kept(tmp_path / "simulated.pickle").resume(world)
    assert world.repositories == {}


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("false",)


@pytest.mark.parametrize("content", [pickle.dumps(Runs()), b"", b"{}", pickle.dumps({"users": {}})])
def test_file_from_elsewhere_is_rejected_with_a_clear_message(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "simulated.pickle"
    file.write_bytes(content)
    with pytest.raises(Failed, match=r"simulated\.pickle cannot be read"):
        Kept(file).resume(World())


def test_file_from_elsewhere_cannot_run_code(tmp_path: Path) -> None:
    file = tmp_path / "simulated.pickle"
    file.write_bytes(pickle.dumps(Runs()))
    with pytest.raises(Failed, match=r"posix\.system is not allowed in this file"):
        Kept(file).resume(World())
