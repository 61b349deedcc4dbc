"""The command that deletes seed images that nothing needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from greenroom.cli.left_out import left_out
from greenroom.cli.registries import access, registries

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.seeds.retention import InUse, Verdict
    from greenroom.seeds.stored import Store


@click.command(short_help="List seed images. With --delete, delete those that nothing needs.")
@click.option(
    "--platform", required=True, type=click.Path(path_type=Path), help="The folder that contains greenroom.yaml."
)
@click.option(
    "--checkout",
    "checkouts",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A checkout of a repository with dumps. The images for the checkout's current commit are kept.",
)
@click.option(
    "--admin",
    "admins",
    multiple=True,
    default=("http://127.0.0.1:8083",),
    envvar="GREENROOM_ADMIN",
    show_default=True,
    show_envvar=True,
    help="The admin address of the running instance. Repeat the option for each instance that shares the images.",
)
@click.option(
    "--delete", "act", is_flag=True, help="Delete the images that are not kept. Without this flag, nothing is deleted."
)
@registries
def prune(
    platform: Path,
    checkouts: tuple[Path, ...],
    admins: tuple[str, ...],
    act: bool,
    insecure: tuple[str, ...],
    realm: tuple[str, ...],
) -> None:
    """List seed images and the reason why each one is kept. With --delete, delete the others.

    An image is kept if a preview uses it, if it is one of the five newest of its dump, if it is younger than a week, or
    if its dump is unknown. Nothing is deleted unless Greenroom and the registry give complete answers.
    """
    import asyncio

    try:
        from greenroom.seeds import wanted
        from greenroom.seeds.stored import Store
    except ImportError as error:
        raise left_out("`greenroom seed prune`", error, extra="seeds") from None
    seeded = wanted.load(platform)
    current = {tag: name for path in checkouts for tag, name in wanted.current(seeded, path).items()}
    hosts = (*seeded.registry.insecure, *insecure), (*seeded.registry.realms, *realm)

    async def pruned() -> None:
        async with access((f"{seeded.image}:tag",), *hosts) as opened:
            await _prune(Store(opened, seeded.image), lambda: _in_use(admins, seeded.image, current), act=act)

    asyncio.run(pruned())


async def _prune(store: Store, in_use: Callable[[], InUse], *, act: bool) -> None:
    from datetime import UTC, datetime

    from greenroom.core.comment.sanitize import counted
    from greenroom.seeds.retention import verdicts

    images = await store.images()
    found = verdicts(images, in_use(), datetime.now(UTC))
    for each in found:
        click.echo(_line(each))
    rest = {each.stored.digest: each.stored for each in found if not each.why}
    total = len({each.digest for each in images})
    if not act:
        more = " Pass --delete to delete them." if rest else ""
        click.echo(f"{len(rest)} of {counted(total, 'image')} can be deleted.{more}")
        return
    deleted = 0
    for stored in rest.values():
        if in_use().user(stored):  # a preview has started from it since the list was read
            continue
        await store.delete(stored)
        deleted += 1
    click.echo(f"Deleted {deleted} of {counted(total, 'image')}.")


def _line(verdict: Verdict) -> str:
    built = f"{verdict.stored.built:%Y-%m-%d}" if verdict.stored.built else "          "
    return f"{verdict.stored.tag:16}  {built}  {'keep: ' + verdict.why if verdict.why else 'delete'}"


def _in_use(admins: tuple[str, ...], image: str, current: dict[str, str]) -> InUse:
    """Ask every instance. Raise `Failed` unless all of them answer completely."""
    from greenroom.errors import Failed
    from greenroom.seeds.retention import InUse
    from greenroom.terminal import client

    digests, tags = {}, dict(current)
    for admin in admins:
        try:
            for seed in client.ask(admin, "/api/seeds")["seeds"]:
                digests[str(seed["digest"])] = str(seed["preview"])
                if str(seed["image"]).startswith(f"{image}:"):
                    tags[str(seed["image"]).rpartition(":")[2]] = str(seed["preview"])
        except (KeyError, TypeError):
            raise Failed(f"{admin} did not report which seeds previews use, so nothing was deleted.") from None
    return InUse(digests, tags)
