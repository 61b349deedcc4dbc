"""Sentences about a service that fails although the pull request does not change it."""

from __future__ import annotations

from dataclasses import replace

from builders import (
    NOW,
    PLATFORM,
    REPOSITORY,
    SERVICE,
    changed,
    decide,
    digest,
    facts,
    identity,
    preview,
    pull_request,
    sha,
    spec,
)
from greenroom.core.model.catalog import Platform, Service, SharedNeed, Use
from greenroom.core.model.engine import EngineState, Health, PreviewSet, Running
from greenroom.core.model.spec import Identity, Link, LinkCause, LinkOverride, LinkReason, Links, PreviewSpec, Version
from greenroom.core.model.status import Stage, Status
from greenroom.core.planning import names

FRONT = replace(SERVICE, name="front", paths=("front/",))
USER = replace(FRONT, uses=(Use("back", (("url", "BACK_URL"),)),))
BACK = replace(SERVICE, name="back", paths=("back/",))
HEAD, OLD, BASE = sha(1), sha(1, 50), sha(1, 77)
OWN = Link("front", "back", (("url", "BACK_URL"),), "http://back:8080", "", LinkReason(LinkCause.OWN), own=True)
OTHER = Link("front", "back", (("url", "BACK_URL"),), "http://b", "", LinkReason(LinkCause.CHOSEN), number=3)


def of(*services: Service) -> Platform:
    return replace(PLATFORM, repositories=(replace(REPOSITORY, services=services),))


def made(*services: Service, at: dict[str, str], links: tuple[Link, ...] = (), number: int = 1) -> PreviewSpec:
    platform = of(*services)
    versions = tuple(
        Version(s.name, at[s.name], s.image.reference(at[s.name], number), digest(at[s.name])) for s in services
    )
    naming = names.naming(platform, platform.repositories[0], number)
    return changed(spec(number, platform), versions=versions, services=services, names=naming, links=Links(links))


def shown(wanted: PreviewSpec, *, applied: PreviewSpec | None = None, others: tuple[PreviewSpec, ...] = ()) -> Status:
    """Return the status of a preview whose `front` fails. The pull request changes only `back`."""
    failed = replace(
        preview(1, applied or wanted, Health.FAILED), why="front-web ended with exit code 1.", failing="front"
    )
    running = Running("back", "", HEAD, digest(HEAD), True, NOW)
    failed = replace(failed, services=(Running("front", "", "", "", ready=False), running))
    held = {i.id: preview(i.id.number, i, Health.FAILED) for i in others}
    sets = {7: PreviewSet(7, "shop", 1, {1: wanted} | {i.id.number: i for i in others})}
    found = pull_request(1, base_sha=BASE, changed=frozenset({"back/x"}))
    platform = of(*wanted.services)
    read = facts(found, holds=EngineState({identity(): failed} | held, sets))
    read = replace(read, listing=replace(read.listing, private=False))
    return decide(read, platform, platform.repositories[0], NOW).statuses[identity()]


CHOICE = (LinkOverride("back", "3", "ada", 1),)
AT = {"front": BASE, "back": HEAD}
BLAMED = "Fix the problem on `main`"


def test_base_branch_is_blamed_only_if_nothing_else_can_be_the_cause() -> None:
    assert BLAMED in shown(made(FRONT, BACK, at=AT)).reason.fix


def test_service_that_uses_a_changed_one_does_not_blame_the_base_branch() -> None:
    fix = shown(made(USER, BACK, at=AT, links=(OWN,))).reason.fix
    assert (
        "`front` depends on `back`, which this pull request changes. Look for the cause in the dependency first." in fix
    )
    assert BLAMED not in fix


def test_service_that_shares_the_data_of_a_changed_one_does_not_blame_the_base_branch() -> None:
    sharing = replace(FRONT, shared_needs=(SharedNeed("back", "postgresql", ()),))
    assert "`back`, which this pull request changes" in shown(made(sharing, BACK, at=AT)).reason.fix


def test_service_that_uses_another_preview_names_it_and_says_that_it_failed() -> None:
    other = made(FRONT, BACK, at=AT, number=3)
    other = replace(other, pull_request=replace(other.pull_request, private=False))
    status = shown(changed(made(USER, BACK, at=AT, links=(OTHER,)), overrides=CHOICE), others=(other,))
    assert (
        "`front` depends on `back` of shop#3, which has failed. Look for the cause in the dependency first."
        in status.reason.fix
    )


def test_public_comment_does_not_name_a_private_preview() -> None:
    other = made(FRONT, BACK, at=AT, number=3)
    hidden = replace(other, pull_request=replace(other.pull_request, private=True))
    wanted = changed(made(USER, BACK, at=AT, links=(OTHER,)), overrides=CHOICE)
    assert "`back` of another preview" in shown(wanted, others=(hidden,)).reason.fix


def test_base_branch_that_has_the_same_change_now_is_not_blamed_for_the_image_of_the_head() -> None:
    """The pull request changes the service no more, but the preview keeps the image that it was built with."""
    status = shown(made(FRONT, BACK, at={"front": HEAD, "back": HEAD}))
    assert BLAMED not in status.reason.fix
    assert {s.note for s in status.services} == {""}


def test_service_without_paths_is_not_called_changed() -> None:
    fix = shown(made(USER, replace(BACK, paths=()), at=AT, links=(OWN,))).reason.fix
    assert (
        "`front` depends on `back`, whose image is from this pull request. Look for the cause in the dependency first."
        in fix
    )


def test_failure_of_an_earlier_commit_is_over_once_the_spec_has_another_version() -> None:
    """A push restored `front`: its image is the base branch's again, while the pods of the push before still crash."""
    before = made(FRONT, BACK, at={"front": OLD, "back": OLD})
    status = shown(made(FRONT, BACK, at=AT), applied=before)
    assert status.stage is Stage.UPDATING
    assert BLAMED not in str(status.reason)


def test_unchanged_service_says_which_branch_its_image_is_from() -> None:
    notes = {s.service: s.note for s in shown(made(FRONT, BACK, at=AT)).services}
    assert notes == {"front": "", "back": ""}, "what does not run has no image"
    wanted = made(FRONT, BACK, at=AT)
    running = tuple(Running(n, "", c, digest(c), True, NOW) for n, c in AT.items())
    ready = replace(preview(1, wanted, Health.READY), services=running)
    holds = EngineState({Identity(7, 1): ready}, {7: PreviewSet(7, "shop", 1, {1: wanted})})
    found = pull_request(1, base_sha=BASE, changed=frozenset({"back/x"}))
    platform = of(FRONT, BACK)
    status = decide(facts(found, holds=holds), platform, platform.repositories[0], NOW).statuses[identity()]
    assert {s.service: s.note for s in status.services} == {"front": "image of the base branch", "back": ""}
