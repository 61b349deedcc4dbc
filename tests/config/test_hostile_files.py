"""Files that YAML, the kernel or an attacker makes odd: each is one mistake with a sentence, and takes no time."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from greenroom import config
from greenroom.config.yaml_loader import Unreadable, documents
from greenroom.errors import FixConfiguration

MERGE_BOMB = (
    "a: &a { x: 1 }\n" + "".join(f"{n}: &{n}\n  <<: [{', '.join([f'*{o}'] * 9)}]\n" for o, n in pairwise("abcdefgh"))
).encode()
ALIAS_BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{n}: &{n} [{', '.join([f'*{o}'] * 9)}]\n" for o, n in pairwise("abcdefgh"))
).encode()


@pytest.mark.parametrize(
    "scalar",
    ["!!bool maybe", "!!int x", "!!float x", "!!timestamp soon", "!!binary ä", "!!binary a", "!!set [a]", "!!pairs x"],
)
def test_value_that_does_not_fit_its_tag_is_a_mistake_on_its_line(scalar: str) -> None:
    with pytest.raises(Unreadable) as error:
        documents(f"first: 1\nsecond: {scalar}\n".encode(), "greenroom.yaml")
    assert error.value.mistake.path == "line 2", error.value.mistake
    assert "greenroom.yaml" in str(error.value.mistake)


@pytest.mark.parametrize("bomb", [MERGE_BOMB, ALIAS_BOMB], ids=["merge keys", "aliases"])
def test_small_file_that_expands_without_end_is_refused(bomb: bytes) -> None:
    assert len(bomb) < 500
    with pytest.raises(Unreadable, match="its anchors expand to more than"):
        documents(bomb, "greenroom.yaml")


def test_anchor_that_contains_itself_is_refused() -> None:
    with pytest.raises(Unreadable, match="contains itself"):
        documents(b"a: &a [*a]\n", "greenroom.yaml")


def test_anchors_of_ordinary_files_are_read() -> None:
    (found,) = documents(b"base: &b { a: 1, b: 2 }\nweb: { <<: *b, b: 3 }\nlist: [*b, *b]\n", "greenroom.yaml")
    assert found["web"] == {"a": 1, "b": 3}
    assert found["list"] == [{"a": 1, "b": 2}] * 2


@pytest.mark.parametrize("name", ["greenroom.yaml", "services/web.yaml", "needs/mail.yaml"])
def test_link_to_an_endless_device_is_a_mistake(tmp_path: Path, name: str) -> None:
    for each in ("services", "needs"):
        (tmp_path / each).mkdir()
    (tmp_path / "greenroom.yaml").write_text("installation: test\ndomain: preview.example.com\n")
    (tmp_path / "services" / "web.yaml").write_text(
        "repository: acme/web\nimage: registry.example.com/web\nport: 80\nneeds: [{ manifest: needs/mail.yaml, env: { MAIL: x } }]\n"
    )
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(FixConfiguration) as error:
        config.load(tmp_path)
    assert any(m.file == name and "not a regular file" in m.message for m in error.value.mistakes), error.value.mistakes


def test_pipe_in_the_folder_of_the_configuration_does_not_stop_the_digest(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    os.mkfifo(tmp_path / "greenroom.yaml")
    assert config.digest(tmp_path)
