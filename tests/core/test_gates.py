"""Who gets a preview and when: each gate with its reason, and the last good version kept behind it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import (
    ADA,
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    SERVICE,
    changed,
    decide,
    desired,
    digest,
    facts,
    identity,
    labeled,
    observed,
    permissions,
    preview,
    pull_request,
    sha,
    spec,
    unlabeled,
    without_label,
)
from greenroom.core.model.actions import Change, Start
from greenroom.core.model.catalog import Image, ImageFrom, Policy
from greenroom.core.model.engine import EngineState, Health, Life, PreviewSet
from greenroom.core.model.github import Actor, ImageState, Kind, Missing, Permission, Present, PullRequest, Unknown
from greenroom.core.model.spec import Identity, WaitingPush
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Run, Stay

RENOVATE = Actor("renovate[bot]", Kind.BOT)
EVE = Actor("eve")


@pytest.mark.parametrize(
    ("changes", "stage", "code"),
    [
        ({"labels": frozenset(), "label_events": ()}, Stage.NONE, "not-asked"),
        ({"label_events": ()}, Stage.BLOCKED, "label-without-event"),
        ({"label_events": (labeled(), unlabeled())}, Stage.BLOCKED, "label-without-event"),
        ({"head_repository_id": 8}, Stage.BLOCKED, "fork"),
        ({"head_repository_id": None}, Stage.BLOCKED, "fork"),
        ({"draft": True}, Stage.BLOCKED, "draft"),
        ({"author": RENOVATE}, Stage.BLOCKED, "bot-author"),
        ({"label_events": (labeled(by=RENOVATE),)}, Stage.BLOCKED, "bot-labeled"),
        ({"label_events": (labeled(by=EVE),)}, Stage.BLOCKED, "may-not-label"),
        ({"label_events": (labeled(by=Actor("unread")),)}, Stage.WAITING, "permission-unknown"),
    ],
)
def test_each_gate_says_why(changes: dict[str, object], stage: Stage, code: str) -> None:
    given = facts(pull_request(1, **changes), permissions=permissions(ada=Permission.WRITE, eve=Permission.READ))
    found = desired(given, PLATFORM, REPOSITORY, NOW).verdicts[identity(1)]
    assert isinstance(found, Stay)
    assert (found.stage, found.reason.code) == (stage, code)
    assert found.reason.text
    assert not [a for a in decide(given, PLATFORM, REPOSITORY, NOW).actions if isinstance(a, Start)]


@pytest.mark.parametrize("health", [Health.STARTING, Health.UPDATING])
def test_a_preview_whose_address_does_not_answer_says_so(health: Health) -> None:
    silent = replace(preview(1, health=health), why="Every process is running, but https://a.example.com/ returns 503.")
    holds = replace(observed(1), previews={identity(1): silent})
    found = decide(facts(pull_request(1), holds=holds), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert (found.stage, found.reason.code, found.reason.text) == (Stage.STARTING, "unreachable", silent.why)


@pytest.mark.parametrize(
    ("changes", "policy"),
    [
        ({}, Policy()),
        ({"draft": True}, Policy(drafts=True)),
        ({"author": RENOVATE}, Policy(bots=frozenset({"renovate[bot]"}))),
        ({"label_events": (labeled(by=RENOVATE),)}, Policy(bots=frozenset({"renovate[bot]"}))),
    ],
)
def test_allowed_pull_request_gets_a_preview(changes: dict[str, object], policy: Policy) -> None:
    found = desired(facts(pull_request(1, **changes)), replace(PLATFORM, policy=policy), REPOSITORY, NOW)
    assert isinstance(found.verdicts[identity(1)], Run)


HEAD = SERVICE.image.reference(sha(1, 2), 1)
MERGE = SERVICE.image.reference(sha(1, 99), 1)


@pytest.mark.parametrize(
    ("images", "code", "words"),
    [
        ({HEAD: Missing()}, "image-missing", f"The current version, {sha(1)[:7]}, keeps running."),
        ({HEAD: Missing(), MERGE: Present(digest("m"))}, "merge-image-only", "CI builds GitHub's merge commit"),
        ({HEAD: Unknown("The registry is away.")}, "registry-unknown", "The registry is away."),
        ({}, "registry-unknown", "has not been queried"),
    ],
)
def test_a_push_without_its_image_keeps_the_last_good_spec(
    images: dict[str, ImageState], code: str, words: str
) -> None:
    pushed = pull_request(1, head_sha=sha(1, 2))
    given = facts(pushed, holds=observed(1), images=images)
    decision = decide(given, PLATFORM, REPOSITORY, NOW)
    status = decision.statuses[identity(1)]
    assert (status.stage, status.reason.code) == (Stage.WAITING, code)
    assert words in status.reason.text
    assert status.serving
    [change] = decision.plan.actions
    assert isinstance(change, Change)
    assert change.spec == changed(spec(1), waiting=WaitingPush(pushed.head_sha, NOW))
    assert not change.restart


@pytest.mark.parametrize("why", ["image", "draft"])
def test_what_waits_still_sleeps_and_its_data_still_starts_over(why: str) -> None:
    """The version that runs follows people and its own data while another one cannot come."""
    pushed = pull_request(1, head_sha=sha(1, 2), labels=frozenset({"preview", "preview-sleep"}), draft=why == "draft")
    made = spec(1, holders={"db": "first"})
    there = replace(preview(1, made), lives=(Life("db", "second"),))
    holds = EngineState({identity(1): there}, {REPOSITORY_ID: PreviewSet(REPOSITORY_ID, "shop", 1, {1: made})})
    given = facts(pushed, holds=holds, images={HEAD: Missing()})
    platform = replace(PLATFORM, policy=replace(PLATFORM.policy, drafts=False))
    [change] = [a for a in decide(given, platform, REPOSITORY, NOW).actions if isinstance(a, Change)]
    assert (change.spec.choices.sleep_requested, change.spec.data.generation) == (True, 2)
    assert (change.spec.build.head_sha, change.spec.build.versions) == (made.build.head_sha, made.build.versions)


def test_a_tag_that_moves_is_reported_and_not_followed() -> None:
    reference = SERVICE.image.reference(sha(1), 1)
    given = facts(pull_request(1), holds=observed(1), images={reference: Present(digest("another"))})
    decision = decide(given, PLATFORM, REPOSITORY, NOW)
    assert decision.plan.actions == ()
    assert decision.statuses[identity(1)].reason.code == "tag-moved"


def test_a_digest_that_runs_needs_no_registry() -> None:
    given = facts(pull_request(1), holds=observed(1), images={})
    assert isinstance(desired(given, PLATFORM, REPOSITORY, NOW).verdicts[identity(1)], Run)


def test_images_of_the_merge_commit() -> None:
    service = replace(SERVICE, image=Image("registry.example.com/shop", "pr-{number}-{sha}", ImageFrom.MERGE))
    repository = replace(REPOSITORY, services=(service,))
    reference = f"registry.example.com/shop:pr-1-{sha(1, 99)}"
    found = desired(facts(pull_request(1), images={reference: Present(digest("m"))}), PLATFORM, repository, NOW)
    verdict = found.verdicts[identity(1)]
    assert isinstance(verdict, Run)
    assert verdict.spec.build.versions[0].sha == sha(1, 99)
    for conflicts, code in ((False, "merge-commit-pending"), (True, "no-merge-commit")):
        without = pull_request(1, merge_sha=None, conflicts=conflicts)
        none = desired(facts(without), PLATFORM, repository, NOW).verdicts[identity(1)]
        assert isinstance(none, Stay)
        assert none.reason.code == code


@pytest.mark.parametrize(
    "changes", [{"draft": True}, {"label_events": (labeled(by=EVE),)}, {"head_repository_id": None}]
)
def test_a_gate_never_touches_what_runs(changes: dict[str, object]) -> None:
    given = facts(pull_request(1, **changes), holds=observed(1), permissions=permissions(ada=Permission.NONE))
    assert decide(given, PLATFORM, REPOSITORY, NOW).plan.actions == ()


def test_a_stale_read_starts_and_moves_nothing() -> None:
    new, pushed = pull_request(1), pull_request(2, head_sha=sha(2, 2))
    given = facts(new, pushed, holds=observed(2), stale=frozenset({1, 2}))
    assert decide(given, PLATFORM, REPOSITORY, NOW).actions == ()


def test_an_author_who_has_enough_waits_in_the_queue() -> None:
    limits = replace(PLATFORM.limits, per_author=1)
    found: list[PullRequest] = [
        pull_request(1, label_events=(labeled(NOW - timedelta(hours=1)),)),
        pull_request(2, label_events=(labeled(NOW - timedelta(hours=3)),)),
        pull_request(3, author=Actor("grace")),
    ]
    decision = decide(facts(*found), replace(PLATFORM, limits=limits), REPOSITORY, NOW)
    started = {a.identity.number for a in decision.actions if isinstance(a, Start)}
    assert started == {2, 3}
    assert f"for {ADA.login}" in decision.statuses[identity(1)].reason.text


def test_another_installations_preview_is_a_gate_and_nothing_of_ours() -> None:
    holds = EngineState(other_installations={identity(1): "another", identity(2): "another"})
    given = facts(pull_request(1), without_label(2), holds=holds)
    decision = decide(given, PLATFORM, REPOSITORY, NOW)
    assert decision.plan.actions == ()
    assert decision.statuses[identity(1)].reason.code == "foreign"
    assert decision.statuses[identity(2)].stage is Stage.NONE, "nobody asked us"


def test_a_preview_that_another_installation_has_too_gets_no_new_spec_while_it_waits() -> None:
    made = observed(1)
    asks_for_sleep = pull_request(1, labels=frozenset({"preview", "preview-sleep"}), head_ref="renamed")
    given = facts(asks_for_sleep, holds=replace(made, other_installations={identity(1): "another"}))
    decision = decide(given, PLATFORM, REPOSITORY, NOW)
    assert decision.statuses[identity(1)].reason.code == "foreign"
    assert decision.plan.actions == ()


def test_a_ready_preview_says_that_it_answers() -> None:
    status = decide(facts(pull_request(1), holds=observed(1)), PLATFORM, REPOSITORY, NOW).statuses[identity(1)]
    assert (status.stage, str(status.reason)) == (Stage.READY, "All services are up.")


@pytest.mark.parametrize(("owner", "held"), [(None, True), (identity(2), True), (identity(1), False)])
def test_a_namespace_that_belongs_to_someone_else_is_not_adopted(owner: Identity | None, held: bool) -> None:
    given = facts(pull_request(1))
    taken = replace(given, observed=replace(given.observed, namespaces={"preview-shop-1": owner}))
    verdict = desired(taken, PLATFORM, REPOSITORY, NOW).verdicts[identity(1)]
    assert isinstance(verdict, Stay) is held
    if isinstance(verdict, Stay):
        assert verdict.reason.code == "namespace-taken"
        assert "preview-shop-1" in str(verdict.reason)
