"""What is known of a pull request follows it while its preview is held, gated or waits for an image.

A spec that says "public" of a repository that became private would let other pull requests' comments link to it.
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
    changed,
    confirmation,
    decide,
    facts,
    identity,
    labeled,
    permissions,
    preview,
    pull_request,
    sha,
    spec,
    unlabeled,
)
from greenroom.core.model.actions import Change
from greenroom.core.model.catalog import Need, Platform, Storage
from greenroom.core.model.engine import EngineState, Ledger, PreviewSet, Restart
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Actor, Kind, Permission, Unknown
from greenroom.core.model.spec import Caller, Identity, Link, PreviewSpec, seen_by_others
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Stay

PUBLIC = spec(1, private=False, mentions=("acme/old#1",))
BOT = Actor("janitor[bot]", Kind.BOT)
MOVED: dict[str, Any] = {
    "url": "https://github.example.com/secret/shop/pull/1",
    "author": Actor("grace"),
    "head_ref": "renamed",
    "mentions": ("acme/payments#4",),
}


def served(of: PreviewSpec = PUBLIC) -> EngineState:
    return EngineState({identity(1): preview(1, of)}, {REPOSITORY_ID: PreviewSet(REPOSITORY_ID, "shop", 1, {1: of})})


def after(found: Facts, platform: Platform = PLATFORM, waiting: bool = False) -> PreviewSpec:
    """The spec after one pass that must let it stay."""
    decision = decide(found, platform, REPOSITORY, NOW, frozenset({identity(1)}) if waiting else frozenset())
    assert waiting or isinstance(decision.desired.verdicts[identity(1)], Stay)
    changes = [a.spec for a in decision.actions if isinstance(a, Change)]
    return changes[0] if changes else PUBLIC


def known(found: PreviewSpec) -> tuple[object, ...]:
    return (
        found.pull_request.private,
        found.pull_request.url,
        found.pull_request.author,
        found.pull_request.branch,
        found.pull_request.mentions,
    )


FOLLOWED = (True, MOVED["url"], "grace", "renamed", MOVED["mentions"])
OLD = (False, PUBLIC.pull_request.url, "ada", "branch-1", PUBLIC.pull_request.mentions)
BUT_PRIVATE = (True, *OLD[1:])

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Platform]] = {
    "waits for its image": ({"head_sha": sha(1, 2)}, {"images": {}}, PLATFORM),
    "the registry does not answer": (
        {"head_sha": sha(1, 2)},
        {"images": {SERVICE.image.reference(sha(1, 2), 1): Unknown("Down.")}},
        PLATFORM,
    ),
    "is a draft again": ({"draft": True}, {}, PLATFORM),
    "its labeler lost write access": ({}, {"permissions": permissions(ada=Permission.READ)}, PLATFORM),
    "its labeler's permission is not known": ({}, {"permissions": permissions()}, PLATFORM),
    "nobody is seen to have labeled it": ({"label_events": ()}, {}, PLATFORM),
    "another label is configured": ({}, {}, replace(PLATFORM, label="review-app")),
    "a bot took the label off": (
        {"labels": frozenset(), "label_events": (labeled(), unlabeled(by=BOT))},
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
    assert new.build.versions == PUBLIC.build.versions, "and what runs stays"


@pytest.mark.parametrize("change", ["names", "services", "data", "restart"])
def test_it_follows_while_a_change_of_the_configuration_is_held(change: str) -> None:
    other = replace(SERVICE, name="other")
    before, platform = PUBLIC, PLATFORM
    if change == "names":
        platform = replace(PLATFORM, prefix="pr")
    elif change == "services":
        before = changed(PUBLIC, services=(SERVICE, other))
    elif change == "data":
        need = Need("db", "postgresql", "16", (("url", "URL"),), Storage.PERSISTENT)
        before = changed(PUBLIC, services=(replace(SERVICE, needs=(need,)),))
    else:
        before = changed(PUBLIC, services=(replace(SERVICE, env=(("LOG", "debug"),)),))
        spent = Ledger(restarts=tuple(Restart(identity(n), NOW) for n in (5, 6, 7)))
    holds = served(before)
    if change == "restart":
        holds = replace(holds, sets={REPOSITORY_ID: replace(holds.sets[REPOSITORY_ID], ledger=spent)})
    decision = decide(facts(pull_request(1, **MOVED), holds=holds), platform, REPOSITORY, NOW)
    assert decision.plan.holds[identity(1)].key
    [new] = [a.spec for a in decision.actions if isinstance(a, Change)]
    assert known(new) == FOLLOWED
    assert new.services == before.services
    assert new.names.namespace == before.names.namespace


def test_a_stale_read_is_followed_in_nothing_but_secrecy() -> None:
    found = facts(pull_request(1, **MOVED), holds=served(), stale=frozenset({1}))
    assert known(after(found)) == BUT_PRIVATE


def test_a_stale_read_makes_nothing_public() -> None:
    private = changed(PUBLIC, private=True)
    found = facts(pull_request(1), holds=served(private), stale=frozenset({1}))
    found = replace(found, listing=replace(found.listing, private=False))
    decision = decide(found, PLATFORM, REPOSITORY, NOW)
    assert [a for a in decision.actions if isinstance(a, Change)] == []


def test_what_another_installation_has_follows_in_nothing_but_secrecy() -> None:
    found = facts(pull_request(1, **MOVED), holds=replace(served(), other_installations={identity(1): "other"}))
    assert known(after(found)) == BUT_PRIVATE


def test_a_preview_whose_pull_request_the_list_leaves_out_becomes_private_with_its_repository() -> None:
    found = facts(holds=served(), confirmed={1: "GitHub returned 404."})
    assert known(after(found)) == BUT_PRIVATE


def test_a_preview_that_the_engine_has_no_room_for_becomes_private_with_its_repository() -> None:
    assert known(after(facts(pull_request(1, **MOVED), holds=served()), waiting=True)) == BUT_PRIVATE


def test_a_preview_of_a_repository_that_left_the_catalog_counts_as_private() -> None:
    platform = replace(PLATFORM, repositories=())
    assert known(after(facts(holds=served()), platform)) == BUT_PRIVATE


def test_other_repositories_look_again_when_one_becomes_private() -> None:
    for change in ({"private": True}, {"url": "elsewhere"}, {"author": "grace"}):
        assert seen_by_others(PUBLIC) != seen_by_others(changed(PUBLIC, **change))


def test_links_follow_while_the_label_is_in_doubt() -> None:
    """A held preview that others begin to use opens its port to them."""
    caller = changed(spec(9), repository_id=8, repository="till", slug="acme/till")
    caller = changed(caller, targets=(Link("till", "shop", (("url", "URL"),), "http://x", "", number=1, port=8080),))
    holds = served()
    holds = replace(holds, sets={**holds.sets, 8: PreviewSet(8, "till", 1, {9: caller})})
    found = pull_request(1, labels=frozenset(), label_events=(labeled(), unlabeled(by=BOT)))
    new = after(facts(found, holds=holds, confirmed={1: confirmation(found)}))
    assert new.links.callers == (Caller("shop", caller.names.namespace, 8080),)
    assert Identity(8, 9) not in holds.previews
    assert (
        decide(facts(found, holds=holds, confirmed={1: confirmation(found)}), PLATFORM, REPOSITORY, NOW)
        .statuses[identity(1)]
        .stage
        is Stage.HELD
    )
