"""Names in drafts are valid whatever the file calls things, and no two things have one name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.config.fields import NAME, VARIABLE
from greenroom.importer import names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web", "web"),
        ("my_app", "my-app"),
        ("My App!", "my-app"),
        ("2fast", "fast"),
        ("42", "service"),
        ("日本", "service"),
        ("a" * 39 + "-b", "a" * 39),
    ],
)
def test_a_name_is_made_of_what_may_stand_in_one(text: str, name: str) -> None:
    assert names.slug(text) == name


@given(st.text(), st.lists(st.text(), max_size=5))
def test_any_text_makes_names_that_are_valid_and_distinct(text: str, others: list[str]) -> None:
    taken = {names.slug(other) for other in others}
    name = names.distinct(names.slug(text), taken)
    assert re.fullmatch(NAME, name)
    assert len(name) <= names.LONGEST
    assert name not in taken
    assert re.fullmatch(VARIABLE, names.variable(text))


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert names.distinct("web", {"web", "web-2"}) == "web-3"
    assert names.distinct("DB_URL", {"DB_URL"}, "_") == "DB_URL_2"
    assert names.distinct("a" * 40, {"a" * 40}) == "a" * 38 + "-2"
    assert names.variable("analytics db") == "ANALYTICS_DB"
