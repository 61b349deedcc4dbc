"""Which fields of a row make the local engine start another version, and which leave alone what runs."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from builders import NOW, OTHER, SERVICE, digest, row, sha
from greenroom.core.rows import Link, Naming, Row, Version
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
SAME: dict[str, Any] = OTHER | {
    "naming": Naming("preview-store-1", "preview-store-1", "review", (("shop", "other.example.com"),)),
    "created": NOW,
}


def test_every_field_of_a_row_is_in_these_tables() -> None:
    assert ANOTHER.keys() | SAME.keys() | {"repository_id", "number"} == {f.name for f in fields(Row)}


@pytest.mark.parametrize("name", [*ANOTHER, *SAME])
def test_a_field_of_the_row_makes_another_version_or_it_does_not(name: str) -> None:
    changed = replace(OLD, **{name: {**ANOTHER, **SAME}[name]})
    assert changed != OLD
    assert (key_of(changed) != key_of(OLD)) is (name in ANOTHER)
