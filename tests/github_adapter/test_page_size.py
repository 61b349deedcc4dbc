"""Pages shrink when GitHub cannot answer them in time, and grow back slowly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenroom.github.page_size import FULL, GROW_AFTER, PageSize


def failed(times: int) -> PageSize:
    size = PageSize()
    for _ in range(times):
        size = size.failed(shared=False)
    return size


def worked(size: PageSize, times: int) -> PageSize:
    for _ in range(times):
        size = size.worked()
    return size


def test_a_page_that_was_too_much_is_asked_for_at_half_the_size_down_to_one() -> None:
    assert [failed(times).size for times in range(8)] == [50, 25, 12, 6, 3, 1, 1, 1]


def test_repositories_that_shared_a_failed_query_keep_their_size_and_are_asked_alone() -> None:
    assert PageSize().failed(shared=True) == PageSize(FULL, alone=True)


def test_the_size_doubles_only_after_many_pages_in_a_row() -> None:
    size = worked(failed(2), GROW_AFTER - 1)
    assert size.size == 12
    assert size.worked().size == 24
    assert worked(size.failed(shared=False), GROW_AFTER - 1).size == 6


def test_a_repository_shares_a_query_again_after_many_pages_of_full_size() -> None:
    size = worked(failed(1), GROW_AFTER)
    assert size == PageSize(FULL, alone=True)
    assert worked(size, GROW_AFTER - 1).alone
    assert worked(size, GROW_AFTER) == PageSize()


@given(st.lists(st.sampled_from(["worked", "shared", "alone"]), max_size=200))
def test_a_page_never_holds_less_than_one_or_more_than_fifty(outcomes: list[str]) -> None:
    size = PageSize()
    for outcome in outcomes:
        size = size.worked() if outcome == "worked" else size.failed(shared=outcome == "shared")
        assert 1 <= size.size <= FULL
        assert size.alone or size == PageSize()
