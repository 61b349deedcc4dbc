"""Which fields of a row make the local engine start another version, and which leave alone what runs."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from builders import NOW, SERVICE, digest, row, sha
from greenroom.core.rows import Choice, Link, Naming, Row, Version
from greenroom.local.preview import key_of

OLD = row(1, links=(Link("shop", "payments", (("url", "PAYMENTS_URL"),), "http://staging", "https://staging"),))
ANOTHER: dict[str, Any] = {
    "head_sha": sha(1, 2),
    "versions": (Version("shop", sha(1, 2), "registry.example.com/shop:2", digest("2")),),
    "services": (replace(SERVICE, env=(("COLOR", "green"),)),),
    "links": (replace(OLD.links[0], url="http://other"),),
    "incarnation": 2,
    "nonce": 1,
    "given": (("shop", "ORIGINS", "https://a"),),
}
SAME: dict[str, Any] = {
    "repository": "store",
    "slug": "acme/store",
    "author": "grace",
    "naming": Naming("preview-store-1", "preview-store-1", "review", (("shop", "other.example.com"),)),
    "head_since": NOW,
    "created": NOW,
    "chart_version": "9.9.9",
    "settings": '{"class":"other"}',
    "lives": (("db", "container-2"),),
    "renewed": NOW,
    "asleep": True,
    "sleepy": True,
    "url": "https://github.example.com/acme/store/pull/1",
    "branch": "other",
    "private": False,
    "mentions": ("acme/payments#17",),
    "choices": (Choice("payments", "17", "ada", 900),),
    "sequence": 4,
    "waiting_head": sha(1, 3),
    "waiting_since": NOW,
    "open_to": (("shop", "preview-storefront-2", 8080),),
}


def test_every_field_of_a_row_is_in_these_tables() -> None:
    assert ANOTHER.keys() | SAME.keys() | {"repository_id", "number"} == {f.name for f in fields(Row)}


@pytest.mark.parametrize("name", [*ANOTHER, *SAME])
def test_a_field_of_the_row_makes_another_version_or_it_does_not(name: str) -> None:
    changed = replace(OLD, **{name: {**ANOTHER, **SAME}[name]})
    assert changed != OLD
    assert (key_of(changed) != key_of(OLD)) is (name in ANOTHER)
