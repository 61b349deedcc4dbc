"""Migrations of a commit are read from the commit, whatever is checked out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from greenroom.errors import FixConfiguration
from greenroom.seeds import folders


def git(repository: Path, *arguments: str) -> str:
    named = ["git", "-C", str(repository), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run([*named, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "versions"
    folder.mkdir()
    (tmp_path / "env.py").touch()
    (folder / "a.py").write_text("revision = 'a1'\ndown_revision = None\n")
    (folder / "b é\n.py").write_text("revision = 'b2'\ndown_revision = 'a1'\n")
    (folder / "link.py").symlink_to("a.py")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "two")
    return tmp_path


def test_a_commit_is_read_and_not_the_checkout(repository: Path) -> None:
    (repository / "versions" / "a.py").write_text("revision = 'edited'\n")
    found = folders.migrations(repository, "HEAD")
    assert [m.name for m in found.migrations] == ["a1", "b2"]
    assert found.migrations[0].hash == git(repository, "rev-parse", "HEAD:versions/a.py")
    assert found.migrations[0].hash != git(repository, "hash-object", "versions/a.py")


def test_a_symbolic_link_is_not_a_migration(repository: Path) -> None:
    assert "versions/link.py" not in folders.tree(repository, "HEAD")


@pytest.mark.parametrize(
    ("commit", "folder", "sentence"),
    [
        ("nonsense", "", "the files of the commit cannot be read: fatal: Not a valid object name nonsense"),
        ("--name-only", "", "the files of the commit cannot be read"),
        ("HEAD", "versionen", "The folder `versionen` does not exist or has no files."),
    ],
)
def test_what_cannot_be_read_is_refused(repository: Path, commit: str, folder: str, sentence: str) -> None:
    with pytest.raises(FixConfiguration, match=sentence):
        folders.migrations(repository, commit, folder)


def test_a_missing_blob_is_refused(repository: Path) -> None:
    with pytest.raises(FixConfiguration, match=r"the blob 0{40} is missing"):
        folders.blobs(repository, ["0" * 40])


def test_no_blobs_need_no_git(tmp_path: Path) -> None:
    assert folders.blobs(tmp_path, []) == {}
