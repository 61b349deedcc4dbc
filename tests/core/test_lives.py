"""What changes a spec without a push: lives of data, tries after a refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOW, preview, spec
from greenroom.core.model.engine import Life
from greenroom.core.model.spec import Data
from greenroom.core.planning.data_generation import data, retries, try_again_in

LATER = NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        ({}, (), Data(1)),
        ({}, (Life("db", "a"),), Data(1, {"db": "a"})),
        ({}, (Life("db", "a", overtaken=True),), Data(2, {"db": "a"}, LATER)),
        ({"db": "a"}, (Life("db", "a"),), Data(1, {"db": "a"})),
        ({"db": "a"}, (Life("db", "a", overtaken=True),), Data(1, {"db": "a"})),
        ({"db": "a"}, (Life("db", "b"),), Data(2, {"db": "b"}, LATER)),
        ({"db": "a"}, (), Data(1, {"db": "a"})),
        (
            {"db": "a", "other": "x"},
            (Life("db", "b"), Life("other", "y")),
            Data(2, {"db": "b", "other": "y"}, LATER),
        ),
        ({"db": "a"}, (Life("db", "a"), Life("other", "y")), Data(1, {"db": "a", "other": "y"})),
    ],
    ids=[
        "nothing yet",
        "first sight",
        "first sight, but services were faster",
        "the same",
        "the same, whatever started when",
        "another container",
        "away for a moment",
        "two at once are one data generation",
        "a second need joins",
    ],
)
def test_data_generation_follows_the_holders_of_the_data(
    known: dict[str, str], seen: tuple[Life, ...], expected: Data
) -> None:
    assert data(spec(1, holders=known), replace(preview(1), lives=seen), LATER) == expected


def test_a_preview_without_a_spec_begins_with_its_first_life() -> None:
    assert data(None, replace(preview(1), lives=(Life("db", "a"),)), NOW) == Data()


def test_a_refused_spec_is_tried_again_less_and_less_often_and_a_push_starts_over() -> None:
    waits = []
    for tries in range(8):
        served = spec(1, retry=tries)
        refused = replace(preview(1, served), refused_for=timedelta(0))
        found = try_again_in(served, refused)
        assert found is not None
        waits.append(found.total_seconds())
        assert retries(served, refused, same_head=True) == tries
        assert retries(served, replace(refused, refused_for=found), same_head=True) == tries + 1
        assert retries(served, refused, same_head=False) == 0
    assert waits == [5, 10, 30, 60, 120, 300, 300, 300]


def test_what_argo_cd_has_not_taken_over_yet_is_not_tried_again() -> None:
    served = spec(1, retry=1)
    older = replace(preview(1, spec(1)), refused_for=timedelta(hours=1))
    assert try_again_in(served, older) is None
    assert try_again_in(served, None) is None
