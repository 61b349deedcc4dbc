"""A choice that was asked for outside GitHub is kept until our comment holds it, or nobody can want it any more."""

from __future__ import annotations

import pytest

from builders import PLATFORM, confirmation, facts, identity, observed, pull_request, without_label
from greenroom.controller.requested_choices import RequestedChoices
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Requested, State
from greenroom.core.model.spec import LinkOverride

CHOICE = LinkOverride("payments", "staging", "ada", 0)
CLOSED = confirmation(pull_request(1, state=State.CLOSED))


@pytest.mark.parametrize(
    ("read", "kept"),
    [
        (facts(without_label(), stale=frozenset({1})), True),
        (facts(holds=observed(1), confirmed={1: "GitHub returned 502."}), True),
        (facts(holds=observed(1), confirmed={1: CLOSED}, stale=frozenset({1})), True),
        (facts(holds=observed(1), confirmed={1: confirmation(pull_request(1))}), True),
        (facts(without_label()), False),
        (facts(holds=observed(1), confirmed={1: CLOSED}), False),
        (facts(), False),
    ],
    ids=[
        "an old list without the label",
        "left out by the list, not read by its number",
        "an old answer that it is closed",
        "left out by the list, and open",
        "unlabeled",
        "closed",
        "never had a preview",
    ],
)
def test_a_choice_is_forgotten_only_when_its_pull_request_is_surely_closed_or_unlabeled(
    read: Facts, kept: bool
) -> None:
    choices = RequestedChoices()
    choices.add(identity(1), CHOICE)
    asked = choices.still_open(read, PLATFORM.label)
    assert asked == ({1: Requested((CHOICE,))} if kept else {})
    choices.keep(read.listing.repository_id, asked)
    assert choices.waits(identity(1)) is kept
