"""The seed of a need as the configuration describes it, so that a build has the name that the controller looks up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from greenroom import config
from greenroom.config.settings import RegistrySettings
from greenroom.core.model.catalog import Need, Platform, Repository
from greenroom.core.model.seeds import Source
from greenroom.core.policy.seeds import Wanted, stock_image
from greenroom.errors import FixConfiguration
from greenroom.seeds import checkout
from greenroom.seeds.build import Request

NO_IMAGE = (
    "greenroom.yaml does not say where seed images are stored. Add"
    " `seeds: { image: registry.example.com/previews/seeds }`. The local engine needs none."
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """All needs of a configuration that start from a seed, where their images are, and the registries' settings."""

    image: str
    needs: tuple[Wanted, ...]
    registry: RegistrySettings


def load(folder: Path, *, images: bool = True) -> Seeded:
    """Read the needs with seeds from a configuration. Raise `FixConfiguration` if `images` have no place in it."""
    found = config.load(folder)
    if images and not found.platform.seeds.image:
        raise FixConfiguration(NO_IMAGE)
    needs = tuple(each for r in found.platform.repositories for each in _of_repository(r, found.platform))
    return Seeded(found.platform.seeds.image, needs, found.settings.registry)


def _of_repository(repository: Repository, platform: Platform) -> list[Wanted]:
    """Return the needs of a repository with seeds. Their source is the commit that is checked out."""
    here = Source(repository.slug, "")
    return [
        Wanted(service.name, need, _source(need, here), stock_image(need, platform), here, here)
        for service in repository.services
        for need in service.needs
        if need.seed and not need.image
    ]


def _source(need: Need, here: Source) -> Source:
    return Source(need.seed_options.repository, "") if need.seed_options.repository else here


def one(seeded: Seeded, name: str) -> Wanted:
    """Return the need with this name, SERVICE/NEED."""
    names = {f"{each.service}/{each.need.name}": each for each in seeded.needs}
    if name not in names:
        known = f"These do: {', '.join(sorted(names))}." if names else "No need in the configuration has a seed."
        raise FixConfiguration(f"{name} does not start from a seed. {known}")
    return names[name]


def request(seeded: Seeded, name: str, folder: Path, *, worktree: bool = False) -> Request:
    """Return the build of a need's image from the dump in a checkout of its repository."""
    each = one(seeded, name)
    options = each.need.seed_options
    if not (folder / each.need.seed).is_file():
        raise FixConfiguration(
            f"There is no {each.need.seed} in {folder.resolve()}. Check out {each.source.slug} there, or pass"
            " the folder of a checkout with --checkout."
        )
    return Request(
        folder / each.need.seed,
        each.need.version,
        each.base,
        seeded.image,
        options.mode.value,
        options.extensions,
        blob=checkout.blob_id(folder, each.need.seed, worktree=worktree),
        rows=options.rows,
        source=f"{each.source.slug}:{each.need.seed}",
        folder=options.migrations,
        kind=each.need.kind,
    )


def current(seeded: Seeded, folder: Path) -> dict[str, str]:
    """Return the tags of the images that the commit in a checkout needs, with the needs' names.

    A checkout of any repository has the dumps of its own needs only; a path that two repositories share keeps more.
    """
    found = {}
    for each in seeded.needs:
        if (folder / each.need.seed).is_file():
            dump = checkout.blob_id(folder, each.need.seed)
            found[each.inputs(dump).tag] = f"the commit in {folder.resolve().name} ({each.service}/{each.need.name})"
    if not found:
        dumps = ", ".join(sorted({each.need.seed for each in seeded.needs}))
        raise FixConfiguration(
            f"{folder.resolve()} contains no dump of the configuration ({dumps}). Pass a checkout that has one."
        )
    return found
