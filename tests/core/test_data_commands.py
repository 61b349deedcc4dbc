"""`/preview reset` and `/preview reseed`: followed once, soon, and never again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from builders import ADA, NOW, changed, desired, facts, identity, permissions, preview, spec
from builders import pull_request as built_pull_request
from greenroom.core.model.catalog import Need, Storage
from greenroom.core.model.engine import EngineState, PreviewSet, Recovery
from greenroom.core.model.github import (
    Actor,
    CommandComment,
    CommentState,
    DataAction,
    DataCommand,
    Kind,
    Permission,
    SignedState,
)
from greenroom.core.model.spec import Data, PreviewSpec
from greenroom.core.model.verdicts import Desired, Run
from seeded import DUMP, HERE, NEED, OTHER, SEED, SEEDED, known

BOT = Actor("renovate[bot]", Kind.BOT)
MINUTE = timedelta(minutes=1)
RESET = DataCommand(DataAction.RESET, "ada", 900, NOW)
RESEED = replace(RESET, action=DataAction.RESEED)


def held(data: Data, need: Need = NEED, recovery: Recovery | None = None) -> EngineState:
    made = changed(spec(1), services=(replace(SEEDED, needs=(need,)),))
    made = replace(made, data=data)
    kept = PreviewSet(made.id.repository_id, "shop", 1, {1: made}, recovery=recovery)
    return EngineState({identity(): preview(1, made)}, {made.id.repository_id: kept})


RUNNING = Data(holders={"db": "a"}, seeds=(SEED,))


def decided(
    command: DataCommand | None,
    holds: EngineState,
    *said: CommandComment,
    now: datetime = NOW,
    block: bool = True,
    dump: str = DUMP,
) -> Desired:
    found = facts(built_pull_request(1, said=said), holds=holds, seeds=known(dump=dump))
    blocks = {1: SignedState(1, CommentState(data=command, heard=command.comment if command else 0))} if block else {}
    may = permissions(ada=Permission.WRITE, eve=Permission.READ)
    return desired(replace(found, blocks=blocks, permissions=may), HERE, HERE.repositories[0], now)


def next_spec(found: Desired) -> PreviewSpec:
    verdict = found.verdicts[identity()]
    assert isinstance(verdict, Run)
    return verdict.spec


def commented(
    text: str, comment: int = 900, by: Actor = ADA, *, edited: bool = False, at: datetime = NOW
) -> CommandComment:
    return CommandComment(comment, by, text, at, edited)


@pytest.mark.parametrize(("text", "action"), [("/preview reset", "reset"), ("/preview  Reseed ", "reseed")])
def test_command_of_a_person_with_write_access_is_stored_first_and_followed_once_it_was_read_back(
    text: str, action: str
) -> None:
    found = decided(None, held(RUNNING), commented(text))
    assert found.memories[identity()].data == DataCommand(DataAction(action), "ada", 900, NOW)
    assert next_spec(found).data == RUNNING


def test_comment_that_is_older_than_a_command_from_the_terminal_does_not_replace_it() -> None:
    terminal = replace(RESET, comment=4, at=NOW - MINUTE)
    found = decided(terminal, held(RUNNING), commented("/preview reseed", 5, at=NOW - 5 * MINUTE))
    assert found.memories[identity()].data in (terminal, replace(terminal, followed=True))


def test_reset_starts_the_same_seed_again() -> None:
    data = next_spec(decided(RESET, held(RUNNING), dump=OTHER)).data
    assert data == Data(2, {}, NOW, (SEED,), 1, ("a",), 900, NOW, "ada")


def test_reseed_starts_the_newest_seed() -> None:
    data = next_spec(decided(RESEED, held(RUNNING), dump=OTHER)).data
    assert [s.dump for s in data.seeds] == [OTHER]
    assert (data.generation, data.resets, data.command, data.by) == (2, 1, 900, "ada")


def test_command_that_was_followed_is_not_followed_again() -> None:
    after = next_spec(decided(RESET, held(RUNNING))).data
    assert next_spec(decided(RESET, held(after), now=NOW + MINUTE)).data == after


@pytest.mark.parametrize("command", [RESET, RESEED])
def test_command_that_waited_too_long_is_void_and_the_comment_says_so(command: DataCommand) -> None:
    found = decided(command, held(RUNNING), now=NOW + 31 * MINUTE)
    assert next_spec(found).data == RUNNING
    assert found.answers[identity()].code == "command-too-late"
    assert not decided(command, held(RUNNING), now=NOW + 61 * MINUTE).answers


def test_after_stored_data_was_lost_no_command_is_followed() -> None:
    assert next_spec(decided(RESET, held(RUNNING, recovery=Recovery(NOW)))).data == RUNNING


def test_without_our_comment_an_old_command_is_not_taken_for_a_new_one() -> None:
    found = decided(None, held(RUNNING), commented("/preview reset"), block=False)
    assert found.memories[identity()].data is None
    assert next_spec(found).data == RUNNING


def test_new_preview_does_not_follow_the_command_of_an_earlier_one() -> None:
    assert next_spec(decided(RESET, EngineState())).data.command == 900


@pytest.mark.parametrize(
    "one",
    [
        commented("/preview reset", by=Actor("eve")),
        commented("/preview reset", by=BOT),
        commented("/preview reset", edited=True),
        commented("/preview reset now"),
    ],
)
def test_command_that_does_not_count_changes_nothing(one: CommandComment) -> None:
    found = decided(None, held(RUNNING), one)
    assert found.memories[identity()].data is None
    assert (identity() in found.answers) is (one.by != BOT)


def test_volume_without_a_seed_keeps_its_data_and_the_comment_says_so() -> None:
    volume = replace(NEED, storage=Storage.PERSISTENT)
    kept = held(Data(command=900, commanded_at=NOW), volume)
    assert decided(RESET, kept).answers[identity()].code == "nothing-to-reset"


@pytest.mark.parametrize(
    ("need", "resets"),
    [
        (NEED, True),
        (replace(NEED, storage=Storage.PERSISTENT), True),
        (replace(NEED, storage=Storage.PERSISTENT, seed="", name="other"), False),
        (Need("cache", "redis", "8"), False),
        (Need("queue", "rabbitmq", "4"), True),
    ],
)
def test_what_a_reset_replaces(need: Need, resets: bool) -> None:
    made = replace(changed(spec(1), services=(replace(SEEDED, needs=(need,)),)), data=RUNNING)
    assert bool(made.resettable) is resets


def test_command_counts_from_the_moment_when_it_was_written_not_when_it_was_read() -> None:
    found = decided(None, held(RUNNING), commented("/preview reset", at=NOW - 3 * MINUTE))
    assert found.memories[identity()].data == replace(RESET, at=NOW - 3 * MINUTE)


def test_command_that_is_older_than_the_preview_is_not_followed() -> None:
    made = held(RUNNING)
    young = changed(made.sets[identity().repository_id].specs[1], created=NOW)
    holds = replace(made, sets={identity().repository_id: PreviewSet(identity().repository_id, "shop", 1, {1: young})})
    assert next_spec(decided(replace(RESET, at=NOW - MINUTE), holds)).data == RUNNING


def test_command_that_can_replace_nothing_restarts_nothing() -> None:
    volume = replace(NEED, storage=Storage.PERSISTENT, seed="")
    platform = replace(
        HERE, repositories=(replace(HERE.repositories[0], services=(replace(SEEDED, needs=(volume,)),)),)
    )
    holds = held(Data(holders={"db": "a"}), volume)
    found = facts(built_pull_request(1), holds=holds, seeds=known())
    found = replace(found, blocks={1: SignedState(1, CommentState(data=RESET, heard=900))})
    data = next_spec(desired(found, platform, platform.repositories[0], NOW)).data
    assert (data.generation, data.resets, data.by) == (1, 0, "")
    assert (data.command, data.commanded_at) == (900, NOW), "it is decided, and the comment says that it had no effect"


def test_command_that_was_followed_is_not_followed_again_after_an_older_backup_was_restored() -> None:
    after = next_spec(decided(RESET, held(RUNNING))).data
    followed = decided(RESET, held(after), now=NOW + MINUTE).memories[identity()].data
    assert followed is not None
    found = decided(followed, held(RUNNING), now=NOW + 2 * MINUTE)
    assert next_spec(found).data == RUNNING
    assert not decided(followed, held(RUNNING), now=NOW + 31 * MINUTE).answers
