"""What CI says about a missing image reaches every place of a real `greenroom serve`, as soon as GitHub reports it."""

from __future__ import annotations

import html
import re

from greenroom.demo.outside import demand, until
from running.test_serve import everywhere, read
from running.test_webhook_faults import playing

SLUG = "shop/payments"


async def test_a_failed_run_is_reported_at_once_and_alike_in_every_place() -> None:
    """Without the webhook, Greenroom would read CI only ten seconds after its fourth read."""
    async with playing("1h") as (scene, eyes):
        assert scene.simulator
        requests = scene.simulator.requests
        sha = scene.shop.commit("payments", "idea", "2")
        number = scene.world.open_pull_request(SLUG, head="idea", sha=sha, by="ada").number
        run = scene.world.run_workflow(SLUG, sha, branch="idea").id
        scene.world.label(SLUG, number, "preview", "ada")

        async def reported(words: str) -> None:
            demand(words in read(eyes.comment("payments", number)), eyes.comment("payments", number))

        await until(lambda: reported("CI has not finished: build started at"))
        path = "GET /repos/{owner}/{repo}/actions/runs"

        async def rare() -> None:
            demand(requests[path] >= 4, f"{requests[path]} reads of CI")

        await until(rare, 30)
        scene.world.finish_run(SLUG, run, "failure")
        await until(lambda: reported("The CI run build failed"), 9)
        page = f"{scene.api_url.removesuffix('/api/v3')}/{SLUG}/actions/runs/{run}"
        said = await everywhere(scene, eyes, number)
        assert [place for place, text in said.items() if "The CI run build failed" not in text] == []
        assert [place for place, text in said.items() if page not in text] == []
        shown = await eyes.dashboard(f"/previews/payments/{number}")
        assert html.unescape(re.findall(r'<a href="([^"]*/actions/runs/[^"]*)"', shown)[0]) == page
        scene.push_image("payments", sha)
        await until(lambda: eyes.says("payments", number, "ready"), 40)
