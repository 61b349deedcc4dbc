"""Two repositories: storefront uses payments, from staging, from another preview by comment or by branch, and back."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from greenroom.controller.admin_service import Control
from greenroom.core.comment.signed_block import Signer
from greenroom.core.linking.graph import graph
from greenroom.core.model.catalog import Image, Platform, Process, Repository, Service, Staging, Use
from greenroom.core.model.engine import Release
from greenroom.core.model.github import Comment, SignedState
from greenroom.core.model.spec import Caller, Identity, PreviewSpec, same_pods
from greenroom.core.planning import preview_sets
from greenroom.errors import Failed
from stories import SLUG, Story, sha

PAY = "acme/payments"


def one(name: str, registry: str, *uses: Use) -> Service:
    return Service(name, name, Image(f"{registry}/shop/{name}"), (Process("web", port=8080),), uses=uses)


class Two:
    """The shop (#n) and the payments (#n) beside each other."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.world = story.world
        self.world.repository(PAY)
        for person in ("ada", "grace"):
            self.world.collaborator(PAY, person, "write")
        self.configure()

    def configure(self, **more: object) -> None:
        registry = self.story.registry
        web = one("web", registry, Use("payments", (("url", "PAYMENTS_URL"),), **more))  # type: ignore[arg-type]
        self.story.configure(
            repositories=(
                Repository("payments", PAY, (one("payments", registry),)),
                Repository("shop", SLUG, (replace(web, repository="shop"),)),
            ),
            staging=(("payments", Staging("http://payments.staging", "https://payments.staging.example.com")),),
            inside="http://{service}.{namespace}:{port}",
        )

    @property
    def platform(self) -> Platform:
        return self.story.platform

    def catalog(self, name: str) -> Repository:
        found = self.platform.repository(name)
        assert found
        return found

    def open(self, slug: str, branch: str, image: str, by: str = "ada", body: str = "") -> int:
        made = self.world.open_pull_request(slug, head=branch, sha=sha(f"{slug}{branch}"), by=by, body=body)
        self.story.images.push(image, made.head_sha)
        self.world.label(slug, made.number, "preview", "ada")
        return made.number

    def shop(self, branch: str = "idea", **more: str) -> int:
        return self.open(SLUG, branch, "shop/web", **more)

    def payments(self, branch: str = "other", **more: str) -> int:
        return self.open(PAY, branch, "shop/payments", **more)

    async def passes(self, count: int = 5) -> None:
        for _ in range(count):
            for repository in self.platform.repositories:
                self.story.pass_time(seconds=1)
                await self.story.controller().reconcile(repository)

    def spec(self, number: int, slug: str = SLUG) -> PreviewSpec:
        return self.story.engine.sets[self.world.repository(slug).id].specs[number]

    def url(self, number: int) -> str:
        return self.spec(number).links.targets[0].url

    def comment(self, slug: str, number: int) -> str:
        [body] = [c.body for c in self.world.pull_request(slug, number).comments if c.author.login == "greenroom[bot]"]
        return body.replace("\u200b", "").replace("\\", "")

    def say(self, number: int, text: str, by: str = "ada") -> None:
        self.world.comment(SLUG, number, text, by)


@pytest.fixture
def two(story: Story) -> Two:
    return Two(story)


async def test_from_staging_to_a_preview_by_comment_and_back_when_that_closes(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()
    assert two.url(shop) == "http://payments.staging"
    assert "Uses payments from **staging**." in two.comment(SLUG, shop)
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    page, ours = two.spec(pay, PAY).pull_request.url, two.spec(shop).pull_request.url
    assert f"Uses payments from **[payments#{pay}]({page})** (ada chose it)." in two.comment(SLUG, shop)
    assert f"Used by [shop#{shop}]({ours})." in two.comment(PAY, pay)
    assert two.spec(pay, PAY).links.callers == (Caller("payments", f"preview-shop-{shop}", 8080),)
    two.world.close(PAY, pay, "grace")
    await two.passes(8)
    assert two.url(shop) == "http://payments.staging"
    assert f"ada chose with /preview use payments#{pay} exists and may be used" in two.comment(SLUG, shop)
    assert f"[shop#{shop}]({ours}) used this preview and continues without it." in two.comment(PAY, pay)
    two.world.reopen(PAY, pay, "grace")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080", "it comes back by itself"
    two.say(shop, "/preview use payments staging")
    await two.passes()
    assert two.url(shop) == "http://payments.staging"
    assert two.spec(pay, PAY).links.callers == ()


class Closing:
    """A closed payments preview that a shop uses. The shop takes a while to run with another link."""

    def __init__(self, two: Two) -> None:
        self.two = two
        self.shop, self.pay = two.shop(), two.payments()
        self.chosen = f"http://payments.preview-payments-{self.pay}:8080"

    async def begin(self) -> None:
        self.two.say(self.shop, f"/preview use payments#{self.pay}")
        await self.two.passes()
        assert self.two.url(self.shop) == self.chosen
        self.two.story.engine.rolling = frozenset({self.two.world.repository(SLUG).id})
        self.two.world.close(PAY, self.pay, "grace")
        await self.two.passes(4)

    def target_lives(self) -> bool:
        return Identity(self.two.world.repository(PAY).id, self.pay) in self.two.story.engine.previews

    @property
    def comment(self) -> str:
        return self.two.comment(PAY, self.pay)


async def test_links_move_and_their_users_are_updated_before_the_target_is_removed(two: Two) -> None:
    closing = Closing(two)
    await closing.begin()
    assert two.url(closing.shop) == "http://payments.staging", "the link has moved"
    assert closing.target_lives(), "and what runs still calls the target"
    wait = "The removal waits up to 1 min for these previews to switch to another target: shop#1."
    assert wait in closing.comment
    two.story.engine.roll_out()
    await two.passes(4)
    assert not closing.target_lives()
    assert "All of the preview's resources have been deleted." in closing.comment


async def test_user_that_does_not_move_delays_the_removal_by_a_minute_and_the_comment_names_it(two: Two) -> None:
    closing = Closing(two)
    await closing.begin()
    two.story.pass_time(seconds=40)
    await two.passes(1)
    assert closing.target_lives()
    two.story.engine.stuck = frozenset({closing.pay})
    two.story.pass_time(seconds=20)
    await two.passes(2)
    late = "The removal continues although these previews did not switch to another target in time: shop#1."
    assert late in closing.comment
    two.story.engine.stuck = frozenset()
    two.story.pass_time(seconds=60)
    await two.passes(4)
    assert not closing.target_lives()


async def test_a_pull_request_that_is_reopened_while_its_users_move_keeps_its_preview(two: Two) -> None:
    closing = Closing(two)
    await closing.begin()
    two.world.reopen(PAY, closing.pay, "grace")
    two.story.engine.roll_out()
    await two.passes(6)
    assert closing.target_lives()
    assert two.story.engine.removed == []
    assert two.url(closing.shop) == closing.chosen


async def test_two_previews_that_use_each_other_and_close_together_do_not_wait_for_each_other(two: Two) -> None:
    registry, uses = two.story.registry, Use("web", (("url", "WEB_URL"),))
    two.story.configure(
        repositories=(Repository("payments", PAY, (one("payments", registry, uses),)), two.catalog("shop"))
    )
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    two.world.comment(PAY, pay, f"/preview use web#{shop}", "ada")
    await two.passes()
    assert (two.url(shop), two.spec(pay, PAY).links.targets[0].number) == (
        f"http://payments.preview-payments-{pay}:8080",
        shop,
    )
    two.story.engine.rolling = frozenset({two.world.repository(slug).id for slug in (SLUG, PAY)})
    two.world.close(SLUG, shop, "grace")
    two.world.close(PAY, pay, "grace")
    began = two.world.now()
    await two.passes(6)
    assert two.story.engine.previews == {}
    assert two.world.now() - began < timedelta(seconds=30)


async def test_target_lists_a_link_set_by_hand_and_the_user_warns_once_the_target_is_removed(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()
    mine = Identity(two.world.repository(SLUG).id, shop)
    url = f"http://payments.preview-payments-{pay}.svc:8080/v1"
    two.story.engine.set_by_hand(mine, ("links.payments.url", url))
    await two.passes(2)
    assert f"Used by [shop#{shop}]({two.spec(shop).pull_request.url}) (link set by hand)." in two.comment(PAY, pay)
    assert "### Preview ready\n\nAll services are up." in two.comment(SLUG, shop)
    two.world.close(PAY, pay, "grace")
    await two.passes(4)
    assert f"A link that was set by hand in Argo CD still connects [shop#{shop}](" in two.comment(PAY, pay)
    gone = f"The link to payments, set by hand in Argo CD, points to payments#{pay}, which does not exist."
    fix = f"Remove the parameter with `argocd app unset preview-shop-{shop} -p links.payments.url`."
    said = two.comment(SLUG, shop)
    assert f"{gone} {fix}" in said
    assert "All services are up" not in said
    two.story.engine.set_by_hand(mine)
    await two.passes(2)
    assert "### Preview ready\n\nAll services are up." in two.comment(SLUG, shop)


async def test_a_link_set_by_hand_wakes_the_repository_that_it_leads_to(two: Two) -> None:
    shop = two.shop()
    await two.passes()
    woken: list[str] = []
    controller = two.story.controller()
    controller.related = woken.append
    await controller.reconcile(two.catalog("shop"))
    woken.clear()
    two.story.engine.set_by_hand(Identity(two.world.repository(SLUG).id, shop), ("links.payments.url", "http://x"))
    for _ in range(2):
        await controller.reconcile(two.catalog("shop"))
    assert woken == ["payments"], "once"


async def test_a_choice_comes_back_with_the_preview_although_its_command_is_gone(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    command = two.world.comment(SLUG, shop, f"/preview use payments#{pay}", "ada")
    await two.passes()
    chosen = f"http://payments.preview-payments-{pay}:8080"
    assert two.url(shop) == chosen
    assert two.world.delete_comment(SLUG, command.id)
    two.world.unlabel(SLUG, shop, "preview", "ada")
    await two.passes(8)
    assert "### Preview removed" in two.comment(SLUG, shop)
    two.world.label(SLUG, shop, "preview", "ada")
    await two.passes()
    assert two.url(shop) == chosen


async def test_a_choice_takes_effect_only_once_our_comment_holds_it(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()
    two.say(shop, f"/preview use payments#{pay}")
    await two.story.controller().reconcile(two.platform.repositories[1])
    assert two.url(shop) == "http://payments.staging", "written, not yet read back"
    await two.passes(2)
    assert two.url(shop) != "http://payments.staging"


async def test_a_comment_that_a_person_damages_loses_no_choice(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    [ours] = [c for c in two.world.pull_request(SLUG, shop).comments if c.author.login == "greenroom[bot]"]
    two.world.edit_comment(SLUG, ours.id, "hello", "grace")
    for _ in range(3):
        await two.passes(1)
        assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    assert "ada chose it" in two.comment(SLUG, shop), "and the comment is as it was"


async def test_a_read_that_lags_behind_our_own_block_loses_no_choice(two: Two) -> None:
    """A replica of GitHub's still has the comment without the choice, and Greenroom was started anew."""
    shop, pay = two.shop(), two.payments()
    await two.passes()
    simulator = two.story.simulator
    assert simulator
    two.world.faults.on("stale", path="no path yet")
    simulator.freeze()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    two.story.restart()
    two.world.faults.active["stale"].path = "graphql"
    await two.passes(2)
    assert two.world.faults.fired["stale"]
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080", "it moves nowhere meanwhile"
    two.world.faults.off()
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    assert "ada chose it" in two.comment(SLUG, shop)


async def test_a_command_that_holds_our_own_mark_damages_nothing(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    two.say(shop, "/preview <!-- greenroom:1 test --> ![x](https://evil.example.com)", by="eve")
    await two.passes()
    before = two.comment(SLUG, shop)
    assert "which is not a command" in before
    facts = await two.story.controller().facts(two.platform.repositories[1])
    assert facts.blocks[shop].memory.choices, "our block reads back"
    assert await two.story.controller().reconcile(two.platform.repositories[1]) is None, "and nothing is left to do"
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"


def changed(two: Two, repository: str) -> None:
    """Another setting of every service of one repository: more restarts than an hour allows."""

    def louder(one: Repository) -> Repository:
        return replace(one, services=tuple(replace(s, env=(("LOG", "debug"),)) for s in one.services))

    two.story.configure(repositories=tuple(louder(r) if r.name == repository else r for r in two.platform.repositories))


async def test_what_waits_for_its_restart_still_follows_what_people_choose(two: Two) -> None:
    pay = two.payments()
    shops = [two.shop(f"idea-{n}") for n in range(5)]
    for number in shops:
        two.say(number, f"/preview use payments#{pay}")
    await two.passes()
    changed(two, "shop")
    await two.passes(3)
    held, other = (n for n in shops if two.story.status(n).hold)
    two.say(held, "/preview use payments staging")
    await two.passes(3)
    assert two.url(held) == "http://payments.staging"
    two.world.close(PAY, pay, "grace")
    await two.passes()
    assert two.url(other) == "http://payments.staging", "nobody is left with a dead address"
    assert two.spec(other).services[0].env == (), "and the change still waits"


async def test_what_waits_for_its_restart_still_opens_its_port(two: Two) -> None:
    pays = [two.payments(f"p-{n}") for n in range(4)]
    shop = two.shop()
    await two.passes()
    changed(two, "payments")
    await two.passes(3)
    [held] = [n for n in pays if (s := two.story.board.find("payments", n)) and s.hold]
    two.say(shop, f"/preview use payments#{held}")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{held}:8080"
    assert two.spec(held, PAY).links.callers == (Caller("payments", f"preview-shop-{shop}", 8080),)


async def test_preview_of_a_monorepo_has_the_name_of_its_repository_everywhere(two: Two) -> None:
    """The service `web` runs in the repository `shop`: the command names web#N, everything else names shop#N."""
    registry = two.story.registry
    uses = Use("web", (("url", "WEB_URL"),))
    payments = Repository("payments", PAY, (one("payments", registry, uses),))
    shops = Repository("shop", SLUG, (replace(one("web", registry), repository="shop"),))
    staging = (("web", Staging("http://web.staging", "https://web.staging.example.com")),)
    two.story.configure(repositories=(payments, shops), staging=staging)
    shop, pay = two.shop(), two.payments()
    two.world.comment(PAY, pay, f"/preview use web#{shop}", "ada")
    await two.passes()
    statuses = two.story.controller().parts.board.statuses.values()
    assert f"Uses web from **[shop#{shop}](" in two.comment(PAY, pay)
    assert [(k.target, k.name) for s in statuses for k in s.links] == [("web", f"shop#{shop}")]
    assert [(e.source, e.name, e.preview) for e in graph(statuses).edges] == [
        (f"payments#{pay}", f"shop#{shop}", f"shop#{shop}")
    ]
    if two.story.forgetful:
        return  # a new process before each pass forgets what is asked for
    waker: Any = Waker(two)
    answer = await Control(two.story.controller(), waker).use(f"payments#{pay}", "web#99", "root")
    await waker.task
    assert (answer["target"], answer["now"], answer["waits"]) == ("shop#99", f"shop#{shop}", True)


async def test_the_same_branch_is_paired_without_a_word_and_parted_again(two: Two) -> None:
    two.configure(same_branch=True)
    shop = two.shop("together", by="ada")
    await two.passes()
    assert two.url(shop) == "http://payments.staging"
    pay = two.payments("together", by="grace")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    assert "(same branch)" in two.comment(SLUG, shop)
    two.world.close(PAY, pay, "grace")
    await two.passes(8)
    assert two.url(shop) == "http://payments.staging"
    assert f"the paired pull request, payments#{pay}, no longer has a preview" in two.comment(SLUG, shop)
    assert "used this preview and continues without it" in two.comment(PAY, pay)


async def test_nobody_is_paired_with_a_stranger(two: Two) -> None:
    two.configure(same_branch=True)
    two.world.collaborator(PAY, "mallory", "write")
    shop = two.shop("main-fix")
    two.payments("main-fix", by="mallory")
    await two.passes()
    assert two.url(shop) == "http://payments.staging", "mallory may not write to the shop"


async def test_the_description_pairs_too(two: Two) -> None:
    two.configure(same_branch=True)
    pay = two.payments("anything")
    shop = two.shop("idea", body=f"A change in two places.\r\n\r\nPreview-with: {PAY}#{pay}\r\n")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"


async def test_a_preview_that_requires_another_waits_for_it_and_keeps_what_it_had(two: Two) -> None:
    two.configure(required=True)
    shop = two.shop()
    await two.passes()
    assert "### Preview blocked" in two.comment(SLUG, shop)
    assert "`/preview use payments#N`" in two.comment(SLUG, shop)
    pay = two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert "### Preview ready" in two.comment(SLUG, shop)
    two.world.close(PAY, pay, "grace")
    await two.passes(8)
    assert shop in {i.number for i in two.story.engine.previews}, "it is held, not removed"
    assert f"until the preview that ada chose with /preview use payments#{pay} exists and may be used" in two.comment(
        SLUG, shop
    )


async def test_missing_and_forbidden_targets_get_the_same_answer(two: Two) -> None:
    two.world.collaborator(SLUG, "sam", "write")
    shop, other, pay = two.shop(), two.shop("second"), two.payments()
    two.say(shop, f"/preview use payments#{pay}", by="sam")
    two.say(other, "/preview use payments#99", by="sam")
    await two.passes()
    assert two.url(shop) == two.url(other) == "http://payments.staging"
    forbidden, missing = two.comment(SLUG, shop), two.comment(SLUG, other)
    assert f"sam chose with /preview use payments#{pay} exists and may be used" in forbidden
    sentences = [next(line for line in c.splitlines() if line.startswith("Uses")) for c in (forbidden, missing)]
    assert sentences[0].replace(f"#{pay}", "#99") == sentences[1]


async def test_a_mistyped_number_keeps_the_link_and_says_so_until_its_preview_appears(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    linked, later = two.url(shop), pay + 1
    two.say(shop, f"/preview use payments#{later}")
    await two.passes()
    assert two.url(shop) == linked == f"http://payments.preview-payments-{pay}:8080"
    said = f"/{pay})** (until the preview that ada chose with /preview use payments#{later} exists and may be used)"
    assert f"payments from **[payments#{pay}](" in two.comment(SLUG, shop)
    assert said in two.comment(SLUG, shop)
    assert two.payments("another") == later
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{later}:8080"
    assert "(ada chose it)" in two.comment(SLUG, shop)


async def test_a_person_who_may_not_command_gets_an_answer(two: Two) -> None:
    shop = two.shop()
    two.say(shop, "/preview use payments#1", by="eve")
    await two.passes()
    assert "> Greenroom ignores eve's command, which requires write access." in two.comment(SLUG, shop)
    two.say(shop, "/preview use paymint#1")
    await two.passes()
    assert "Did you mean `payments`?" in two.comment(SLUG, shop)
    two.say(shop, "/preview use payments staging")
    await two.passes()
    assert ">" not in two.comment(SLUG, shop).partition("\n")[2].replace("<sub>", "").replace("</sub>", "")


async def test_a_public_comment_leads_to_no_private_repository(two: Two) -> None:
    two.world.repository(SLUG).private = False
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert PAY not in two.comment(SLUG, shop)
    two.world.repository(SLUG).private = True
    two.world.repository(PAY).private = False
    await two.passes()
    assert SLUG not in two.comment(PAY, pay)
    assert "Used by another preview." in two.comment(PAY, pay)


async def test_a_repository_that_becomes_private_while_its_preview_waits_is_no_longer_linked(two: Two) -> None:
    """The public pull request's comment said "Used by [shop#1](…)", and went on saying so."""
    for slug in (SLUG, PAY):
        two.world.repository(slug).private = False
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert f"Used by [shop#{shop}](" in two.comment(PAY, pay)
    two.world.push(SLUG, shop, sha("an image that CI never pushes"), "ada")
    two.world.repository(SLUG).private = True
    await two.passes()
    assert "Waiting for image" in two.comment(SLUG, shop)
    assert SLUG not in two.comment(PAY, pay)
    assert f"shop#{shop}" not in two.comment(PAY, pay)
    assert "Used by another preview." in two.comment(PAY, pay)


async def test_a_preview_that_sleeps_wakes_for_the_one_that_uses_it(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.world.label(PAY, pay, "preview-sleep", "ada")
    await two.passes()
    assert two.spec(pay, PAY).asleep
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert not two.spec(pay, PAY).asleep
    assert (
        "This preview stays awake despite the label `preview-sleep`, because a preview that is awake uses this preview."
        in two.comment(PAY, pay)
    )
    assert "### Preview ready" in two.comment(PAY, pay)
    two.say(shop, "/preview use payments default")
    await two.passes()
    assert two.spec(pay, PAY).asleep


async def test_breaker_does_not_count_link_changes(two: Two) -> None:
    """The breaker of restarts is for changes of the configuration; people may link all they like."""
    two.story.configure(repositories=two.platform.repositories)
    pay = two.payments()
    shops = [two.shop(f"idea-{n}") for n in range(8)]
    await two.passes()
    for number in shops:
        two.say(number, f"/preview use payments#{pay}")
    await two.passes()
    assert {two.url(n) for n in shops} == {f"http://payments.preview-payments-{pay}:8080"}


async def test_a_repository_that_leaves_the_catalog_keeps_its_previews_until_a_person_lets_them_go(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    whole = two.platform.repositories
    two.story.configure(repositories=tuple(r for r in whole if r.name == "shop"))
    two.world.close(PAY, pay, "grace")
    asked = len(two.world.repository(PAY).pull_requests)
    controller = two.story.controller()
    [there] = two.platform.repositories
    await controller.reconcile(there)  # GitHub's answers bring the time, and the id of the catalog's repository
    [left] = await controller.left()
    for _ in range(3):
        two.story.pass_time(seconds=1)
        await controller.reconcile(left)
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080", "it runs, and who uses it does"
    found = two.story.board.find("payments", pay)
    assert found
    assert (found.stage.value, found.reason.code) == ("held", "not-in-catalog")
    assert f"greenroom release payments#{pay}" in found.reason.fix
    idle: Any = None
    [planned] = await Control(controller, idle).plan()
    held = {"preview": f"payments#{pay}", "action": "held", "code": "not-in-catalog", "reason": str(found.reason)}
    assert planned == held
    two.story.configure(repositories=whole[1:])
    repository_id = two.world.repository(PAY).id
    assert found.hold
    releases = [Release(found.identity, found.hold, "grace", controller.now())]
    await controller.amend(
        repository_id, lambda preview_set: preview_sets.released(preview_set, releases, controller.now())
    )
    for _ in range(6):
        two.story.pass_time(seconds=4)  # the shop is not reconciled here, so its link does not move
        if await controller.left():
            await controller.reconcile(left)
    assert {i.repository_id for i in two.story.engine.previews} == {two.world.repository(SLUG).id}
    assert await controller.left() == (), "and nothing is looked at any more"
    assert len(two.world.repository(PAY).pull_requests) == asked
    await two.passes()
    assert two.url(shop) == "http://payments.staging"


class Waker:
    """A loop that passes over everything when it is woken."""

    def __init__(self, two: Two) -> None:
        self.two = two
        self.task: asyncio.Task[None] | None = None

    def wake(self, name: str) -> None:
        self.task = asyncio.create_task(self.two.passes(3))


async def test_the_command_line_points_a_link_as_a_comment_does(two: Two) -> None:
    """What is asked for is kept in memory until our comment holds it: a new process in between forgets it, and says so."""
    if two.story.forgetful:
        pytest.skip(
            "a new process before each pass forgets what is asked for; the answer says that it is not in effect"
        )
    shop, pay = two.shop(), two.payments()
    await two.passes()
    two.say(shop, "/preview use payments staging")
    await two.passes()
    waker: Any = Waker(two)
    control = Control(two.story.controller(), waker)
    answer = await control.use(f"shop#{shop}", f"payments#{pay}", "root")
    await waker.task
    assert answer == {
        "preview": f"shop#{shop}",
        "service": "payments",
        "to": str(pay),
        "target": f"payments#{pay}",
        "done": True,
        "waits": False,
        "now": "staging",
    }
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    assert "(root chose it)" in two.comment(SLUG, shop)
    two.say(shop, "/preview use payments staging")
    await two.passes()
    assert two.url(shop) == "http://payments.staging", "a later comment counts"


async def test_the_command_line_keeps_a_link_whose_new_target_has_no_preview(two: Two) -> None:
    if two.story.forgetful:
        pytest.skip("a new process before each pass forgets what is asked for")
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    waker: Any = Waker(two)
    answer = await Control(two.story.controller(), waker).use(f"shop#{shop}", "payments#99", "root")
    await waker.task
    assert (answer["done"], answer["waits"], answer["now"]) == (True, True, f"payments#{pay}")
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"


@pytest.mark.parametrize(
    ("preview", "target", "sentence"),
    [
        ("shop#1", "payments", "is not a valid target"),
        ("shop#1", "paymints#1", "Did you mean payments?"),
        ("shop#77", "payments#1", "has not seen this pull request"),
    ],
)
async def test_the_command_line_refuses_what_means_nothing(two: Two, preview: str, target: str, sentence: str) -> None:
    two.shop()
    await two.passes(2)
    waker: Any = Waker(two)
    with pytest.raises(Failed, match=re.escape(sentence)):
        await Control(two.story.controller(), waker).use(preview, target, "root")


async def test_the_command_line_asks_which_service_of_a_repository_is_meant(two: Two) -> None:
    registry = two.story.registry
    pays = Repository("payments", PAY, (one("payments", registry), one("invoices", registry)))
    uses = (Use("payments", (("url", "A"),)), Use("invoices", (("url", "B"),)))
    staging = tuple((name, Staging(f"http://{name}.staging", "")) for name in ("payments", "invoices"))
    two.story.configure(repositories=(Repository("shop", SLUG, (one("web", registry, *uses),)), pays), staging=staging)
    two.shop()
    await two.passes(2)
    waker: Any = Waker(two)
    with pytest.raises(Failed, match=f"shop#1 uses several services from {PAY}. Name one of them: payments, invoices."):
        await Control(two.story.controller(), waker).use("shop#1", f"{PAY}#3", "root")


async def test_what_cannot_be_written_is_not_in_effect(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()

    class Asleep:
        def wake(self, name: str) -> None:
            """Nothing is passed over."""

    asleep: Any = Asleep()
    answer = await Control(two.story.controller(), asleep, use_seconds=0.2).use(
        f"shop#{shop}", f"payments#{pay}", "root"
    )
    assert not answer["done"]
    assert two.url(shop) == "http://payments.staging"


async def test_what_was_asked_for_does_not_outlive_its_pull_request(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()

    class Asleep:
        def wake(self, name: str) -> None:
            """Nothing is passed over."""

    asleep: Any = Asleep()
    await Control(two.story.controller(), asleep, use_seconds=0.2).use(f"shop#{shop}", f"payments#{pay}", "root")
    two.world.close(SLUG, shop, "ada")
    await two.passes(8)
    two.world.reopen(SLUG, shop, "ada")
    await two.passes()
    assert two.url(shop) == "http://payments.staging"


async def test_public_comment_names_no_private_repository_that_a_link_by_hand_led_to(two: Two) -> None:
    """`changed_by_hand` says: what they were set to is not said, it may name what is private."""
    registry = two.story.registry
    titan = replace(one("payments", registry), repository="project-titan")
    known = {r.name: r for r in two.platform.repositories}
    two.world.repository("acme/project-titan")
    two.world.repository("acme/project-titan").private = True
    two.world.repository(SLUG).private = False
    two.story.configure(
        repositories=(known["shop"], Repository("project-titan", "acme/project-titan", (titan,))),
        staging=two.platform.staging,
        inside=two.platform.inside,
    )
    shop = two.shop()
    await two.passes()
    mine = Identity(two.world.repository(SLUG).id, shop)
    two.story.engine.set_by_hand(mine, ("links.payments.url", "http://payments.preview-project-titan-7:8080"))
    await two.passes()
    text = two.comment(SLUG, shop)
    assert "project-titan" not in text, text


async def test_a_preview_that_still_runs_is_not_reported_as_missing(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    await two.passes()
    mine = Identity(two.world.repository(SLUG).id, shop)
    two.story.engine.set_by_hand(mine, ("links.payments.url", f"http://payments.preview-payments-{pay}.svc:8080/v1"))
    await two.passes(2)
    two.story.engine.stuck = frozenset({pay})  # a finalizer holds it: it runs on
    two.world.close(PAY, pay, "grace")
    await two.passes(6)
    assert Identity(two.world.repository(PAY).id, pay) in two.story.engine.previews
    assert "which no longer exists" not in two.comment(SLUG, shop)


async def test_a_choice_is_not_lost_with_the_comment_that_holds_it(two: Two) -> None:
    """The kept comment is the one that this process made, although the other one has a later sequence and the choice."""
    two.story.prepares_nothing()
    assert two.story.simulator is not None
    made = two.world.open_pull_request(SLUG, head="idea", sha=sha("idea"), by="ada")  # its image is not built: no spec
    shop = made.number
    two.story.simulator.lag(timedelta(seconds=40))
    two.world.faults.off()
    two.world.label(SLUG, shop, "preview", "ada")
    two.story.pass_time(minutes=2)
    await two.passes(1)
    command = two.world.comment(SLUG, shop, "/preview use payments#77", "ada")
    await two.passes(3)
    assert len(bots(two, shop)) == 1
    assert two.world.delete_comment(SLUG, command.id)
    await two.passes(1)
    two.story.restart()  # before any spec, nothing keeps the id of the comment
    two.world.faults.on("lagging-replica")
    await two.passes(1)
    assert len(bots(two, shop)) == 2, "without this there is nothing to delete"
    signer = two.story.controller().parts.sources.signer
    me = Identity(two.world.repository(SLUG).id, shop)
    blocks = [b for c in bots(two, shop) if (b := read(signer, me, two, c))]
    assert [[k.to for k in b.memory.choices] for b in blocks] == [["77"], []]
    two.world.faults.off()
    two.story.pass_time(minutes=3)  # what this process wrote last need not be read back any more
    await two.passes(4)
    two.story.images.push("shop/web", made.head_sha)
    await two.passes(3)
    assert [(c.service, c.to) for c in two.spec(shop).choices.overrides] == [("payments", "77")]


def read(signer: Signer, identity: Identity, two: Two, body: str) -> SignedState | None:
    comments = two.world.pull_request(SLUG, identity.number).comments
    return signer.read(identity, Comment(next(c.id for c in comments if c.body == body), body, trusted=True))


def bots(two: Two, number: int) -> list[str]:
    return [c.body for c in two.world.pull_request(SLUG, number).comments if c.author.login == "greenroom[bot]"]


def unbuilt(two: Two, slug: str, branch: str = "idea") -> int:
    """A labeled pull request that CI still builds."""
    made = two.world.open_pull_request(slug, head=branch, sha=sha(f"{slug}{branch}"), by="ada")
    two.world.label(slug, made.number, "preview", "ada")
    return made.number


def built(two: Two, slug: str, image: str, branch: str = "idea") -> None:
    two.story.images.push(image, sha(f"{slug}{branch}"))


@pytest.mark.parametrize("first", ["shop", "payments"])
async def test_pair_labeled_while_ci_builds_starts_once_with_the_final_addresses(two: Two, first: str) -> None:
    two.configure(same_branch=True)
    shop, pay = unbuilt(two, SLUG), unbuilt(two, PAY)
    await two.passes()
    started: list[PreviewSpec] = []
    order = [(SLUG, "shop/web"), (PAY, "shop/payments")]
    for slug, image in order if first == "shop" else reversed(order):
        built(two, slug, image)
        for _ in range(3):
            await two.passes(1)
            now = two.spec(shop)
            if not now.prepared and not (started and same_pods(started[-1], now)):
                started.append(now)
        if slug == SLUG and first == "shop":
            assert "(same branch; it waits for its images)" in two.comment(SLUG, shop)
    [only] = started
    assert only.links.targets[0].url == f"http://payments.preview-payments-{pay}:8080"
    assert "(same branch)" in two.comment(SLUG, shop)
    assert two.spec(pay, PAY).links.callers == (Caller("payments", f"preview-shop-{shop}", 8080),)


async def test_link_to_a_pair_whose_image_never_comes_falls_back_and_returns(two: Two) -> None:
    two.configure(same_branch=True)
    shop, pay = unbuilt(two, SLUG), unbuilt(two, PAY)
    await two.passes()
    built(two, SLUG, "shop/web")
    await two.passes(3)
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
    two.story.pass_time(minutes=11)
    await two.passes(3)
    assert two.url(shop) == "http://payments.staging"
    assert f"until the images of payments#{pay} exist" in two.comment(SLUG, shop)
    assert "Wanted by" in two.comment(PAY, pay)
    built(two, PAY, "shop/payments")
    await two.passes(3)
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"


async def test_running_preview_stays_on_staging_until_its_new_pair_answers(two: Two) -> None:
    two.configure(same_branch=True)
    shop = two.shop()
    await two.passes()
    pay = unbuilt(two, PAY)
    await two.passes(3)
    assert two.url(shop) == "http://payments.staging"
    assert f"until the images of payments#{pay} exist" in two.comment(SLUG, shop)
    built(two, PAY, "shop/payments")
    await two.passes(3)
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080"
