"""Two repositories: storefront uses payments, from staging, from another preview by comment or by branch, and back."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from greenroom.controller import control as controlling
from greenroom.controller.control import Control
from greenroom.core import rowsets
from greenroom.core.catalogue import Image, Platform, Process, Repository, Service, Staging, Use
from greenroom.core.model import Release
from greenroom.core.rows import Row
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

    def row(self, number: int, slug: str = SLUG) -> Row:
        return self.story.engine.sets[self.world.repository(slug).id].rows[number]

    def url(self, number: int) -> str:
        return self.row(number).links[0].url

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
    page, ours = two.row(pay, PAY).url, two.row(shop).url
    assert f"Uses payments from **[payments#{pay}]({page})** (ada chose it)." in two.comment(SLUG, shop)
    assert f"Used by [shop#{shop}]({ours})." in two.comment(PAY, pay)
    assert two.row(pay, PAY).open_to == (("payments", f"preview-shop-{shop}", 8080),)
    two.world.close(PAY, pay, "grace")
    await two.passes(8)
    assert two.url(shop) == "http://payments.staging"
    assert f"payments#{pay}, which ada chose, has a preview that may be used" in two.comment(SLUG, shop)
    assert f"[shop#{shop}]({ours}) used it, and goes on without it." in two.comment(PAY, pay)
    two.world.reopen(PAY, pay, "grace")
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080", "it comes back by itself"
    two.say(shop, "/preview use payments staging")
    await two.passes()
    assert two.url(shop) == "http://payments.staging"
    assert two.row(pay, PAY).open_to == ()


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


async def test_a_comment_that_somebody_spoils_loses_no_choice(two: Two) -> None:
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


async def test_a_command_that_holds_our_own_mark_spoils_nothing(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    two.say(shop, "/preview <!-- greenroom:1 test --> ![x](https://evil.example.com)", by="eve")
    await two.passes()
    before = two.comment(SLUG, shop)
    assert "which is no command" in before
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
    assert two.row(other).services[0].env == (), "and the change still waits"


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
    assert two.row(held, PAY).open_to == (("payments", f"preview-shop-{shop}", 8080),)


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
    assert f"payments#{pay}, which belongs to this pull request, has no preview now" in two.comment(SLUG, shop)
    assert "used it, and goes on without it" in two.comment(PAY, pay)


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
    assert f"until payments#{pay}, which ada chose, has a preview that may be used" in two.comment(SLUG, shop)


async def test_missing_and_forbidden_targets_get_the_same_answer(two: Two) -> None:
    two.world.collaborator(SLUG, "sam", "write")
    shop, other, pay = two.shop(), two.shop("second"), two.payments()
    two.say(shop, f"/preview use payments#{pay}", by="sam")
    two.say(other, "/preview use payments#99", by="sam")
    await two.passes()
    assert two.url(shop) == two.url(other) == "http://payments.staging"
    forbidden, missing = two.comment(SLUG, shop), two.comment(SLUG, other)
    assert f"payments#{pay}, which sam chose, has a preview that may be used" in forbidden
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
    said = f"/{pay})** (until payments#{later}, which ada chose, has a preview that may be used)"
    assert f"payments from **[payments#{pay}](" in two.comment(SLUG, shop)
    assert said in two.comment(SLUG, shop)
    assert two.payments("another") == later
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{later}:8080"
    assert "(ada chose it)" in two.comment(SLUG, shop)


async def test_who_may_not_command_is_told_so(two: Two) -> None:
    shop = two.shop()
    two.say(shop, "/preview use payments#1", by="eve")
    await two.passes()
    assert "> eve's command counts for nothing: that needs write access." in two.comment(SLUG, shop)
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
    assert two.row(pay, PAY).asleep
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    assert not two.row(pay, PAY).asleep
    assert "### Preview ready" in two.comment(PAY, pay)
    two.say(shop, "/preview use payments default")
    await two.passes()
    assert two.row(pay, PAY).asleep


async def test_linking_is_no_accident_however_many_do_it(two: Two) -> None:
    """The breaker of restarts is for changes of the configuration; people may link all they like."""
    two.story.configure(repositories=two.platform.repositories)
    pay = two.payments()
    shops = [two.shop(f"idea-{n}") for n in range(8)]
    await two.passes()
    for number in shops:
        two.say(number, f"/preview use payments#{pay}")
    await two.passes()
    assert {two.url(n) for n in shops} == {f"http://payments.preview-payments-{pay}:8080"}


async def test_a_repository_that_leaves_the_catalogue_keeps_its_previews_until_a_person_lets_them_go(two: Two) -> None:
    shop, pay = two.shop(), two.payments()
    two.say(shop, f"/preview use payments#{pay}")
    await two.passes()
    whole = two.platform.repositories
    two.story.configure(repositories=tuple(r for r in whole if r.name == "shop"))
    two.world.close(PAY, pay, "grace")
    asked = len(two.world.repository(PAY).pull_requests)
    controller = two.story.controller()
    await controller.facts(two.platform.repositories[0])  # GitHub's answer brings the time
    [left] = await controller.left()
    for _ in range(3):
        two.story.pass_time(seconds=1)
        await controller.reconcile(left)
    await two.passes()
    assert two.url(shop) == f"http://payments.preview-payments-{pay}:8080", "it runs, and who uses it does"
    found = two.story.board.find("payments", pay)
    assert found
    assert (found.stage.value, found.reason.code) == ("held", "not-in-catalogue")
    assert f"greenroom release payments#{pay}" in found.reason.fix
    idle: Any = None
    [planned] = await Control(controller, idle).plan()
    held = {"preview": f"payments#{pay}", "action": "held", "code": "not-in-catalogue", "reason": str(found.reason)}
    assert planned == held
    two.story.configure(repositories=whole[1:])
    repository_id = two.world.repository(PAY).id
    hold = [Release(found.identity, found.hold, "grace", controller.now())]
    await controller.amend(repository_id, lambda rows: rowsets.released(rows, hold, controller.now()))
    for _ in range(6):
        two.story.pass_time(seconds=1)
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
        ("shop#1", "payments", "names no target"),
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


async def test_what_cannot_be_written_is_not_in_effect(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlling, "USE_SECONDS", 0.3)
    shop, pay = two.shop(), two.payments()
    await two.passes()

    class Asleep:
        def wake(self, name: str) -> None:
            """Nothing is passed over."""

    asleep: Any = Asleep()
    answer = await Control(two.story.controller(), asleep).use(f"shop#{shop}", f"payments#{pay}", "root")
    assert not answer["done"]
    assert two.url(shop) == "http://payments.staging"


async def test_what_was_asked_for_does_not_outlive_its_pull_request(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlling, "USE_SECONDS", 0.2)
    shop, pay = two.shop(), two.payments()
    await two.passes()

    class Asleep:
        def wake(self, name: str) -> None:
            """Nothing is passed over."""

    asleep: Any = Asleep()
    await Control(two.story.controller(), asleep).use(f"shop#{shop}", f"payments#{pay}", "root")
    two.world.close(SLUG, shop, "ada")
    await two.passes(8)
    two.world.reopen(SLUG, shop, "ada")
    await two.passes()
    assert two.url(shop) == "http://payments.staging"
