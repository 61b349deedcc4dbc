"""The simulated GitHub of the checkouts: actions of people on its pages, and events of git and CI.

A commit on a branch counts as pushed, and its images exist at once: nothing is built. If a branch is merged into the
base branch or deleted, its pull request is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from greenroom.core.model.catalog import Platform, Repository
from greenroom.errors import Failed
from greenroom.simulate.checkout import Branch, Checkout
from greenroom.simulator.registry import Images
from greenroom.simulator.world import PullRequest, World

log = structlog.get_logger(__name__)


class Hub:
    """Synchronizes a world with the checkouts (`owner/name` to checkout). `who` is the only person in it.

    `images` is None if the images of each commit are pushed elsewhere. `troubles` holds the reason why a checkout
    cannot be read now.
    """

    def __init__(
        self, platform: Platform, checkouts: Mapping[str, Checkout], world: World, images: Images | None, who: str
    ) -> None:
        self.world = world
        self.who = who
        self.labels = (platform.label, platform.lifetime.sleep_label, platform.lifetime.keep_label)
        self.repositories = {r.slug: r for r in platform.repositories}
        self.checkouts = checkouts
        self.branches: dict[str, tuple[Branch, ...]] = {}
        self.troubles: dict[str, str] = {}
        self.images = images
        self._turn = asyncio.Lock()
        for slug in self.repositories:
            world.repository(slug)
            world.collaborator(slug, who, "write")

    async def look(self) -> None:
        """Read every checkout and update the world. A checkout that cannot be read changes nothing."""
        async with self._turn:
            for slug, repository in self.repositories.items():
                try:
                    await self._follow(slug, repository)
                except Failed as error:
                    if self.troubles.get(slug) != str(error):
                        log.warning("a checkout cannot be read", repository=slug, why=str(error))
                    self.troubles[slug] = str(error)
                else:
                    self.troubles.pop(slug, None)

    async def open(self, slug: str, branch: str, body: str) -> int:
        """Open a pull request, and return its number. Raise `Failed` when that is not possible."""
        async with self._turn:
            checkout = self.checkouts[slug]
            head = next((b for b in await asyncio.to_thread(checkout.branches) if b.name == branch), None)
            if head is None:
                raise Failed(f"There is no branch {branch} in {checkout.path}.")
            if any(p.head_ref == branch for p in self.open_pull_requests(slug)):
                raise Failed(f"The branch {branch} already has an open pull request.")
            base = self.world.repository(slug).main_sha
            if await asyncio.to_thread(checkout.contains, base, head.sha):
                raise Failed(
                    f"All commits of the branch {branch} are already in {checkout.base}."
                    " Add a commit to the branch first."
                )
            changed = await asyncio.to_thread(checkout.changed, base, head.sha)
            number = self.world.repository(slug).next_number
            self._push_images(self.repositories[slug], number, head.sha, base)
            self.world.open_pull_request(
                slug,
                head=branch,
                sha=head.sha,
                by=self.who,
                title=head.subject,
                body=body,
                base=base,
                changed=changed,
            )
            return number

    def open_pull_requests(self, slug: str) -> list[PullRequest]:
        """Return the open pull requests of a repository."""
        return [p for p in self.world.repository(slug).pull_requests.values() if p.state == "open"]

    async def _follow(self, slug: str, repository: Repository) -> None:
        checkout = self.checkouts[slug]
        branches = await asyncio.to_thread(checkout.branches)
        heads = {b.name: b.sha for b in branches}
        if checkout.base not in heads:
            raise Failed(f"{checkout.path} no longer has a branch {checkout.base}.")
        base, known = heads[checkout.base], self.world.repository(slug)
        moved = base != known.main_sha
        if moved:
            self.world.move_base(slug, base)
        self.branches[slug] = branches
        for pull_request in self.open_pull_requests(slug):
            number, head = pull_request.number, heads.get(pull_request.head_ref)
            if moved and await asyncio.to_thread(checkout.contains, base, pull_request.head_sha):
                self.world.close(slug, number, self.who, merge=True)
            elif head is None:
                self.world.close(slug, number, self.who)
            else:
                await self._head(slug, repository, pull_request, head, base)

    async def _head(self, slug: str, repository: Repository, pull_request: PullRequest, head: str, base: str) -> None:
        """Update the head of a pull request from its branch. The images exist before the push is visible."""
        checkout = self.checkouts[slug]
        self._push_images(repository, pull_request.number, head, base)
        if head != pull_request.head_sha:
            changed = await asyncio.to_thread(checkout.changed, base, head)
            self.world.change(slug, pull_request.number, changed)
            forced = not await asyncio.to_thread(checkout.contains, head, pull_request.head_sha)
            self.world.push(slug, pull_request.number, head, self.who, force=forced)

    def _push_images(self, repository: Repository, number: int, *shas: str) -> None:
        if self.images is None:
            return
        for service in repository.services:
            for sha in shas:
                path, _, tag = service.image.reference(sha, number).partition("/")[2].rpartition(":")
                if (path, tag) not in self.images.tags:
                    self.images.push(path, tag)
