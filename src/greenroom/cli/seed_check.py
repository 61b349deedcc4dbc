"""The commands that check a dump, draft its columns file, and make a dump."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from greenroom.cli.options import AS_JSON
from greenroom.errors import FixConfiguration

if TYPE_CHECKING:
    from greenroom.seeds.check import Checked

FILE = click.argument("file", type=click.Path(path_type=Path))


def minimum(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """Return the values of `--rows` by table."""
    wanted = {}
    for value in values:
        table, sign, number = value.rpartition("=")
        if not sign or not table or not number.isdigit():
            raise click.BadParameter(f"{value!r} is not TABLE=NUMBER, such as orders=1000.")
        wanted[table] = int(number)
    return wanted


@click.command(short_help="Report every reason why a dump cannot be a seed.")
@FILE
@click.option(
    "--kind",
    default="",
    type=click.Choice(["", "postgresql", "mysql", "mariadb", "redis", "valkey"]),
    metavar="KIND",
    help="The database: postgresql, mysql, mariadb, redis or valkey.",
)
@click.option("--version", default="", metavar="VERSION", help="The version of the database, such as 16 or 16.4.")
@click.option(
    "--extension",
    "extensions",
    multiple=True,
    metavar="NAME",
    help="An extension that the dump may use, as listed in the seed's `extensions:`.",
)
@click.option(
    "--rows", multiple=True, metavar="TABLE=N", callback=minimum, help="The minimum number of rows in a table."
)
@click.option(
    "--columns",
    type=click.Path(path_type=Path),
    help="The file that classifies the columns. Default: seed.columns.yaml beside the dump.",
)
@click.option(
    "--no-columns",
    is_flag=True,
    help="Skip the check for unclassified columns. Reviewers must then check what the dump contains.",
)
@click.option(
    "--max-size", type=click.IntRange(1), default=95, show_default=True, help="The maximum size of the file, in MB."
)
@click.option(
    "--max-expanded",
    type=click.IntRange(1),
    default=5000,
    show_default=True,
    help="The maximum decompressed size, in MB.",
)
@AS_JSON
def check(
    file: Path,
    kind: str,
    version: str,
    extensions: tuple[str, ...],
    rows: dict[str, int],
    columns: Path | None,
    no_columns: bool,
    max_size: int,
    max_expanded: int,
    as_json: bool,
) -> None:
    """Read the dump FILE, and report every reason why it cannot be a seed. Exit with 1 if there is one."""
    from greenroom.seeds.check import MEGABYTE, Wants, beside
    from greenroom.seeds.check import check as checked

    columns = columns or beside(file)
    sizes = (max_size * MEGABYTE, max_expanded * MEGABYTE)
    result = checked(file, Wants(kind, version, extensions, rows, columns, no_columns, *sizes))
    click.echo(_json(result) if as_json else _text(file, result))
    sys.exit(0 if result.ok else 1)


def _text(file: Path, result: Checked) -> str:
    from greenroom.core.comment.sanitize import counted

    lines = [f"{file}: {'note: ' if each.severity == 'note' else ''}{each}" for each in result.findings]
    refused = len(result.refused)
    engine = f"{result.kind} {result.server}".strip()
    contents = f"{engine}, {result.format}{f' in {result.compression}' if result.compression else ''}"
    counts = f"{counted(len(result.rows), 'table')}, {counted(sum(result.rows.values()), 'row')}"
    about = f" ({contents}, {counts})" if result.format else ""
    return "\n".join([*lines, f"{'refused: ' + counted(refused, 'reason') if refused else 'ok'}{about}"])


def _json(result: Checked) -> str:
    from dataclasses import asdict

    return json.dumps({"version": 1, "ok": result.ok, **asdict(result)})


@click.command(short_help="Draft seed.columns.yaml for a dump.")
@FILE
@click.option(
    "--write", is_flag=True, help="Write seed.columns.yaml beside the dump. Existing classifications are kept."
)
def columns(file: Path, write: bool) -> None:
    """Print a seed.columns.yaml that lists each text column of the dump FILE, for you to classify."""
    from greenroom.seeds import columns as columns_file
    from greenroom.seeds.check import tables

    path = columns_file.beside(file)
    known = columns_file.read(path) if path.exists() else {}
    text = columns_file.draft(tables(file), known)
    if not write:
        click.echo(text, nl=False)
        return
    path.write_text(text)
    click.echo(f"{path}: classify each column that is marked `unclassified`.")


@click.command(short_help="Dump a development or staging database.")
@click.argument("url", envvar="GREENROOM_SEED_URL")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--format", "form", type=click.Choice(["custom", "plain"]), default="custom", show_default=True)
@click.option(
    "--through",
    default="",
    metavar="COMMAND",
    help="A masking command that reads SQL from stdin and writes masked SQL to stdout.",
)
@click.option(
    "--anyway",
    count=True,
    help="Dump even if the database may be in production. Pass the flag twice if the name of the host or database looks"
    " like production.",
)
@click.pass_context
def make(context: click.Context, url: str, to: Path, form: str, through: str, anyway: int) -> None:
    """Dump the database at URL with the flags that a seed needs.

    Other users of a machine can read command lines. If the URL contains a password, set GREENROOM_SEED_URL
    instead of the argument, or put the password in PGPASSWORD or MYSQL_PWD.
    """
    from click.core import ParameterSource

    from greenroom.seeds import make as dump

    source = dump.source(url)
    if source.password and context.get_parameter_source("url") is ParameterSource.COMMANDLINE:
        raise FixConfiguration(
            "The URL on the command line contains a password, which other users of this machine can read. Pass the URL"
            " in GREENROOM_SEED_URL, or the password in PGPASSWORD or MYSQL_PWD."
        )
    dump.require_confirmed(source, anyway)
    dump.made(source, to, form=form, through=through)
    click.echo(f"{to}: done. Next: `greenroom seed columns {to} --write`, then `greenroom seed check {to}`.")
