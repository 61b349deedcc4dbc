"""What counts as activity, and what keeps a preview from expiring."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import ADA, ME, NOW, PLATFORM, labelled, pull_request, row, unlabelled
from greenroom.core.actions import Tell
from greenroom.core.activity import expiry, last_activity
from greenroom.core.model import Activity, Actor, Kind, LabelEvent, Memory
from greenroom.core.status import Stage
from machine import settled

BOT = Actor("stale[bot]", Kind.BOT)
GHOST = Actor("ghost", Kind.NOBODY)
STARTED = NOW - timedelta(days=2)
LATER = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (labelled(LATER, ADA), True),
        (labelled(LATER, BOT), False),
        (labelled(LATER, GHOST), False),
        (labelled(LATER, ADA, "bug"), False),
        (unlabelled(LATER, ADA), False),
    ],
    ids=["a person adds the label", "a bot", "a deleted account", "another label", "a person removes it"],
)
def test_only_a_person_who_adds_the_preview_label_counts_as_active(event: LabelEvent, counts: bool) -> None:
    found = pull_request(1, label_events=(labelled(STARTED), event))
    active = last_activity(found, row(1, created=STARTED, head_since=STARTED), ME)
    assert active == (LATER if counts else STARTED)


@pytest.mark.parametrize(
    ("actor", "counts"), [(ADA, True), (BOT, False), (GHOST, False), (Actor(ME), False)], ids=lambda each: str(each)
)
def test_only_what_people_do_counts_as_activity(actor: Actor, counts: bool) -> None:
    found = pull_request(1, label_events=(labelled(STARTED),), activities=(Activity("commented", actor, LATER),))
    active = last_activity(found, row(1, created=STARTED, head_since=STARTED), ME)
    assert active == (LATER if counts else STARTED)


def test_the_keep_label_prevents_expiry_by_inactivity() -> None:
    made = settled(1)
    old = made.pull_requests[1]
    made.pull_requests[1] = replace(old, labels=old.labels | {PLATFORM.lifetime.keep_label})
    assert [type(a) for a in made.settle()] == [Tell], "the comment says that it is kept"
    for _ in range(10):
        made.pass_time(timedelta(days=1))
        assert made.settle() == []
    assert made.living == {1}


def test_the_keep_label_does_not_prevent_expiry_by_age() -> None:
    kept = pull_request(1, labels=frozenset({"preview", PLATFORM.lifetime.keep_label}))
    life = replace(PLATFORM.lifetime, max_age=timedelta(days=5))
    found = expiry(kept, row(1), life, Memory(), ME, NOW)
    assert (found.at, found.why) == (row(1).created + timedelta(days=5), "age")


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
