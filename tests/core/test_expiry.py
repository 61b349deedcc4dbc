"""What counts as activity, and what keeps a preview from expiring."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import ADA, ME, NOW, PLATFORM, labeled, pull_request, spec, unlabeled
from greenroom.core import messages
from greenroom.core.model.actions import UpdateComment
from greenroom.core.model.github import Activity, Actor, CommentState, Kind, LabelEvent
from greenroom.core.model.status import Stage
from greenroom.core.policy.expiry import expiry, last_activity
from machine import settled

BOT = Actor("stale[bot]", Kind.BOT)
GHOST = Actor("ghost", Kind.NOBODY)
STARTED = NOW - timedelta(days=2)
LATER = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (labeled(LATER, ADA), True),
        (labeled(LATER, BOT), False),
        (labeled(LATER, GHOST), False),
        (labeled(LATER, ADA, "bug"), False),
        (unlabeled(LATER, ADA), False),
    ],
    ids=["a person adds the label", "a bot", "a deleted account", "another label", "a person removes it"],
)
def test_only_a_person_who_adds_the_preview_label_counts_as_active(event: LabelEvent, counts: bool) -> None:
    found = pull_request(1, label_events=(labeled(STARTED), event))
    active = last_activity(found, spec(1, created=STARTED, head_since=STARTED), ME)
    assert active == (LATER if counts else STARTED)


@pytest.mark.parametrize(
    ("actor", "counts"), [(ADA, True), (BOT, False), (GHOST, False), (Actor(ME), False)], ids=lambda each: str(each)
)
def test_only_what_people_do_counts_as_activity(actor: Actor, counts: bool) -> None:
    found = pull_request(1, label_events=(labeled(STARTED),), activities=(Activity("commented", actor, LATER),))
    active = last_activity(found, spec(1, created=STARTED, head_since=STARTED), ME)
    assert active == (LATER if counts else STARTED)


def test_the_keep_label_prevents_expiry_by_inactivity() -> None:
    made = settled(1)
    old = made.pull_requests[1]
    made.pull_requests[1] = replace(old, labels=old.labels | {PLATFORM.lifetime.keep_label})
    assert [type(a) for a in made.settle()] == [UpdateComment], "the comment says that the label keeps it"
    for _ in range(10):
        made.pass_time(timedelta(days=1))
        assert made.settle() == []
    assert made.living == {1}


def test_the_keep_label_does_not_prevent_expiry_by_age() -> None:
    kept = pull_request(1, labels=frozenset({"preview", PLATFORM.lifetime.keep_label}))
    life = replace(PLATFORM.lifetime, max_age=timedelta(days=5))
    found = expiry(kept, spec(1), life, CommentState(), ME, NOW)
    assert (found.at, found.why) == (spec(1).times.created + timedelta(days=5), "age")


def test_a_warning_that_a_hold_hid_is_given_again_a_day_before() -> None:
    made = settled(1)
    made.pass_time(timedelta(days=2, hours=1))
    made.settle()
    made.platform = replace(PLATFORM, domain="other.example.com")
    made.settle()
    made.pass_time(timedelta(days=1))
    made.settle()
    made.platform = PLATFORM
    made.settle()
    [status] = made.decision().statuses.values()
    assert (status.stage, made.living) == (Stage.EXPIRING, {1})
    made.pass_time(timedelta(days=1))
    made.settle()
    assert made.living == set()


@pytest.mark.parametrize(
    ("why", "removed_label", "fix"),
    [
        ("inactive", "", "A push, comment or review keeps the preview."),
        ("inactive", "preview", "Add the label `preview` again to keep the preview."),
        ("age", "", "Greenroom will remove the preview later, as the hourly limit allows."),
        ("age", "preview", "Greenroom will remove the preview later, as the hourly limit allows."),
    ],
)
def test_expired_preview_that_waits_names_only_steps_that_keep_it(why: str, removed_label: str, fix: str) -> None:
    assert messages.its_turn(3, why, removed_label).fix == fix
