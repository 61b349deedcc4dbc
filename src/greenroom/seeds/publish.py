"""Publication of an image: only what the target does not have is uploaded, and the manifest is last."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from greenroom.registry.references import Reference
from greenroom.seeds import oci, pull
from greenroom.seeds.layer import Layer
from greenroom.seeds.push import Pusher


@dataclass(frozen=True, slots=True)
class Publication:
    """An image, its own layer, and the base image on which the layer is.

    `layout` is a folder that also gets the complete image. `folder` is for temporary files.
    """

    image: oci.Image
    layer: Layer
    base: Reference
    tag: str
    layout: Path | None
    folder: Path


async def publish(publication: Publication, pusher: Pusher) -> None:
    """Write the image to its layout, if there is one, and push it."""
    if publication.layout:
        await write_layout(publication, publication.layout, pusher)
    for blob in publication.image.layers[:-1]:
        await _push_base(publication, blob, pusher)
    config = publication.folder / "config"
    config.write_bytes(publication.image.config)
    for blob, file in (
        (publication.image.layers[-1], publication.layer.path),
        (publication.image.config_descriptor, config),
    ):
        if not await pusher.has(blob):
            await pusher.upload(blob, file)
    await pusher.manifest(publication.image, publication.tag)


async def write_layout(publication: Publication, layout: Path, pusher: Pusher) -> None:
    """Write the complete image as an OCI layout, with the layers of its base image, and validate it."""
    (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    for blob in publication.image.layers[:-1]:
        target = oci.blob_path(layout, blob.digest)
        if not target.exists():
            draft = target.with_name("draft")
            await pull.download(pusher.access, publication.base, blob, draft)
            draft.rename(target)
    own = oci.blob_path(layout, publication.layer.digest)
    await asyncio.to_thread(shutil.copyfile, publication.layer.path, own)
    oci.write_layout(layout, publication.image, publication.tag)
    await asyncio.to_thread(oci.validate, layout)


async def _push_base(publication: Publication, blob: oci.Descriptor, pusher: Pusher) -> None:
    """Make a layer of the base image part of the target. It goes through a file, so that its upload can resume."""
    if await pusher.has(blob) or await pusher.mount(blob, publication.base):
        return
    if publication.layout:
        await pusher.upload(blob, oci.blob_path(publication.layout, blob.digest))
        return
    file = publication.folder / "base-layer"
    await pull.download(pusher.access, publication.base, blob, file)
    await pusher.upload(blob, file)
    file.unlink()
