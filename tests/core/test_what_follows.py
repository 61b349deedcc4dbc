"""What is known of a pull request follows it while its preview is held, gated or waits for an image.

A row that says "public" of a repository that became private would let other pull requests' comments link to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    SERVICE,
    confirmation,
    facts,
    identity,
    labelled,
    preview,
    pull_request,
    row,
    sha,
    unlabelled,
)
from greenroom.core.actions import Change
from greenroom.core.catalogue import Need, Platform, Storage
from greenroom.core.decision import decide
from greenroom.core.links import seen_from_outside
from greenroom.core.model import Actor, Facts, Identity, Kind, Ledger, Observed, Permission, Restart, RowSet, Unknown
from greenroom.core.rows import Link, Row
from greenroom.core.status import Stage
from greenroom.core.verdicts import Stay

PUBLIC = row(1, private=False, mentions=("acme/old#1",))
BOT = Actor("janitor[bot]", Kind.BOT)
MOVED: dict[str, Any] = {
    "url": "https://github.example.com/secret/shop/pull/1",
    "author": Actor("grace"),
    "head_ref": "renamed",
    "mentions": ("acme/payments#4",),
}


def served(of: Row = PUBLIC) -> Observed:
    return Observed({identity(1): preview(1, of)}, {REPOSITORY_ID: RowSet(REPOSITORY_ID, "shop", 1, {1: of})})


def after(found: Facts, platform: Platform = PLATFORM, waiting: bool = False) -> Row:
    """The row after one pass that must let it stay."""
    decision = decide(found, platform, REPOSITORY, NOW, frozenset({identity(1)}) if waiting else frozenset())
    assert waiting or isinstance(decision.desired.verdicts[identity(1)], Stay)
    changes = [a.row for a in decision.actions if isinstance(a, Change)]
    return changes[0] if changes else PUBLIC


def known(found: Row) -> tuple[object, ...]:
    return found.private, found.url, found.author, found.branch, found.mentions


FOLLOWED = (True, MOVED["url"], "grace", "renamed", MOVED["mentions"])
OLD = (False, PUBLIC.url, "ada", "branch-1", PUBLIC.mentions)
BUT_PRIVATE = (True, *OLD[1:])

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Platform]] = {
    "waits for its image": ({"head_sha": sha(1, 2)}, {"images": {}}, PLATFORM),
    "the registry does not answer": (
        {"head_sha": sha(1, 2)},
        {"images": {SERVICE.image.reference(sha(1, 2), 1): Unknown("Down.")}},
        PLATFORM,
    ),
    "is a draft again": ({"draft": True}, {}, PLATFORM),
    "its labeler lost write access": ({}, {"permissions": {"ada": Permission.READ}}, PLATFORM),
    "its labeler's permission is not known": ({}, {"permissions": {}}, PLATFORM),
    "nobody is seen to have labeled it": ({"label_events": ()}, {}, PLATFORM),
    "another label is configured": ({}, {}, replace(PLATFORM, label="review-app")),
    "a bot took the label off": (
        {"labels": frozenset(), "label_events": (labelled(), unlabelled(by=BOT))},
        {},
        PLATFORM,
    ),
    "the label was deleted or renamed": ({"labels": frozenset()}, {}, PLATFORM),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_known_of_a_pull_request_follows_while_its_preview_stays(case: str) -> None:
    changes, more, platform = CASES[case]
    found = pull_request(1, **{**MOVED, **changes})
    given = facts(found, holds=served(), confirmed={1: confirmation(found)})
    new = after(replace(given, **more), platform)
    assert known(new) == FOLLOWED
    assert new.versions == PUBLIC.versions, "and what runs stays"


@pytest.mark.parametrize("change", ["names", "services", "data", "restart"])
def test_it_follows_while_a_change_of_the_configuration_is_held(change: str) -> None:
    other = replace(SERVICE, name="other")
    before, platform = PUBLIC, PLATFORM
    if change == "names":
        platform = replace(PLATFORM, prefix="pr")
    elif change == "services":
        before = replace(PUBLIC, services=(SERVICE, other))
    elif change == "data":
        need = Need("db", "postgresql", "16", (("url", "URL"),), Storage.PERSISTENT)
        before = replace(PUBLIC, services=(replace(SERVICE, needs=(need,)),))
    else:
        before = replace(PUBLIC, services=(replace(SERVICE, env=(("LOG", "debug"),)),))
        spent = Ledger(restarts=tuple(Restart(identity(n), NOW) for n in (5, 6, 7)))
    holds = served(before)
    if change == "restart":
        holds = replace(holds, sets={REPOSITORY_ID: replace(holds.sets[REPOSITORY_ID], ledger=spent)})
    decision = decide(facts(pull_request(1, **MOVED), holds=holds), platform, REPOSITORY, NOW)
    assert decision.plan.holds[identity(1)].key
    [changed] = [a.row for a in decision.actions if isinstance(a, Change)]
    assert known(changed) == FOLLOWED
    assert changed.services == before.services
    assert changed.naming.namespace == before.naming.namespace


def test_a_stale_read_is_followed_in_nothing_but_secrecy() -> None:
    found = facts(pull_request(1, **MOVED), holds=served(), stale=frozenset({1}))
    assert known(after(found)) == BUT_PRIVATE


def test_a_stale_read_makes_nothing_public() -> None:
    private = replace(PUBLIC, private=True)
    found = facts(pull_request(1), holds=served(private), stale=frozenset({1}))
    found = replace(found, listing=replace(found.listing, private=False))
    decision = decide(found, PLATFORM, REPOSITORY, NOW)
    assert [a for a in decision.actions if isinstance(a, Change)] == []


def test_what_another_installation_has_follows_in_nothing_but_secrecy() -> None:
    found = facts(pull_request(1, **MOVED), holds=replace(served(), foreign={identity(1): "other"}))
    assert known(after(found)) == BUT_PRIVATE


def test_a_preview_whose_pull_request_the_list_leaves_out_becomes_private_with_its_repository() -> None:
    found = facts(holds=served(), confirmed={1: "GitHub answered 404."})
    assert known(after(found)) == BUT_PRIVATE


def test_a_preview_that_the_engine_has_no_room_for_becomes_private_with_its_repository() -> None:
    assert known(after(facts(pull_request(1, **MOVED), holds=served()), waiting=True)) == BUT_PRIVATE


def test_a_preview_of_a_repository_that_left_the_catalog_counts_as_private() -> None:
    platform = replace(PLATFORM, repositories=())
    assert known(after(facts(holds=served()), platform)) == BUT_PRIVATE


def test_other_repositories_look_again_when_one_becomes_private() -> None:
    one = RowSet(REPOSITORY_ID, "shop", 1, {1: PUBLIC})
    for change in ({"private": True}, {"url": "elsewhere"}, {"author": "grace"}):
        other = replace(one, rows={1: replace(PUBLIC, **change)})
        assert seen_from_outside(one) != seen_from_outside(other)


def test_links_follow_while_the_label_is_in_doubt() -> None:
    """A held preview that others begin to use opens its port to them."""
    caller = replace(row(9), repository_id=8, repository="till", slug="acme/till", naming=row(9).naming)
    caller = replace(
        caller, links=(Link("till", "shop", (("url", "URL"),), "http://x", "", "ada chose it", 1, port=8080),)
    )
    holds = served()
    holds = replace(holds, sets={**holds.sets, 8: RowSet(8, "till", 1, {9: caller})})
    found = pull_request(1, labels=frozenset(), label_events=(labelled(), unlabelled(by=BOT)))
    new = after(facts(found, holds=holds, confirmed={1: confirmation(found)}))
    assert new.open_to == (("shop", caller.naming.namespace, 8080),)
    assert Identity(8, 9) not in holds.previews
    assert (
        decide(facts(found, holds=holds, confirmed={1: confirmation(found)}), PLATFORM, REPOSITORY, NOW)
        .statuses[identity(1)]
        .stage
        is Stage.HELD
    )
