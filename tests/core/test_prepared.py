"""A preview is prepared while CI builds: its needs run, nothing of the commit does, and it never says that it serves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    REPOSITORY_ID,
    SERVICE,
    changed,
    decide,
    digest,
    facts,
    identity,
    labeled,
    permissions,
    preview,
    pull_request,
    sha,
    spec,
)
from greenroom.core.comment.awaited import Outcome, awaited
from greenroom.core.comment.serving import serves_only
from greenroom.core.linking.links import COMING, LinkContext, LinkIndex, resolved
from greenroom.core.model.actions import Change, Start
from greenroom.core.model.catalog import Limits, Need, Platform, ProcessKind, Repository, Service, Staging, Use
from greenroom.core.model.engine import EngineState, Health, Life, PreviewSet
from greenroom.core.model.github import ImageState, Missing, Permission, Permissions, Present, PullRequest, Unknown
from greenroom.core.model.spec import Identity, Link, LinkCause, LinkOverride, PreviewSpec, same_pods, seen_by_others
from greenroom.core.model.status import Reason, Stage, Status
from greenroom.core.planning import data_generation, names
from greenroom.core.planning.chart_values import parameters
from greenroom.core.planning.decision import Decision

NEEDS = (Need("postgresql", "postgresql", "16"), Need("redis", "redis", "8"))
WITH_NEEDS = replace(SERVICE, needs=NEEDS)
SHOP = replace(REPOSITORY, services=(WITH_NEEDS,))
PLATFORM_WITH_NEEDS = replace(PLATFORM, repositories=(SHOP,))
REFERENCE = SERVICE.image.reference(sha(1), 1)
PREPARED = spec(1, PLATFORM_WITH_NEEDS, versions=())


def holds(of: PreviewSpec = PREPARED, health: Health = Health.PREPARED, **more: Any) -> EngineState:
    made = replace(preview(1, of, health), **more)
    return EngineState({identity(1): made}, {REPOSITORY_ID: PreviewSet(REPOSITORY_ID, "shop", 1, {1: of})})


def decided(
    pull: PullRequest | None = None,
    image: ImageState | None = None,
    engine: EngineState | None = None,
    repository: Repository = SHOP,
    platform: Platform = PLATFORM_WITH_NEEDS,
    **more: Any,
) -> Decision:
    asks = pull or pull_request(1)
    images = {SERVICE.image.reference(asks.head_sha, 1): image or Missing()}
    given = facts(asks, holds=engine, **({"images": images} | more))
    return decide(given, replace(platform, repositories=(repository,)), repository, NOW)


def status(found: Decision) -> Status:
    return found.statuses[identity(1)]


def served(found: Decision) -> PreviewSpec | None:
    return next((a.spec for a in found.actions if isinstance(a, Start | Change)), None)


def test_label_without_an_image_starts_everything_but_the_services() -> None:
    found = decided()
    [start] = [a for a in found.actions if isinstance(a, Start)]
    assert start.spec.prepared
    assert start.spec.services == (WITH_NEEDS,)
    assert start.spec.build.head_sha == sha(1)
    [(name, values)] = parameters(start.spec, PLATFORM_WITH_NEEDS)["values"]["services"].items()  # type: ignore[index]
    assert (name, values["image"], values["sha"]) == ("shop", "", "")
    assert sorted(values["needs"]) == ["postgresql", "redis"]
    assert (status(found).stage, status(found).reason.code) == (Stage.WAITING, "image-missing")


STOPS: dict[str, dict[str, Any]] = {
    "a fork": {"pull": pull_request(1, head_repository_id=8)},
    "a draft": {"pull": pull_request(1, draft=True)},
    "no label": {"pull": pull_request(1, labels=frozenset())},
    "a labeler without write access": {"permissions": permissions(ada=Permission.READ)},
    "a labeler whose permission is unknown": {"permissions": permissions(ada=Permission.UNKNOWN)},
    "a limit": {"platform": replace(PLATFORM_WITH_NEEDS, limits=Limits(0, 1, 1))},
    "prepare: false": {"repository": replace(SHOP, prepare=False)},
    "a registry in doubt": {"image": Unknown("The registry is down.")},
    "a namespace of others": {"engine": EngineState(namespaces={"preview-shop-1": None})},
    "another installation": {"engine": EngineState(other_installations={identity(1): "other"})},
    "a stale read": {"stale": frozenset({1})},
    "an engine that cannot act": {"engine": EngineState(unable="Argo CD does not answer.")},
    "an image of the merge commit only": {
        "images": {REFERENCE: Missing(), SERVICE.image.reference(sha(1, 99), 1): Present(digest("m"))}
    },
    "a required preview": {
        "repository": replace(
            SHOP, services=(replace(WITH_NEEDS, uses=(Use("pay", (("url", "PAY"),), required=True),)),)
        ),
        "platform": replace(PLATFORM_WITH_NEEDS, staging=(("pay", Staging("https://pay", "https://pay")),)),
    },
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_what_is_blocked_held_or_in_doubt_is_not_prepared(stop: dict[str, Any]) -> None:
    assert served(decided(**stop)) is None


def test_what_waits_for_an_image_and_for_another_preview_names_the_image() -> None:
    found = status(decided(**STOPS["a required preview"]))
    assert (found.stage, found.reason.code) == (Stage.WAITING, "image-missing")


def test_image_starts_the_services_without_another_pod_of_a_need() -> None:
    image = Present(digest(REFERENCE))
    found = decided(image=image, engine=holds())
    [change] = [a for a in found.actions if isinstance(a, Change)]
    assert not change.restart
    assert (change.reason.code, change.spec.data) == ("new-version", PREPARED.data)
    assert [v.digest for v in change.spec.build.versions] == [image.digest]
    before, after = (parameters(s, PLATFORM_WITH_NEEDS)["values"] for s in (PREPARED, change.spec))
    assert before["services"]["shop"]["needs"] == after["services"]["shop"]["needs"]  # type: ignore[index]
    assert before["preview"] == after["preview"]  # type: ignore[index]
    assert before["settings"] == after["settings"]  # type: ignore[index]


def test_push_to_a_prepared_preview_waits_for_the_new_image_and_is_no_restart() -> None:
    pushed = pull_request(1, head_sha=sha(1, 2))
    found = decided(pushed, engine=holds())
    [change] = [a for a in found.actions if isinstance(a, Change)]
    assert (change.restart, change.reason.code, change.spec.prepared) == (False, "new-commit", True)
    assert change.spec.build.head_sha == sha(1, 2)
    assert same_pods(change.spec, PREPARED)
    assert change.spec.times.head_since == NOW, "a push counts as activity when it is seen"
    assert sha(1, 2)[:7] in status(found).reason.text


def test_image_of_the_commit_before_starts_nothing() -> None:
    pushed = pull_request(1, head_sha=sha(1, 2))
    images = {REFERENCE: Present(digest(REFERENCE)), SERVICE.image.reference(sha(1, 2), 1): Missing()}
    found = served(decided(pushed, engine=holds(), images=images))
    assert found
    assert found.prepared


def test_configuration_of_a_prepared_preview_changes_without_the_breaker() -> None:
    service = replace(WITH_NEEDS, env=(("COLOR", "green"),))
    repository = replace(SHOP, services=(service,))
    [change] = [a for a in decided(engine=holds(), repository=repository).actions if isinstance(a, Change)]
    assert (change.restart, change.reason.code, change.spec.prepared) == (False, "new-settings", True)


@pytest.mark.parametrize(
    ("image", "changes"),
    [(Unknown("The registry is down."), {}), (Missing(), {"draft": True}), (Missing(), {"head_repository_id": 8})],
    ids=["doubt", "a draft again", "a fork"],
)
def test_prepared_preview_stays_as_it_is_while_a_gate_or_doubt_stops_it(
    image: ImageState, changes: dict[str, Any]
) -> None:
    assert served(decided(pull_request(1, **changes), image, holds())) is None


def test_prepared_preview_stays_prepared_when_the_setting_is_turned_off() -> None:
    found = decided(engine=holds(), repository=replace(SHOP, prepare=False))
    assert served(found) is None
    assert status(found).reason.code == "prepared"


def test_version_that_runs_is_never_replaced_by_a_prepared_preview() -> None:
    running = spec(1, PLATFORM_WITH_NEEDS)
    engine = holds(running, Health.READY)
    found = decided(pull_request(1, head_sha=sha(1, 2)), engine=engine)
    kept = served(found)
    assert kept is None or kept.build == running.build


SAYS = {
    "starting": (Health.STARTING, "", Stage.WAITING, "image-missing", "Waiting for image registry."),
    "ready": (
        Health.PREPARED,
        "",
        Stage.WAITING,
        "prepared",
        f"PostgreSQL and Redis are ready; waiting for image registry.example.com/shop:{sha(1)[:7]}…. ",
    ),
    "broken": (
        Health.FAILED,
        "The image of shop-redis cannot be pulled.",
        Stage.FAILED,
        "failed",
        "The image of shop-redis cannot be pulled. Waiting for image registry.",
    ),
}


@pytest.mark.parametrize(("health", "why", "stage", "code", "text"), SAYS.values(), ids=SAYS)
def test_status_says_what_is_ready_and_what_it_waits_for(
    health: Health, why: str, stage: Stage, code: str, text: str
) -> None:
    shown = status(decided(engine=holds(health=health, why=why)))
    assert (shown.stage, shown.reason.code) == (stage, code)
    assert str(shown.reason).startswith(text.rstrip("…")) or text in str(shown.reason)
    assert shown.created is not None


@pytest.mark.parametrize(
    ("needs", "text"),
    [((), "Everything else is ready; w"), (NEEDS[:1], "PostgreSQL is ready; w"), (NEEDS[:1] * 2, "PostgreSQL is r")],
)
def test_sentence_names_each_need_once(needs: tuple[Need, ...], text: str) -> None:
    of = changed(PREPARED, services=(replace(SERVICE, needs=needs),))
    repository = replace(REPOSITORY, services=of.services)
    assert status(decided(engine=holds(of), repository=repository)).reason.text.startswith(text)


@pytest.mark.parametrize("health", Health)
def test_prepared_preview_never_serves_its_commit(health: Health) -> None:
    nightly = replace(SERVICE.processes[0], kind=ProcessKind.CRON, port=None)
    cron = replace(SERVICE, processes=(nightly,))
    for of in (PREPARED, changed(PREPARED, services=(cron,), hosts={})):
        engine = holds(of, health)
        assert not serves_only(of, engine.previews[identity(1)])
        shown = status(decided(engine=engine, repository=replace(SHOP, services=of.services)))
        assert not shown.serves_head
        assert awaited(shown, sha(1)).outcome is not Outcome.SERVING


def test_wait_says_what_it_waits_for() -> None:
    found = awaited(status(decided(engine=holds())), sha(1))
    assert found.outcome is Outcome.WAITING
    assert found.why.startswith("shop#1 is waiting: PostgreSQL and Redis are ready; waiting for image")


def test_sleeping_prepared_preview_still_waits_for_its_image() -> None:
    asleep = pull_request(1, labels=frozenset({"preview", "preview-sleep"}))
    shown = status(decided(asleep, engine=holds(changed(PREPARED, asleep=True, sleep_requested=True))))
    assert (shown.stage, shown.reason.code) == (Stage.WAITING, "prepared")


@pytest.mark.parametrize("prepared", [True, False])
def test_need_replaced_before_the_first_version_loses_no_data(prepared: bool) -> None:
    before = changed(PREPARED if prepared else spec(1), holders={"shop-postgresql": "one"})
    lives = (Life("shop-postgresql", "two"), Life("shop-redis", "three", overtaken=True))
    found = data_generation.data(before, replace(preview(1, before), lives=lives), NOW)
    assert found.holders == {"shop-postgresql": "two", "shop-redis": "three"}
    assert (found.generation, found.reset_at) == ((1, None) if prepared else (2, NOW))


USES = replace(SERVICE, uses=(Use("pay", (("url", "PAY_URL"),), same_branch=True),))
PAY = Service("pay", "pay", replace(SERVICE.image, repository="registry.example.com/pay"), SERVICE.processes)
PAY_REPOSITORY = Repository("pay", "acme/pay", (PAY,))
BOTH = replace(
    PLATFORM,
    repositories=(PAY_REPOSITORY, replace(REPOSITORY, services=(USES,))),
    staging=(("pay", Staging("http://pay.staging", "https://pay.staging")),),
)
RUNS = changed(
    replace(spec(17, services=(PAY,)), id=Identity(9, 17), names=names.naming(BOTH, PAY_REPOSITORY, 17)),
    slug="acme/pay",
    branch="idea",
    head_since=NOW,
)
BUILDS = changed(RUNS, versions=())
MAY = Permissions("acme/shop", {(slug, "ada"): Permission.WRITE for slug in ("acme/pay", "acme/shop")})
FINAL = "https://pay-pr-17.preview.example.com"


def index(pay: PreviewSpec) -> LinkIndex:
    return LinkIndex.of(EngineState(sets={9: PreviewSet(9, "pay", 1, {17: pay})}))


def link(pay: PreviewSpec, *, use: Use | None = None, may: Permissions = MAY, **more: Any) -> Link | Reason:
    """The one link of shop#1, whose branch is `idea`."""
    shop = replace(BOTH.repositories[1], services=(replace(USES, uses=(use or USES.uses[0],)),))
    of: dict[str, Any] = {"number": 1, "author": "ada", "branch": "idea", "now": NOW} | more
    found = resolved(LinkContext(BOTH, shop, names.naming(BOTH, shop, 1), **of), index(pay), may)
    return found if isinstance(found, Reason) else found[0]


