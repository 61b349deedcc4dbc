"""When a preview may go: a closed table of what counts, and properties that doubt never removes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    ADA,
    ME,
    NOW,
    PLATFORM,
    REPOSITORY,
    confirmation,
    decide,
    desired,
    facts,
    identity,
    labeled,
    observed,
    pull_request,
    unlabeled,
    without_label,
)
from greenroom.core.model.actions import Remove, Withdraw
from greenroom.core.model.engine import Cause, EngineState
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import (
    UNKNOWN_LABEL,
    Actor,
    CommentState,
    Confirmation,
    Kind,
    LabelEvent,
    PullRequest,
    SignedState,
    State,
)
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.spec import Identity
from greenroom.core.model.verdicts import Go, Stay, Verdict

BOT = Actor("stale[bot]", Kind.BOT)
MYSELF = Actor(ME, Kind.BOT)


def verdict(listed: PullRequest | None, answer: Confirmation | str | None, **changes: object) -> Verdict:
    pull_requests = (listed,) if listed else ()
    confirmed = {1: answer} if answer is not None else {}
    given_facts = facts(*pull_requests, holds=observed(1), confirmed=confirmed, **changes)
    return desired(given_facts, PLATFORM, REPOSITORY, NOW).verdicts[identity(1)]


def closed(**changes: object) -> PullRequest:
    return pull_request(1, state=State.CLOSED, closed_at=NOW, **changes)


def test_pull_request_that_github_does_not_show_is_held_for_a_person() -> None:
    found = verdict(None, "GitHub does not show /pulls/1 (404).", hidden=frozenset({1}))
    assert isinstance(found, Stay)
    assert (found.hold, found.reason.code) == (HoldKey(HoldKind.NOT_SHOWN), "not-shown")
    unsure = verdict(None, "GitHub does not show /pulls/1 (404).")
    assert isinstance(unsure, Stay)
    assert (unsure.hold, unsure.reason.code) == (None, "unconfirmed")


def test_an_answer_about_another_pull_request_confirms_nothing() -> None:
    """A repository that was deleted and made anew answers under the same name."""
    other = replace(closed(), identity=Identity(999, 1))
    assert isinstance(verdict(None, confirmation(other)), Stay)


@pytest.mark.parametrize(
    ("listed", "answer", "cause"),
    [
        (None, confirmation(closed()), Cause.CLOSED),
        (None, confirmation(pull_request(1, state=State.MERGED)), Cause.MERGED),
        (without_label(), confirmation(without_label()), Cause.UNLABELED),
        (None, confirmation(without_label()), Cause.UNLABELED),
    ],
)
def test_what_lets_a_preview_go(listed: PullRequest | None, answer: Confirmation, cause: Cause) -> None:
    found = verdict(listed, answer)
    assert isinstance(found, Go)
    assert found.cause is cause
    assert found.reason.text


RELABELED = pull_request(1, labels=frozenset(), label_events=(unlabeled(NOW - timedelta(days=1)), labeled()))
NEVER_SEEN = pull_request(1, labels=frozenset(), label_events=())


@pytest.mark.parametrize(
    ("listed", "answer", "code"),
    [
        (None, None, "unconfirmed"),
        (None, "GitHub returned 500.", "unconfirmed"),
        (without_label(), None, "unconfirmed"),
        (None, confirmation(closed(), NOW - timedelta(seconds=1)), "stale"),
        (without_label(), confirmation(replace(without_label(), updated_at=NOW - timedelta(days=1))), "stale"),
        (None, confirmation(pull_request(1)), "list-disagrees"),
        (without_label(), confirmation(pull_request(1)), "list-disagrees"),
        (RELABELED, confirmation(RELABELED), "label-gone"),
        (NEVER_SEEN, confirmation(NEVER_SEEN), "label-gone"),
        (without_label(by=BOT), confirmation(without_label(by=BOT)), "label-taken-by-bot"),
        (without_label(by=MYSELF), confirmation(without_label(by=MYSELF)), "label-taken-by-bot"),
    ],
)
def test_doubt_holds_it(listed: PullRequest | None, answer: Confirmation | str | None, code: str) -> None:
    found = verdict(listed, answer)
    assert isinstance(found, Stay)
    assert found.reason.code == code


def test_unlabeled_counts_only_while_the_repository_has_that_very_label() -> None:
    """A label that is deleted in the repository is unlabeled by its deleter; one made anew later is another label."""
    event = without_label().label_events[-1]
    for since in (None, event.at, event.at + timedelta(minutes=1)):
        found = verdict(without_label(), confirmation(without_label(), label_since=since))
        assert isinstance(found, Stay), since
        assert found.reason.code == "label-deleted"
        assert str(found.hold) == f"label-deleted:preview:{event.at.isoformat()}"
    assert isinstance(verdict(without_label(), confirmation(without_label(), label_since=event.at - timedelta(1))), Go)


def test_a_later_event_of_a_label_without_a_name_is_doubt() -> None:
    """It may be ours: put on again after it was taken off, and then deleted in the repository."""
    nameless = LabelEvent(UNKNOWN_LABEL, False, ADA, NOW)
    taken_off = without_label().label_events
    after, before = (*taken_off, nameless), (replace(nameless, at=NOW - timedelta(days=1)), *taken_off)
    found = verdict(without_label(), confirmation(pull_request(1, labels=frozenset(), label_events=after)))
    assert isinstance(found, Stay)
    assert found.hold
    found = verdict(without_label(), confirmation(pull_request(1, labels=frozenset(), label_events=before)))
    assert isinstance(found, Go)


def test_label_removed_by_a_deleted_account_is_held() -> None:
    ghost = Actor("ghost", Kind.NOBODY)
    found = verdict(without_label(by=ghost), confirmation(without_label(by=ghost)))
    assert isinstance(found, Stay)
    assert found.reason.code == "label-taken-by-ghost"


def test_a_stale_by_number_read_removes_nothing() -> None:
    found = verdict(None, confirmation(closed()), stale=frozenset({1}))
    assert isinstance(found, Stay)


def test_our_own_unlabeling_counts_only_with_the_decision_in_the_block() -> None:
    mine = without_label(by=MYSELF)
    decided = SignedState(2, CommentState(NOW - timedelta(days=2), NOW - timedelta(minutes=2), "inactive"))
    later = SignedState(2, CommentState(NOW - timedelta(days=2), NOW, "inactive"))
    found = verdict(mine, confirmation(mine), blocks={1: decided})
    assert isinstance(found, Go)
    assert found.cause is Cause.EXPIRED
    assert isinstance(verdict(mine, confirmation(mine), blocks={1: later}), Stay)


def test_a_person_with_our_own_token_is_a_person() -> None:
    person = without_label(by=ADA)
    given_facts = facts(person, holds=observed(1), confirmed={1: confirmation(person)})
    given_facts = replace(given_facts, listing=replace(given_facts.listing, me="ada"))
    found = desired(given_facts, PLATFORM, REPOSITORY, NOW).verdicts[identity(1)]
    assert isinstance(found, Go)
    assert found.cause is Cause.UNLABELED


# --- properties ---

OPEN = st.sampled_from(["open", "unread", "failed", "older", "gone label"])


def world(fates: list[str], listed: list[bool]) -> Facts:
    """Previews 1..n, all really open and labeled; the list leaves some out, and by-number reads are as their fate."""
    numbers = range(1, len(fates) + 1)
    shown = [pull_request(n) for n, is_listed in zip(numbers, listed, strict=True) if is_listed]
    answers: dict[int, Confirmation | str] = {}
    for number, fate in zip(numbers, fates, strict=True):
        match fate:
            case "open":
                answers[number] = confirmation(pull_request(number))
            case "failed":
                answers[number] = "GitHub returned 502."
            case "older":
                answers[number] = confirmation(without_label(number), NOW - timedelta(minutes=5))
            case "gone label":
                answers[number] = confirmation(pull_request(number, labels=frozenset()))
    return facts(*shown, holds=observed(*numbers), confirmed=answers)


@given(st.lists(st.tuples(OPEN, st.booleans()), min_size=1, max_size=12))
def test_a_shorter_failed_or_stale_read_never_removes(drawn: list[tuple[str, bool]]) -> None:
    given_facts = world([fate for fate, _ in drawn], [shown for _, shown in drawn])
    decision = decide(given_facts, PLATFORM, REPOSITORY, NOW)
    assert not [a for a in decision.actions if isinstance(a, Withdraw | Remove)]
    assert all(s.reason.text for s in decision.statuses.values())


@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_no_removal_without_a_confirming_read(confirmed: list[bool]) -> None:
    numbers = range(1, len(confirmed) + 1)
    answers = {n: confirmation(closed_number(n)) for n, c in zip(numbers, confirmed, strict=True) if c}
    decision = decide(facts(holds=observed(*numbers), confirmed=answers), PLATFORM, REPOSITORY, NOW)
    touched = {a.identity.number for a in decision.actions if isinstance(a, Withdraw | Remove)}
    assert touched == set(answers)


def closed_number(number: int) -> PullRequest:
    return pull_request(number, state=State.CLOSED, closed_at=NOW)


@given(st.sets(st.integers(1, 8)), st.sets(st.integers(1, 8)))
def test_nothing_of_another_repository_is_touched(ours: set[int], others: set[int]) -> None:
    held = observed(*ours)
    other_installations = {replace(i, repository_id=8): replace(p, identity=replace(i, repository_id=8))
               for i, p in observed(*others).previews.items()}  # fmt: skip
    everything = EngineState({**held.previews, **other_installations}, held.sets)
    answers = {n: confirmation(closed_number(n)) for n in ours | others}
    decision = decide(facts(holds=everything, confirmed=answers), PLATFORM, REPOSITORY, NOW)
    assert {a.identity for a in decision.actions} <= {identity(n) for n in ours}
