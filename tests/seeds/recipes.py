"""Recipes of dumps: how each file of the two corpora is made from what real programs write."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

from seeds.dump_server import Server

HERE = Path(__file__).parent
PORTABLE = ("--no-owner", "--no-privileges", "--restrict-key=key")


class Kitchen:
    """The dumps of the server, each made once."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @cached_property
    def plain(self) -> bytes:
        return self.server.dump(*PORTABLE)

    @cached_property
    def custom(self) -> bytes:
        return self.server.dump("-Fc")

    @cached_property
    def uncompressed(self) -> bytes:
        return self.server.dump("-Fc", "-Z0")

    @cached_property
    def folder(self) -> dict[str, bytes]:
        return self._folder("-Z0")

    @cached_property
    def compressed_folder(self) -> dict[str, bytes]:
        return self._folder()

    def _folder(self, *flags: str) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as temporary:
            target = Path(temporary) / "dump"
            self.server.dump("-Fd", "-f", target, *flags)
            return {path.name: path.read_bytes() for path in target.iterdir()}

    @cached_property
    def redis(self) -> bytes:
        program = shutil.which("redis-server")
        client = shutil.which("redis-cli")
        if not program or not client:
            pytest.skip("redis-server and redis-cli are not installed")
        with tempfile.TemporaryDirectory() as folder:
            socket = f"{folder}/socket"
            command = [program, "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                _answers([client, "-s", socket, "ping"])
                lines = "".join(f"SET user:{i} user{i}@example.com\n" for i in range(500)) + "SAVE\n"
                subprocess.run([client, "-s", socket], input=lines, text=True, check=True, stdout=subprocess.DEVNULL)
                return Path(folder, "dump.rdb").read_bytes()
            finally:
                running.terminate()
                running.wait()

    def scratch(self, sql: str, *flags: str, drop: str = "") -> bytes:
        """Return a dump of a database of its own, with these objects."""
        self.server.sql("postgres", "CREATE DATABASE scratch")
        try:
            self.server.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", "scratch", "-c", sql)
            return self.server.dump(*flags, database="scratch")
        finally:
            if drop:
                self.server.sql("scratch", drop)
            self.server.sql("postgres", "DROP DATABASE scratch WITH (FORCE)")


def _answers(command: list[str]) -> None:
    limit = time.monotonic() + 20
    while subprocess.run(command, capture_output=True, check=False).returncode:
        assert time.monotonic() < limit
        time.sleep(0.02)


def zstd(data: bytes, *flags: str) -> bytes:
    program = shutil.which("zstd")
    if not program:
        pytest.skip("zstd is not installed")
    return subprocess.run([program, "-q", "--check", *flags], input=data, capture_output=True, check=True).stdout


def tar(files: dict[str, bytes], prefix: str = "dump/") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def flipped(data: bytes, at: float = 0.5) -> bytes:
    """Return the data with one bit changed."""
    index = int(len(data) * at)
    return data[:index] + bytes([data[index] ^ 16]) + data[index + 1 :]


def cut(data: bytes, at: float = 0.5) -> bytes:
    return data[: int(len(data) * at)]


def with_statement(kitchen: Kitchen, statement: str) -> bytes:
    """Return the plain dump with a statement before its rows."""
    before, copy, after = kitchen.plain.partition(b"\nCOPY public.customers")
    return before + b"\n" + statement.encode() + b"\n" + copy + after


def with_value(kitchen: Kitchen, value: str) -> bytes:
    return kitchen.plain.replace(b"Name 17\t", value.encode() + b"\t")


def _sqlite() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a text)")
    return connection.serialize()


