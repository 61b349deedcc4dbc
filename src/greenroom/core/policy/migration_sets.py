"""Migrations of a commit, from the paths and blob ids of its files.

Greenroom reads the tree of the commit itself, so it needs neither a checkout nor the project's own programs. Django and
Alembic order migrations by what their files say; `needed` names the blobs to read for that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from greenroom.core import messages
from greenroom.core.model.migrations import Migration, MigrationSet
from greenroom.core.model.status import Reason
from greenroom.core.policy.migration_graphs import Unreadable, alembic_migration, app_label, django_migration, ordered

FILES = "files"
"""Tool name for a configured folder that no known tool uses. Each file in the folder is a migration."""
_VENDORED = re.compile(r"(?:^|/)(?:node_modules|vendor|site-packages|\.venv|venv)/")
_LOCKS = re.compile(
    r"(?:^|/)(?:uv\.lock|poetry\.lock|pdm\.lock|Pipfile\.lock|requirements[^/]*\.txt|requirements/.*\.txt)$"
)
_MANIFESTS = re.compile(r"(?:^|/)(?:pyproject\.toml|setup\.py|setup\.cfg|Pipfile)$")
_DJANGO = re.compile(r"\d{4}_\w+\.py")
_RAILS = re.compile(r"\d{3,40}_[\w.]+\.rb")
_FLYWAY = re.compile(r"(?:V\d[\d._]{0,80}|R)__.+\.(?:sql|java|kt)")
_KNEX = re.compile(r"\d{14}_.+\.(?:js|ts|mjs|cjs)")
_KNEXFILE = re.compile(r"(?:^|/)knexfile\.(?:js|ts|mjs|cjs)$")

Tree = Mapping[str, str]
"""Blob ids by path."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Migrations of one tool in one folder, which is the common one of all apps for Django."""

    tool: str
    root: str
    paths: tuple[str, ...]


def needed(tree: Tree, folder: str = "") -> tuple[str, ...]:
    """Return the ids of the blobs that `migration_set` has to read."""
    found = _folder(tree, folder)
    return tuple(sorted({tree[p] for p in _read(tree, found)})) if isinstance(found, Folder) else ()


def migration_set(tree: Tree, contents: Mapping[str, bytes], folder: str = "") -> MigrationSet | Reason:
    """Return the migrations of a commit, or the reason why they are not known.

    `folder` is the configured one, `contents` has the blobs that `needed` names.
    """
    found = _folder(tree, folder)
    if isinstance(found, Reason):
        return found
    migrations: list[Migration] = []
    for path in found.paths:
        try:
            migrations += _migration(found, path, tree, contents)
        except Unreadable as error:
            return messages.migrations_unreadable(path, str(error))
    if twice := _twice(migrations):
        return twice
    packages = _packages(tree) if found.tool == "django" else ""
    return MigrationSet(found.tool, _ORDERS.get(found.tool, _by_name)(migrations), packages)


def _folder(tree: Tree, folder: str) -> Folder | Reason:
    """Find the migrations: below the configured folder, or where the tools keep them by default."""
    inside = f"{folder.strip('/')}/" if folder.strip("./") else ""
    paths = [p for p in sorted(tree) if p.startswith(inside) and (inside or not _VENDORED.search(p))]
    if folder and not paths:
        return messages.migrations_no_folder(folder)
    found = list(_found(tree, paths, configured=bool(folder)))
    if len(found) > 1:
        return messages.migrations_unclear([(f.tool, f.root) for f in found])
    if found:
        return found[0]
    return Folder(FILES, folder, tuple(paths)) if folder else Folder("", "", ())


def _found(tree: Tree, paths: Iterable[str], *, configured: bool) -> Iterator[Folder]:
    """Yield the migrations of each tool in each folder. Without a configured one, only usual folders count."""
    roots: dict[tuple[str, str], list[str]] = {}
    knex = any(_KNEXFILE.search(p) for p in tree)
    for path in paths:
        tool, root = _place(tree, path)
        if configured or _usual(tool, root, knex=knex):
            roots.setdefault((tool, root), []).append(path)
    for (tool, root), files in sorted(roots.items()):
        if tool:
            yield Folder(tool, root, tuple(_modules(tree, files) if tool == "django" else files))


def _place(tree: Tree, path: str) -> tuple[str, str]:
    """Return the tool that a file looks like a migration of, and the folder that the tool scans; empty if none."""
    folder, _, name = path.rpartition("/")
    above, _, last = folder.rpartition("/")
    if last == "versions" and name.endswith(".py") and f"{above}/env.py".lstrip("/") in tree:
        return "alembic", above
    if last == "migrations" and _DJANGO.fullmatch(name) and f"{folder}/__init__.py" in tree:
        return "django", ""
    if name == "migration.sql":
        return "prisma", above
    if _RAILS.fullmatch(name):
        return "rails", re.sub(r"^((?:.*/)?db/migrate)/.*$", r"\1", folder)
    if _FLYWAY.fullmatch(name):
        return "flyway", _location(folder)
    return ("knex", folder) if _KNEX.fullmatch(name) else ("", "")


