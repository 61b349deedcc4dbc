"""Choice of the image with the data that each need of a preview starts from.

A preview keeps its seed until a person asks for another, because a new one deletes what people entered. An image is
found by the hash of its inputs, so the dump of a pull request and the dump of its base branch never have one name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.core import messages
from greenroom.core.model.catalog import Need, Platform, Repository, Service
from greenroom.core.model.github import Present, PullRequest, Unknown
from greenroom.core.model.kinds import KINDS
from greenroom.core.model.seeds import COLUMNS, BuildFailed, SeedBuild, SeedFacts, SeedInputs, Source, Tree
from greenroom.core.model.spec import PreviewSpec, SeedImage
from greenroom.core.model.status import Stage
from greenroom.core.model.verdicts import Stay


@dataclass(frozen=True, slots=True)
class Wanted:
    """A need that starts from a seed, with the source of its dump and its stock image."""

    service: str
    need: Need
    source: Source
    base: str

    @property
    def columns(self) -> str:
        """Return the path of the columns file of its dump."""
        folder, slash, _ = self.need.seed.rpartition("/")
        return f"{folder}{slash}{COLUMNS}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the files that decide which image it starts from, and whether that may be built."""
        return self.need.seed, self.columns

    def inputs(self, dump: str) -> SeedInputs:
        """Return the inputs of its image, with the git blob id of the dump."""
        options = self.need.seed_options
        return SeedInputs(self.need.kind, self.need.version, self.base, dump, options.mode.value, options.extensions)


def stock_image(need: Need, platform: Platform) -> str:
    """Return the reference of a need's stock image."""
    images = json.loads(platform.cluster.settings).get("images") or {}
    return f"{images.get(need.kind) or KINDS[need.kind].chart.image}:{need.version}"


def kept(repository: Repository, spec: PreviewSpec | None, *, renew: bool = False) -> tuple[SeedImage, ...]:
    """Return the seeds that a preview keeps. With `renew`, it keeps none."""
    if spec is None or renew:
        return ()
    here = {(s.name, n.name) for s in repository.services for n in s.needs if _keeps(s, n, spec)}
    return tuple(seed for seed in spec.data.seeds if (seed.service, seed.need) in here)


def _keeps(service: Service, need: Need, spec: PreviewSpec) -> bool:
    """Return whether a need keeps its data, seeded or not: the preview has it already, of the same kind."""
    before = next((n for s in spec.services if s.name == service.name for n in s.needs if n.name == need.name), None)
    return before is not None and _store(before) == _store(need)


def _store(need: Need) -> tuple[object, ...]:
    return need.kind, need.version, need.image, need.storage


def wanted(
    repository: Repository,
    pull_request: PullRequest,
    spec: PreviewSpec | None,
    platform: Platform,
    *,
    renew: bool = False,
) -> tuple[Wanted, ...]:
    """Return the needs of a preview that require a seed to be chosen, in the order of the services."""
    if not platform.seeds.image:
        return ()
    found = []
    for service in repository.services:
        for need in service.needs:
            keeps = spec is not None and not renew and not need.seed_options.follow and _keeps(service, need, spec)
            if need.seed and not need.image and not keeps:
                source = _source(repository, need, pull_request)
                found.append(Wanted(service.name, need, source, stock_image(need, platform)))
    return tuple(found)


def _source(repository: Repository, need: Need, pull_request: PullRequest) -> Source:
    options = need.seed_options
    if options.repository and options.repository.lower() != repository.slug.lower():
        return Source(options.repository, options.branch or "HEAD")
    return Source(repository.slug, pull_request.head_sha)


def reference(each: Wanted, trees: Mapping[Source, Tree | str], platform: Platform) -> str:
    """Return the reference of the image for a need; empty while its dump is not known."""
    tree = trees.get(each.source)
    dump = tree.files.get(each.need.seed) if isinstance(tree, Tree) else None
    return f"{platform.seeds.image}:{each.inputs(dump).tag}" if dump else ""


def chosen(
    found: tuple[Wanted, ...],
    kept_seeds: tuple[SeedImage, ...],
    facts: SeedFacts,
    platform: Platform,
    failed: Mapping[str, BuildFailed],
) -> tuple[SeedImage, ...] | Stay:
    """Return the seeds of a preview, or why it waits for them. Nothing of the preview starts before.

    `failed` holds the failed builds by their keys.
    """
    seeds, builds = [], []
    # A reference names the dump. An image that was built again under the same one does not make its data newer.
    same = {(s.service, s.need, s.reference): s for s in kept_seeds}
    for each in found:
        known = same.get((each.service, each.need.name, reference(each, facts.trees, platform)))
        one = known or _one(each, facts, platform, failed)
        if isinstance(one, Stay):
            return one
        if isinstance(one, SeedBuild):
            builds.append(one)
        else:
            seeds.append(one)
    if builds:
        return Stay(
            Stage.WAITING, messages.seed_missing(builds, builds_here=platform.seeds.builds), builds=tuple(builds)
        )
    replaced = {(s.service, s.need) for s in seeds}
    stays = (s for s in kept_seeds if (s.service, s.need) not in replaced)
    return tuple(sorted((*stays, *seeds), key=lambda s: (s.service, s.need)))


def _one(
    each: Wanted, facts: SeedFacts, platform: Platform, builds_failed: Mapping[str, BuildFailed]
) -> SeedImage | SeedBuild | Stay:
    tree = facts.trees.get(each.source, messages.seed_not_read(each.source.slug))
    if isinstance(tree, str):
        return Stay(Stage.WAITING, messages.seed_unknown(tree))
    dump = tree.files.get(each.need.seed)
    if dump is None:
        return Stay(Stage.BLOCKED, messages.no_dump(each.need.seed, each.source.slug, each.source.ref))
    inputs = each.inputs(dump)
    name = f"{platform.seeds.image}:{inputs.tag}"
    state = facts.images.get(name, Unknown(f"The registry has not been queried for {name}."))
    if isinstance(state, Present):
        label = facts.labels.get(state.digest, f"The labels of {name} have not been read yet.")
        if isinstance(label, str):
            return Stay(Stage.WAITING, messages.registry_unknown(label))
        return SeedImage(each.service, each.need.name, name, state.digest, dump, label.size)
    if isinstance(state, Unknown):
        return Stay(Stage.WAITING, messages.registry_unknown(state.why))
    rows, columns = each.need.seed_options.rows, tree.files.get(each.columns, "")
    build = SeedBuild(inputs, each.source, each.need.seed, name, rows, columns)
    if failed := builds_failed.get(build.key):
        return Stay(Stage.BLOCKED, messages.seed_failed(each.need.seed, failed.why))
    return build
