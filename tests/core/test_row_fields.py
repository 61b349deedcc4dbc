"""Which fields of a row restart pods, follow people while the rest is held, and are looked at by other repositories.

Each table names every field: a new field of `Row` turns these tests red until somebody decides what it does.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, OTHER, REPOSITORY_ID, SERVICE, digest, identity, observed, row, sha
from greenroom.core.actions import Change
from greenroom.core.catalogue import Need
from greenroom.core.links import seen_from_outside
from greenroom.core.model import RowSet
from greenroom.core.plan import plan
from greenroom.core.rows import Link, Row, Version, alike
from greenroom.core.status import Reason
from greenroom.core.verdicts import Desired, Run

LINK = Link("shop", "payments", (("url", "PAYMENTS_URL"),), "http://staging", "https://staging.example.com")
SECOND = replace(SERVICE, name="admin", public=False)
OLD = row(1, services=(SERVICE, SECOND), links=(LINK,), given=(("shop", "ORIGINS", "https://a"),))
IDENTITY = {"repository_id", "number"}  # two rows of one preview always share these
CHANGED: dict[str, Any] = OTHER | {
    "naming": replace(OLD.naming, label="review", hosts=(("shop", "shop-pr-1.other.example.com"),)),
    "head_sha": sha(1, 2),
    "created": NOW + timedelta(hours=1),
    "versions": (Version("shop", sha(1, 2), "registry.example.com/shop:2", digest("2")),),
    "services": (replace(SERVICE, env=(("COLOR", "green"),)), SECOND),
    "links": (replace(LINK, url="http://other", public="https://other.example.com", number=17, why="ada chose it"),),
    "incarnation": 2,
    "nonce": 3,
    "given": (("shop", "ORIGINS", "https://a,https://b"),),
}
SAME_PODS = {
    "author",
    "head_since",
    "created",
    "lives",
    "renewed",
    "sleepy",
    "url",
    "branch",
    "private",
    "mentions",
} | {
    "choices",
    "sequence",
    "open_to",
    "waiting_head",
    "waiting_since",
}
OUTSIDE = {"naming", "services", "branch", "mentions", "sleepy", "asleep", "links", "author", "url", "private"}
KNOWN = {"author", "url", "branch", "private", "mentions"}  # of the pull request
FOLLOWS = KNOWN | {
    "asleep",
    "sleepy",
    "incarnation",
    "lives",
    "renewed",
    "choices",
    "sequence",
    "links",
    "open_to",
    "given",
    "waiting_head",
    "waiting_since",
}
PUSHED = {"head_sha", "head_since", "versions", "nonce", "chart_version", "settings"}
STAYS = {"repository", "slug", "naming", "created", "services"} | PUSHED


def changed(*names: str, of: Row = OLD) -> Row:
    return replace(of, **{name: CHANGED[name] for name in names})


def test_every_field_of_a_row_is_in_these_tables() -> None:
    assert CHANGED.keys() | IDENTITY == {f.name for f in fields(Row)}
    assert CHANGED.keys() == FOLLOWS | STAYS
    assert all(CHANGED[name] != getattr(OLD, name) for name in CHANGED)


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_makes_other_pods_or_it_does_not(name: str) -> None:
    assert alike(OLD, changed(name)) is (name in SAME_PODS)


@pytest.mark.parametrize("name", ["why", "number", "wanted", "own", "paired"])
def test_why_a_link_leads_somewhere_makes_no_other_pods(name: str) -> None:
    values: dict[str, Any] = {"why": "same branch", "number": 17, "wanted": 17, "own": True, "paired": True}
    assert alike(OLD, replace(OLD, links=(replace(LINK, **{name: values[name]}),)))


@pytest.mark.parametrize("name", ["url", "public", "namespace", "port", "variables"])
def test_where_a_link_leads_makes_other_pods(name: str) -> None:
    values: dict[str, Any] = {"port": 81, "variables": (("host", "PAYMENTS_HOST"),)}
    assert not alike(OLD, replace(OLD, links=(replace(LINK, **{name: values.get(name, "elsewhere")}),)))


@pytest.mark.parametrize("name", CHANGED)
def test_other_repositories_look_again_when_what_their_links_depend_on_changes(name: str) -> None:
    before = RowSet(REPOSITORY_ID, "shop", 1, {1: OLD})
    after = replace(before, rows={1: changed(name)})
    assert (seen_from_outside(before) != seen_from_outside(after)) is (name in OUTSIDE)


@pytest.mark.parametrize("name", ["target", "number", "wanted"])
def test_other_repositories_look_again_when_a_link_leads_to_another_preview(name: str) -> None:
    before = RowSet(REPOSITORY_ID, "shop", 1, {1: OLD})
    other = replace(LINK, **{name: "catalog" if name == "target" else 17})  # type: ignore[arg-type]
    after = replace(before, rows={1: replace(OLD, links=(other,))})
    assert seen_from_outside(before) != seen_from_outside(after)


def served(old: Row, wanted: Row) -> Row:
    """Return the row that is served once this one is wanted."""
    rows = RowSet(REPOSITORY_ID, "shop", 1, {1: old})
    holds = replace(observed(1), sets={REPOSITORY_ID: rows})
    found = plan(Desired({identity(): Run(wanted, Reason("wanted", "Wanted."), NOW)}), holds, rows, NOW)
    changes = [a.row for a in found.actions if isinstance(a, Change)]
    return changes[0] if changes else old


@pytest.mark.parametrize("name", sorted(FOLLOWS | STAYS))
def test_while_a_removed_service_waits_for_a_person_choices_follow_and_versions_stay(name: str) -> None:
    held = replace(changed(*(FOLLOWS | STAYS)), services=(SERVICE,))
    assert getattr(served(OLD, held), name) == (getattr(held, name) if name in FOLLOWS else getattr(OLD, name))


@pytest.mark.parametrize("name", sorted(FOLLOWS | STAYS))
def test_while_a_removed_database_waits_for_a_person_pushes_arrive_too(name: str) -> None:
    database = Need("db", "postgresql", "16", (("url", "DATABASE_URL"),))
    old = replace(OLD, services=(replace(SERVICE, needs=(database,)), SECOND))
    held = replace(changed(*(FOLLOWS | STAYS)), services=(SERVICE, SECOND))
    follows = name in FOLLOWS | PUSHED
    assert getattr(served(old, held), name) == (getattr(held, name) if follows else getattr(old, name))
