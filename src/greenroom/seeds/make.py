"""A dump from a development or staging database, with the flags that a seed needs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from greenroom.core.comment.sanitize import plain
from greenroom.errors import Failed, FixConfiguration

RESTRICT_KEY = "greenroom"
"""Key for \\restrict. By default, pg_dump uses a random key, so each dump of the same data would differ in git."""

_PRODUCTION = re.compile(r"(?:^|[^a-z])(?:prod|prd|production|live|master|primary)(?:[^a-z]|$)", re.IGNORECASE)
_HARMLESS = re.compile(
    r"(?:^|[^a-z])(?:dev|develop|development|stag|stage|staging|test|testing|qa|uat|sandbox|preview|demo|local|localhost|ci)"
    r"(?:[^a-z]|$)",
    re.IGNORECASE,
)
_MACHINE = {"", "localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Source:
    """The database of a URL. The password is never part of a command line, of `repr()` or of a message."""

    kind: str
    host: str
    port: str
    user: str
    database: str
    password: str = field(repr=False)


def source(url: str) -> Source:
    """Parse a URL such as postgresql://user@host/name. Raise `FixConfiguration`."""
    try:
        parts = urlsplit(url)
        port = str(parts.port or "")
    except ValueError:
        raise FixConfiguration("The URL is not valid. Write, for example, postgresql://user@host:5432/name.") from None
    kinds = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
    kind, database = kinds.get(parts.scheme, ""), unquote(parts.path.lstrip("/"))
    if not kind:
        raise FixConfiguration(
            "The URL must begin with postgresql:// or mysql://. For Redis, use `redis-cli --rdb FILE`."
        )
    if database.startswith("-") or (parts.hostname or "").startswith("-"):
        raise FixConfiguration("The URL names a host or a database that begins with a hyphen. Use another name.")
    if not database:
        raise FixConfiguration(f"The URL does not name a database. Write {parts.scheme}://user@host/name.")
    host = _query_host(parts.query) or parts.hostname or ""
    return Source(kind, host, port, unquote(parts.username or ""), database, unquote(parts.password or ""))


def _query_host(query: str) -> str:
    found = re.search(r"(?:^|&)host=([^&]*)", query)
    return unquote(found[1]) if found else ""


def confirmations(found: Source) -> int:
    """Return how often a person must confirm: twice if it looks like production, once if it may be production."""
    names = f"{found.host} {found.database}"
    if _PRODUCTION.search(names):
        return 2
    harmless = found.host in _MACHINE or found.host.startswith("/") or _HARMLESS.search(names)
    return 0 if harmless else 1


def require_confirmed(found: Source, confirmed: int) -> None:
    """Raise `FixConfiguration` unless a person confirmed that this database may be dumped."""
    needed = confirmations(found)
    if confirmed >= needed:
        return
    name = plain(f"{found.host or 'this machine'}/{found.database}", 120)
    if needed == 2:
        raise FixConfiguration(
            f"{name} looks like production, and a seed is copied to every preview. Dump a masked copy instead. If this"
            " is one, pass --anyway twice."
        )
    raise FixConfiguration(
        f"{name} may be production: nothing in its name says development or staging. If it is not, pass --anyway."
    )


def made(found: Source, to: Path, *, form: str = "custom", through: str = "") -> None:
    """Dump a database into a file, which appears only when the dump is complete. Raise `Failed`.

    `form` is `custom` or `plain`. `through` is a command that reads plain SQL and writes it masked.
    """
    if through and form != "plain":
        raise FixConfiguration("--through reads SQL. Add --format plain.")
    command = _postgresql(found, form) if found.kind == "postgresql" else _mysql(found)
    handle, name = tempfile.mkstemp(prefix=f".{to.name}.", dir=_folder(to))
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            _run(command, shlex.split(through), _environment(found), target, found.password)
        draft.chmod(0o644)
        draft.replace(to)
    finally:
        draft.unlink(missing_ok=True)


def _folder(to: Path) -> Path:
    if not to.parent.is_dir():
        raise FixConfiguration(f"{to.parent} is not a folder. Create it, or choose another place.")
    return to.parent


def _postgresql(found: Source, form: str) -> list[str]:
    program = _program("pg_dump")
    flags = [
        *("--no-password", "--no-owner", "--no-privileges", "--no-comments", "--no-security-labels"),
        *("--no-publications", "--no-subscriptions", "--no-tablespaces", f"--format={form}", "--encoding=UTF8"),
    ]
    if form == "plain" and "--restrict-key" in _help(program):
        flags.append(f"--restrict-key={RESTRICT_KEY}")
    where = {"--host": found.host, "--port": found.port, "--username": found.user, "--dbname": found.database}
    return [program, *flags, *(f"{flag}={value}" for flag, value in where.items() if value)]


def _mysql(found: Source) -> list[str]:
    program = _program("mariadb-dump", "mysqldump")
    known = _help(program)
    flags = ["--single-transaction", "--skip-lock-tables", "--hex-blob", "--default-character-set=utf8mb4"]
    if "--set-gtid-purged" in known:
        flags.append("--set-gtid-purged=OFF")
    flags.append("--no-tablespaces")
    where = {"--host": found.host, "--port": found.port, "--user": found.user}
    if found.host.startswith("/"):
        where = {"--socket": found.host, "--user": found.user}
    return [program, *flags, *(f"{flag}={value}" for flag, value in where.items() if value), found.database]


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise Failed(f"{names[0]} was not found. Install the database client, and put it on PATH.")


def _help(program: str) -> str:
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=False).stdout


def _environment(found: Source) -> Mapping[str, str]:
    """Return the environment of the dump program, which is the only place of the password."""
    variable = "PGPASSWORD" if found.kind == "postgresql" else "MYSQL_PWD"
    return os.environ | ({variable: found.password} if found.password else {})


def _run(
    command: list[str], filter_: list[str], environment: Mapping[str, str], target: IO[bytes], password: str
) -> None:
    with tempfile.TemporaryFile() as errors:
        dump = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        assert dump.stdout
        masked = 0
        try:
            if filter_:
                masked = _filtered(filter_, dump.stdout, target)
            else:
                shutil.copyfileobj(dump.stdout, target, 1 << 20)
        finally:
            dump.stdout.close()
            code = dump.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if masked:
        raise Failed(f"The --through command failed with exit code {masked}. No file was written.")
    if code:
        last = (said.strip().splitlines() or ["no message"])[-1]
        reason = plain(last.replace(password, "…") if password else last, 300)
        raise Failed(f"{Path(command[0]).name} failed with exit code {code}: {reason}")


def _filtered(command: list[str], source: IO[bytes], target: IO[bytes]) -> int:
    """Run the masking command between the dump and the file. It inherits stderr but not the password."""
    try:
        return subprocess.run(command, stdin=source, stdout=target, check=False).returncode
    except OSError as error:
        raise Failed(
            f"The --through command cannot be run ({(error.strerror or 'unknown error').lower()}): {command[0]}."
        ) from None