def to(found: Link | Reason) -> tuple[str, LinkCause]:
    assert isinstance(found, Link)
    return found.public, found.why.cause


STAGING = "https://pay.staging"


def test_running_preview_links_to_its_pair_once_it_answers() -> None:
    assert to(link(RUNS)) == (FINAL, LinkCause.SAME_BRANCH)
    waits = link(BUILDS)
    assert to(waits) == (STAGING, LinkCause.UNTIL_BUILT)
    assert isinstance(waits, Link)
    assert (waits.wanted, waits.number) == (17, 0)
    assert seen_by_others(BUILDS) != seen_by_others(RUNS), "others must look again once it answers"


def test_services_that_have_not_started_start_with_the_final_address_of_their_pair() -> None:
    first = link(BUILDS, starts=True)
    assert to(first) == (FINAL, LinkCause.SAME_BRANCH)
    assert isinstance(first, Link)
    after = link(BUILDS, known=(first,))
    assert after == first, "it starts before its pair"
    later = link(RUNS, known=(first,))
    assert isinstance(later, Link)
    assert later.destination == first.destination, "no pod is made twice"


@pytest.mark.parametrize("starts", [True, False])
def test_link_falls_back_when_its_pair_gets_no_image_for_ten_minutes(starts: bool) -> None:
    first = link(BUILDS, starts=True)
    assert isinstance(first, Link)
    more: dict[str, Any] = {"known": (first,), "starts": starts}
    assert to(link(BUILDS, now=NOW + COMING - timedelta(seconds=1), **more)) == (FINAL, LinkCause.SAME_BRANCH)
    assert to(link(BUILDS, now=NOW + COMING, **more)) == (STAGING, LinkCause.UNTIL_BUILT)


