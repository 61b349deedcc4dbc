"""Comparison of a seed with a branch. A database starts only if everything that ran in it is part of the branch.

A migration is the same only if its name and the content of its file are. So a branch that is behind, or that edited,
deleted or renamed a migration, never starts with a schema that is not its own. Migrations run forward only.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core import messages
from greenroom.core.model.migrations import PACKAGES, Migration, MigrationSet
from greenroom.core.model.status import Reason

GRAPHS = ("django", "alembic")
"""Tools that order migrations by a graph instead of by name."""
ANY_ORDER = ("rails", "prisma", "knex")
"""Tools that run every migration that their ledger lacks, even if it sorts before the last one that ran.

https://guides.rubyonrails.org/active_record_migrations.html, https://knexjs.org/guide/migrations.html
"""


def obstacle(branch: MigrationSet, applied: MigrationSet) -> Reason | None:
    """Return why a branch cannot start from the dump in which `applied` ran, and run only forward; None if it can.

    Migrations of installed packages are not compared: their files are in no repository.
    """
    if applied.migrations and applied.tool != branch.tool:
        return messages.seed_other_tool(applied.tool, branch.tool)
    if missing := _missing(branch, applied):
        return _explained(branch, missing)
    if unknown := [m.name for m in applied.migrations if not m.hash and m.name in branch.hashes]:
        return messages.seed_unmatched(unknown)
    if changed := _changed(branch, applied):
        return messages.seed_edited(changed)
    return _out_of_order(branch, applied)


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
    """Return whether a tool runs a migration again each time that it changes.

    https://documentation.red-gate.com/flyway/flyway-concepts/migrations/repeatable-migrations
    """
    return tool == "flyway" and name.startswith("R__")


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
    """Return the migrations that were run with other content than the branch has, and that do not run again."""
    known = branch.hashes
    changed = [m.name for m in applied.migrations if m.name in known and m.hash != known[m.name]]
    return [name for name in changed if not repeatable(branch.tool, name)]


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
