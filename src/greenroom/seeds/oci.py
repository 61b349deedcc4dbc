"""Images: a base image's manifest and configuration, the same with one more layer, and OCI layouts on a disk.

https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.core.model.seeds import LABEL
from greenroom.errors import Failed, FixConfiguration
from greenroom.registry.lookup import INDEXES, MANIFESTS
from greenroom.seeds.layer import Layer

CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = MANIFESTS[0]

# An OCI manifest may not contain Docker's names of the same formats.
_LAYERS = {
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
_FORMATS = ("tar", "tar+gzip", "tar+zstd")
_KNOWN = {f"application/vnd.oci.image.layer.v1.{name}" for name in _FORMATS}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob by its type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int

    def written(self) -> dict[str, Any]:
        """Return the descriptor as in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Base:
    """An image to which a layer is added: its layers, and its configuration."""

    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        """Its architecture, such as amd64."""
        return str(self.config.get("architecture", ""))


@dataclass(frozen=True, slots=True)
class Image:
    """A complete image. `manifest` and `config` are the bytes whose digests name them."""

    manifest: bytes
    config: bytes
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> str:
        """The digest that names this image."""
        return digest_of(self.manifest)

    @property
    def config_descriptor(self) -> Descriptor:
        """The descriptor of its configuration."""
        return Descriptor(CONFIG, digest_of(self.config), len(self.config))


def digest_of(content: bytes) -> str:
    """Return the digest of a blob."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def of_platform(index: Mapping[str, Any], architecture: str, where: str) -> str:
    """Return the digest of the image in an index that runs on Linux with this architecture."""
    platforms = [(entry.get("platform") or {}, entry) for entry in index.get("manifests", [])]
    for platform, entry in platforms:
        if platform.get("os") == "linux" and platform.get("architecture") == architecture:
            return str(entry["digest"])
    offered = sorted({p.get("architecture", "") for p, _ in platforms if p.get("os") == "linux"})
    raise FixConfiguration(
        f"{where} has no image for linux/{architecture} (it has {', '.join(offered) or 'none'}). Choose another base"
        " image, or build the seed on a machine with one of these architectures."
    )


def base(manifest: Mapping[str, Any], config: bytes, where: str) -> Base:
    """Parse a base image. Raise `FixConfiguration` if it is not complete, or has a layer that cannot be copied."""
    try:
        layers = tuple(_layer(entry) for entry in manifest["layers"])
        matches = manifest["config"]["digest"] == digest_of(config)
        parsed = json.loads(config)
        complete = len(parsed["rootfs"]["diff_ids"]) == len(layers)
    except (KeyError, TypeError, ValueError):
        matches = complete = False
    if not matches or not complete:
        raise FixConfiguration(f"{where} is not a valid image: its configuration does not match its layers.")
    for layer in layers:
        if layer.media_type not in _KNOWN:
            raise FixConfiguration(f"{where} has a layer of type {layer.media_type}, which cannot be copied.")
    return Base(layers, parsed)


def with_layer(
    on: Base, layer: Layer, *, env: Mapping[str, str], stop_signal: str | None, label: Mapping[str, Any]
) -> Image:
    """Return the image with one more layer. Without `stop_signal`, it keeps that of its base.

    The time in `label["built"]` is the only one in it, so the same inputs at the same time make the same image.
    """
    config = dict(on.config)
    inner = dict(config.get("config") or {})
    kept = [line for line in inner.get("Env") or [] if line.partition("=")[0] not in env]
    inner["Env"] = [*kept, *(f"{name}={value}" for name, value in env.items())]
    inner |= {"StopSignal": stop_signal} if stop_signal else {}
    inner["Labels"] = {**(inner.get("Labels") or {}), LABEL: json.dumps(label, sort_keys=True)}
    config["config"] = inner
    config["created"] = label["built"]
    config["rootfs"] = {"type": "layers", "diff_ids": [*config["rootfs"]["diff_ids"], layer.diff_id]}
    entry = {"created": label["built"], "created_by": "greenroom seed build", "comment": f"seed {label['tag']}"}
    config["history"] = [*(config.get("history") or []), entry]
    written = _json(config)
    layers = (*on.layers, Descriptor(layer.media_type, layer.digest, layer.size))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor(CONFIG, digest_of(written), len(written)).written(),
        "layers": [descriptor.written() for descriptor in layers],
    }
    return Image(_json(manifest), written, layers)


def write_layout(folder: Path, image: Image, tag: str) -> None:
    """Complete an OCI layout: its layers are in `blobs/sha256` already. The index is written last."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for content in (image.config, image.manifest):
        blob_path(folder, digest_of(content)).write_bytes(content)
    entry = Descriptor(MANIFEST, image.digest, len(image.manifest)).written()
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    index = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": [entry]}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    draft = folder / "index.json.draft"
    draft.write_bytes(_json(index))
    draft.rename(folder / "index.json")


def blob_path(folder: Path, digest: str) -> Path:
    """Return the path of a blob in a layout."""
    algorithm, _, name = digest.partition(":")
    return folder / "blobs" / algorithm / name


def validate(folder: Path) -> None:
    """Verify every digest, size and count of an OCI layout. Raise `Failed` with the first thing that is wrong."""
    index = json.loads((folder / "index.json").read_bytes())
    for entry in index["manifests"]:
        manifest = json.loads(_verified(folder, entry))
        config = json.loads(_verified(folder, manifest["config"]))
        for layer in manifest["layers"]:
            _verified(folder, layer, read=False)
        if len(config["rootfs"]["diff_ids"]) != len(manifest["layers"]):
            raise Failed(f"{folder}: the configuration does not have one diff id for each layer.")


def _verified(folder: Path, entry: Mapping[str, Any], *, read: bool = True) -> bytes:
    path = blob_path(folder, entry["digest"])
    if not path.exists():
        raise Failed(f"{folder}: the blob {entry['digest']} is missing.")
    with path.open("rb") as file:
        found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if found != entry["digest"] or path.stat().st_size != entry["size"]:
        raise Failed(f"{folder}: the blob {entry['digest']} does not match its digest or size.")
    return path.read_bytes() if read else b""


def _layer(entry: Mapping[str, Any]) -> Descriptor:
    media_type = str(entry["mediaType"])
    return Descriptor(_LAYERS.get(media_type, media_type), str(entry["digest"]), int(entry["size"]))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
