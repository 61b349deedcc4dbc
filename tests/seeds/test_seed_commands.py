"""`greenroom seed check` and `seed columns` as commands: exit codes, output, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from greenroom.cli import main

HERE = Path(__file__).parent
SHOP = HERE.parent.parent / "examples" / "shop" / "catalog" / "seed" / "catalog.sql"


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["seed", *map(str, arguments)])
    return result.exit_code, result.output


def test_seed_of_the_example_passes() -> None:
    code, output = _run("check", SHOP, "--kind", "postgresql", "--version", "16", "--rows", "products=30")
    assert code == 0
    assert output.endswith("ok (postgresql, plain SQL, 1 table, 30 rows)\n")


def test_refused_dump_exits_with_1_and_one_line_for_each_reason(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("CREATE ROLE a;\nCREATE ROLE b;\nDO $$ $$;\nCREATE TABLE t (a text);\n")
    code, output = _run("check", dump)
    assert code == 1
    lines = output.splitlines()
    assert lines[0].startswith(f"{dump}: line 1 and 1 more: The dump creates, changes or drops roles")
    assert lines[1].startswith(f"{dump}: line 3: A DO block")
    assert lines[-1] == "refused: 3 reasons (postgresql, plain SQL, 1 table, 0 rows)"


def test_json_has_the_same_findings(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("CREATE ROLE a;\n")
    code, output = _run("check", dump, "--json")
    told = json.loads(output)
    assert (code, told["ok"], told["version"], told["findings"][0]["where"]) == (1, False, 1, "line 1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("check", "missing.sql"), "missing.sql cannot be read (no such file or directory)"),
        (("check", HERE), "is not a file"),
        (("check", SHOP, "--rows", "products"), "is not TABLE=NUMBER"),
        (("check", SHOP, "--columns", "missing.yaml"), "missing.yaml cannot be read"),
        (("check", SHOP, "--kind", "oracle"), "'oracle' is not one of"),
    ],
)
def test_wrong_calls_exit_with_2(arguments: tuple[object, ...], sentence: str) -> None:
    code, output = _run(*arguments)
    assert code == 2
    assert sentence in " ".join(output.split())


def test_folder_of_pg_dump_is_named(tmp_path: Path) -> None:
    (tmp_path / "toc.dat").write_bytes(b"PGDMP")
    code, output = _run("check", tmp_path)
    assert code == 1
    assert "Store the output of `pg_dump --format=directory` as a tar file." in output


def test_columns_are_drafted_written_and_kept(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text("CREATE TABLE t (a text, b integer);\n")
    code, output = _run("columns", dump)
    assert code == 0
    assert "public.t:\n  a: unclassified\n" in output
    assert not (tmp_path / "seed.columns.yaml").exists()
    assert _run("columns", dump, "--write")[0] == 0
    assert _run("check", dump)[0] == 1
    written = tmp_path / "seed.columns.yaml"
    written.write_text(written.read_text().replace("unclassified", "public"))
    assert _run("check", dump)[0] == 0
    dump.write_text("CREATE TABLE t (a text, b integer, c text);\n")
    _run("columns", dump, "--write")
    assert written.read_text().endswith("public.t:\n  a: public\n  c: unclassified\n")


def test_dump_that_cannot_be_read_has_no_draft(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_bytes(b"")
    assert _run("columns", dump) == (1, "The dump is empty. Dump the database again.\n")
