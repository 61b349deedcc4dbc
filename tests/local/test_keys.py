"""Which fields of a spec make the local engine start another version, and which leave alone what runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import NOW, OTHER, PARTS, SERVICE, changed, digest, sha, spec
from greenroom.core.model.spec import Injected, Link, Version
from greenroom.local.version_key import key_of

OLD = spec(1, targets=(Link("shop", "payments", (("url", "PAYMENTS_URL"),), "http://staging", "https://staging"),))
ANOTHER: dict[str, Any] = {
    "head_sha": sha(1, 2),
    "versions": (Version("shop", sha(1, 2), "registry.example.com/shop:2", digest("2")),),
    "services": (replace(SERVICE, env=(("COLOR", "green"),)),),
    "targets": (replace(OLD.links.targets[0], url="http://other"),),
    "generation": 2,
    "retry": 1,
    "injected": (Injected("shop", "ORIGINS", "https://a"),),
}
SAME: dict[str, Any] = OTHER | {
    "name": "preview-store-1",
    "namespace": "preview-store-1",
    "label": "review",
    "hosts": {"shop": "other.example.com"},
    "created": NOW,
}


def test_every_field_is_in_these_tables() -> None:
    assert ANOTHER.keys() | SAME.keys() | {"repository_id", "number"} == {n for names in PARTS.values() for n in names}


@pytest.mark.parametrize("name", [*ANOTHER, *SAME])
def test_a_field_makes_another_version_or_it_does_not(name: str) -> None:
    other = changed(OLD, **{name: {**ANOTHER, **SAME}[name]})
    assert other != OLD
    assert (key_of(other) != key_of(OLD)) is (name in ANOTHER)
