"""Choice of the image with the data that each need of a preview starts from.

A preview keeps its seed until a person asks for another, because a new one deletes what people entered. An image is
found by the hash of its inputs, so the dump of a pull request and the dump of its base branch never have one name.
`seed_labels.py` decides whether the migrations in an image fit the branch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from greenroom.core import messages
from greenroom.core.model.catalog import Need, Platform, Repository, Service, Storage
from greenroom.core.model.engine import BuildFailed
from greenroom.core.model.github import ImageState, Missing, Present, PullRequest, Unknown
from greenroom.core.model.kinds import KINDS
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import (
    COLUMNS,
    CommitMigrations,
    Look,
    SeedBuild,
    SeedFacts,
    SeedInputs,
    Source,
    Tree,
)
from greenroom.core.model.spec import PreviewSpec, SeedImage
from greenroom.core.model.status import Reason, Stage
from greenroom.core.model.verdicts import Stay
from greenroom.core.policy import seed_labels

MOST_MIGRATIONS = 1200
"""Maximum number of migrations to pass to a build's Job. Linux limits one environment variable to 128 KiB."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A need that starts from a seed, with the source of its dump and its stock image.

    `head` is the commit of the pull request, and `trunk` the one of its base branch.
    """

    service: str
    need: Need
    source: Source
    base: str
    head: Source
    trunk: Source

    @property
    def folder(self) -> str:
        """Return the configured folder of the migrations; empty if it is detected."""
        return self.need.seed_options.migrations

    def looks(self, at: Source) -> dict[Source, Look]:
        """Return what to look for to learn the dump, and the migrations at this commit: the head's or the trunk's."""
        migrations = Look(folders=frozenset({self.folder}))
        paths = Look(frozenset(self.paths))
        return {at: paths | migrations} if self.source == self.head else {self.source: paths, at: migrations}

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


def _is_unseeded_volume(service: Service, need: Need, spec: PreviewSpec) -> bool:
    """Return whether a need's data is on a volume and did not start from a seed. No command and no push replaces it."""
    return need.storage is Storage.PERSISTENT and spec.data.seed(service.name, need.name) is None


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
    found = _seeded(repository, pull_request, platform)
    return tuple(each for s, each in found if spec is None or not _stays(s, each.need, spec, renew=renew))


def held(
    repository: Repository, pull_request: PullRequest, spec: PreviewSpec | None, platform: Platform, *, renew: bool
) -> tuple[tuple[Wanted, SeedImage], ...]:
    """Return the needs of a preview that keep their seed, with it. Their branch may no longer fit it."""
    if spec is None or renew:
        return ()
    stay = (each for s, each in _seeded(repository, pull_request, platform) if _stays(s, each.need, spec, renew=renew))
    pairs = ((each, spec.data.seed(each.service, each.need.name)) for each in stay)
    return tuple((each, seed) for each, seed in pairs if seed is not None)


def _stays(service: Service, need: Need, spec: PreviewSpec, *, renew: bool) -> bool:
    changes = (renew or need.seed_options.follow) and not _is_unseeded_volume(service, need, spec)
    return _keeps(service, need, spec) and not changes


def _seeded(repository: Repository, pull_request: PullRequest, platform: Platform) -> list[tuple[Service, Wanted]]:
    if not platform.seeds.image:
        return []
    head = Source(repository.slug, pull_request.head_sha)
    trunk = Source(repository.slug, pull_request.base_sha) if pull_request.base_sha else head
    return [
        (s, Wanted(s.name, n, _source(repository, n, pull_request), stock_image(n, platform), head, trunk))
        for s in repository.services
        for n in s.needs
        if n.seed and not n.image
    ]


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


def looks(found: Iterable[Wanted]) -> dict[Source, Look]:
    """Return what to look for in which commits, to choose the seeds of these needs or to compare them."""
    return _merged(each.looks(each.head) for each in found)


def trunk_looks(
    found: Iterable[Wanted],
    trees: Mapping[Source, Tree | str],
    images: Mapping[str, ImageState],
    platform: Platform,
    known: Mapping[Source, Look],
) -> dict[Source, Look]:
    """Return what to look for in base branches, for the images that are to be built here. `known` was looked for."""
    names = ((each, reference(each, trees, platform)) for each in found if platform.seeds.builds)
    missing = [each.looks(each.trunk) for each, name in names if isinstance(images.get(name), Missing)]
    wanted = _merged(missing)
    return {s: look | known.get(s, Look()) for s, look in wanted.items() if look | known.get(s, Look()) != known.get(s)}


