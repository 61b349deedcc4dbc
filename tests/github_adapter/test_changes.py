"""What a pull request changes, and its merge commit: of the very head that the list shows, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
import pytest

from answers import list_answer, node, read
from greenroom.asgi_server import running
from greenroom.core.model.github import Listing, PullRequest
from greenroom.errors import Doubt
from greenroom.github import translate
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World

SHA = "a" * 40
OTHER = "d" * 40
Change = Callable[[World], None]
CHANGES: dict[str, Change] = {
    "pushed to": lambda w: w.push("acme/shop", 1, OTHER, "ada"),
    "retargeted": lambda w: w.retarget("acme/shop", 1, "develop", "ada"),
}


@asynccontextmanager
async def adapter(simulator: Simulator | None = None) -> AsyncIterator[tuple[World, GitHub]]:
    simulator = simulator or Simulator(World())
    world = simulator.world
    world.token("token", "greenroom[bot]")
    world.repository("acme/shop")
    async with running(simulator) as url, httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        clock = Clock()
        yield world, GitHub(Transport(client, Token("token"), f"{url}/api/v3", clock), clock, "<!-- greenroom:1 ")


async def only(github: GitHub) -> PullRequest:
    found = (await github.listings(["acme/shop"]))["acme/shop"]
    assert isinstance(found, Listing)
    [one] = found.pull_requests
    return one


async def test_renamed_files_count_under_both_paths_and_removed_ones_under_theirs() -> None:
    async with adapter() as (world, github):
        made = world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        made.changed = [*(f"docs/{n}.md" for n in range(150)), "shared/x.py"]
        made.renamed = {"shared/x.py": "back/x.py"}
        listed = await only(github)
        assert listed.changed is None
        found = await github.changed_files("acme/shop", listed)
        assert found == frozenset({*made.changed, "back/x.py"})


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_files_of_a_pull_request_that_changed_meanwhile_are_doubt(change: Change) -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        listed = await only(github)
        change(world)
        with pytest.raises(Doubt, match="changed while its files were read"):
            await github.changed_files("acme/shop", listed)


async def test_files_that_github_leaves_out_make_every_path_possible() -> None:
    async with adapter() as (world, github):
        made = world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        made.changed = [f"docs/{n}.md" for n in range(120)]
        listed = await only(github)
        world.faults.on("truncated", times=1, path="/files")
        assert await github.changed_files("acme/shop", listed) is None
        assert await github.changed_files("acme/shop", listed) == frozenset(made.changed), "and is asked again"


def test_copied_file_does_not_touch_what_it_was_copied_from() -> None:
    copied = {"filename": "front/x.py", "status": "copied", "previous_filename": "back/x.py"}
    assert translate.paths([copied]) == {"front/x.py"}


async def test_label_that_a_lagging_replica_still_shows_confirms_nothing() -> None:
    simulator = Simulator(World())
    async with adapter(simulator) as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        world.label("acme/shop", 1, "preview", "ada")
        world.advance(timedelta(hours=1))
        world.faults.on("stale", path="graphql")
        simulator.freeze()
        world.delete_label("acme/shop", "preview", "ada")
        with pytest.raises(Doubt, match="labels of acme/shop is older than its response about acme/shop#1"):
            await github.pull_request("acme/shop", 1, "preview")
        world.faults.off()
        assert (await github.pull_request("acme/shop", 1, "preview")).label_since is None
        made = world.now() + timedelta(hours=1)
        world.advance(timedelta(hours=1))
        world.create_label("acme/shop", "preview")
        assert (await github.pull_request("acme/shop", 1, "preview")).label_since == made


async def test_merge_commit_of_an_earlier_head_is_ignored() -> None:
    """GitHub may still show it while it computes that of the head: its image is not this version."""
    lagging = {**node(1), "headRefOid": OTHER}
    found = await read(list_answer(lagging, node(2)))
    assert isinstance(found, Listing)
    assert [p.merge_sha for p in found.pull_requests] == [None, "c" * 40]