def _usual(tool: str, root: str, *, knex: bool) -> bool:
    """Return whether a tool keeps its migrations in this folder unless it is configured otherwise."""
    match tool:
        case "rails":
            return f"/{root}".endswith("/db/migrate")
        case "flyway":
            return f"/{root}".endswith(("/migration", "/migrations"))
        case "prisma":
            return f"/{root}".endswith("/migrations")
        case "knex":
            return knex and f"/{root}".endswith("/migrations")
    return True


def _location(folder: str) -> str:
    """Return the location that Flyway scans: it includes folders below it, and those of SQL and of Java are one."""
    location = re.sub(r"^((?:.*/)?migrations?)/.*$", r"\1", folder)
    return re.sub(r"(^|/)src/main/(?:java|kotlin)/", r"\1src/main/resources/", location)


def _modules(tree: Tree, found: Iterable[str]) -> list[str]:
    """Return all of Django's migrations beside those with a number: a name does not need one."""
    folders = {p.rpartition("/")[0] for p in found}
    return [p for p in sorted(tree) if p.rpartition("/")[0] in folders and re.search(r"/[^_~/][^/]*\.py$", p)]


def _read(tree: Tree, folder: Folder) -> list[str]:
    """Return the files whose content says where a migration belongs."""
    if folder.tool == "alembic":
        return list(folder.paths)
    if folder.tool == "django":
        return [*folder.paths, *(a for a in map(_apps, folder.paths) if a in tree)]
    return []


def _apps(path: str) -> str:
    """Return the `apps.py` of a Django migration's app."""
    return path.rpartition("migrations/")[0] + "apps.py"


def _migration(folder: Folder, path: str, tree: Tree, contents: Mapping[str, bytes]) -> Iterator[Migration]:
    """Yield the migration of a file, named as the tool's ledger names it; nothing if the file is none."""
    blob, name = tree[path], path.rpartition("/")[2]
    match folder.tool:
        case "django":
            made = django_migration(f"{_app(path, tree, contents)}.{name[:-3]}", blob, path, contents[blob])
            yield from [made] if made else []
        case "alembic":
            made = alembic_migration(blob, path, contents[blob])
            yield from [made] if made else []
        case "rails":
            yield Migration(name.partition("_")[0], blob, path)
        case "prisma":
            yield Migration(path.split("/")[-2], blob, path)
        case "flyway":
            yield Migration(re.sub(r"\.(?:java|kt)$", "", name), blob, path)
        case "knex":
            yield Migration(name, blob, path)
        case _:
            yield Migration(path, blob, path)


def _app(path: str, tree: Tree, contents: Mapping[str, bytes]) -> str:
    """Return the label of a Django migration's app."""
    label = app_label(contents[tree[_apps(path)]]) if _apps(path) in tree else ""
    return label or path.split("/")[-3 if path.count("/") > 1 else 0]


def _twice(migrations: Iterable[Migration]) -> Reason | None:
    seen: dict[str, str] = {}
    for migration in migrations:
        if migration.name in seen:
            return messages.migrations_twice(migration.name, (seen[migration.name], migration.path))
        seen[migration.name] = migration.path
    return None


def _packages(tree: Tree) -> str:
    """Return the hash of the files that pin the installed packages; empty if there are none."""
    own = [p for p in sorted(tree) if not _VENDORED.search(p)]
    pins = [p for p in own if _LOCKS.search(p)] or [p for p in own if _MANIFESTS.search(p)]
    return hashlib.sha256("\n".join(f"{p} {tree[p]}" for p in pins).encode()).hexdigest()[:16] if pins else ""


def flyway_version(name: str) -> tuple[int, ...]:
    """Return the version of one of Flyway's migrations, without zeros at the end: 1.0 is 1."""
    numbers = [int(n) for n in re.findall(r"\d+", name.partition("__")[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _by_name(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    return tuple(sorted(migrations, key=lambda m: m.name))


def _by_number(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    return tuple(sorted(migrations, key=lambda m: (int(m.name), m.name)))


def _by_version(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """Order Flyway's migrations: versions first, then those that are repeatable."""
    return tuple(sorted(migrations, key=lambda m: (m.name.startswith("R"), flyway_version(m.name), m.name)))


_ORDERS: dict[str, Callable[[Iterable[Migration]], tuple[Migration, ...]]] = {
    "django": ordered,
    "alembic": ordered,
    "rails": _by_number,
    "flyway": _by_version,
}
