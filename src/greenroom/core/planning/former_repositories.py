"""Repositories that left the catalog or lost their name while the engine still holds previews of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.core import messages
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.holds import HoldKey, HoldKind
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Stay


def left(observed: EngineState, platform: Platform, ids: Mapping[str, int]) -> tuple[Repository, ...]:
    """Return the repositories that no loop reads any more although the engine still holds previews of them.

    They left the catalog, or GitHub shows another repository under their name. They have no services. `ids` maps
    `owner/name` in lower case to GitHub's id, for each repository of the catalog that was read. Without an id, a
    repository counts as the same one.
    """
    found = []
    for repository_id, preview_set in sorted(observed.sets.items()):
        if not observed.held(repository_id):
            continue
        slug = _slug(observed, preview_set)
        here = platform.repository(preview_set.repository) or _by_slug(platform, slug)
        if here is None or ids.get(here.slug.lower(), repository_id) != repository_id:
            found.append((preview_set, slug))
    names = [preview_set.repository for preview_set, _ in found] + [r.name for r in platform.repositories]
    return tuple(
        Repository(r.repository if names.count(r.repository) == 1 else former_name(r), slug, ()) for r, slug in found
    )


def left_set(observed: EngineState, name: str) -> PreviewSet | None:
    """Return the preview set of a repository that `left` gave this name, or None when the engine holds none."""
    found = sorted(observed.sets.items())
    exact = [preview_set for _, preview_set in found if former_name(preview_set) == name]
    return next(iter([*exact, *(preview_set for _, preview_set in found if preview_set.repository == name)]), None)


def former_name(preview_set: PreviewSet) -> str:
    """Return the name of a repository whose own name another one has taken: `shop@1296269`, with GitHub's id.

    Names in the catalog cannot contain an `@`.
    """
    return f"{preview_set.repository}@{preview_set.repository_id}"


def former(facts: PullRequestFacts, repository: Repository) -> tuple[str, ...]:
    """Return the previews of earlier repositories with this one's name, which still use its names and addresses.

    The repository was deleted and created again, another one took its name on GitHub, or the configuration gave the
    name to another repository.
    """
    observed = facts.observed
    found: list[str] = []
    for repository_id, preview_set in sorted(observed.sets.items()):
        if repository_id != facts.listing.repository_id and preview_set.repository == repository.name:
            found += [f"{former_name(preview_set)}#{i.number}" for i in sorted(observed.held(repository_id))]
    return tuple(found)


def verdict_on_left(platform: Platform, repository: Repository) -> Stay:
    """Return the verdict on every preview of a repository that `left` found."""
    if _by_slug(platform, repository.slug):
        return Stay(Stage.HELD, messages.replaced(repository.slug), hold=HoldKey(HoldKind.REPLACED))
    return Stay(Stage.HELD, messages.not_in_catalog(repository.slug), hold=HoldKey(HoldKind.NOT_IN_CATALOG))


def _by_slug(platform: Platform, slug: str) -> Repository | None:
    return next((r for r in platform.repositories if r.slug.lower() == slug.lower()), None)


def _slug(observed: EngineState, preview_set: PreviewSet) -> str:
    """Return the repository's `owner/name` as its previews know it."""
    alive = [p.spec for i, p in observed.previews.items() if i.repository_id == preview_set.repository_id]
    spec = next(iter([*preview_set.specs.values(), *alive]), None)
    return spec.pull_request.slug if spec else preview_set.repository
