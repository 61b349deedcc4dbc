"""The GitHub adapter against the simulator: what comes in pages is whole, what is not whole is an exception."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
import pytest

from greenroom.asgi_server import running
from greenroom.core.model.github import Listing, Permission, PullRequest
from greenroom.core.model.spec import Identity
from greenroom.core.planning.required_reads import Followed
from greenroom.errors import Doubt, FixConfiguration, FixCredentials
from greenroom.github.client import GitHub, Token
from greenroom.github.clock import Clock
from greenroom.github.transport import NotFound, Transport
from greenroom.simulator.app import Simulator
from greenroom.simulator.world import World

BOT = "greenroom[bot]"
SHA = "a" * 40
PREFIX = "<!-- greenroom:1 "
WRITES = {"permission": "write"}


@asynccontextmanager
async def adapter(token: str = "token") -> AsyncIterator[tuple[World, GitHub]]:
    world = World()
    world.token("token", BOT)
    world.repository("acme/shop")
    async with running(Simulator(world)) as url, httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        clock = Clock()
        yield world, GitHub(Transport(client, Token(token), f"{url}/api/v3", clock), clock, PREFIX)


async def listing(github: GitHub, slug: str = "acme/shop") -> Listing:
    found = (await github.listings([slug]))[slug]
    assert isinstance(found, Listing), found
    return found


async def test_lists_of_several_pages_and_repositories_come_whole_and_in_few_queries() -> None:
    async with adapter() as (world, github):
        for slug, count in (("acme/shop", 120), ("acme/web", 3), ("acme/empty", 0)):
            world.repository(slug)
            for n in range(count):
                world.open_pull_request(slug, head=f"b{n}", sha=SHA, by="ada")
        found = await github.listings(["acme/shop", "acme/web", "acme/empty", "acme/none"])
        shop, web, empty = (found[f"acme/{n}"] for n in ("shop", "web", "empty"))
        assert isinstance(shop, Listing)
        assert [p.identity.number for p in shop.pull_requests] == list(range(1, 121))
        assert isinstance(web, Listing)
        assert isinstance(empty, Listing)
        assert (len(web.pull_requests), empty.pull_requests) == (3, ())
        assert isinstance(found["acme/none"], NotFound)
        assert github.counts["POST graphql"] == 3  # one for the first page of all, two more pages of one


async def test_labels_events_and_our_comment_are_found_behind_the_first_hundred() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        for n in range(150):
            world.comment("acme/shop", 1, f"talk {n}", "grace")
        ours = world.comment("acme/shop", 1, f"{PREFIX}demo -->\nours", BOT)
        for _ in range(60):
            world.label("acme/shop", 1, "preview", "ada")
            world.unlabel("acme/shop", 1, "preview", "ada")
        [pull_request] = (await listing(github)).pull_requests
        assert pull_request.comment is not None
        assert (pull_request.comment.id, pull_request.comment.trusted) == (ours.id, True)
        assert len(pull_request.label_events) == 120
        confirmed = (await github.pull_request("acme/shop", 1)).pull_request
        assert (confirmed.label_events, confirmed.comment) == (pull_request.label_events, pull_request.comment)


async def test_more_labels_than_github_shows_at_once_are_doubt_about_that_pull_request() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        for n in range(101):
            world.label("acme/shop", 1, f"label-{n}", "ada")
        world.open_pull_request("acme/shop", head="other", sha=SHA, by="ada")
        found = await listing(github)
        assert [p.identity.number for p in found.pull_requests] == [2]
        assert found.doubts == {1: "acme/shop#1 has more labels than GitHub shows at once."}


async def test_a_page_that_has_not_changed_costs_a_304_and_is_whole() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        first = await github.pull_request("acme/shop", 1)
        second = await github.pull_request("acme/shop", 1)
        assert github.counts["304"] == 2
        assert second.pull_request == first.pull_request
        world.close("acme/shop", 1, "ada", merge=True)
        third = await github.pull_request("acme/shop", 1)
        assert (third.pull_request.state.value, third.closed_by and third.closed_by.login) == ("merged", "ada")


@pytest.mark.parametrize("before", [99, 100, 101])
async def test_an_event_behind_a_full_page_is_not_hidden_by_a_304(before: int) -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        for n in range(before):
            (world.unlabel if n % 2 else world.label)("acme/shop", 1, "preview", "ada")
        for _ in range(2):
            assert len((await github.pull_request("acme/shop", 1)).pull_request.label_events) == before
        world.label("acme/shop", 1, "another", "ada")
        events = (await github.pull_request("acme/shop", 1)).pull_request.label_events
        assert (len(events), events[-1].label) == (before + 1, "another")


async def test_a_comment_that_was_deleted_is_created_again_and_only_once() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        marker = f"{PREFIX}demo -->"
        made = await github.write_comment("acme/shop", 1, None, f"{marker}\none", marker)
        world.delete_comment("acme/shop", made)
        again = await github.write_comment("acme/shop", 1, made, f"{marker}\ntwo", marker)
        assert await github.write_comment("acme/shop", 1, None, f"{marker}\nthree", marker) == again
        assert [c.body for c in world.pull_request("acme/shop", 1).comments] == [f"{marker}\nthree"]


async def test_someone_whom_github_does_not_know_has_no_permission() -> None:
    async with adapter() as (world, github):
        world.collaborator("acme/shop", "ada", "write")
        assert await github.permission("acme/shop", "ada") is Permission.WRITE
        assert await github.permission("acme/shop", "deleted-long-ago") is Permission.NONE


async def test_a_repository_that_is_hidden_from_us_says_nothing_about_permissions() -> None:
    async with adapter() as (world, github):
        world.collaborator("acme/shop", "ada", "write")
        world.repository("acme/shop").hidden = True
        with pytest.raises(NotFound, match="does not show /repos/acme/shop"):
            await github.permission("acme/shop", "ada")


async def test_a_repository_that_was_hidden_for_a_moment_only_is_read_again() -> None:
    answers = [httpx2.Response(404, json={}), httpx2.Response(200, json={}), httpx2.Response(200, json=WRITES)]
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: answers.pop(0)))
    clock = Clock()
    github = GitHub(Transport(client, Token("token"), "https://github.example.com/api/v3", clock), clock, PREFIX)
    assert await github.permission("acme/shop", "ada") is Permission.WRITE


async def test_a_repository_that_was_renamed_says_what_to_write() -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        world.rename_repository("acme/shop", "acme/store")
        found = (await github.listings(["acme/shop"]))["acme/shop"]
        assert isinstance(found, FixConfiguration)
        assert "acme/shop is now called acme/store on GitHub. Change `repository:`" in str(found)
        with pytest.raises(FixConfiguration, match="acme/shop was renamed or moved on GitHub"):
            await github.pull_request("acme/shop", 1)


async def test_a_refused_token_says_so_and_is_not_shown() -> None:
    async with adapter(token="wrong-token") as (_, github):
        with pytest.raises(FixCredentials, match=r"GitHub rejected the token \(401\)") as refused:
            await github.me()
        assert "wrong-token" not in str(refused.value)


@pytest.mark.parametrize("fault", ["truncated", "graphql-errors", "empty-list"])
async def test_a_list_that_is_not_whole_is_never_a_shorter_one(fault: str) -> None:
    async with adapter() as (world, github):
        for n in range(3):
            world.open_pull_request("acme/shop", head=f"b{n}", sha=SHA, by="ada")
        world.faults.on(fault)
        found = (await github.listings(["acme/shop"]))["acme/shop"]
        # An empty list that calls itself complete cannot be told from a true one here: the removal rules face it.
        assert isinstance(found, Doubt) == (fault != "empty-list")


def followed(*held: Identity) -> Followed:
    return Followed("preview", frozenset(held))


async def long_discussion(world: World, github: GitHub, follows: Followed) -> tuple[PullRequest, int]:
    """A pull request with 950 comments, as the list has it, and how many queries that took."""
    before = github.counts["POST graphql"]
    found = (await github.listings(["acme/shop"], follows))["acme/shop"]
    assert isinstance(found, Listing)
    return found.pull_requests[0], github.counts["POST graphql"] - before


async def test_further_pages_of_comments_are_read_only_where_they_matter() -> None:
    async with adapter() as (world, github):
        made = world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        for n in range(949):
            world.comment("acme/shop", made.number, f"talk {n}", "grace")
        ours = world.comment("acme/shop", made.number, f"{PREFIX}demo -->\nours", BOT)
        assert (await long_discussion(world, github, followed()))[1] == 1
        [identity] = [p.identity for p in (await listing(github)).pull_requests]
        for follows in (followed(identity), Followed("Bug")):
            world.label("acme/shop", made.number, "bug", "ada")
            found, queries = await long_discussion(world, github, follows)
            assert (found.comment and found.comment.id, queries) == (ours.id, 10)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_pull_request_that_was_labeled_once_is_read_to_our_comment(deleted: bool) -> None:
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        world.label("acme/shop", 1, "Preview", "ada")
        if deleted:  # GitHub no longer names it in its events
            world.delete_label("acme/shop", "Preview", "ada")
        else:
            world.unlabel("acme/shop", 1, "Preview", "ada")
        for n in range(100):
            world.comment("acme/shop", 1, f"talk {n}", "grace")
        ours = world.comment("acme/shop", 1, f"{PREFIX}demo -->\nwaiting", BOT)
        found, _ = await long_discussion(world, github, followed())
        assert found.comment is not None
        assert found.comment.id == ours.id > 2**32


@pytest.mark.parametrize("repository_id", [7, 2**31 - 1, 2**31, 2**40])
async def test_ids_of_any_size_are_the_same_everywhere(repository_id: int) -> None:
    async with adapter() as (world, github):
        world.repository("acme/shop").id = repository_id
        world.repository("eve/shop").id = repository_id + 2**33
        world.open_pull_request("acme/shop", head="own", sha=SHA, by="ada")
        world.open_pull_request("acme/shop", head="fork", sha=SHA, by="eve", fork="eve/shop")
        command = world.comment("acme/shop", 1, "/preview use payments#3", "ada")
        found = await listing(github)
        assert found.repository_id == repository_id
        assert [p.fork for p in found.pull_requests] == [False, True]
        assert [s.comment for s in found.pull_requests[0].said] == [command.id]
        confirmed = await github.pull_request("acme/shop", 1)
        assert confirmed.pull_request.identity == found.pull_requests[0].identity


async def test_the_clock_is_githubs() -> None:
    async with adapter() as (world, github):
        with pytest.raises(Doubt, match="has not sent the time"):
            github.now()
        await github.me()
        assert abs(github.now() - world.now()) < timedelta(minutes=1)


async def test_page_with_only_bot_comments_does_not_hide_activity() -> None:
    async with adapter() as (world, github):
        number = world.open_pull_request("acme/shop", head="one", sha=SHA, by="ada").number
        world.comment("acme/shop", number, "I look at it.", "ada")
        for _ in range(60):
            world.advance(timedelta(minutes=1))
            world.comment("acme/shop", number, "Built.", "ci[bot]")
        [found] = (await listing(github)).pull_requests
        earlier = [a for a in found.activities if a.kind == "earlier"]
        assert [a.at for a in earlier] == [min(a.at for a in found.activities)]
        assert earlier[0].at > found.created_at


async def test_a_commit_dated_in_the_future_counts_as_pushed_now() -> None:
    """Anybody can write any date into a commit; one in the future would keep a preview for ever."""
    async with adapter() as (world, github):
        world.open_pull_request("acme/shop", head="b", sha=SHA, by="ada")
        [commit] = world.pull_request("acme/shop", 1).timeline
        commit.data["committed"] = world.now() + timedelta(days=3650)
        [found] = (await listing(github)).pull_requests
        [pushed] = found.activities
        assert pushed.at <= github.now()
