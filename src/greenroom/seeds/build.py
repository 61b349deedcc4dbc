"""A seed image from a dump: restored, migrated, verified, stopped, packed, and pushed on top of a stock image."""

from __future__ import annotations

import asyncio
import datetime
import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.core.model.github import Present, Unknown
from greenroom.core.model.seeds import SeedInputs
from greenroom.errors import Failed
from greenroom.registry import lookup
from greenroom.registry.access import Access
from greenroom.registry.references import reference
from greenroom.seeds import bake, dumpfile, layer, oci, pgdata, pull, schema, workfolder
from greenroom.seeds.programs import programs
from greenroom.seeds.publish import Publication, publish
from greenroom.seeds.push import Pusher

KIND = "postgresql"
LABEL_VERSION = 1


@dataclass(frozen=True, slots=True)
class Request:
    """A seed to build.

    `to` is HOST/REPOSITORY. `mode` is a value of `SeedMode`. `tag` is empty if it is computed. `migrations` are the
    paths and blob ids of what `migrate` applies. `layout` is a folder that also gets the image.
    """

    dump: Path
    version: str
    base: str
    to: str
    mode: str = "layer"
    extensions: tuple[str, ...] = ()
    migrate: str = ""
    migrations: tuple[tuple[str, str], ...] = ()
    tag: str = ""
    layout: Path | None = None
    programs: Path | None = None
    compression: layer.Compression = "zstd"
    work: Path = workfolder.PARENT


@dataclass(frozen=True, slots=True)
class Built:
    """The packed data of a finished build, with its report and the hash of its schema."""

    layer: layer.Layer
    report: bake.Report
    schema: str


async def build(request: Request, access: Access, say: bake.Say) -> str:
    """Build a seed image, unless it exists, and return its reference by digest.

    Raise `FixConfiguration` for wrong input and `Failed` otherwise. The image is visible only once it is complete.
    """
    dump = await asyncio.to_thread(dumpfile.git_blob_id, request.dump)
    inputs = _inputs(request, dump)
    tag = request.tag or inputs.tag
    target = reference(f"{request.to}:{tag}")
    state = await lookup.look(access, f"{request.to}:{tag}")
    if isinstance(state, Present):
        return f"{request.to}@{state.digest}"
    if isinstance(state, Unknown):
        raise Failed(state.why)
    source = reference(request.base)
    base = await pull.read_base(access, source, bake.architecture())
    recipe = bake.Recipe(programs(request.version, request.programs), request.extensions, request.migrate)
    with workfolder.workfolder(request.work) as folder, _disk_full(folder):
        built = await _build_layer(request, recipe, folder, say)
        said = label(inputs, base.architecture, built, tag)
        image = oci.with_layer(base, built.layer, env={"PGDATA": pgdata.PLACE}, stop_signal="SIGINT", label=said)
        began = time.monotonic()
        await publish(Publication(image, built.layer, source, tag, request.layout, folder), Pusher(access, target))
        say("push", time.monotonic() - began)
    return f"{request.to}@{image.digest}"


async def _build_layer(request: Request, recipe: bake.Recipe, folder: Path, say: bake.Say) -> Built:
    work = folder / "bake"
    work.mkdir()
    began = time.monotonic()
    await asyncio.to_thread(dumpfile.prepare, request.dump, work / "dump")
    # The check of the dump belongs here: it reads the copy that is restored.
    say("check", time.monotonic() - began)
    report = await bake.bake(work, recipe, say)
    began = time.monotonic()
    data = work / "pgdata"
    pgdata.verify(data, request.version)
    packed = await asyncio.to_thread(layer.pack, data, pgdata.PLACE, folder / "layer", compression=request.compression)
    say("pack", time.monotonic() - began)
    return Built(packed, report, schema.normalized_hash(work / "schema.sql"))


def _inputs(request: Request, dump: str) -> SeedInputs:
    return SeedInputs(
        KIND,
        request.version,
        request.base,
        dump,
        mode=request.mode,
        extensions=request.extensions,
        migrations=request.migrations,
    )


def label(inputs: SeedInputs, architecture: str, built: Built, tag: str = "") -> dict[str, Any]:
    """Return the label that describes the image. `tag` is that of the image, if it is not the hash of its inputs."""
    return {
        "version": LABEL_VERSION,
        "kind": inputs.kind,
        "server": built.report.server,
        "base": inputs.base,
        "dump": inputs.dump,
        "tag": tag or inputs.tag,
        "arch": architecture,
        "rows": dict(built.report.rows),
        "bytes": built.layer.content,
        "schema": built.schema,
        "migrations": {"tool": "", "applied": [list(pair) for pair in inputs.migrations]},
        "built": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@contextmanager
def _disk_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failed(
            f"The disk of {folder.parent} is full. Free some space, or choose another folder with --work: a seed needs"
            " about three times the size of its data."
        ) from None
