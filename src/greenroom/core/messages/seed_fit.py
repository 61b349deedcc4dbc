"""Sentences about seeds that do not fit a branch. They contain names of migrations and folders, never data.

Names of files are text by strangers, so they are shown as code.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core.comment.sanitize import code
from greenroom.core.model.status import Reason

_SHOWN = 3
_TOOLS = {
    "django": "Django",
    "alembic": "Alembic",
    "rails": "Rails",
    "flyway": "Flyway",
    "prisma": "Prisma",
    "knex": "Knex",
}


def seed_unrecorded() -> Reason:
    return Reason(
        "seed-unrecorded",
        "The seed image has no record of its migrations, so it may not fit this branch.",
        "Build the seed image again with `greenroom seed build`. Use the version of Greenroom that manages this"
        " preview.",
    )


def data_outgrown(reason: Reason) -> Reason:
    """Return that a running preview keeps data that its branch no longer fits. `reason` says why."""
    return Reason(
        "data-outgrown",
        f"This preview keeps its data, which no longer fits its branch. {reason.text}",
        f"{reason.fix} After replacing the dump, comment `/preview reseed` to start over with the new one.",
    )


def seed_edited(names: Sequence[str]) -> Reason:
    return Reason(
        "seed-edited",
        f"The seed already contains {_names(names)}, but the {_files(names)} in this branch {_have(names)} different"
        " content.",
        f"Restore the original content of the {_files(names)} and put the change into a new migration, or replace the"
        " dump.",
    )


def seed_ahead(names: Sequence[str]) -> Reason:
    return Reason(
        "seed-ahead",
        f"The seed already contains {_names(names)}, which this branch does not have.",
        "Update the branch from its base branch, or restore the files if the branch deleted them.",
    )


def seed_renamed(old: str, new: str) -> Reason:
    return Reason(
        "seed-renamed",
        f"The seed already contains {_name(old)}, which this branch renamed to {_name(new)}.",
        "Restore the old name, or replace the dump with one that contains the new name.",
    )


def seed_squashed(squashed: str, names: Sequence[str]) -> Reason:
    return Reason(
        "seed-squashed",
        f"{_name(squashed)} replaces {_names(names)}, which the seed already contains and this branch deleted.",
        f"Keep the replaced files until the dump contains {_name(squashed)}.",
    )


def seed_unmatched(names: Sequence[str]) -> Reason:
    return Reason(
        "seed-unmatched",
        f"The seed contains {_names(names)}, which did not exist in the commit from which the seed was built.",
        "If the migration files were removed on purpose, delete their entries from the migration table and dump the"
        " database again. Otherwise, dump a database that has only the base branch's migrations.",
    )


def seed_out_of_order(tool: str, names: Sequence[str], last: str) -> Reason:
    return Reason(
        "seed-out-of-order",
        f"{_names(names)} would run before {_name(last)}, which the seed already contains, and {_tool(tool)} does not"
        " run migrations out of order.",
        _later(tool, names),
    )


def _later(tool: str, names: Sequence[str]) -> str:
    """Return how to make migrations run after those in the seed. Django and Alembic order them by dependencies."""
    several = len(names) > 1
    if tool in ("django", "alembic"):
        runs = "they run" if several else "it runs"
        return f"Change the dependencies of {_names(names)} so that {runs} after the migrations in the seed."
    if tool == "flyway":
        return f"Give {_names(names)} {'later versions' if several else 'a later version'}."
    sorts = "they sort" if several else "it sorts"
    return f"Rename {_names(names)} so that {sorts} after the migrations in the seed."


def seed_other_tool(seed: str, branch: str) -> Reason:
    has = f"uses {_tool(branch)}" if branch else "has no migrations"
    return Reason(
        "seed-other-tool",
        f"The seed was migrated with {_tool(seed)}, but this branch {has}.",
        "Set the seed's `migrations:` to the service's migrations folder, or replace the dump.",
    )


def migrations_unclear(folders: Sequence[tuple[str, str]]) -> Reason:
    found = ", ".join(f"{_name(folder or '.')} ({_tool(tool)})" for tool, folder in folders[:_SHOWN])
    more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
    return Reason(
        "migrations-unclear",
        f"The repository has several migration folders: {found}{more}.",
        "Set the seed's `migrations:` to the folder that the service uses.",
    )


def migrations_no_folder(folder: str) -> Reason:
    return Reason(
        "migrations-no-folder",
        f"The folder {_name(folder)} does not exist or has no files.",
        "Set the seed's `migrations:` to the service's migrations folder.",
    )


def migrations_unreadable(path: str, why: str) -> Reason:
    return Reason(
        "migrations-unreadable",
        f"The migration {_name(path)} cannot be read: {why}.",
        "Fix the file, or set the seed's `migrations:` to another folder.",
    )


def migrations_too_many(limit: int) -> Reason:
    return Reason(
        "migrations-too-many",
        f"The repository has more than {limit:,} migrations.",
        "Set the seed's `migrations:` to the folder that the service uses, or squash old migrations.",
    )


def migrations_too_large(limit: int) -> Reason:
    return Reason(
        "migrations-too-many",
        f"The repository's migrations exceed {limit // 1_000_000} MB in total.",
        "Set the seed's `migrations:` to the folder that the service uses, or squash old migrations.",
    )


def migrations_not_listed(slug: str) -> Reason:
    return Reason(
        "migrations-not-listed",
        f"The migrations of {_name(slug)} are unknown because GitHub lists only some of the repository's files.",
        "Move the service to a smaller repository, or use a dump without a migration table.",
    )


def migrations_twice(name: str, paths: Sequence[str]) -> Reason:
    return Reason(
        "migrations-twice",
        f"Two files define the migration {_name(name)}: {_names(paths)}.",
        "Rename one of the files, or set the seed's `migrations:` to the folder that the service uses.",
    )


def ledger_failed(tool: str, names: Sequence[str]) -> Reason:
    return Reason(
        "ledger-failed",
        f"In the dump, {_tool(tool)}'s migration table contains unfinished or failed migrations: {_names(names)}.",
        "Finish or repair these migrations in the database, then dump the database again.",
    )


def ledger_several(tools: Sequence[str]) -> Reason:
    return Reason(
        "ledger-several",
        f"The dump has migration tables from several tools: {', '.join(_tool(t) for t in tools)}.",
        "Drop the migration tables that are no longer used, then dump the database again.",
    )


def ledger_checksum(tool: str, names: Sequence[str]) -> Reason:
    return Reason(
        "ledger-checksum",
        f"The dump's migration table has a different checksum for {_names(names)} than {_tool(tool)} calculates from"
        f" the {_files(names)} in the repository.",
        f"Restore the original content of the {_files(names)}, or repair the migration table and dump the database"
        " again.",
    )


def _tool(tool: str) -> str:
    return _TOOLS.get(tool, "another tool")


def _name(name: str) -> str:
    return f"`{code(name)}`"


def _names(names: Sequence[str]) -> str:
    shown = [_name(n) for n in names[:_SHOWN]]
    if len(names) > _SHOWN:
        return f"{', '.join(shown)} and {len(names) - _SHOWN} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _files(names: Sequence[str]) -> str:
    return "file" if len(names) == 1 else "files"


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
