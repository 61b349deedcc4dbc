"""Names are valid for Kubernetes and DNS, stable, and distinct for distinct inputs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.planning import names

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
NUMBERS = st.integers(1, 10**9)


@given(st.text(max_size=100), st.integers(20, 63))
def test_any_text_makes_a_valid_label(text: str, limit: int) -> None:
    made = names.slug(text, limit)
    assert LABEL.fullmatch(made)
    assert len(made) <= limit
    assert made == names.slug(text, limit)


@given(st.text(max_size=80), NUMBERS)
def test_namespaces_and_hosts_fit_a_label(text: str, number: int) -> None:
    assert LABEL.fullmatch(names.namespace("preview", text, number))
    host = names.host(text, number, "preview.example.com")
    assert LABEL.fullmatch(host.split(".")[0])
    assert host.endswith(".preview.example.com")


@given(st.text(max_size=60), st.text(max_size=60))
def test_distinct_inputs_have_distinct_names(one: str, other: str) -> None:
    assert (names.slug(one, 40) == names.slug(other, 40)) == (one == other)


@given(st.text(max_size=60))
def test_no_input_spells_the_hashed_name_of_another(text: str) -> None:
    made = names.slug(text, 40)
    if made != text:
        assert names.slug(made, 40) != made


@given(st.tuples(st.text(max_size=30), NUMBERS), st.tuples(st.text(max_size=30), NUMBERS))
def test_distinct_pull_requests_have_distinct_namespaces(one: tuple[str, int], other: tuple[str, int]) -> None:
    same = names.namespace("preview", *one) == names.namespace("preview", *other)
    assert same == (one == other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("catalog", "catalog"), ("my-shop", "my-shop"), ("a" * 40, "a" * 40)],
)
def test_a_valid_name_is_kept(text: str, expected: str) -> None:
    assert names.slug(text, 40) == expected


@pytest.mark.parametrize("text", ["Catalog", "shop_api", "-a", "a-", "a--b", "é", "", "x" * 41])
def test_what_kubernetes_would_refuse_gets_a_hash(text: str) -> None:
    assert re.search(r"--[0-9a-f]{10}$", names.slug(text, 40))


@pytest.mark.parametrize(
    ("repository", "short"),
    [("Web.App", "web-app"), ("shop", "shop"), ("shop_api", "shop-api"), ("a--b", "a-b"), (".github", "github")],
)
def test_short_name_of_a_repository_is_what_people_would_type(repository: str, short: str) -> None:
    assert names.short(repository) == short


@given(st.text(max_size=60))
def test_short_name_is_a_label_of_at_most_thirty_characters(text: str) -> None:
    made = names.short(text)
    assert LABEL.fullmatch(made)
    assert len(made) <= 30


@given(st.text(min_size=1, max_size=100), NUMBERS)
def test_namespace_carries_at_most_one_hash(text: str, number: int) -> None:
    assert names.namespace("preview", names.short(text), number).count("--") <= 1
