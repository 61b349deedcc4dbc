"""`greenroom seed make`: the right flags, no password in sight, and no dump of production by accident."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from greenroom.cli import main
from greenroom.errors import Failed, FixConfiguration
from greenroom.seeds import make
from greenroom.seeds.check import Wants, check
from seeds.dump_server import Server, server

__all__ = ["server"]


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("postgresql://db.prod.acme.com/shop", 2),
        ("postgresql://shop-production.abc.eu-central-1.rds.amazonaws.com/shop", 2),
        ("postgresql://localhost/shop_production", 2),
        ("mysql://primary.db/shop", 2),
        ("postgresql://staging.acme.com/shop", 0),
        ("postgresql://db.acme.com/shop_dev", 0),
        ("postgresql://localhost/shop", 0),
        ("postgresql:///shop?host=/run/postgresql", 0),
        ("postgresql://10.0.0.7/shop", 1),
        ("postgresql://products.acme.com/shop", 1),
    ],
)
def test_hosts_that_may_be_production_are_confirmed(url: str, needed: int) -> None:
    source = make.source(url)
    assert make.confirmations(source) == needed
    make.require_confirmed(source, needed)
    if needed:
        with pytest.raises(FixConfiguration, match="--anyway"):
            make.require_confirmed(source, needed - 1)


@pytest.mark.parametrize(
    "url", ["shop", "redis://localhost/0", "postgresql://localhost", "postgresql://h:x/db", "mysql:///-x"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(FixConfiguration):
        make.source(url)


def test_password_on_the_command_line_is_refused_and_never_shown(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["seed", "make", "postgresql://u:s3cret@localhost/shop", "--to", str(tmp_path / "x")]
    )
    assert result.exit_code == 2
    assert "GREENROOM_SEED_URL" in result.output
    assert "s3cret" not in result.output
    assert "s3cret" not in repr(make.source("postgresql://u:s3cret@localhost/shop"))


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_password_reaches_the_dump_program_by_its_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(
        tmp_path, "pg_dump", 'echo "arguments: $*"; echo "password: $PGPASSWORD"; echo "denied for s3cret" >&2; exit 3'
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    target = tmp_path / "dump"
    with pytest.raises(Failed) as raised:
        make.made(make.source("postgresql://u:s3cret@localhost/shop"), target)
    assert str(raised.value) == "pg_dump failed with exit code 3: denied for …"
    assert not target.exists()
    assert list(tmp_path.glob(".dump*")) == []


def _url(server: Server) -> str:
    return f"postgresql://admin@/shop?host={server.folder}"


@pytest.fixture
def with_client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("PATH", f"{server.programs}:{os.environ['PATH']}")
    return server


@pytest.mark.parametrize("form", ["custom", "plain"])
def test_dump_passes_the_check(with_client: Server, tmp_path: Path, form: str) -> None:
    target = tmp_path / "seed"
    result = CliRunner().invoke(main, ["seed", "make", _url(with_client), "--to", str(target), "--format", form])
    assert (result.exit_code, result.output.startswith(f"{target}: done.")) == (0, True)
    checked = check(target, Wants("postgresql", "18", no_columns=True))
    assert checked.ok
    assert checked.rows["public.orders"] == 900


def test_two_plain_dumps_of_the_same_data_are_identical(with_client: Server, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make.made(make.source(_url(with_client)), tmp_path / name, form="plain")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_masker_reads_sql_and_its_failure_leaves_no_file(with_client: Server, tmp_path: Path) -> None:
    target, source = tmp_path / "seed", make.source(_url(with_client))
    make.made(source, target, form="plain", through="sed 's/user[0-9]*@/masked@/'")
    assert b"masked@example.com" in target.read_bytes()
    assert b"user1@" not in target.read_bytes()
    for through, sentence in (("false", "failed with exit code 1"), ("no-such-program", "cannot be run")):
        with pytest.raises(Failed, match=sentence):
            make.made(source, tmp_path / "other", form="plain", through=through)
    assert not (tmp_path / "other").exists()
    with pytest.raises(FixConfiguration, match="--format plain"):
        make.made(source, target, through="cat")


def test_database_that_does_not_exist_is_named(with_client: Server, tmp_path: Path) -> None:
    with pytest.raises(Failed, match='database "gone" does not exist'):
        make.made(make.source(_url(with_client).replace("shop", "gone")), tmp_path / "x")
