"""Where root's previews have their files: found again, whatever became of the note that says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.local.account import account

MAY_SKIP = os.environ.get("CI") != "true"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 and MAY_SKIP:
        pytest.skip("only root's previews run as somebody else, elsewhere")
    yield tmp_path
    shutil.rmtree(account(tmp_path).home)


@pytest.mark.parametrize("content", ["", '{"home": "/var/tm', "[]", '{"home": 1}', None])
def test_a_note_that_is_broken_loses_no_folder(content: str | None, state: Path) -> None:
    home = account(state).home
    (home / "data").write_text("of a preview")
    note = state / "home.json"
    whole = note.read_text()
    note.unlink()
    if content is not None:
        note.write_text(content)
    assert account(state).home == home
    assert (home / "data").read_text() == "of a preview"
    assert note.read_text() == whole
    assert [p.name for p in state.iterdir()] == ["home.json"], "nothing half-written stays"


def test_mark_written_by_a_preview_is_not_trusted(state: Path) -> None:
    """Who runs as nobody could name any folder as ours."""
    home = account(state).home
    mark = home / ".state"
    text = mark.read_text()
    mark.unlink()
    mark.write_text(text)
    os.chown(mark, 65534, 65534)
    (state / "home.json").write_text("")
    other = account(state).home
    assert other != home
    shutil.rmtree(home)


def test_a_folder_that_is_gone_is_created_again(state: Path) -> None:
    home = account(state).home
    shutil.rmtree(home)
    assert account(state).home.is_dir()


def test_a_copy_of_a_state_folder_has_a_folder_of_its_own(state: Path) -> None:
    home = account(state).home
    copy = state / "copy"
    copy.mkdir()
    shutil.copy2(state / "home.json", copy)
    other = account(copy).home
    assert other != home
    assert account(copy).home == other
    assert account(state).home == home
    shutil.rmtree(other)


def test_a_state_folder_that_was_moved_keeps_its_folder(state: Path) -> None:
    (state / "before").mkdir()
    home = account(state / "before").home
    (state / "before").rename(state / "after")
    assert account(state / "after").home == home
    shutil.rmtree(home)
