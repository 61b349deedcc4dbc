"""Migrations of a commit are found by the paths of its files, and named as their tool's ledger names them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.model.migrations import Migration, MigrationSet
from greenroom.core.model.status import Reason
from greenroom.core.policy.migration_graphs import LARGEST
from greenroom.core.policy.migration_sets import migration_set, needed

DJANGO = "class Migration(migrations.Migration):\n    dependencies = [{}]\n"
ALEMBIC = "revision: str = {!r}\ndown_revision = {!r}\ndepends_on = {!r}\n"


def read(files: Mapping[str, str | bytes], folder: str = "") -> MigrationSet | Reason:
    """Return the migrations of files, of which only the needed ones can be read."""
    content = {p: f.encode() if isinstance(f, str) else f for p, f in files.items()}
    ids = {p: hashlib.sha1(p.encode() + b"\0" + c).hexdigest() for p, c in content.items()}
    wanted = needed(ids, folder)
    return migration_set(ids, {ids[p]: c for p, c in content.items() if ids[p] in wanted}, folder)


def names(files: Mapping[str, str | bytes], folder: str = "") -> tuple[str, tuple[str, ...]]:
    found = read(files, folder)
    assert isinstance(found, MigrationSet), found
    assert all(m.hash and m.path for m in found.migrations)
    return found.tool, tuple(m.name for m in found.migrations)


def refusal(files: Mapping[str, str | bytes], folder: str = "") -> str:
    found = read(files, folder)
    assert isinstance(found, Reason), found
    assert found.text.count(". ") == 0
    assert found.fix
    return found.code


SHOP = {
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": DJANGO.format(""),
    "shop/migrations/0002_b.py": DJANGO.format('("shop", "0001_initial"), migrations.swappable_dependency(X)'),
}
VERSIONS = {
    "alembic/env.py": "",
    "alembic/versions/one.py": ALEMBIC.format("a1", None, None),
    "alembic/versions/two.py": ALEMBIC.format("b2", "a1", None),
}


@pytest.mark.parametrize(
    ("files", "folder", "found"),
    [
        ({"README.md": ""}, "", ("", ())),
        ({}, "", ("", ())),
        (SHOP, "", ("django", ("shop.0001_initial", "shop.0002_b"))),
        (SHOP, "shop", ("django", ("shop.0001_initial", "shop.0002_b"))),
        ({**SHOP, "shop/migrations/merge.py": DJANGO.format("")}, "", ("django", ("shop.0001_initial", "shop.merge", "shop.0002_b"))),
        ({**SHOP, "shop/migrations/0003_tools.py": "def tool(): ...", "shop/migrations/_x.py": "("}, "", ("django", ("shop.0001_initial", "shop.0002_b"))),
        ({**SHOP, "shop/apps.py": "class Shop(AppConfig):\n    label = 'store'"}, "", ("django", ("store.0001_initial", "store.0002_b"))),
        ({p: f for p, f in SHOP.items() if "__init__" not in p}, "", ("", ())),
        (VERSIONS, "", ("alembic", ("a1", "b2"))),
        (VERSIONS, "alembic", ("alembic", ("a1", "b2"))),
        (VERSIONS, "alembic/versions", ("alembic", ("a1", "b2"))),
        ({"env.py": "", "versions/x.py": ALEMBIC.format("a1", None, None)}, "", ("alembic", ("a1",))),
        ({"versions/x.py": ALEMBIC.format("a1", None, None)}, "", ("", ())),
        ({"db/migrate/20260102_b.rb": "", "db/migrate/1_not.rb": "", "db/migrate/001_a.rb": "", "db/seeds.rb": ""}, "", ("rails", ("001", "20260102"))),
        ({"web/db/migrate/2026_b.rb": "", "web/db/migrate/sub/900_a.rb": ""}, "", ("rails", ("900", "2026"))),
        ({"elsewhere/2026_b.rb": ""}, "", ("", ())),
        ({"elsewhere/2026_b.rb": "", "other/9_c.rb": ""}, "elsewhere/", ("rails", ("2026",))),
        ({"src/main/resources/db/migration/V2__b.sql": "", "src/main/resources/db/migration/x/V1_10__a.sql": "", "src/main/resources/db/migration/R__v.sql": "", "src/main/resources/db/migration/V1.9__a.sql": ""}, "", ("flyway", ("V1.9__a.sql", "V1_10__a.sql", "V2__b.sql", "R__v.sql"))),
        ({"src/main/resources/db/migration/V1__a.sql": "", "src/main/java/db/migration/V2__B.java": ""}, "", ("flyway", ("V1__a.sql", "V2__B"))),
        ({"prisma/migrations/2_b/migration.sql": "", "prisma/migrations/1_a/migration.sql": "", "prisma/migrations/migration_lock.toml": ""}, "", ("prisma", ("1_a", "2_b"))),
        ({"knexfile.ts": "", "migrations/20260102030405_b.ts": "", "migrations/20260101030405_a.js": ""}, "", ("knex", ("20260101030405_a.js", "20260102030405_b.ts"))),
        ({"migrations/20260102030405_b.ts": ""}, "", ("", ())),
        ({"migrations/20260102030405_b.ts": ""}, "migrations", ("knex", ("20260102030405_b.ts",))),
        ({"db/up/2.sql": "", "db/up/1.sql": "", "x": ""}, "db/up", ("files", ("db/up/1.sql", "db/up/2.sql"))),
        ({"node_modules/x/db/migrate/2026_b.rb": "", "vendor/db/migrate/2026_b.rb": ""}, "", ("", ())),
        ({**SHOP, **VERSIONS}, "alembic", ("alembic", ("a1", "b2"))),
    ],
)  # fmt: skip
def test_migrations_are_named_and_ordered_as_the_tool_does(
    files: dict[str, str | bytes], folder: str, found: tuple[str, tuple[str, ...]]
) -> None:
    assert names(files, folder) == found


@pytest.mark.parametrize(
    ("files", "folder", "code"),
    [
        ({**SHOP, **VERSIONS}, "", "migrations-unclear"),
        ({"a/db/migrate/2026_b.rb": "", "b/db/migrate/2026_b.rb": ""}, "", "migrations-unclear"),
        (SHOP, "shopp", "migrations-no-folder"),
        ({"db/migrate/2026_b.rb": "", "db/migrate/2026_c.rb": ""}, "", "migrations-twice"),
        ({**SHOP, **{f"tests/{p}": f for p, f in SHOP.items()}}, "", "migrations-twice"),
        ({**SHOP, "shop/migrations/0003_c.py": "def ("}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": "\0"}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": b"\xff\xfe"}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": b"#" * (LARGEST + 1)}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": "x = " + "(" * 5000}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": "x = " + "-" * 100_000 + "1"}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": DJANGO.format("") + "    replaces = OLD"}, "", "migrations-unreadable"),
        ({**SHOP, "shop/migrations/0003_c.py": DJANGO.format("") + "    replaces = [('shop', OLD)]"}, "", "migrations-unreadable"),
        ({**VERSIONS, "alembic/versions/x.py": "revision = NAME"}, "", "migrations-unreadable"),
        ({**VERSIONS, "alembic/versions/x.py": ALEMBIC.format("b2", "a1", None)}, "", "migrations-twice"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_in_one_sentence(files: dict[str, str | bytes], folder: str, code: str) -> None:
    assert refusal(files, folder) == code


def test_the_sentence_names_the_folders_and_the_field() -> None:
    found = read({**SHOP, **VERSIONS})
    assert str(found) == (
        "The repository has several migration folders: `alembic` (Alembic), `.` (Django)."
        " Set the seed's `migrations:` to the folder that the service uses."
    )


def test_django_files_say_what_they_replace_and_run_before() -> None:
    body = DJANGO.format("('shop', '0001_initial')") + "    replaces = [('shop', '2'), ('shop', '3')]\n"
    found = read({**SHOP, "shop/migrations/0004_s.py": body + "    run_before = [('pay', '0001_x')]\n"})
    assert isinstance(found, MigrationSet)
    squashed = next(m for m in found.migrations if m.name == "shop.0004_s")
    assert squashed.replaces == ("shop.2", "shop.3")
    assert squashed.before == ("pay.0001_x",)
    assert squashed.parents == ("shop.0001_initial",)


def test_alembic_merges_follow_all_their_parents() -> None:
    files = {
        **VERSIONS,
        "alembic/versions/m.py": ALEMBIC.format("0merge", ("b2", "c3"), None),
        "alembic/versions/c.py": ALEMBIC.format("c3", "a1", ["z9"]),
        "alembic/versions/z.py": ALEMBIC.format("z9", None, None),
        "alembic/versions/helper.py": "x = 1",
    }
    assert names(files) == ("alembic", ("a1", "z9", "b2", "c3", "0merge"))


def test_a_circle_of_migrations_ends() -> None:
    files = {
        "alembic/env.py": "",
        "alembic/versions/a.py": ALEMBIC.format("a", "b", None),
        "alembic/versions/b.py": ALEMBIC.format("b", "a", None),
    }
    assert names(files) == ("alembic", ("a", "b"))


def test_packages_change_with_the_files_that_pin_them() -> None:
    def packages(**files: str) -> str:
        found = read({**SHOP, **{p.replace("__", "."): f for p, f in files.items()}})
        assert isinstance(found, MigrationSet)
        return found.packages

    assert packages() == ""
    assert packages(uv__lock="1") != packages(uv__lock="2")
    assert packages(uv__lock="1", pyproject__toml="1") == packages(uv__lock="1", pyproject__toml="2")
    assert packages(pyproject__toml="1") != packages(pyproject__toml="2")


def test_a_file_is_parsed_and_never_run() -> None:
    found = read({**SHOP, "shop/migrations/0003_c.py": "raise SystemExit\n" + DJANGO.format("")})
    assert isinstance(found, MigrationSet)
    assert Migration in {type(m) for m in found.migrations}


@given(
    st.dictionaries(st.text("abV1_/.", min_size=1).map(lambda t: f"{t}/migrations/0001_x.py"), st.binary(), max_size=4)
)
def test_any_tree_has_an_answer(files: dict[str, bytes]) -> None:
    inits = {f"{p.rpartition('/')[0]}/__init__.py": b"" for p in files}
    assert isinstance(read({**files, **inits}), MigrationSet | Reason)


@pytest.mark.parametrize("path", [f"db/migrate/{'1' * 4400}_x.rb", f"db/migration/V{'1' * 4400}__x.sql"])
def test_number_that_is_too_long_for_a_version_is_no_migration(path: str) -> None:
    found = migration_set({path: "a"}, {})
    assert isinstance(found, MigrationSet)
    assert found.migrations == ()
