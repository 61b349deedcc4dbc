"""Writes an OCI image layout: layers and a configuration in, a folder and its digest out.

The same input makes the same digest, the one that deploy/cluster/images/push.py makes too. From there
`skopeo copy oci:FOLDER:TAG docker://...` takes the image anywhere.

layout.py FOLDER TAG CONFIG-JSON LAYER.tar.gz...
"""

import gzip
import hashlib
import json
import platform
import sys
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image."
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest(data: bytes) -> str:
    """Return the name of a blob."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def known(folder: Path) -> dict[str, str]:
    """Return what the layers of the last image unpack to, so that only a new layer is unpacked."""
    try:
        index = json.loads((folder / "index.json").read_text())
        manifest = json.loads(_blob(folder, index["manifests"][0]).read_text())
        config = json.loads(_blob(folder, manifest["config"]).read_text())
    except FileNotFoundError:
        return {}
    return {layer["digest"]: of for layer, of in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)}


def _blob(folder: Path, about: dict[str, Any]) -> Path:
    return folder / "blobs" / str(about["digest"]).replace(":", "/")


def write(folder: Path, tag: str, config: dict[str, Any], files: list[Path]) -> str:
    """Write the image to `folder`, in place of the last one, and return its digest."""
    unpacked, keep = known(folder), set()

    def put(data: bytes, kind: str) -> dict[str, Any]:
        about = {"mediaType": f"{OCI}{kind}", "size": len(data), "digest": digest(data)}
        path = _blob(folder, about)
        keep.add(path)
        if not path.exists() or path.stat().st_size != len(data):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return about

    layers, diffs = [], []
    for file in files:
        data = file.read_bytes()
        layers.append(put(data, "layer.v1.tar+gzip"))
        diffs.append(unpacked.get(layers[-1]["digest"]) or digest(gzip.decompress(data)))
    env = [f"{key}={value}" for key, value in config.pop("Env").items()]
    about = {
        "architecture": MACHINE,
        "os": "linux",
        "config": config | {"Env": env},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}manifest.v1+json",
        "config": put(json.dumps(about, sort_keys=True).encode(), "config.v1+json"),
        "layers": layers,
    }
    image = put(json.dumps(manifest).encode(), "manifest.v1+json")
    index = {"schemaVersion": 2, "manifests": [image | {"annotations": {"org.opencontainers.image.ref.name": tag}}]}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.new").write_text(json.dumps(index))
    (folder / "index.new").replace(folder / "index.json")
    for old in set((folder / "blobs" / "sha256").iterdir()) - keep:
        old.unlink()
    return str(image["digest"])


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), [Path(each) for each in sys.argv[4:]]))
