"""Differences between the database engines whose restored data is packed into a layer.

To add one, write a script with the interface of bake-postgresql.sh, and its `seeded` start in core/model/kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.seeds import mysqldata, pgdata, programs

HERE = Path(__file__).parent
COMMON, EXTENSION = HERE / "bake-common.sh", HERE / "extension.sql"


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine.

    `script` turns a dump into data, and `beside` are the files that it needs. It leaves the data in the folder `data`
    of its work folder, and an image has it at `place`. `variables` are the image's, and `stop_signal` makes its server
    stop without waiting for clients; None keeps the stock image's.
    `verify` takes the data, the server's version and the wanted one. `programs` finds the engine's programs here.
    `addresses` returns the variables of a migration from the work folder and the name of the database; variables with
    one of the `prefixes` would lead it to another server.
    """

    script: Path
    beside: tuple[Path, ...]
    data: str
    place: str
    verify: Callable[[Path, str, str], None]
    programs: Callable[[str, Path | None], Path]
    addresses: Callable[[Path, str], Mapping[str, str]]
    prefixes: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str | None = None


def _libpq(work: Path, database: str) -> dict[str, str]:
    """Return the address for libpq, and as a URL. https://www.postgresql.org/docs/current/libpq-envars.html"""
    place = {"PGHOST": str(work / "socket"), "PGPORT": "5432", "PGUSER": "app", "PGDATABASE": database}
    return {**place, "DATABASE_URL": f"postgresql://app@/{database}?host={work / 'socket'}&port=5432"}


def _mysql(work: Path, database: str) -> dict[str, str]:
    """Return the address for the clients of MySQL, and as a URL with the socket, as Django, Rails and PyMySQL read it.

    https://dev.mysql.com/doc/refman/8.4/en/environment-variables.html
    """
    socket = work / "socket" / "server"
    return {"MYSQL_UNIX_PORT": str(socket), "DATABASE_URL": f"mysql://app@localhost/{database}?unix_socket={socket}"}


def _verify_postgresql(folder: Path, server: str, version: str) -> None:
    pgdata.verify(folder, version)


POSTGRESQL = Engine(
    script=HERE / "bake-postgresql.sh",
    beside=(COMMON, EXTENSION, HERE / "report" / "ledgers.sql"),
    data="pgdata",
    place=pgdata.PLACE,
    verify=_verify_postgresql,
    programs=programs.postgresql,
    addresses=_libpq,
    prefixes=("PG",),
    variables={"PGDATA": pgdata.PLACE},
    stop_signal="SIGINT",
)
MYSQL = Engine(
    script=HERE / "bake-mysql.sh",
    beside=(COMMON,),
    data="mysqldata",
    place=mysqldata.PLACE,
    verify=mysqldata.verify,
    programs=programs.mysql,
    addresses=_mysql,
    prefixes=("MYSQL_", "MARIADB_"),
)
ENGINES: Mapping[str, Engine] = {"postgresql": POSTGRESQL, "mariadb": MYSQL, "mysql": MYSQL}
"""By kind of need."""