def test_required_preview_must_answer() -> None:
    required = replace(USES.uses[0], required=True)
    assert isinstance(link(BUILDS, use=required, starts=True), Reason)
    assert to(link(RUNS, use=required)) == (FINAL, LinkCause.SAME_BRANCH)


@pytest.mark.parametrize("permission", [Permission.READ, Permission.UNKNOWN])
def test_pair_that_may_not_be_used_is_no_pair_while_it_waits_either(permission: Permission) -> None:
    may = Permissions("acme/shop", {**MAY.people, ("acme/pay", "ada"): permission})
    for starts in (True, False):
        public, cause = to(link(BUILDS, may=may, starts=starts))
        assert public == STAGING
        assert cause is not LinkCause.UNTIL_BUILT


@pytest.mark.parametrize(("starts", "public"), [(True, FINAL), (False, STAGING)])
def test_chosen_preview_that_waits_for_its_image(starts: bool, public: str) -> None:
    use, choice = replace(USES.uses[0], same_branch=False), LinkOverride("pay", "17", "ada", 1)
    assert to(link(BUILDS, use=use, choices=(choice,), starts=starts))[0] == public
    assert to(link(BUILDS, use=use, choices=(replace(choice, refused=True),), starts=starts))[0] == STAGING


def test_prepared_preview_keeps_nothing_awake() -> None:
    pay = replace(spec(1, services=(PAY,), sleep_requested=True), id=replace(identity(1), repository_id=9))
    link = {"target": "pay", "number": 1}
    user = changed(spec(1), targets=(_link(**link),))
    for of, awake in ((user, True), (changed(user, versions=()), False)):
        sets = {9: PreviewSet(9, "pay", 1, {1: pay}), 7: PreviewSet(7, "shop", 1, {1: of})}
        assert (pay.id in LinkIndex.of(EngineState(sets=sets)).awake()) is awake
        assert of.id in LinkIndex.of(EngineState(sets=sets)).awake()


def _link(**more: Any) -> Link:
    return replace(Link("shop", "pay", (("url", "PAY_URL"),), "http://pay", "https://pay"), **more)


def test_prepared_preview_that_never_gets_its_image_expires() -> None:
    long_ago = NOW - timedelta(days=4)
    old = changed(PREPARED, created=long_ago, head_since=long_ago)
    found = decided(pull_request(1, label_events=(labeled(long_ago),)), engine=holds(old))
    assert found.plan.memories[identity(1)].warned_at == NOW
    assert status(found).warning is not None
