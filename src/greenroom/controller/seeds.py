"""Reads that decide which seeds previews start from, and whether their branches still fit those that they have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.github import Present
from greenroom.core.model.seeds import LABEL, Look, SeedFacts, SeedLabel, Source, Tree
from greenroom.core.planning import required_reads
from greenroom.core.planning.context import PassContext
from greenroom.errors import GreenroomError
from greenroom.github.client import GitHub
from greenroom.github.transport import Limited
from greenroom.registry.client import Registry

log = structlog.get_logger(__name__)


async def seed_facts(github: GitHub, registry: Registry, context: PassContext[PullRequestFacts]) -> SeedFacts:
    """Read what decides the seeds of previews. Nothing is read for repositories without seeds.

    A commit or an image that cannot be read is a fact too: only the previews that need it wait.
    """
    trees = await _trees(github, required_reads.sources(context))
    images = await registry.look_all(required_reads.seed_references(context, trees))
    trees |= await _trees(github, required_reads.trunks(context, trees, images))
    chosen = {(name, state.digest) for name, state in images.items() if isinstance(state, Present)}
    held = {(seed.reference, seed.digest) for seed in required_reads.held_images(context)}
    return SeedFacts(trees, images, await _labels(registry, chosen | held))


async def _labels(registry: Registry, images: set[tuple[str, str]]) -> dict[str, SeedLabel | str]:
    """Read the labels of images by digest. A tag may have moved since a preview started from its image."""
    names = {digest: f"{reference.rpartition(':')[0]}@{digest}" for reference, digest in images}
    found = await asyncio.gather(*(registry.labels(name) for name in names.values()))
    return dict(zip(names, map(_label, found), strict=True))


def _label(found: Mapping[str, str] | str) -> SeedLabel | str:
    return found if isinstance(found, str) else SeedLabel.parsed(found.get(LABEL, ""))


async def _trees(github: GitHub, wanted: Mapping[Source, Look]) -> dict[Source, Tree | str]:
    answers = await asyncio.gather(*(_tree(github, *each) for each in wanted.items()))
    return dict(zip(wanted, answers, strict=True))


async def _tree(github: GitHub, source: Source, look: Look) -> Tree | str:
    try:
        return await github.tree(source, look)
    except Limited:
        raise
    except GreenroomError as error:  # even a forbidden one: without it, only the previews with this dump wait
        log.info("the files of a commit could not be read; Greenroom retries", repository=source.slug, why=str(error))
        return str(error)
