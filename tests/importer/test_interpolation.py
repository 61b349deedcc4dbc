"""Variables in a Compose file, as where nothing outside it is set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.importer.interpolation import Interpolated, interpolated


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", Interpolated("plain")),
        ("$$HOME and $ 5", Interpolated("$HOME and $ 5")),
        ("$A/b", Interpolated("/b", ("A",), ("A",))),
        ("${A}", Interpolated("", ("A",), ("A",))),
        ("${A:-b}", Interpolated("b", ("A",))),
        ("${A-b}c", Interpolated("bc", ("A",))),
        ("${A:-}", Interpolated("", ("A",))),
        ("${A:?set it}", Interpolated("", ("A",), ("A",))),
        ("${A?set it}.", Interpolated(".", ("A",), ("A",))),
        ("${A:+b}", Interpolated("", ("A",))),
        ("${A:-${B:-c}}d", Interpolated("cd", ("A", "B"))),
        ("${A:-${B}}", Interpolated("", ("A", "B"), ("B",))),
        ("${A:-x$B}", Interpolated("x", ("A", "B"), ("B",))),
        ("${A:+${B}}", Interpolated("", ("A",))),
        ('${A:-{"b": {"c": 1}}}', Interpolated('{"b": {"c": 1}}', ("A",))),
        ("$A $A", Interpolated(" ", ("A", "A"), ("A",))),
        ("${A:-b", Interpolated("b", ("A",))),
        ("${1:-b}", Interpolated("${1:-b}")),
    ],
)
def test_a_variable_is_its_default(text: str, result: Interpolated) -> None:
    assert interpolated(text) == result


@given(st.text(alphabet="${}:-?+Aa ", max_size=60))
def test_any_text_has_a_result(text: str) -> None:
    assert len(interpolated(text).text) <= len(text)


def test_defaults_in_defaults_have_an_end() -> None:
    assert interpolated("${A:-" * 5000).names