def _merged(all_looks: Iterable[Mapping[Source, Look]]) -> dict[Source, Look]:
    found: dict[Source, Look] = {}
    for each in all_looks:
        for source, look in each.items():
            found[source] = found.get(source, Look()) | look
    return found


def outgrown(found: Iterable[tuple[Wanted, SeedImage]], facts: SeedFacts) -> Reason | None:
    """Return that a preview keeps data that a push no longer fits; None if it fits, or if that is not known."""
    for each, seed in found:
        tree, label = facts.trees.get(each.head), facts.labels.get(seed.digest)
        if isinstance(tree, Tree) and label is not None and not isinstance(label, str):
            branch = tree.migrations.get(each.folder)
            reason = seed_labels.refusal(label, branch) if branch is not None else None
            if reason and reason.code in seed_labels.REWRITTEN:
                return messages.data_outgrown(reason)
    return None


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
    # The comment may be public, and the repository of the dump private: its name and errors stay in the log.
    elsewhere = each.source.slug != each.head.slug
    tree = facts.trees.get(each.source, messages.seed_not_read(each.source.slug))
    if isinstance(tree, str):
        return Stay(Stage.WAITING, messages.seed_unknown(messages.OTHER_NOT_READ if elsewhere else tree))
    dump = tree.files.get(each.need.seed)
    if dump is None:
        missing = messages.no_dump(each.need.seed, "" if elsewhere else each.source.slug, each.source.ref)
        return Stay(Stage.BLOCKED, missing)
    inputs = each.inputs(dump)
    name = f"{platform.seeds.image}:{inputs.tag}"
    state = facts.images.get(name, Unknown(f"The registry has not been queried for {name}."))
    if isinstance(state, Present):
        return _fitting(each, SeedImage(each.service, each.need.name, name, state.digest, dump), facts)
    if isinstance(state, Unknown):
        return Stay(Stage.WAITING, messages.registry_unknown(state.why))
    rows, columns = each.need.seed_options.rows, tree.files.get(each.columns, "")
    build = SeedBuild(inputs, each.source, each.need.seed, name, rows, columns)
    if failed := builds_failed.get(build.key):
        return Stay(Stage.BLOCKED, messages.seed_failed(each.need.seed, failed.why))
    return _with_migrations(build, each, facts) if platform.seeds.builds else build


def _fitting(each: Wanted, image: SeedImage, facts: SeedFacts) -> SeedImage | Stay:
    """Return the image with its size if the branch fits what ran in it. Nothing starts while that is not known."""
    label = facts.labels.get(image.digest, f"The image labels of {image.reference} have not been read yet.")
    if isinstance(label, str):
        return Stay(Stage.WAITING, messages.registry_unknown(label))
    branch = _migrations(each, each.head, facts)
    if isinstance(branch, str):
        return Stay(Stage.WAITING, messages.seed_unknown(branch))
    if refused := seed_labels.refusal(label, branch):
        return Stay(Stage.BLOCKED, refused)
    return replace(image, size=label.size)


def _migrations(each: Wanted, at: Source, facts: SeedFacts) -> MigrationSet | Reason | str:
    """Return the migrations of a commit, the reason why they are not clear, or why they were not read."""
    not_read = messages.seed_not_read(at.slug)
    tree = facts.trees.get(at, not_read)
    return tree if isinstance(tree, str) else tree.migrations.get(each.folder, not_read)


def _with_migrations(build: SeedBuild, each: Wanted, facts: SeedFacts) -> SeedBuild | Stay:
    """Return a build with the migrations that the dump's migration table is compared with.

    They are the base branch's, unless the pull request changes the dump. Otherwise a pull request that edits a
    migration could be the first to need an image, and all others would then be compared with its edit.
    """
    trunk = facts.trees.get(each.trunk, messages.seed_not_read(each.trunk.slug))
    if isinstance(trunk, str):
        return Stay(Stage.WAITING, messages.seed_unknown(trunk))
    own = each.source == each.head and trunk.files.get(build.path) != build.inputs.dump
    found = _migrations(each, each.head if own else each.trunk, facts)
    if isinstance(found, str):
        return Stay(Stage.WAITING, messages.seed_unknown(found))
    if isinstance(found, MigrationSet) and len(found.migrations) > MOST_MIGRATIONS:
        found = messages.migrations_too_many(MOST_MIGRATIONS)
    return replace(build, commit=CommitMigrations.of(each.head.slug, found))
