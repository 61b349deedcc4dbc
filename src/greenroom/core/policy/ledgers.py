"""Migrations that a database has run, from its tool's ledger and the files of the commit that it was built from."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping

from greenroom.core import messages
from greenroom.core.model.migrations import BASELINE, PACKAGES, Ledger, Migration, MigrationSet
from greenroom.core.model.status import Reason
from greenroom.core.policy.migration_graphs import ancestors
from greenroom.core.policy.migration_sets import FILES, flyway_version


def applied(ledger: Ledger, branch: MigrationSet, contents: Mapping[str, bytes]) -> MigrationSet | Reason:
    """Return the migrations that a database has run, with their hashes in the commit whose migrations are given.

    A migration that is not in this commit has no hash, so no branch fits it. `contents` has blobs by id: if the tool
    records checksums, those that it has are checked. Without a ledger that Greenroom knows, the migrations of a
    configured folder count as run.
    """
    if ledger.failed:
        return messages.ledger_failed(ledger.tool, ledger.failed)
    if not ledger.tool:
        return branch if branch.tool == FILES else MigrationSet(branch.tool, (), branch.packages)
    if ledger.tool != branch.tool:
        return MigrationSet(ledger.tool, tuple(Migration(name) for name, _ in ledger.entries))
    found = tuple(_run(ledger, branch))
    known = dict(ledger.entries)
    wrong = [m.name for m in found if _differs(branch.tool, known.get(m.name, ""), contents.get(m.hash))]
    if wrong:
        return messages.ledger_checksum(branch.tool, wrong)
    return MigrationSet(branch.tool, found, branch.packages)


def _run(ledger: Ledger, branch: MigrationSet) -> Iterable[Migration]:
    names = [name for name, _ in ledger.entries]
    match branch.tool:
        case "alembic":
            return ancestors(branch.migrations, names)
        case "flyway":
            return _of_flyway(branch, names)
        case "knex":
            return [_known(branch, _compiled(branch, name)) for name in names]
        case "django":
            return [_of_django(branch, name) for name in names]
    return [_known(branch, name) for name in names]


def _known(branch: MigrationSet, name: str) -> Migration:
    return next((m for m in branch.migrations if m.name == name), Migration(name))


def _of_django(branch: MigrationSet, name: str) -> Migration:
    """Return a migration; if the repository has no such app, it comes from a package, and what pins it is its hash."""
    label = f"{name.partition('.')[0]}."
    if any(m.name.startswith(label) for m in branch.migrations):
        return _known(branch, name)
    return Migration(name, PACKAGES + branch.packages)


def _of_flyway(branch: MigrationSet, names: Iterable[str]) -> list[Migration]:
    """Return migrations and, for a baseline, all versions up to it, because Flyway does not run those.

    https://documentation.red-gate.com/flyway/flyway-concepts/baselines
    """
    found: dict[str, Migration] = {}
    for name in names:
        if name.startswith(BASELINE):
            limit = flyway_version(name)
            below = (m for m in branch.migrations if m.name.startswith("V") and flyway_version(m.name) <= limit)
            found |= {m.name: m for m in below}
        else:
            found[name] = _known(branch, name)
    return list(found.values())


def _compiled(branch: MigrationSet, name: str) -> str:
    """Return the TypeScript source of a migration that Knex ran as JavaScript, if the branch has only that."""
    source = name.removesuffix(".js") + ".ts"
    names = branch.hashes
    return source if name not in names and source in names else name


def _differs(tool: str, checksum: str, content: bytes | None) -> bool:
    if content is None or not checksum:
        return False
    match tool:
        case "flyway":
            return checksum != flyway_checksum(content)
        case "prisma":
            return checksum != hashlib.sha256(content).hexdigest()
    return False


def flyway_checksum(content: bytes) -> str:
    """Return the checksum that Flyway records for a SQL migration: the CRC-32 of its lines without their ends, as a
    signed number.
    """
    value = 0
    for line in content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        value = zlib.crc32(line, value)
    return str(value - (1 << 32) if value >= 1 << 31 else value)
