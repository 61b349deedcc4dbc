"""Whose permission cannot be read is not known; that refuses nothing for good, moves nothing and stops nobody else."""

from __future__ import annotations

import pytest

from greenroom.errors import FixCredentials
from scenarios.test_links import PAY, Two, two
from stories import SLUG

__all__ = ["two"]


async def shop_pass(two: Two, count: int = 3) -> None:
    """Passes over the shop alone: the other repository's own loop is in trouble of its own."""
    for _ in range(count):
        two.story.pass_time(seconds=1)
        await two.story.controller().reconcile(two.platform.repositories[1])


async def test_a_choice_waits_while_the_targets_repository_is_hidden(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()
    two.world.repository(PAY).hidden = True
    two.say(shop, f"/preview use payments#{pay}")
    await shop_pass(two)
    assert two.url(shop) == "http://payments.staging"
    two.world.repository(PAY).hidden = False
    await two.passes(8)
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"


async def test_a_pair_stays_while_the_others_repository_is_hidden(two: Two) -> None:
    two.configure(same_branch=True)
    shop, pay = two.shop("together", by="ada"), two.payments("together", by="grace")
    await two.passes()
    linked = f"http://payments.preview-payments-{pay}:8080"
    assert two.url(shop) == linked
    two.world.repository(PAY).hidden = True
    await shop_pass(two)
    assert two.url(shop) == linked


@pytest.mark.parametrize("wrong", ["forbidden", "renamed"])
async def test_a_stranger_who_names_a_repository_that_cannot_be_asked_stops_nothing(two: Two, wrong: str) -> None:
    two.shop()
    other = two.shop("second")
    await two.passes()
    if wrong == "forbidden":
        two.world.faults.on("forbidden", path=f"/repos/{PAY}/collaborators")
    else:
        two.world.rename_repository(PAY, "acme/cash")
    two.say(1, "/preview use payments#1", by="mallory")
    two.world.close(SLUG, other, "ada")
    await shop_pass(two, 8)
    assert other not in {i.number for i in two.story.engine.previews}
    assert two.url(1) == "http://payments.staging"


async def test_a_permission_that_our_token_lacks_here_is_reported(two: Two) -> None:
    two.shop()
    await two.passes()
    two.world.faults.on("forbidden", path=f"/repos/{SLUG}/collaborators")
    with pytest.raises(FixCredentials, match=r"does not allow GET /repos/acme/shop/collaborators.*Give the token"):
        await shop_pass(two, 1)
