"""The command that builds a seed image."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from greenroom.cli.left_out import left_out
from greenroom.cli.registries import access, registries
from greenroom.cli.seed_check import minimum

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from greenroom.seeds.build import Request

T = TypeVar("T")
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_OF_THE_PLATFORM = ("dump", "version", "base", "to", "mode", "tag", "extensions", "rows")
"""Arguments that cannot be combined with --platform, because the configuration sets them."""
_REQUIRED = {"dump": "DUMP", "version": "--version", "base": "--base", "to": "--to"}


@click.command(short_help="Build and push a database image with the data from a dump.")
@click.argument("dump", type=click.Path(path_type=Path), required=False)
@click.option("--platform", type=click.Path(path_type=Path), help="The folder that contains greenroom.yaml.")
@click.option(
    "--need", default="", metavar="SERVICE/NEED", help="The need to build the seed image for. Requires --platform."
)
@click.option("--checkout", type=FOLDER, help="A checkout of the dump's repository. Default: the current folder.")
@click.option("--worktree", is_flag=True, help="With --platform, use the dump in the working tree, committed or not.")
@click.option(
    "--kind",
    type=click.Choice(["postgresql", "mariadb", "mysql"]),
    default="postgresql",
    show_default=True,
    help="The database: postgresql, mariadb or mysql.",
)
@click.option("--version", default="", metavar="MAJOR", help="The version of the database, such as 16.")
@click.option("--base", default="", metavar="IMAGE", help="The stock image to build on, by digest or tag.")
@click.option("--to", default="", metavar="HOST/REPOSITORY", help="The repository to push to.")
@click.option(
    "--mode",
    type=click.Choice(["layer", "copy", "restore"]),
    default=None,
    help="The seed's `mode`, as in the service file. Default: layer. The default tag depends on the mode.",
)
@click.option("--tag", default="", help="The tag. Default: a hash of everything that the image is built from.")
@click.option("--extension", "extensions", multiple=True, metavar="NAME", help="An extension that the dump needs.")
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
@click.option("--migrate", default="", metavar="COMMAND", help="A shell command that migrates the restored database.")
@click.option(
    "--migrations",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file or folder that the migration reads. The default tag depends on the content of each.",
)
@click.option(
    "--folder",
    default="",
    metavar="PATH",
    help="The folder that contains the migrations, as in the seed's `migrations:`.",
)
@click.option("--layout", type=click.Path(path_type=Path), help="Also write the image as an OCI layout to this folder.")
@click.option(
    "--programs",
    type=FOLDER,
    help="The folder with the database programs. Default: the installed programs that match the database version.",
)
@click.option(
    "--gzip",
    is_flag=True,
    help="Compress the image with gzip instead of zstd, for clusters whose containerd is older than 1.5.",
)
@click.option("--work", type=FOLDER, help="The folder for temporary files.")
@registries
def build(**given: Any) -> None:
    """Build a database image that contains the data of DUMP, and print its reference with the digest.

    \b
    greenroom seed build DUMP --version 16 --base IMAGE --to HOST/REPOSITORY
    greenroom seed build --platform FOLDER --need SERVICE/NEED

    The second form takes everything from the configuration, so that previews find the image. DUMP is checked first, as
    `greenroom seed check` does. If the registry already has the image of the same dump, base and options, nothing is
    built. Log in with `docker login` first. With `--migrate`, the command connects as the role app: DATABASE_URL and
    PGHOST, PGUSER and PGDATABASE point to the database.

    The image records the migrations that the dump already contains, with their content in the checkout's last commit.

    In a GitHub Actions job, the reference is also the step's output `image`.
    """
    try:
        from greenroom.seeds import build as _needs_the_extra  # noqa: F401
    except ImportError as error:
        raise left_out("`greenroom seed build`", error, extra="seeds") from None
    if given["migrate"] and not given["migrations"] and not given["tag"]:
        raise click.UsageError(
            "--migrate needs --migrations or --tag, because the tag must identify the content of the image."
        )
    request, hosts = _of_platform(given) if given["platform"] else _of_arguments(given)
    if request.migrate and request.mode == "restore":
        raise click.UsageError(
            "--migrate needs `mode: layer` or `mode: copy`: with `restore`, the build does not restore the dump."
        )
    image = cancellable(_build(request, (*hosts[0], *given["insecure"]), (*hosts[1], *given["realm"])))
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a") as file:
            file.write(f"image={image}\n")
    click.echo(image)


_Hosts = tuple[tuple[str, ...], tuple[str, ...]]
"""Insecure hosts, and hosts that issue tokens."""


def _of_platform(given: dict[str, Any]) -> tuple[Request, _Hosts]:
    from greenroom.seeds import wanted

    if both := [name for name in _OF_THE_PLATFORM if given[name]]:
        name = {"extensions": "--extension", "dump": "DUMP"}.get(both[0], f"--{both[0]}")
        raise click.UsageError(f"{name} cannot be combined with --platform, because the configuration sets it.")
    if not given["need"]:
        raise click.UsageError("--platform needs --need SERVICE/NEED.")
    seeded = wanted.load(given["platform"])
    request = wanted.request(seeded, given["need"], given["checkout"] or Path(), worktree=given["worktree"])
    return _completed(request, given), (seeded.registry.insecure, seeded.registry.realms)


def _of_arguments(given: dict[str, Any]) -> tuple[Request, _Hosts]:
    from greenroom.seeds.build import Request

    if missing := [text for name, text in _REQUIRED.items() if not given[name]]:
        raise click.UsageError(f"Without --platform, this command requires {', '.join(missing)}.")
    request = Request(
        given["dump"],
        given["version"],
        given["base"],
        given["to"],
        given["mode"] or "layer",
        given["extensions"],
        tag=given["tag"],
        rows=tuple(sorted(given["rows"].items())),
        kind=given["kind"],
    )
    return _completed(request, given), ((), ())


def _completed(request: Request, given: dict[str, Any]) -> Request:
    """Return the request with the arguments that never come from the configuration."""
    from greenroom import dumpfile
    from greenroom.seeds import workfolder

    return replace(
        request,
        migrate=given["migrate"],
        migrations=dumpfile.git_blob_ids(given["migrations"]),
        layout=given["layout"],
        programs=given["programs"],
        compression="gzip" if given["gzip"] else "zstd",
        work=given["work"] or workfolder.PARENT,
        columns=given["columns"],
        no_columns=given["no_columns"],
        checkout=given["checkout"] or Path(),
        folder=given["folder"] or request.folder,
    )


async def _build(request: Request, insecure: tuple[str, ...], realms: tuple[str, ...]) -> str:
    from greenroom.seeds import build as building

    async with access((request.base, f"{request.to}:{request.tag or 'tag'}"), insecure, realms) as opened:
        return await building.build(request, opened, report_phase)


def cancellable(running: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine. SIGTERM cancels it, as Ctrl-C does, so that it leaves no server and no file behind."""
    import asyncio
    import signal

    async def run() -> T:
        task = asyncio.ensure_future(running)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise click.exceptions.Exit(128 + signal.SIGTERM) from None


def report_phase(phase: str, seconds: float) -> None:
    """Print how long a phase took."""
    click.echo(f"{phase:8} {seconds:7.2f} s", err=True)
