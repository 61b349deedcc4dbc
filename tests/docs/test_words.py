"""The check of words finds what it is there for, and leaves plain English alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("words", Path(__file__).parents[2] / "docs/words.py")
assert _SPEC
assert _SPEC.loader
words = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(words)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("'256MB' is no quantity of bytes.", "is no quantity"),
        ("The catalogue of services", "catalogue"),
        ("its data began anew", "anew"),
        ("def give(row: Row) -> None:", "Row"),
        ("Everything answers.", "Everything answers"),
    ],
)
def test_private_words_are_found(text: str, found: str) -> None:
    assert [(line, said) for line, said, _ in words.findings(f"plain\n{text}")] == [(2, found)]


@pytest.mark.parametrize("text", ["There is no preview.", "It is no longer there.", "the story *somebody edits it*"])
def test_plain_words_are_not(text: str) -> None:
    assert not list(words.findings(text))


@pytest.mark.parametrize(
    "name", ["test_a_comment_that_is_mended", "tells", "_said_of_names", "break_row", "Row", "open_to"]
)
def test_private_words_in_names_are_found(name: str) -> None:
    assert [found for _, found, _ in words.misnamed(f"x = 1\n\n\ndef {name}() -> None: ...")] == [name]


@pytest.mark.parametrize("name", ["core.reasons", "core.model.fact", "config.documents.Unreadable", "greenroom.wire"])
def test_modules_that_do_not_exist_are_found(name: str) -> None:
    assert [(line, found) for line, found, _ in words.absent(f'"""Text.\n\nSee `{name}`."""')] == [(3, name)]


@pytest.mark.parametrize("name", ["core.messages", "errors.Doubt", "greenroom.bootstrap", "local.checkouts", "os.path"])
def test_modules_that_exist_are_not(name: str) -> None:
    assert not list(words.absent(f'"""Text about `{name}`."""'))


@pytest.mark.parametrize("name", ["test_many_pages_in_a_row", "roll_out", "borrowed", "soldiers", "PreviewSpec"])
def test_plain_names_are_not(name: str) -> None:
    assert not list(words.misnamed(f"    async def {name}(self) -> None: ..."))
