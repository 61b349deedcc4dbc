"""Choice of the seed for a branch. A database starts only if everything that was run in it is part of the branch.

A migration is the same only if its name and the content of its file are. So a branch that is behind, or that edited,
deleted or renamed a migration, never starts with a schema that is not its own. Migrations run forward only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from greenroom.core import messages
from greenroom.core.model.migrations import PACKAGES, BuildSeed, Fit, Migration, MigrationSet, NoFit, SeedImage
from greenroom.core.model.status import Reason

GRAPHS = ("django", "alembic")
"""Tools that order migrations by a graph instead of by name."""
ANY_ORDER = ("rails", "prisma", "knex")
"""Tools that run every migration that their ledger lacks, even one that sorts before the last one that they ran.

https://guides.rubyonrails.org/active_record_migrations.html, https://knexjs.org/guide/migrations.html
"""


def fitted(branch: MigrationSet, images: Sequence[SeedImage]) -> Fit | BuildSeed | NoFit:
    """Choose the image from which a branch starts: of the newest dump that fits, the image that needs the fewest
    migrations.

    An image of the dump as it is serves as the start of a build, so that the branch's migrations run once for all
    previews with the same set. The caller passes only images that this pull request may use.
    """
    dumps = _by_dump(images)
    for of_dump in dumps:
        if chosen := _chosen(branch, of_dump):
            return chosen
    return NoFit(_why_not(branch, dumps[0]) if dumps else messages.seed_none())


def obstacle(branch: MigrationSet, image: SeedImage) -> Reason | None:
    """Return why a branch cannot start from an image and run only forward; None if it can."""
    applied = image.applied
    if applied.migrations and applied.tool != branch.tool:
        return messages.seed_other_tool(applied.tool, branch.tool)
    if missing := _missing(branch, applied):
        return _explained(branch, missing)
    if unknown := [m.name for m in applied.migrations if not m.hash and m.name in branch.hashes]:
        return messages.seed_unmatched(unknown)
    # Flyway runs a repeatable migration again when it changes. A migrated image may hold what an older one created.
    # https://documentation.red-gate.com/flyway/flyway-concepts/migrations/repeatable-migrations
    changed = [n for n in _changed(branch, applied) if not (image.as_is and repeatable(branch.tool, n))]
    if changed:
        return messages.seed_edited(changed)
    return _out_of_order(branch, applied) or _other_packages(branch, applied)


def to_run(branch: MigrationSet, applied: MigrationSet) -> tuple[str, ...]:
    """Return the migrations of a branch that a database lacks, in order.

    A squashed migration runs no more once everything that it replaces has run.
    """
    hashes = applied.hashes
    return tuple(
        m.name
        for m in branch.migrations
        if hashes.get(m.name) != m.hash and not (m.replaces and all(r in hashes for r in m.replaces))
    )


def repeatable(tool: str, name: str) -> bool:
    """Return whether a tool runs a migration again each time that it changes."""
    return tool == "flyway" and name.startswith("R__")


def _by_dump(images: Sequence[SeedImage]) -> list[list[SeedImage]]:
    """Group images by their dump, the newest dump first. A dump is as old as its first image: later ones may have been
    built again.
    """
    groups = [list(of_dump) for _, of_dump in groupby(sorted(images, key=lambda i: i.dump), key=lambda i: i.dump)]
    return sorted(groups, key=lambda of_dump: (min(i.built for i in of_dump), of_dump[0].dump), reverse=True)


def _chosen(branch: MigrationSet, images: Sequence[SeedImage]) -> Fit | BuildSeed | None:
    fits = [(i, to_run(branch, i.applied)) for i in images if obstacle(branch, i) is None]
    ready = [(i, rest) for i, rest in fits if not (i.as_is and rest)]
    if ready:
        image, rest = max(ready, key=lambda r: (-len(r[1]), r[0].built, r[0].reference))
        return Fit(image, rest)
    for image in _newest_first(i for i in images if i.as_is):
        reason = obstacle(branch, image)
        if reason is None or reason.code == "seed-packages":
            return BuildSeed(image, to_run(branch, image.applied), compare=reason is not None)
    return None


def _why_not(branch: MigrationSet, images: Sequence[SeedImage]) -> Reason:
    """Return why no image of a dump fits. The dump as it is has the fewest migrations, so its reason is the one that a
    person has to change something about.
    """
    image = sorted(_newest_first(images), key=lambda i: not i.as_is)[0]
    return obstacle(branch, image) or messages.seed_none()


def _missing(branch: MigrationSet, applied: MigrationSet) -> list[Migration]:
    """Return the migrations that were run and that the branch does not have.

    One is not missing if the branch squashed it into a migration that was run too, or if it comes from a package.
    """
    known, hashes = branch.hashes, applied.hashes
    covered = {r for m in branch.migrations if hashes.get(m.name) == m.hash for r in m.replaces}
    return [m for m in applied.migrations if m.name not in known and m.name not in covered and not _packaged(branch, m)]


def _packaged(branch: MigrationSet, migration: Migration) -> bool:
    """Return whether a migration comes from an installed package and belongs to no app of the branch."""
    app = migration.name.partition(".")[0]
    apps = {m.name.partition(".")[0] for m in branch.migrations}
    return migration.hash.startswith(PACKAGES) and app not in apps


def _explained(branch: MigrationSet, missing: Sequence[Migration]) -> Reason:
    """Return the most precise reason why the branch does not have these migrations."""
    names = [m.name for m in missing]
    for squashed in branch.migrations:
        if replaced := [n for n in squashed.replaces if n in names]:
            return messages.seed_squashed(squashed.name, replaced)
    renamed = {m.hash: m.name for m in branch.migrations}
    for migration in missing:
        if migration.hash in renamed and migration.hash:
            return messages.seed_renamed(migration.name, renamed[migration.hash])
    unknown = [m.name for m in missing if not m.hash]
    return messages.seed_unmatched(unknown) if unknown else messages.seed_ahead(names)


def _changed(branch: MigrationSet, applied: MigrationSet) -> list[str]:
    """Return the migrations that were run with other content than the branch has."""
    known = branch.hashes
    return [m.name for m in applied.migrations if m.name in known and m.hash != known[m.name]]


def _out_of_order(branch: MigrationSet, applied: MigrationSet) -> Reason | None:
    """Return why the rest cannot run forward only."""
    if branch.tool in ANY_ORDER:
        return None
    hashes, rest = applied.hashes, set(to_run(branch, applied))
    if branch.tool in GRAPHS:
        # Django and Alembic refuse a history in which a migration was run before one that it depends on.
        pairs = [(m.name, b) for m in branch.migrations if m.name in rest for b in m.before if b in hashes]
        pairs += [(p, m.name) for m in branch.migrations if m.name in hashes for p in m.parents if p in rest]
    else:
        pairs = _inserted([m.name for m in branch.migrations if not repeatable(branch.tool, m.name)], rest)
    return messages.seed_out_of_order(branch.tool, sorted({p[0] for p in pairs}), pairs[0][1]) if pairs else None


def _inserted(order: Sequence[str], rest: set[str]) -> list[tuple[str, str]]:
    """Return each migration to run that sorts before the last one that was run, with that one."""
    last = max((i for i, name in enumerate(order) if name not in rest), default=-1)
    return [(name, order[last]) for name in order[: last + 1] if name in rest]


def _other_packages(branch: MigrationSet, applied: MigrationSet) -> Reason | None:
    """Return why migrations of packages may differ: the branch pins other packages, or nothing pins them."""
    same = PACKAGES + branch.packages if branch.packages else None
    names = [m.name for m in applied.migrations if m.hash.startswith(PACKAGES) and m.hash != same]
    return messages.seed_packages(names) if names else None


def _newest_first(images: Iterable[SeedImage]) -> list[SeedImage]:
    return sorted(images, key=lambda i: (i.built, i.reference), reverse=True)
