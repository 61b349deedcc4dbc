"""What each field of a spec means when it changes: other pods, a push, what follows people, what others look at.

The tables name every field: a new field turns these tests red until somebody decides what it does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import pytest

from builders import (
    NOW,
    OTHER,
    PARTS,
    REPOSITORY_ID,
    SERVICE,
    changed,
    digest,
    identity,
    observed,
    parts,
    preview,
    sha,
    spec,
)
from greenroom.core import messages
from greenroom.core.model.actions import Change
from greenroom.core.model.catalog import Need
from greenroom.core.model.engine import Health, Ledger, PreviewSet, Restart
from greenroom.core.model.spec import (
    Identity,
    Injected,
    Link,
    LinkCause,
    LinkReason,
    PreviewSpec,
    Version,
    is_push,
    same_pods,
    seen_by_others,
)
from greenroom.core.model.status import Reason
from greenroom.core.model.verdicts import Desired, Run
from greenroom.core.planning.plan import Plan, plan

LINK = Link("shop", "payments", (("url", "PAYMENTS_URL"),), "http://staging", "https://staging.example.com")
SECOND = replace(SERVICE, name="admin", public=False)
OLD = spec(1, services=(SERVICE, SECOND), targets=(LINK,), injected=(Injected("shop", "ORIGINS", "https://a"),))
IDENTITY = {"repository_id", "number"}  # two specs of one preview always share these
NEW: dict[str, Any] = OTHER | {
    "name": "preview-store-1",
    "namespace": "preview-store-1",
    "label": "review",
    "hosts": {"shop": "shop-pr-1.other.example.com"},
    "head_sha": sha(1, 2),
    "created": NOW + timedelta(hours=1),
    "versions": (Version("shop", sha(1, 2), "registry.example.com/shop:2", digest("2")),),
    "services": (replace(SERVICE, env=(("COLOR", "green"),)), SECOND),
    "targets": (
        replace(
            LINK,
            url="http://other",
            public="https://other.example.com",
            number=17,
            why=LinkReason(LinkCause.CHOSEN, "ada"),
        ),
    ),
    "generation": 2,
    "retry": 3,
    "injected": (Injected("shop", "ORIGINS", "https://a,https://b"),),
}
NAMES = {*PARTS["names"]}
PUSH = {*PARTS["build"], "generation"}
PODS = {*NAMES, *PUSH, *PARTS["config"], *PARTS["chart"], "targets", "asleep", "seeds", "resets"}
OUTSIDE = {*NAMES, *PARTS["pull_request"], "services", "targets", "asleep", "sleep_requested"}
FOLLOWS = {*PARTS["pull_request"], *PARTS["choices"], *PARTS["links"], "injected", "waiting"}
FOLLOWS |= {*PARTS["data"]} - {"seeds"}
"""What follows people although the configuration waits for a person."""
PUSHED = {*PARTS["build"], *PARTS["chart"], "head_since"}
STAYS = {*NAMES, "created", "services", "seeds"} | PUSHED


WHY: dict[str, Any] = {
    "why": LinkReason(LinkCause.SAME_BRANCH),
    "number": 17,
    "wanted": 17,
    "own": True,
    "paired": True,
}
WHERE: dict[str, Any] = dict.fromkeys(("service", "target", "url", "public", "namespace"), "elsewhere") | {
    "port": 81,
    "variables": (("host", "PAYMENTS_HOST"),),
}
PREVIEW = {"target", "number", "wanted"}
"""The fields of a link: why it leads somewhere, where it leads, and which preview that is."""


def other(*names: str, of: PreviewSpec = OLD) -> PreviewSpec:
    return changed(of, **{name: NEW[name] for name in names})


def value(spec: PreviewSpec, name: str) -> object:
    return getattr(getattr(spec, next(part for part, names in PARTS.items() if name in names)), name)


def test_every_field_is_in_exactly_one_part_and_in_these_tables() -> None:
    names = [name for fields in PARTS.values() for name in fields]
    assert len(names) == len(set(names))
    assert NEW.keys() | IDENTITY == {*names}
    assert NEW.keys() == FOLLOWS | STAYS
    assert all(NEW[name] != value(OLD, name) for name in NEW)


def test_every_field_of_a_link_is_in_these_tables() -> None:
    assert sorted([*WHY, *WHERE]) == sorted(f.name for f in fields(Link))
    assert all(value != getattr(LINK, name) for name, value in (WHY | WHERE).items())


def test_field_that_is_not_a_part_is_refused_because_no_table_would_have_it() -> None:
    @dataclass
    class Spec:
        id: Identity
        count: int

    with pytest.raises(AssertionError, match="count belongs into one of the parts"):
        parts(Spec, {"Identity": Identity})


@pytest.mark.parametrize("name", NEW)
def test_a_field_makes_another_spec(name: str) -> None:
    assert other(name) != OLD


@pytest.mark.parametrize("name", NEW)
def test_a_field_makes_other_pods_or_it_does_not(name: str) -> None:
    assert same_pods(OLD, other(name)) is (name not in PODS)


@pytest.mark.parametrize("name", NEW)
def test_a_field_is_a_push_or_it_is_not(name: str) -> None:
    assert is_push(OLD, other(name)) is (name in PUSH)


@pytest.mark.parametrize("name", WHY)
def test_why_a_link_leads_somewhere_makes_no_other_pods(name: str) -> None:
    assert same_pods(OLD, changed(OLD, targets=(replace(LINK, **{name: WHY[name]}),)))


@pytest.mark.parametrize("name", WHERE)
def test_where_a_link_leads_makes_other_pods(name: str) -> None:
    assert not same_pods(OLD, changed(OLD, targets=(replace(LINK, **{name: WHERE[name]}),)))


@pytest.mark.parametrize("name", NEW)
def test_other_repositories_look_again_when_what_their_links_depend_on_changes(name: str) -> None:
    assert (seen_by_others(OLD) != seen_by_others(other(name))) is (name in OUTSIDE)


@pytest.mark.parametrize("name", [*WHY, *WHERE])
def test_other_repositories_look_again_when_a_link_leads_to_another_preview(name: str) -> None:
    link = replace(LINK, **{name: (WHY | WHERE)[name]})
    assert (seen_by_others(OLD) != seen_by_others(changed(OLD, targets=(link,)))) is (name in PREVIEW)


def served(old: PreviewSpec, wanted: PreviewSpec) -> PreviewSpec:
    """Return the spec that is served once this one is wanted."""
    preview_set = PreviewSet(REPOSITORY_ID, "shop", 1, {1: old})
    holds = replace(observed(1), sets={REPOSITORY_ID: preview_set})
    found = plan(Desired({identity(): Run(wanted, Reason("wanted", "Wanted."), NOW)}), holds, preview_set, NOW)
    changes = [a.spec for a in found.actions if isinstance(a, Change)]
    return changes[0] if changes else old


@pytest.mark.parametrize("name", sorted(FOLLOWS | STAYS))
def test_while_a_removed_service_waits_for_a_person_choices_follow_and_versions_stay(name: str) -> None:
    held = changed(other(*(FOLLOWS | STAYS)), services=(SERVICE,))
    assert value(served(OLD, held), name) == value(held if name in FOLLOWS else OLD, name)


@pytest.mark.parametrize("name", sorted(FOLLOWS | STAYS))
def test_while_a_removed_database_waits_for_a_person_pushes_arrive_too(name: str) -> None:
    database = Need("db", "postgresql", "16", (("url", "DATABASE_URL"),))
    old = changed(OLD, services=(replace(SERVICE, needs=(database,)), SECOND))
    held = changed(other(*(FOLLOWS | STAYS)), services=(SERVICE, SECOND))
    assert value(served(old, held), name) == value(held if name in FOLLOWS | PUSHED else old, name)


FAILED = {"health": Health.FAILED}
NEVER_RAN: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("it failed by its own fault and nothing runs", FAILED, {}, False),
    ("it serves", {"health": Health.READY}, {"ready": True, "sha": sha(1)}, True),
    ("only its worker crashes", FAILED, {"sha": sha(1)}, True),
    ("it is starting, perhaps after an outage", {"health": Health.STARTING}, {}, True),
    ("it waits for a node, as many others do", FAILED | {"fix": messages.PLATFORM}, {}, True),
]


@pytest.mark.parametrize(("state", "service", "waits"), [c[1:] for c in NEVER_RAN], ids=[c[0] for c in NEVER_RAN])
def test_changed_configuration_waits_for_its_hour_unless_the_preview_never_ran(
    state: dict[str, Any], service: dict[str, Any], waits: bool
) -> None:
    found = held_by_the_breaker(OLD, other("services"), state, service)
    assert (identity() in found.holds) is waits
    assert [a.restart for a in found.actions if isinstance(a, Change)] == ([] if waits else [True]), "it is counted"


@pytest.mark.parametrize("why", ["asleep", "its database changes"])
def test_changed_configuration_waits_where_data_could_be_lost(why: str) -> None:
    need = Need("db", "postgresql", "16", (("url", "URL"),))
    old = changed(OLD, services=(replace(SERVICE, needs=(need,)), SECOND), asleep=why == "asleep")
    newer = replace(need, version="17") if why == "its database changes" else need
    new = changed(old, services=(replace(SERVICE, needs=(newer,), env=(("COLOR", "green"),)), SECOND))
    assert identity() in held_by_the_breaker(old, new, FAILED, {}).holds


def held_by_the_breaker(old: PreviewSpec, new: PreviewSpec, state: dict[str, Any], service: dict[str, Any]) -> Plan:
    """Return the plan for a changed configuration once the restarts of this hour are used up."""
    spent = Ledger(restarts=tuple(Restart(identity(number), NOW) for number in (5, 6, 7)))
    preview_set = PreviewSet(REPOSITORY_ID, "shop", 1, {1: old}, spent)
    there = preview(1, old)
    runs: dict[str, Any] = {"ready": False, "sha": ""} | service
    services = tuple(replace(s, **runs) for s in there.services)
    holds = replace(
        observed(1),
        sets={REPOSITORY_ID: preview_set},
        previews={identity(): replace(there, services=services, **state)},
    )
    wanted = Run(new, Reason("wanted", "Wanted."), NOW)
    return plan(Desired({identity(): wanted}), holds, preview_set, NOW)
