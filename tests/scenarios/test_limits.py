"""A limit of GitHub's is of the token: while it lasts, nothing more is asked, whoever it was that met it."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from greenroom.github.transport import Limited
from stories import SLUG, Story


class Limiting(httpx2.AsyncHTTPTransport):
    """A GitHub whose REST limit is used up on paths that contain `path`; GraphQL has a limit of its own."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.refused = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.path or self.path not in request.url.path:
            return await super().handle_async_request(request)
        self.refused += 1
        headers = {"retry-after": "1800", "content-type": "application/json"}
        return httpx2.Response(403, headers=headers, json={"message": "You have exceeded a secondary rate limit."})


@pytest.mark.parametrize("path", ["/collaborators/", "/events", "/files"])
async def test_limit_that_a_read_meets_ends_the_pass_and_is_waited_for(story: Story, path: str) -> None:
    await story.client.aclose()
    async with httpx2.AsyncClient(transport=(limits := Limiting("")), timeout=5) as story.client:
        kept, closed = story.labeled("one"), story.labeled("two")
        await story.passes(4)
        [service] = story.platform.repositories[0].services
        services = (replace(service, paths=("web",)),)
        story.configure(repositories=(replace(story.platform.repositories[0], services=services),))
        renamed = story.world.pull_request(SLUG, kept)
        renamed.changed, renamed.renamed = ["shared/x.py"], {"shared/x.py": "back/x.py"}
        limits.path = path
        story.restart()
        story.world.close(SLUG, closed, "ada")
        with pytest.raises(Limited) as error:
            await story.controller().reconcile(story.platform.repositories[0])
        assert error.value.after == 1800
        assert limits.refused == 1, "nothing more is asked for"
        assert story.living == {kept, closed}
