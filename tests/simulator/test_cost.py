"""The simulator charges for queries as GitHub's documentation says, with the examples of its page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from graphql import parse

from greenroom.simulator import queries
from greenroom.simulator.cost import cost
from greenroom.simulator.world import World

# https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
POINTS = """{ viewer { login repositories(first: 100) { edges { node { id
  issues(first: 50) { edges { node { id labels(first: 60) { edges { node { id name } } } } } } } } } } }"""
NODES = """{ viewer {
  repositories(first: 50) { edges { repository: node { name
    pullRequests(first: 20) { edges { pullRequest: node { title
      comments(first: 10) { edges { comment: node { bodyHTML } } } } } }
    issues(first: 20) { totalCount edges { issue: node { title bodyHTML
      comments(first: 10) { edges { comment: node { bodyHTML } } } } } } } } }
  followers(first: 10) { edges { follower: node { login } } } } }"""


def test_points_are_those_of_the_documented_example() -> None:
    found = cost(parse(POINTS), {})
    assert (sum(p.requests for p in found.parts), found.points) == (5_101, 51)


def test_nodes_are_those_of_the_documented_example() -> None:
    assert sum(p.nodes for p in cost(parse(NODES), {}).parts) == 22_060


def test_a_query_costs_one_point_at_least() -> None:
    assert cost(parse("{ viewer { login } }"), {}).points == 1


@pytest.mark.parametrize("word", ["RATE_LIMITED", "RATE_LIMIT"])
def test_a_budget_that_is_used_up_refuses_until_the_hour_is_over(word: str) -> None:
    world, query = World(), "{ viewer { login } rateLimit { cost limit remaining used } }"
    world.points.limit, world.points.word = 2, word
    viewer = world.user("ada")
    for remaining in (1, 0):
        found = queries.answer(world, viewer, query, {})["data"]["rateLimit"]
        assert found == {"cost": 1, "limit": 2, "remaining": remaining, "used": 2 - remaining}
    assert queries.answer(world, viewer, query, {})["errors"][0]["type"] == word
    assert "data" in queries.answer(world, world.user("grace"), query, {})
    world.advance(timedelta(hours=1))
    assert "data" in queries.answer(world, viewer, query, {})
