"""Stories of several passes over a perfect engine: the plan settles, the breaker holds, people release."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    ADA,
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    SERVICE,
    decide,
    digest,
    identity,
    labeled,
    pull_request,
    sha,
)
from greenroom.core.model.actions import Change, Remove, RemoveLabel, Start, UpdateComment, VerifyRemoval, Withdraw
from greenroom.core.model.catalog import Limits, Need, Platform, Service, Storage
from greenroom.core.model.engine import Cause, Ledger, PreviewSet, Withdrawal
from greenroom.core.model.github import Activity, Present, State
from greenroom.core.model.spec import Identity
from greenroom.core.model.status import Stage
from greenroom.core.policy import breaker
from machine import Machine


def machine(count: int, platform: Platform = PLATFORM) -> Machine:
    made = Machine({n: pull_request(n) for n in range(1, count + 1)}, platform=platform)
    made.settle()
    return made


def test_a_preview_starts_and_is_removed_in_steps() -> None:
    made = Machine({1: pull_request(1)})
    assert next(type(a) for a in made.settle()) is Start
    made.unlabel(1, ADA)
    kinds = [type(a).__name__ for a in made.settle()]
    assert [k for k in kinds if k != "UpdateComment"] == ["Withdraw", "Remove", "VerifyRemoval"]
    assert made.living == set()


def test_unlabeled_and_labeled_again_between_the_steps_keeps_the_preview() -> None:
    made = machine(1)
    before = made.pull_requests[1]
    made.unlabel(1, ADA)
    made.apply(made.decision())
    assert made.holds.sets[7].specs == {}
    made.pull_requests[1] = before
    made.settle()
    assert made.living == {1}
    assert 1 in made.holds.sets[7].specs


@pytest.mark.parametrize(("count", "gone"), [(3, 3), (6, 3), (15, 3), (20, 4), (40, 8)])
def test_breaker_allows_three_removals_or_a_fifth_in_an_hour(count: int, gone: int) -> None:
    made = machine(count)
    for number in list(made.living):
        made.unlabel(number, ADA)
    made.settle()
    assert count - len(made.living) <= gone
    assert count - len(made.living) >= min(3, count)
    held = [s for s in made.decision().statuses.values() if s.stage is Stage.HELD]
    assert {s.number for s in held} == made.living
    assert all(f"greenroom release shop#{s.number}" in s.reason.fix for s in held)


def test_the_ledger_lives_with_the_specs_and_the_hour_passes() -> None:
    made = machine(6)
    for number in list(made.living):
        made.unlabel(number, ADA)
    made.settle()
    assert len(made.living) == 3
    again = Machine(made.pull_requests, made.holds, made.now)  # a restart: nothing else is remembered
    again.settle()
    assert len(again.living) == 3
    again.pass_time(timedelta(hours=1, seconds=1))
    again.settle()
    assert again.living == set()


def test_release_applies_to_exactly_the_named_previews() -> None:
    made = machine(6)
    for number in list(made.living):
        made.unlabel(number, ADA)
    made.settle()
    first, *others = sorted(made.living)
    made.release(first)
    made.settle()
    assert made.living == set(others)


def test_closed_pull_requests_pass_the_breaker() -> None:
    made = machine(10)
    for number in list(made.living):
        made.pull_requests[number] = replace(made.pull_requests[number], state=State.CLOSED, closed_at=NOW)
    made.settle()
    assert made.living == set()


def with_services(*services: Service, **changes: object) -> Platform:
    return replace(PLATFORM, repositories=(replace(REPOSITORY, services=services),), **changes)  # type: ignore[arg-type]


RENAMED = {
    "label": replace(PLATFORM, label="review"),
    "domain": replace(PLATFORM, domain="other.example.com"),
    "prefix": replace(PLATFORM, prefix="review"),
    "service gone": with_services(replace(SERVICE, name="other")),
    "repository renamed": replace(PLATFORM, repositories=(replace(REPOSITORY, name="store"),)),
}


@pytest.mark.parametrize("platform", RENAMED.values(), ids=RENAMED)
def test_a_configuration_change_never_removes_or_renames_automatically(platform: Platform) -> None:
    made = machine(2)
    names = {n: r.names for n, r in made.holds.sets[7].specs.items()}
    made.platform = platform
    done = made.settle()
    assert not [a for a in done if isinstance(a, Withdraw | Remove | Change)]
    assert {n: r.names for n, r in made.holds.sets[7].specs.items()} == names
    assert all(s.hold and "greenroom release" in s.reason.fix for s in made.decision().statuses.values())
    made.platform = PLATFORM
    made.settle()
    assert all(s.stage is Stage.READY for s in made.decision().statuses.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "domain",
            "move from `shop-pr-1.preview.example.com` to `shop-pr-1.other.example.com`, so Greenroom has not applied it. The data",
        ),
        (
            "prefix",
            "move from `preview-shop-1` to `review-shop-1`, so Greenroom has not applied it. A new preview would replace this one",
        ),
    ],
)
def test_a_held_rename_names_what_changes_and_what_becomes_of_the_data(change: str, said: str) -> None:
    made = machine(1)
    made.platform = RENAMED[change]
    made.settle()
    [status] = made.decision().statuses.values()
    assert said in status.reason.text


def test_a_push_while_names_are_held_still_arrives() -> None:
    made = machine(1)
    made.platform = RENAMED["domain"]
    made.pull_requests[1] = replace(made.pull_requests[1], head_sha="b" * 40)
    made.settle()
    spec = made.holds.sets[7].specs[1]
    assert spec.build.head_sha == "b" * 40
    assert spec.names.hosts["shop"].endswith("preview.example.com")


def test_a_released_rename_is_applied() -> None:
    made = machine(1)
    made.platform = RENAMED["domain"]
    made.settle()
    made.release(1)
    made.settle()
    assert made.holds.sets[7].specs[1].names.hosts["shop"].endswith("other.example.com")


@pytest.mark.parametrize(("count", "restarted"), [(3, 3), (20, 3), (50, 5)])
def test_changed_settings_restart_only_so_many_in_an_hour(count: int, restarted: int) -> None:
    made = machine(count)
    made.platform = with_services(replace(SERVICE, env=(("COLOUR", "green"),)))
    done = made.settle()
    assert len([a for a in done if isinstance(a, Change) and a.restart]) == restarted
    made.pass_time(timedelta(hours=1, seconds=1))
    assert len([a for a in made.settle() if isinstance(a, Change) and a.restart]) == min(restarted, count - restarted)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 5))
def test_no_prefix_of_a_plan_exceeds_a_limit(count: int, total: int, of_repository: int) -> None:
    platform = replace(PLATFORM, limits=Limits(total, of_repository, 100))
    made = Machine({n: pull_request(n) for n in range(1, count + 1)}, platform=platform)
    for _ in range(3):
        decision = made.decision()
        running = len(made.living)
        for action in decision.actions:
            running += isinstance(action, Start)
            assert running <= min(total, of_repository)
        made.apply(decision)
    queued = [s for s in made.decision().statuses.values() if s.stage is Stage.QUEUED]
    assert len(queued) == max(0, count - min(total, of_repository))
    assert [s.position for s in sorted(queued, key=lambda s: s.number)] == list(range(1, len(queued) + 1))


def test_inactivity_warns_then_decides_then_takes_the_label_off() -> None:
    made = machine(1)
    made.pass_time(timedelta(days=2, hours=-1))
    assert made.settle() == []
    made.pass_time(timedelta(hours=2))
    made.settle()
    [status] = made.decision().statuses.values()
    assert status.stage is Stage.EXPIRING
    assert made.living == {1}
    made.pass_time(timedelta(days=1))
    done = made.settle()
    assert [type(a).__name__ for a in done if type(a).__name__ != "UpdateComment"] == [
        "RemoveLabel",
        "Withdraw",
        "Remove",
        "VerifyRemoval",
    ]


def test_an_old_preview_that_people_work_on_is_removed_for_its_age_and_says_so() -> None:
    life = replace(PLATFORM.lifetime, max_age=timedelta(days=5))
    made = machine(1, replace(PLATFORM, lifetime=life))
    done = []
    for _ in range(14):
        made.pass_time(timedelta(hours=12))
        made.pull_requests[1] = replace(made.pull_requests[1], activities=(Activity("commented", ADA, made.now),))
        done += made.settle()
    [said] = [a.reason.text for a in done if isinstance(a, VerifyRemoval)]
    assert said == "The preview expired because it reached its maximum age."


def test_a_lost_block_postpones_an_expiry() -> None:
    made = machine(1)
    made.pass_time(timedelta(days=2, hours=1))
    made.settle()
    made.pull_requests[1] = replace(made.pull_requests[1], comment=None)
    made.pass_time(timedelta(days=1))
    done = made.settle()
    assert not [a for a in done if isinstance(a, RemoveLabel)]
    [status] = made.decision().statuses.values()
    assert status.stage is Stage.EXPIRING


def test_expiries_come_at_a_bounded_rate() -> None:
    made = machine(10)
    made.pass_time(timedelta(days=2, hours=1))
    made.settle()
    made.pass_time(timedelta(days=1))
    made.settle()
    assert len(made.living) == 7
    made.pass_time(timedelta(hours=1, seconds=1))
    made.settle()
    assert len(made.living) == 4


def test_labels_of_what_expired_are_taken_off_at_a_bounded_rate() -> None:
    """Also where each is decided in one pass: what was withdrawn within the hour counts."""
    made = machine(9)
    made.pass_time(timedelta(days=4))
    done = [made.decision()]
    for _ in range(2):  # warned, then decided
        made.apply(done[-1])
        made.pass_time(timedelta(days=1, minutes=1))
        done.append(made.decision())
    assert sum(isinstance(a, RemoveLabel) for a in done[-1].actions) == 3


def test_the_bound_of_all_repositories_holds_in_each() -> None:
    """Three of another repository went within this hour: here none goes without a question."""
    made = machine(3)
    gone = tuple(Withdrawal(Identity(8, n), Cause.UNLABELED, made.now, told=True) for n in (1, 2, 3))
    other = PreviewSet(8, "web", 1, {}, Ledger(withdrawals=gone))
    made.unlabel(1, ADA)
    facts = replace(made.facts(), observed=replace(made.holds, sets={**made.holds.sets, 8: other}))
    found = decide(facts, made.platform, REPOSITORY, made.now)
    assert not [a for a in found.actions if isinstance(a, Withdraw)]
    assert "at most 3 of them without confirmation" in found.statuses[identity(1)].reason.text
    assert "across all repositories" in found.statuses[identity(1)].reason.text


def test_a_read_that_is_too_old_takes_no_label_off_and_forgets_no_warning() -> None:
    made = machine(1)
    made.pass_time(timedelta(days=2, hours=1))
    made.settle()
    made.pass_time(timedelta(days=1))
    repository = made.platform.repositories[0]
    for _ in range(2):  # it decides, then it would take the label off
        old = decide(replace(made.facts(), stale=frozenset({1})), made.platform, repository, made.now)
        assert not [a for a in old.actions if isinstance(a, RemoveLabel)]
        assert all(a.memory.warned_at for a in old.actions if isinstance(a, UpdateComment))
        made.apply(made.decision())


def test_the_limit_of_all_repositories_counts_each_preview_once() -> None:
    made = machine(20)
    assert breaker.removals(made.holds, 20, REPOSITORY_ID, Cause.UNLABELED, made.now).limits == (4, 4)


def test_a_release_does_not_cover_the_preview_that_comes_after() -> None:
    made = machine(1)
    made.platform = replace(PLATFORM, label="review")
    made.release(1)
    made.settle()
    assert made.living == set()
    made.platform = PLATFORM
    made.settle()
    assert made.living == {1}
    made.platform = replace(PLATFORM, label="review")
    made.settle()
    assert made.living == {1}, "the same mistake asks again"


def test_a_release_that_was_not_needed_is_over() -> None:
    made = machine(1)
    made.platform = replace(PLATFORM, label="review")
    made.release(1)
    made.platform = PLATFORM  # put back before the next pass
    made.settle()
    made.platform = replace(PLATFORM, label="review")
    made.settle()
    assert made.living == {1}


def test_a_release_of_a_label_that_came_back_is_over() -> None:
    made = machine(1)
    asked = made.pull_requests[1]
    renamed = replace(asked, labels=frozenset({"demo"}))
    made.pull_requests[1] = renamed
    made.settle()
    made.release(1)
    made.pull_requests[1] = asked
    made.settle()
    made.pull_requests[1] = renamed
    made.settle()
    assert made.living == {1}, "renamed again, it is asked again"


def test_a_release_of_a_removed_service_applies_once() -> None:
    two = with_services(SERVICE, replace(SERVICE, name="admin", public=False))
    made = machine(1, two)

    def services() -> list[str]:
        return [s.name for s in made.holds.sets[7].specs[1].services]

    for _ in range(2):  # the same mistake is asked about again
        made.platform = PLATFORM
        made.settle()
        assert services() == ["shop", "admin"]
        made.release(1)
        made.settle()
        assert services() == ["shop"]
        made.platform = two
        made.settle()


def test_a_stale_read_ends_no_release() -> None:
    made = machine(1)
    made.platform = replace(PLATFORM, label="review")
    made.release(1)
    late = replace(made.facts(), stale=frozenset({1}))
    assert decide(late, made.platform, REPOSITORY, made.now).plan.spent == frozenset()


@pytest.mark.parametrize(
    "services",
    [
        (SERVICE, replace(SERVICE, name="api", image=replace(SERVICE.image, repository="registry.example.com/api"))),
        (replace(SERVICE, image=replace(SERVICE.image, repository="registry.example.com/other")),),
    ],
    ids=["new-service", "other-image"],
)
def test_new_service_or_image_is_deployed_everywhere_as_after_a_push(services: tuple[Service, ...]) -> None:
    """docs/configuration.md says that this has no limit."""
    made = machine(20)
    made.platform = with_services(*services)
    pull_requests = made.pull_requests.values()
    tags = [s.image.reference(p.head_sha, p.identity.number) for s in services for p in pull_requests]
    exist = replace(made.facts(), images={tag: Present(digest(tag)) for tag in tags})
    found = decide(exist, made.platform, made.platform.repositories[0], made.now).plan
    assert len([a for a in found.actions if isinstance(a, Change)]) == 20
    assert found.holds == {}


def test_held_restarts_follow_hour_by_hour() -> None:
    made = machine(7)
    made.platform = with_services(replace(SERVICE, env=(("COLOUR", "green"),)))
    left = []
    for _ in range(3):
        made.settle()
        left.append(len(made.decision().plan.holds))
        made.pass_time(timedelta(hours=1, seconds=1))
    assert left == [4, 1, 0]


def test_an_address_that_changes_for_all_restarts_only_so_many_in_an_hour() -> None:
    told = replace(SERVICE, address=(("public", "PUBLIC_URL"),))
    made = machine(20, with_services(told))
    made.platform = replace(with_services(told), scheme="http")
    changes = [a for a in made.settle() if isinstance(a, Change)]
    assert len(changes) == 3
    assert all(a.restart for a in changes)


def test_what_was_unlabeled_and_labeled_and_closed_still_counts_for_its_hour() -> None:
    made = machine(10)
    for number in (1, 2, 3):
        made.unlabel(number, ADA)
    made.settle()
    for number in (1, 2, 3):
        old = made.pull_requests[number]
        events = (*old.label_events, labeled(made.now))
        made.pull_requests[number] = replace(old, labels=frozenset({"preview"}), label_events=events)
    made.settle()
    for number in (1, 2, 3):
        made.pull_requests[number] = replace(made.pull_requests[number], state=State.CLOSED, closed_at=made.now)
    made.settle()
    for number in range(4, 11):
        made.unlabel(number, ADA)
    made.settle()
    assert made.living == set(range(4, 11)), "three went within this hour"


DATABASE = Need("db", "postgresql", "16", (("url", "DATABASE_URL"),))
CACHE = Need("cache", "redis", "8", (("url", "REDIS_URL"),))


@pytest.mark.parametrize(
    "after", [(), (replace(DATABASE, kind="mysql", version="8.4"),), (replace(DATABASE, storage=Storage.PERSISTENT),)]
)
def test_data_that_a_change_of_the_configuration_would_take_waits_for_a_person(after: tuple[Need, ...]) -> None:
    made = machine(1, with_services(replace(SERVICE, needs=(DATABASE,))))
    made.platform = with_services(replace(SERVICE, needs=after, env=(("COLOUR", "green"),)))
    made.pull_requests[1] = replace(made.pull_requests[1], head_sha=sha(1, 2))
    made.settle()
    spec = made.holds.sets[7].specs[1]
    assert spec.services[0].needs == (DATABASE,)
    assert spec.build.head_sha == sha(1, 2), "a push still arrives"
    assert "lose the data of shop's db" in made.decision().statuses[identity(1)].reason.text
    made.release(1)
    made.settle()
    assert made.holds.sets[7].specs[1].services[0].needs == after


def test_a_cache_is_removed_with_the_configuration() -> None:
    made = machine(1, with_services(replace(SERVICE, needs=(CACHE,))))
    made.platform = PLATFORM
    made.settle()
    assert made.holds.sets[7].specs[1].services[0].needs == ()


def test_a_preview_under_another_name_is_another_one_and_the_first_is_removed_before() -> None:
    made = machine(1)
    before = made.holds.sets[7].specs[1].names.name
    made.platform = RENAMED["prefix"]
    made.settle()
    made.release(1)
    kinds = [type(a).__name__ for a in made.settle() if not isinstance(a, UpdateComment)]
    assert kinds == ["Withdraw", "Remove", "Start"]
    assert made.holds.sets[7].specs[1].names.name != before


def test_what_is_labeled_again_on_its_way_out_keeps_its_name() -> None:
    made = machine(1)
    before, asked = made.holds.sets[7].specs[1].names, made.pull_requests[1]
    made.unlabel(1, ADA)
    made.apply(made.decision())
    made.pull_requests[1], made.platform = asked, RENAMED["prefix"]
    done = made.settle()
    assert not [a for a in done if isinstance(a, Remove)]
    assert made.holds.sets[7].specs[1].names == before


def test_a_public_service_more_is_no_other_name() -> None:
    made = machine(1)
    made.platform = with_services(SERVICE, replace(SERVICE, name="admin"))
    made.settle()
    spec = made.holds.sets[7].specs[1]
    assert spec.names.hosts.keys() == {SERVICE.name, "admin"}


@pytest.mark.parametrize("platform", [RENAMED["service gone"], RENAMED["domain"]], ids=["service gone", "domain"])
def test_a_held_preview_falls_asleep_when_a_person_says_so(platform: Platform) -> None:
    made = machine(1)
    made.platform = platform
    made.settle()
    old = made.pull_requests[1]
    made.pull_requests[1] = replace(old, labels=old.labels | {"preview-sleep"})
    made.settle()
    assert made.holds.sets[7].specs[1].asleep


def test_what_waits_for_its_restart_falls_asleep_when_a_person_says_so() -> None:
    made = machine(20)
    made.platform = with_services(replace(SERVICE, env=(("COLOUR", "green"),)))
    made.settle()
    waiting = next(n for n, r in made.holds.sets[7].specs.items() if not r.services[0].env)
    old = made.pull_requests[waiting]
    made.pull_requests[waiting] = replace(old, labels=old.labels | {"preview-sleep"})
    made.settle()
    spec = made.holds.sets[7].specs[waiting]
    assert (spec.asleep, spec.services[0].env) == (True, ())


def test_ten_closings_in_a_queue_of_45_rewrite_no_comment_of_those_who_wait() -> None:
    """Each closing used to renumber the comment of everyone behind it: 375 edits."""
    made = machine(50, replace(PLATFORM, limits=Limits(100, 5, 100)))
    assert made.living == {1, 2, 3, 4, 5}
    told: list[int] = []
    for number in range(1, 11):
        made.pull_requests[number] = replace(made.pull_requests[number], state=State.CLOSED, closed_at=NOW)
        told += [a.identity.number for a in made.settle() if isinstance(a, UpdateComment)]
    waiting = {i.number: s for i, s in made.decision().statuses.items() if s.stage is Stage.QUEUED}
    assert sorted(s.position for s in waiting.values()) == list(range(1, 36))
    assert not waiting.keys() & set(told)
    assert len(told) <= 40


@pytest.mark.parametrize("public", [True, False])
def test_service_that_becomes_public_or_private_waits_for_a_person(public: bool) -> None:
    def platform(public: bool) -> Platform:
        return replace(PLATFORM, repositories=(replace(REPOSITORY, services=(replace(SERVICE, public=public),)),))

    made = machine(1, platform(not public))
    made.platform = platform(public)
    found = made.decision().statuses[identity(1)]
    assert (found.stage, found.reason.code) == (Stage.HELD, "config-names")
    verb = "get" if public else "lose"
    assert f"would make this preview {verb} the address `shop-pr-1.preview.example.com`" in found.reason.text
    made.release(1)
    made.settle()
    assert bool(made.holds.sets[REPOSITORY_ID].specs[1].names.hosts) is public
