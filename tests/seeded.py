"""A shop whose database starts from a seed, and what a pass has read of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from builders import PLATFORM, SERVICE, digest, sha
from greenroom.core.model.catalog import Need, Repository, Seeds
from greenroom.core.model.github import ImageState, Present
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import SeedFacts, SeedInputs, SeedLabel, Source, Tree
from greenroom.core.model.spec import SeedImage

NONE = {"": MigrationSet()}
DUMP, OTHER = "d" * 40, "e" * 40
NEED = Need("db", "postgresql", "16", (("url", "DATABASE_URL"),), seed="seed/shop.sql")
SEEDED = replace(SERVICE, needs=(NEED,))
SHOP = Repository("shop", "acme/shop", (SEEDED,))
HERE = replace(PLATFORM, repositories=(SHOP,), seeds=Seeds("registry.example.com/seeds"))
BASE = "docker.io/library/postgres:16"


def reference(dump: str = DUMP, **changes: Any) -> str:
    return f"registry.example.com/seeds:{SeedInputs('postgresql', '16', BASE, dump, **changes).tag}"


def known(*, dump: str | None = DUMP, state: ImageState | None = None, at: str = "") -> SeedFacts:
    files = {} if dump is None else {"seed/shop.sql": dump}
    image = {reference(dump): state or Present(digest(dump))} if dump else {}
    source = Source("acme/shop", at or sha(1))
    return SeedFacts(
        {source: Tree(files, NONE)},
        image,
        {digest(d): SeedLabel(size=500 * 2**20) for d in (DUMP, OTHER)},
    )


SEED = SeedImage("shop", "db", reference(), digest(DUMP), DUMP)
