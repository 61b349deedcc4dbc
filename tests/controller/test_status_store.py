"""The board shows what was last seen, and a proved removal for as long as somebody may look for it."""

from __future__ import annotations

from datetime import timedelta

from builders import NOW
from greenroom.controller.status_store import REMOVED_SHOWN, Board, RepositoryHealth
from greenroom.core import messages
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage, Status


def statuses(stage: Stage, *numbers: int, repository: int = 7) -> dict[Identity, Status]:
    return {
        Identity(repository, n): Status(
            identity=Identity(repository, n),
            name=f"shop#{n}",
            repository="shop",
            slug="acme/shop",
            title="A change",
            author="ada",
            url="https://github.example.com/acme/shop/pull/1",
            stage=stage,
            reason=messages.ready(),
        )
        for n in numbers
    }


def seen(board: Board) -> set[int]:
    return {i.number for i in board.statuses}


def test_a_removal_stays_in_sight_for_a_day_of_githubs_clock() -> None:
    board = Board(now=NOW)
    board.show(7, statuses(Stage.READY, 1) | statuses(Stage.REMOVED, 2))
    for hours, shown in ((1, {1, 2, 3}), (23, {1, 2, 3}), (24, {1, 3}), (100, {1, 3})):
        board.now = NOW + timedelta(hours=hours)
        board.show(7, statuses(Stage.READY, 1) | statuses(Stage.NONE, 3))
        assert seen(board) == shown


def test_a_removal_of_a_repository_that_is_no_longer_looked_at_is_dropped_too() -> None:
    board = Board()  # nothing was read yet: the day begins with the first time that is known
    board.show(8, statuses(Stage.REMOVED, 2, repository=8))
    board.now = NOW
    board.show(7, statuses(Stage.READY, 1))
    assert seen(board) == {1, 2}
    board.now = NOW + timedelta(days=1)
    board.show(7, statuses(Stage.READY, 1))
    assert seen(board) == {1}


def test_only_the_latest_of_many_removals_are_shown() -> None:
    board = Board(now=NOW)
    for number in range(1, REMOVED_SHOWN + 51):
        board.show(7, statuses(Stage.REMOVED, number))
    assert seen(board) == set(range(51, REMOVED_SHOWN + 51))


def test_preview_removed_again_is_shown_for_another_day() -> None:
    board = Board(now=NOW)
    board.show(7, statuses(Stage.REMOVED, 1))
    board.show(7, statuses(Stage.READY, 1))
    board.now = NOW + timedelta(hours=20)
    board.show(7, statuses(Stage.REMOVED, 1))
    board.now = NOW + timedelta(hours=40)
    board.show(7, {})
    assert seen(board) == {1}
    board.now = NOW + timedelta(hours=44)
    board.show(7, {})
    assert seen(board) == set()


def test_repository_that_left_the_catalog_shows_only_removed_previews() -> None:
    board = Board(now=NOW)
    board.show(7, statuses(Stage.READY, 1) | statuses(Stage.REMOVED, 2))
    board.repositories = {n: RepositoryHealth(n, f"acme/{n}", NOW, "It is gone.", NOW) for n in ("shop", "web")}
    version = board.version
    board.keep({"shop", "web", "new"})
    assert (seen(board), board.version) == ({1, 2}, version)
    board.keep({"web"})
    assert (seen(board), set(board.repositories), board.version) == ({2}, {"web"}, version + 1)
    assert board.trouble("shop") == ""
