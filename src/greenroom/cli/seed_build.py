"""The command that builds a seed image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from greenroom.cli.left_out import left_out

if TYPE_CHECKING:
    from greenroom.seeds.build import Request


@click.command(short_help="Restore a dump, and push it as a database image.")
@click.argument("dump", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(["postgresql"]), default="postgresql", show_default=True, help="The engine.")
@click.option("--version", required=True, metavar="MAJOR", help="The version of the engine, such as 16.")
@click.option("--base", required=True, metavar="IMAGE@DIGEST", help="The stock image to build on, by digest.")
@click.option("--to", required=True, metavar="HOST/REPOSITORY", help="The repository to push to.")
@click.option(
    "--mode",
    type=click.Choice(["layer", "copy"]),
    default="layer",
    show_default=True,
    help="The `mode` of the seed in the service file. It is part of the tag.",
)
@click.option("--tag", default="", help="The tag. Default: a hash of everything that the image is built from.")
@click.option("--extension", "extensions", multiple=True, metavar="NAME", help="An extension that the dump needs.")
@click.option("--migrate", default="", metavar="COMMAND", help="A shell command that migrates the restored database.")
@click.option(
    "--migrations",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file or folder that the migration reads. Its content is part of the tag.",
)
@click.option("--layout", type=click.Path(path_type=Path), help="Also write the image as an OCI layout to this folder.")
@click.option(
    "--programs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder of the engine's programs. Default: the installed programs of this version.",
)
@click.option("--gzip", is_flag=True, help="Compress with gzip, for clusters whose containerd is older than 1.5.")
@click.option(
    "--work", type=click.Path(path_type=Path, exists=True, file_okay=False), help="The folder for temporary files."
)
@click.option("--insecure", multiple=True, metavar="HOST", help="A registry host to use without HTTPS.")
@click.option(
    "--realm", multiple=True, metavar="HOST", help="A host, other than the registry's, that issues its tokens."
)
def build(
    dump: Path,
    kind: Literal["postgresql"],
    version: str,
    base: str,
    to: str,
    mode: str,
    tag: str,
    extensions: tuple[str, ...],
    migrate: str,
    migrations: tuple[Path, ...],
    layout: Path | None,
    programs: Path | None,
    gzip: bool,
    work: Path | None,
    insecure: tuple[str, ...],
    realm: tuple[str, ...],
) -> None:
    """Build an image from which databases start with the data of DUMP, and print its reference by digest.

    If the registry already has the image of the same dump, base and options, nothing is built. Log in with
    `docker login` first. With `--migrate`, the command connects as the role app: DATABASE_URL, PGHOST, PGUSER and
    PGDATABASE point to the database.

    In a GitHub Actions job, the reference is also the step's output `image`.
    """
    import asyncio

    try:
        from greenroom.seeds import build as building
        from greenroom.seeds import dumpfile, workfolder
    except ImportError as error:
        raise left_out("`greenroom seed build`", error, extra="seeds") from None
    if migrate and not migrations and not tag:
        raise click.UsageError("--migrate needs --migrations or --tag, because the tag names the content of the image.")
    request = building.Request(
        dump,
        version,
        base,
        to,
        mode,
        extensions,
        migrate,
        dumpfile.git_blob_ids(migrations),
        tag,
        layout,
        programs,
        "gzip" if gzip else "zstd",
        work or workfolder.PARENT,
    )
    image = asyncio.run(_build(request, insecure, realm))
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a") as file:
            file.write(f"image={image}\n")
    click.echo(image)


async def _build(request: Request, insecure: tuple[str, ...], realms: tuple[str, ...]) -> str:
    from greenroom import http_client
    from greenroom.registry.access import Access, Advice
    from greenroom.registry.docker_config import stored_login
    from greenroom.registry.references import reference
    from greenroom.seeds import build as building

    hosts = {reference(name).host for name in (request.base, f"{request.to}:{request.tag or 'tag'}")}
    logins = {host: login for host in hosts if (login := stored_login(host))}
    advice = Advice(
        login="Log in with `docker login`.",
        check="Check that the account of `docker login` may read and write it.",
        realm="allow it with --realm HOST.",
    )
    async with http_client.client(60) as client:
        access = Access(client, logins, insecure, realms, advice)
        return await building.build(request, access, _report)


def _report(phase: str, seconds: float) -> None:
    click.echo(f"{phase:8} {seconds:7.2f} s", err=True)
