"""GitHub compares the names of labels case-insensitively; so does every rule that looks at one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    ADA,
    ME,
    NOW,
    PLATFORM,
    REPOSITORY,
    changed,
    confirmation,
    decide,
    facts,
    identity,
    observed,
    pull_request,
    spec,
)
from greenroom.core.model.actions import Change, RemoveLabel
from greenroom.core.model.catalog import Lifetime, Platform, Policy
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Activity, Actor, CommentState, Kind, LabelEvent, PullRequest, SignedState
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Go
from greenroom.core.planning import required_reads
from greenroom.core.planning.context import pass_context
from greenroom.core.planning.decision import Decision
from greenroom.core.policy import labels
from greenroom.core.policy.expiry import expiry, last_activity
from machine import Machine

LIFETIME = Lifetime(timedelta(days=2), timedelta(days=1), timedelta(days=30))
ON = replace(PLATFORM, lifetime=LIFETIME)
NAMES = ("preview", "preview-keep", "preview-sleep", "bug")


def decided(found: Facts, platform: Platform = ON) -> Decision:
    return decide(found, platform, REPOSITORY, NOW)


def test_label_names_are_case_insensitive() -> None:
    assert labels.same("Preview-Keep", "preview-keep")
    assert labels.carries({"bug", "PREVIEW"}, "preview")
    assert not labels.carries({"previews"}, "preview")
    assert labels.spelling({"bug", "PREVIEW"}, "preview") == "PREVIEW"
    assert labels.spelling({"bug"}, "preview") == "preview"


def test_a_pull_request_labeled_in_capitals_gets_a_preview() -> None:
    event = LabelEvent("Preview", True, ADA, NOW - timedelta(hours=1))
    asked = pull_request(1, labels=frozenset({"Preview"}), label_events=(event,))
    assert decided(facts(asked)).statuses[identity(1)].stage is Stage.STARTING


def test_the_keep_label_in_capitals_keeps_the_preview() -> None:
    old = changed(spec(1), created=NOW - timedelta(days=9), head_since=NOW - timedelta(days=9))
    quiet = pull_request(1, labels=frozenset({"preview", "Preview-Keep"}), label_events=())
    assert expiry(quiet, old, replace(LIFETIME, max_age=None), CommentState(), ME, NOW).at is None


def test_the_sleep_label_in_capitals_puts_the_preview_to_sleep() -> None:
    made = Machine({1: pull_request(1, labels=frozenset({"preview", "PREVIEW-SLEEP"}))}, platform=ON)
    made.settle()
    assert made.holds.sets[7].specs[1].asleep


def test_a_label_put_on_in_capitals_is_activity() -> None:
    event = LabelEvent("Preview", True, ADA, NOW)
    assert last_activity(pull_request(1, label_events=(event,)), spec(1), ME) == NOW


def test_a_label_taken_off_in_capitals_removes_the_preview() -> None:
    off = LabelEvent("PREVIEW", False, ADA, NOW - timedelta(minutes=1))
    on = LabelEvent("Preview", True, ADA, NOW - timedelta(hours=1))
    gone = pull_request(1, labels=frozenset(), label_events=(on, off))
    found = facts(gone, holds=observed(1), confirmed={1: confirmation(gone)})
    assert isinstance(decided(found).desired.verdicts[identity(1)], Go)


def test_a_preview_is_not_removed_while_the_label_is_on_in_capitals() -> None:
    asked = pull_request(1, labels=frozenset({"PREVIEW"}))
    found = facts(pull_request(2), holds=observed(1), confirmed={1: confirmation(asked)})
    assert decided(found).statuses[identity(1)].reason.code == "list-disagrees"


@pytest.mark.parametrize("configured", ["Preview", "PREVIEW"])
def test_another_case_of_the_label_in_the_configuration_holds_nothing(configured: str) -> None:
    made = Machine({1: pull_request(1)}, platform=ON)
    made.settle()
    made.platform = replace(ON, label=configured)
    decision = made.decision()
    assert decision.plan.holds == {}
    assert all(isinstance(a, Change) and not a.restart for a in decision.plan.actions)
    made.settle()
    assert made.decision().statuses[identity(1)].stage is Stage.READY


def test_all_reads_are_made_for_a_label_in_capitals() -> None:
    event = LabelEvent("Preview", True, ADA, NOW)
    found = facts(pull_request(1, labels=frozenset({"Preview"}), label_events=(event,)), holds=observed(1))
    context = pass_context(found, ON, REPOSITORY, NOW)
    assert required_reads.askers(context) == ("ada",)
    assert required_reads.references(context)
    assert required_reads.numbers(found.listing, found.observed, ON) == ()


def test_an_expired_label_is_taken_off_as_github_spells_it() -> None:
    old = {1: pull_request(1, labels=frozenset({"PreView"}), created_at=NOW - timedelta(days=60))}
    made = Machine(old, platform=ON)
    made.settle()
    made.pass_time(timedelta(days=3))
    made.settle()
    made.pass_time(timedelta(days=2))
    assert [a.label for a in made.settle() if isinstance(a, RemoveLabel)] == ["PreView"]


def test_bot_logins_are_case_insensitive() -> None:
    bot = Actor("renovate[bot]", Kind.BOT)
    event = LabelEvent("preview", True, bot, NOW - timedelta(hours=1))
    platform = replace(ON, policy=Policy(bots=frozenset({"Renovate[bot]"})))
    found = facts(pull_request(1, author=bot, label_events=(event,)))
    assert decided(found, platform).statuses[identity(1)].stage is Stage.STARTING


# --- any spelling, the same decision -----------------------------------------------------------------------------


def events() -> st.SearchStrategy[tuple[LabelEvent, ...]]:
    actor = st.sampled_from((ADA, Actor("renovate[bot]", Kind.BOT), Actor("ghost", Kind.NOBODY), Actor(ME, Kind.BOT)))
    event = st.builds(
        LabelEvent,
        st.sampled_from(NAMES),
        st.booleans(),
        actor,
        st.integers(1, 5_000).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    )
    return st.lists(event, max_size=5).map(lambda found: tuple(sorted(found, key=lambda e: e.at)))


def pulls(number: int) -> st.SearchStrategy[PullRequest]:
    return st.builds(
        lambda on, happened, draft, moved: pull_request(
            number,
            labels=on,
            label_events=happened,
            draft=draft,
            head_sha=pull_request(number + 100 * moved).head_sha,
            activities=(Activity("commented", ADA, NOW - timedelta(days=3)),),
        ),
        st.frozensets(st.sampled_from(NAMES)),
        events(),
        st.booleans(),
        st.booleans(),
    )


def respelled(found: PullRequest, spelled: dict[str, str]) -> PullRequest:
    return replace(
        found,
        labels=frozenset(spelled[name] for name in found.labels),
        label_events=tuple(replace(e, label=spelled[e.label]) for e in found.label_events),
    )


def world(found: list[PullRequest], leaves_out: set[int], warned: bool) -> Facts:
    """Facts in which previews 1 and 2 run; some pull requests are missing in the list and answer by number only."""
    memory = (
        CommentState(NOW - timedelta(days=1, minutes=5), NOW - timedelta(minutes=2), "inactive")
        if warned
        else CommentState()
    )
    listed = [p for p in found if p.identity.number not in leaves_out]
    return facts(
        *listed,
        holds=observed(1, 2),
        confirmed={p.identity.number: confirmation(p) for p in found},
        blocks={p.identity.number: SignedState(1, memory) for p in found},
    )


def canonical(decision: Decision) -> tuple[Any, ...]:
    """What was decided, without the pull requests themselves and the spelling by which a label is taken off."""
    actions = [replace(a, label=a.label.lower()) if isinstance(a, RemoveLabel) else a for a in decision.actions]
    plan = decision.plan
    return decision.desired.verdicts, decision.desired.expiries, actions, plan.holds, plan.memories, decision.statuses


@given(
    st.tuples(*(pulls(n) for n in (1, 2, 3))),
    st.tuples(*(st.lists(st.booleans(), min_size=len(n), max_size=len(n)) for n in NAMES)),
    st.sets(st.sampled_from((1, 2, 3))),
    st.booleans(),
)
def test_any_spelling_of_labels_gives_the_same_decision(
    found: tuple[PullRequest, ...], capitals: tuple[list[bool], ...], leaves_out: set[int], warned: bool
) -> None:
    spelled = {
        name: "".join(c.upper() if up else c for c, up in zip(name, ups, strict=True))
        for name, ups in zip(NAMES, capitals, strict=True)
    }
    plain = decided(world(list(found), leaves_out, warned))
    other = decided(world([respelled(p, spelled) for p in found], leaves_out, warned))
    assert canonical(other) == canonical(plain)
