"""A seed image from a dump: restored, migrated, verified, stopped, packed, and pushed on top of a stock image."""

from __future__ import annotations

import asyncio
import datetime
import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom import dumpfile
from greenroom.core.model.catalog import SeedMode
from greenroom.core.model.github import Present, Unknown
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import CommitMigrations, SeedInputs, recorded
from greenroom.errors import Failed, FixConfiguration
from greenroom.registry import lookup
from greenroom.registry.access import Access
from greenroom.registry.references import reference
from greenroom.seeds import bake, deferred, folders, layer, ledgers, oci, pull, workfolder
from greenroom.seeds.check import LARGEST, Checked, Wants, beside, check
from greenroom.seeds.engines import ENGINES, MYSQL
from greenroom.seeds.publish import Publication, publish
from greenroom.seeds.push import Pusher

NO_LEDGER = '{"tool": ""}'
LABEL_VERSION = 2


@dataclass(frozen=True, slots=True)
class Request:
    """A seed to build.

    `to` is HOST/REPOSITORY. `mode` is a value of `SeedMode`. `tag` is empty if it is computed. `migrations` are the
    paths and blob ids of what `migrate` applies. `layout` is a folder that also gets the image. `blob` is git's id of
    the dump, if that is not the id of the file's content. `rows` pairs tables with their minimum number of rows.
    `columns` is the columns file; None is the one beside the dump, if there is one.
    `source` is OWNER/NAME:PATH of the dump, if it is known: `greenroom seed prune` keeps the newest images of each.
    `checkout` is a folder of the git repository with the service's migrations, and `folder` the configured one in it.
    `kind` is the kind of need.
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
    checkout: Path = Path()
    folder: str = ""
    blob: str = ""
    rows: tuple[tuple[str, int], ...] = ()
    columns: Path | None = None
    no_columns: bool = False
    source: str = ""
    kind: str = "postgresql"

    @property
    def wants(self) -> Wants:
        """Return what the check demands of the dump."""
        columns = self.columns or beside(self.dump)
        rows = dict(self.rows)
        return Wants(self.kind, self.version, self.extensions, rows, columns, self.no_columns, max_bytes=LARGEST)


@dataclass(frozen=True, slots=True)
class Built:
    """The packed data of a finished build, with its report and the migrations that ran.

    `applied` is None if the dump was not restored, so that nobody knows them.
    """

    layer: layer.Layer
    report: bake.Report
    applied: MigrationSet | None


async def build(request: Request, access: Access, say: bake.Say) -> str:
    """Build a seed image, unless it exists, and return its reference by digest.

    Raise `FixConfiguration` for wrong input and `Failed` otherwise. The image is visible only once it is complete.
    """
    content = await asyncio.to_thread(dumpfile.git_blob_id, request.dump)
    inputs = inputs_of(request, request.blob or content)
    tag = request.tag or inputs.tag
    target = reference(f"{request.to}:{tag}")
    state = await lookup.look(access, f"{request.to}:{tag}")
    if isinstance(state, Present):
        return f"{request.to}@{state.digest}"
    if isinstance(state, Unknown):
        raise Failed(state.why)
    source = await pull.pinned(access, reference(request.base))
    base = await pull.read_base(access, source, bake.architecture())
    baker = None if request.mode == SeedMode.RESTORE else _recipe(request)
    with workfolder.workfolder(request.work) as folder, disk_full(folder):
        dump = folder / "dump"
        began = time.monotonic()
        checked = await asyncio.to_thread(admit, request, content, dump)
        say("check", time.monotonic() - began)
        if baker is None:
            built = await asyncio.to_thread(deferred_layer, dump, checked, request.version, request.compression)
        else:
            built = await _build_layer(request, baker, dump, say)
            if baker.migration is None:
                require_all_restored(request.kind, checked, built.report)
        said = {**label(inputs, base.architecture, built, tag), "base_digest": source.tag, "source": request.source}
        image = oci.with_layer(base, built.layer, label=said, **settings(request.kind, request.mode))
        began = time.monotonic()
        await publish(Publication(image, built.layer, source, tag, request.layout, folder), Pusher(access, target))
        say("push", time.monotonic() - began)
    return f"{request.to}@{image.digest}"


def admit(request: Request, content: str, copy: Path) -> Checked:
    """Copy a dump, and check the copy, which is the one that is restored. Raise `Failed` with each reason on a line."""
    copy.touch(mode=0o600)  # the folder is open to the account that runs the server
    shutil.copyfile(request.dump, copy)
    if dumpfile.git_blob_id(copy) != content:
        raise Failed(f"{request.dump} changed while it was read. Build again once nothing writes to it.")
    checked = check(copy, request.wants)
    if refused := checked.refused:
        raise Failed("\n".join(f"{request.dump}: {reason}" for reason in refused))
    return checked


def _recipe(request: Request) -> bake.Recipe:
    engine = ENGINES[request.kind]
    migration = bake.shell(request.migrate, engine) if request.migrate else None
    found = engine.programs(request.version, request.programs)
    return bake.Recipe(found, request.extensions, migration, kind=request.kind)


def deferred_layer(dump: Path, checked: Checked, version: str, compression: layer.Compression) -> Built:
    """Pack the dump itself. That needs no server."""
    folder = dump.with_name("initdb.d")
    deferred.prepare(dump, checked, folder)
    target = dump.with_name("layer")
    packed = layer.pack(folder, deferred.PLACE, target, compression=compression, owner=layer.ROOT)
    report = bake.Report(version, bake.architecture(), checked.rows, {}, NO_LEDGER)
    return Built(packed, report, None)


def require_all_restored(kind: str, checked: Checked, report: bake.Report) -> None:
    """Raise `Failed` if MariaDB or MySQL has fewer rows than the dump. A dump that turns autocommit off and does not
    commit restores nothing, without an error.
    """
    if ENGINES[kind] is not MYSQL:
        return
    for table, rows in checked.rows.items():
        if (restored := report.rows.get(table, 0)) < rows:
            raise Failed(
                f"The dump inserts {rows:,} rows into `{table}`, but {restored:,} were restored. If the dump turns"
                " autocommit off, it must end with COMMIT."
            )


def settings(kind: str, mode: str) -> dict[str, Any]:
    """Return the variables and the signal to stop of an image. One that restores its dump is as the stock image."""
    engine = ENGINES[kind]
    if mode == SeedMode.RESTORE:
        return {"env": {}, "stop_signal": engine.stop_signal}
    return {"env": engine.variables, "stop_signal": engine.stop_signal}


async def _build_layer(request: Request, recipe: bake.Recipe, dump: Path, say: bake.Say) -> Built:
    work = dump.with_name("bake")
    work.mkdir(mode=0o700)
    await asyncio.to_thread(dumpfile.prepare, dump, work / "dump")
    dump.unlink()
    report = await bake.bake(work, recipe, say)
    applied = await asyncio.to_thread(_applied, request, report)
    began = time.monotonic()
    data = work / recipe.engine.data
    recipe.engine.verify(data, report.server, request.version)
    target = dump.with_name("layer")
    packed = await asyncio.to_thread(layer.pack, data, recipe.engine.place, target, compression=request.compression)
    say("pack", time.monotonic() - began)
    return Built(packed, report, applied)


def _applied(request: Request, report: bake.Report) -> MigrationSet:
    """Return the migrations that ran, with their content in the checkout's last commit."""
    ledger = ledgers.ledger(report.ledger)
    try:
        top = folders.top(request.checkout)
        commit = CommitMigrations.of("", folders.migrations(top, "HEAD", request.folder))
    except FixConfiguration as error:
        if request.folder:
            raise
        return ledgers.applied(ledger, CommitMigrations(unclear=str(error)), {})
    return ledgers.applied(ledger, commit, folders.blobs(top, sorted(set(ledgers.checked(ledger, commit)))))


def inputs_of(request: Request, dump: str) -> SeedInputs:
    """Return what determines the image, with git's id of the dump."""
    return SeedInputs(
        request.kind,
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
        "migrated": [list(pair) for pair in inputs.migrations],
        "ledger": ledgers.label(ledgers.ledger(built.report.ledger)),
        **({"migrations": recorded(built.applied)} if built.applied else {}),
        "built": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@contextmanager
def disk_full(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failed(
            f"No disk space is left in {folder.parent}. Free some space, or choose another folder with --work: the"
            " build of"
            " a seed image needs about three times the size of the data."
        ) from None