def _zip(data: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("dump.sql", data)
    return target.getvalue()


Recipe = Callable[[Kitchen], bytes]

MARIADB = {name: (HERE / "mariadb" / f"{name}.sql").read_bytes() for name in ("plain", "definer", "databases", "users")}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"

GOOD: dict[str, Recipe] = {
    "plain": lambda k: k.plain,
    "plain, data as INSERT": lambda k: k.server.dump(*PORTABLE, "--inserts"),
    "plain, data as INSERT of many rows with columns": lambda k: k.server.dump(
        *PORTABLE, "--rows-per-insert=100", "--column-inserts", "--on-conflict-do-nothing"
    ),
    "plain, with clean": lambda k: k.server.dump(*PORTABLE, "--clean", "--if-exists"),
    "plain, without restrict": lambda k: k.plain.replace(b"\\restrict key\n", b"").replace(b"\\unrestrict key\n", b""),
    "gzip": lambda k: gzip.compress(k.plain),
    "gzip of two members": lambda k: gzip.compress(k.plain[:1000]) + gzip.compress(k.plain[1000:]),
    "zstd": lambda k: zstd(k.plain),
    "zstd of two frames": lambda k: zstd(k.plain[:1000]) + zstd(k.plain[1000:]),
    "custom": lambda k: k.custom,
    "custom, uncompressed": lambda k: k.uncompressed,
    "custom, data as INSERT": lambda k: k.server.dump("-Fc", "--inserts"),
    "custom, in zstd": lambda k: zstd(k.uncompressed),
    "directory": lambda k: tar(k.compressed_folder),
    "directory, toc first": lambda k: tar(dict(sorted(k.folder.items(), reverse=True)), prefix=""),
    "directory, in zstd": lambda k: tar(
        {
            f"{n}.zst" if n.endswith(".dat") and n != "toc.dat" else n: zstd(c)
            if n.endswith(".dat") and n != "toc.dat"
            else c
            for n, c in k.folder.items()
        }
    ),
    "directory, tar in gzip": lambda k: gzip.compress(tar(k.compressed_folder, prefix="./")),
    "mariadb": lambda _: MARIADB["plain"],
    "mariadb, in gzip": lambda _: gzip.compress(MARIADB["plain"]),
    "redis": lambda k: k.redis,
}

BAD: dict[str, Recipe] = {
    "plain, cut": lambda k: cut(k.plain),
    "plain, cut between two statements": lambda k: k.plain[
        : k.plain.index(b"--\n-- Name: customers_id_seq; Type: SEQUENCE SET")
    ],
    "plain, cut before the last comment": lambda k: k.plain[: k.plain.index(b"-- PostgreSQL database dump complete")],
    "gzip, cut": lambda k: cut(gzip.compress(k.plain)),
    "gzip, without its trailer": lambda k: gzip.compress(k.plain)[:-8],
    "gzip, bit flipped": lambda k: flipped(gzip.compress(k.plain)),
    "gzip, bit flipped in the trailer": lambda k: flipped(gzip.compress(k.plain), 0.99999),
    "gzip, bytes after its end": lambda k: gzip.compress(k.plain) + b"<html>",
    "gzip, twice": lambda k: gzip.compress(gzip.compress(k.plain)),
    "gzip, expands too far": lambda k: gzip.compress(k.plain + b"-- " + b"x" * 12_000_000),
    "zstd, cut": lambda k: cut(zstd(k.plain)),
    "zstd, bit flipped": lambda k: flipped(zstd(k.plain), 0.99999),
    "custom, cut in its rows": lambda k: cut(k.custom, 0.9),
    "custom, cut between two tables": lambda k: k.uncompressed[: k.uncompressed.rindex(b"\\.\n\n\n") + 5 + 5],
    "custom, cut in its contents": lambda k: cut(k.custom, 0.2),
    "custom, bit flipped": lambda k: flipped(k.custom, 0.9),
    "custom, only its header": lambda k: k.custom[:5] + b"\xff" * 40,
    "custom, of a future version": lambda k: k.custom[:6] + b"\x63" + k.custom[7:],
    "custom, newer than the service": lambda k: k.custom,
    "directory, cut": lambda k: cut(tar(k.compressed_folder), 0.4),
    "directory, without one file": lambda k: tar(
        {n: c for n, c in k.folder.items() if not n.startswith(min(k.folder))}
    ),
    "directory, without its contents": lambda k: tar({n: c for n, c in k.folder.items() if n != "toc.dat"}),
    "directory, with a path outside": lambda k: tar({"../../etc/cron.d/x": b"x", **k.folder}),
    "tar of pg_dump": lambda k: k.server.dump("-Ft"),
    "newer than the service": lambda k: k.plain,
    "pg_dump newer than the service": lambda k: k.plain.replace(
        b"from database version 18", b"from database version 16"
    ),
    "restrict, and a psql that does not know it": lambda k: k.plain.replace(b"version 18", b"version 16"),
    "owners and privileges": lambda k: k.scratch(
        "CREATE ROLE clerk; CREATE TABLE t (a int); GRANT SELECT ON t TO clerk",
        drop="DROP OWNED BY clerk; DROP ROLE clerk",
    ),
    "all databases": lambda k: k.server.run("pg_dumpall", "--schema-only", "--no-role-passwords"),
    "with its database": lambda k: k.server.dump(*PORTABLE, "--create", "--schema-only"),
    "clean without if exists": lambda k: k.server.dump(*PORTABLE, "--clean"),
    "statistics": lambda k: k.server.dump(*PORTABLE, "--statistics"),
    "role with a password": lambda k: with_statement(k, "CREATE ROLE bob PASSWORD 'md5abcdef';"),
    "copy from a program": lambda k: with_statement(k, "COPY public.notes FROM PROGRAM 'id';"),
    "copy from a file": lambda k: with_statement(k, "COPY public.notes FROM '/etc/passwd';"),
    "a block that builds its statement": lambda k: with_statement(
        k, "DO $$ BEGIN EXECUTE 'COPY t FROM PRO' || 'GRAM ''id'''; END $$;"
    ),
    "a function that reads files": lambda k: k.scratch(
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN pg_read_file('/etc/passwd'); END $$",
        *PORTABLE,
    ),
    "untrusted language": lambda k: k.scratch(
        "CREATE FUNCTION f(cstring) RETURNS integer LANGUAGE internal AS 'int4in'", *PORTABLE
    ),
    "publication": lambda k: k.scratch("CREATE PUBLICATION p FOR ALL TABLES", *PORTABLE),
    "subscription": lambda k: k.scratch(
        "CREATE SUBSCRIPTION s CONNECTION 'host=db.example.com' PUBLICATION p WITH (connect = false)",
        *PORTABLE,
        drop="ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s",
    ),
    "foreign server": lambda k: k.scratch(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w", *PORTABLE
    ),
    "event trigger": lambda k: k.scratch(
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        " CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f()",
        *PORTABLE,
    ),
    "extension that is not named": lambda k: with_statement(
        k, "CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;"
    ),
    "extension that must be preloaded": lambda k: with_statement(k, "CREATE EXTENSION IF NOT EXISTS pg_cron;"),
    "comment of an extension": lambda k: with_statement(k, "COMMENT ON EXTENSION hstore IS 'store';"),
    "job of pg_cron": lambda k: with_statement(k, "SELECT cron.schedule('0 3 * * *', 'VACUUM');"),
    "shell command": lambda k: with_statement(k, "\\! id"),
    "shell command behind a statement": lambda k: with_statement(k, "SELECT 1 \\g |id"),
    "second restrict": lambda k: with_statement(k, "\\unrestrict key2"),
    "function of dblink": lambda k: with_statement(
        k, "CREATE VIEW v AS SELECT * FROM dblink('host=db', 'SELECT 1') AS t(a int);"
    ),
    "value that is computed": lambda k: with_statement(
        k, "INSERT INTO public.notes VALUES (1, current_user || pg_sleep(1));"
    ),
    "rows that are selected": lambda k: with_statement(k, "INSERT INTO public.notes SELECT 1, 'a';"),
    "statement that no dump contains": lambda k: with_statement(k, "VACUUM FULL;"),
    "setting that no dump contains": lambda k: with_statement(k, "SET session_replication_role = 'replica';"),
    "strings with backslashes": lambda k: with_statement(k, "SET standard_conforming_strings = off;"),
    "tablespace": lambda k: with_statement(k, "SET default_tablespace = fast;"),
    "escape string that continues": lambda k: with_statement(k, "SELECT E'a'\n'b\\'; DROP TABLE t; --';"),
    "rows without their table": lambda _: b"INSERT INTO t VALUES (1, 'anna@gmail.com');\n",
    "LFS pointer": lambda _: LFS,
    "UTF-16": lambda k: k.plain.decode().encode("utf-16"),
    "byte order mark": lambda k: b"\xef\xbb\xbf" + k.plain,
    "Windows line endings": lambda k: k.plain.replace(b"\n", b"\r\n"),
    "empty": lambda _: b"",
    "binary": lambda _: bytes(range(256)) * 8,
    "SQLite file": lambda _: _sqlite(),
    "dump of SQLite": lambda _: b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n",
    "ZIP": lambda k: _zip(k.plain),
    "xz": lambda k: lzma.compress(k.plain),
    "too large": lambda k: k.plain + b"-- " + b"x" * 2_000_000,
    "MariaDB for PostgreSQL": lambda _: MARIADB["plain"],
    "PostgreSQL for MariaDB": lambda k: k.plain,
    "MariaDB, newer than the service": lambda _: MARIADB["plain"],
    "MariaDB, cut": lambda _: cut(MARIADB["plain"], 0.6),
    "MariaDB, cut before the last comment": lambda _: MARIADB["plain"][: MARIADB["plain"].index(b"-- Dump completed")],
    "MariaDB, with definers": lambda _: MARIADB["definer"],
    "MariaDB, with its database": lambda _: MARIADB["databases"],
    "MariaDB, with its accounts": lambda _: MARIADB["users"],
    "MariaDB, loads a file": lambda _: MARIADB["plain"].replace(
        b"LOCK TABLES", b"LOAD DATA INFILE '/etc/passwd' INTO TABLE t;\nLOCK TABLES", 1
    ),
    "MySQL, with GTID": lambda _: MARIADB["plain"].replace(
        b"LOCK TABLES", b"SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5';\nLOCK TABLES", 1
    ),
    "MariaDB, shell command": lambda _: MARIADB["plain"].replace(b"LOCK TABLES", b"system id;\nLOCK TABLES", 1),
    "MariaDB, hidden in a comment": lambda _: MARIADB["plain"].replace(
        b"LOCK TABLES", b"/*!99999 ' */; GRANT ALL ON *.* TO x; /* ' */;\nLOCK TABLES", 1
    ),
    "Redis, cut": lambda k: cut(k.redis),
    "Redis, bit flipped": lambda k: flipped(k.redis),
    "Redis, newer than the service": lambda k: k.redis,
    "too few rows": lambda k: k.plain,
    "table that is missing": lambda k: k.plain,
    "column that is not listed": lambda k: k.plain,
    "no columns file": lambda k: k.plain,
    "e-mail address": lambda k: with_value(k, "anna.schmidt@gmail.com"),
    "card number": lambda k: with_value(k, "4929 1234 5678 9015"),
    "IBAN": lambda k: with_value(k, "DE89 3704 0044 0532 0130 00"),
    "phone number": lambda k: with_value(k, "+49 170 1234567"),
    "token": lambda k: with_value(k, "ghp_" + "a1B2" * 9),
    "password hash": lambda k: with_value(k, "$2b$12$" + "abcdefghijklmnopqrstuv" + "A" * 31),
}
