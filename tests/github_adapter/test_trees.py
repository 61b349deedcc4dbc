"""Migrations of a commit: from all of its files and the contents that say their order, or not at all."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import Look, Source
from greenroom.core.model.status import Reason
from greenroom.core.policy.migration_graphs import LARGEST
from greenroom.errors import Doubt, GreenroomError
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport
from greenroom.simulator.payloads import blob_id

HEAD = Source("acme/shop", "a" * 40)
MIGRATIONS = Look(folders=frozenset({""}))
DJANGO = {
    "shop/migrations/__init__.py": b"",
    "shop/migrations/0001_initial.py": b"class Migration:\n    dependencies = []\n",
    "shop/migrations/0002_name.py": b"class Migration:\n    dependencies = [('shop', '0001_initial')]\n",
}


@dataclass
class Answers:
    """GitHub's answers about one commit."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(DJANGO))
    modes: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    truncated: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)
    broken: int = 0
    asked: Counter[str] = field(default_factory=Counter)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        kind, _, name = request.url.path.partition("/git/")[2].partition("/")
        self.asked[kind] += 1
        if kind == "trees":
            return httpx2.Response(200, json=self._tree())
        if self.broken:
            self.broken -= 1
            return httpx2.Response(502, json={})
        known = {blob_id(c): c for c in self.files.values()} | self.blobs
        content = base64.encodebytes(known[name]).decode()
        return httpx2.Response(200, json={"content": content, "encoding": "base64"})

    def _tree(self) -> dict[str, Any]:
        entries = [
            {
                "path": path,
                "mode": self.modes.get(path, "100644"),
                "type": "blob",
                "sha": blob_id(content),
                "size": self.sizes.get(path, len(content)),
            }
            for path, content in self.files.items()
        ]
        return {"truncated": self.truncated, "tree": entries}


@asynccontextmanager
async def adapter(answers: Answers) -> AsyncIterator[GitHub]:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answers)) as client:
        clock = Clock()
        transport = Transport(client, Token("token"), "https://github.example.com/api/v3", clock)
        yield GitHub(transport, clock, "<!-- greenroom:1 ")


async def migrations(answers: Answers, folder: str = "") -> MigrationSet | Reason:
    async with adapter(answers) as github:
        return (await github.tree(HEAD, Look(folders=frozenset({folder})))).migrations[folder]


async def test_migrations_and_files_of_a_commit_are_read_once() -> None:
    answers = Answers({**DJANGO, "seed.sql": b"dump"})
    look = Look(frozenset({"seed.sql", "none.sql"}), frozenset({""}))
    async with adapter(answers) as github:
        tree = await github.tree(HEAD, look)
        assert await github.tree(HEAD, look) == tree
    assert tree.files == {"seed.sql": blob_id(b"dump")}
    found = tree.migrations[""]
    assert isinstance(found, MigrationSet)
    assert found.hashes == {
        "shop.0001_initial": blob_id(DJANGO["shop/migrations/0001_initial.py"]),
        "shop.0002_name": blob_id(DJANGO["shop/migrations/0002_name.py"]),
    }
    assert answers.asked == {"trees": 1, "blobs": 2}


async def test_only_files_that_a_push_changed_are_read_again() -> None:
    answers = Answers()
    async with adapter(answers) as github:
        await github.tree(HEAD, MIGRATIONS)
        answers.files["shop/migrations/0003_more.py"] = b"class Migration:\n    dependencies = []\n# three\n"
        tree = await github.tree(Source("acme/shop", "b" * 40), MIGRATIONS)
    assert len(tree.migrations[""].hashes) == 3  # type: ignore[union-attr]
    assert answers.asked == {"trees": 2, "blobs": 3}


async def test_file_that_arrives_incompletely_is_doubt_and_read_again() -> None:
    first = DJANGO["shop/migrations/0001_initial.py"]
    answers = Answers(blobs={blob_id(first): first[:-5]})
    async with adapter(answers) as github:
        with pytest.raises(Doubt, match="does not match the blob"):
            await github.tree(HEAD, MIGRATIONS)
        answers.blobs.clear()
        assert len((await github.tree(HEAD, MIGRATIONS)).migrations[""].hashes) == 2  # type: ignore[union-attr]


async def test_file_that_cannot_be_read_leaves_no_migration_out() -> None:
    answers = Answers(broken=1)
    async with adapter(answers) as github:
        with pytest.raises(GreenroomError):
            await github.tree(HEAD, MIGRATIONS)
        assert len((await github.tree(HEAD, MIGRATIONS)).migrations[""].hashes) == 2  # type: ignore[union-attr]


async def test_list_that_github_cuts_off_has_no_known_migrations() -> None:
    found = await migrations(Answers(truncated=True))
    assert isinstance(found, Reason)
    assert found.code == "migrations-not-listed"


async def test_file_that_is_too_large_is_not_downloaded() -> None:
    answers = Answers(sizes={"shop/migrations/0001_initial.py": LARGEST + 1})
    found = await migrations(answers)
    assert isinstance(found, Reason)
    assert (found.code, answers.asked["blobs"]) == ("migrations-unreadable", 0)


async def test_files_that_are_too_large_together_are_not_downloaded() -> None:
    many = {f"shop/migrations/{n:04}_x.py": b"# %d" % n for n in range(100)}
    answers = Answers({**DJANGO, **many}, sizes=dict.fromkeys(many, LARGEST))
    found = await migrations(answers)
    assert isinstance(found, Reason)
    assert (found.code, answers.asked["blobs"]) == ("migrations-too-many", 0)
    assert "20 MB" in found.text


async def test_too_many_files_are_not_downloaded() -> None:
    many = {f"shop/migrations/{n:04}_x.py": b"# %d" % n for n in range(1001)}
    answers = Answers({**DJANGO, **many})
    found = await migrations(answers)
    assert isinstance(found, Reason)
    assert (found.code, answers.asked["blobs"]) == ("migrations-too-many", 0)


async def test_symbolic_link_is_not_a_migration() -> None:
    answers = Answers(modes={"shop/migrations/0002_name.py": "120000"})
    found = await migrations(answers)
    assert isinstance(found, MigrationSet)
    assert [m.name for m in found.migrations] == ["shop.0001_initial"]
