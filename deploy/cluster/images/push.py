"""Puts an image into the cluster's registry: a base that is there already, layers on top, a configuration.

No daemon, and no copy of the base: the registry links its blobs. Prints HOST/NAME@DIGEST. The same input makes the same
digest.

push.py --registry HOST [--base NAME:TAG] [--layer FILE.tar.gz]... [--config JSON] NAME:TAG
"""

import argparse
import gzip
import hashlib
import http.client
import json
import platform
import sys
from pathlib import Path

OCI = "application/vnd.oci.image."
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
ACCEPT = f"{OCI}manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    """Return the name of a blob."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """The calls of the distribution API that a push needs."""

    def __init__(self, host: str) -> None:
        self.host, self.http = host, http.client.HTTPConnection(host, timeout=60)

    def ask(self, method: str, path: str, want: tuple[int, ...], body: bytes | None = None, **headers: str):
        """One request; the answer, or the end of the program if its status is not one of `want`."""
        self.http.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = self.http.getresponse()
        data = answer.read()
        if answer.status not in want:
            sys.exit(f"push: {method} {self.host}{path}: {answer.status} {data[:300].decode(errors='replace')}")
        return answer, data

    def manifest(self, name: str, tag: str) -> tuple[bytes, str]:
        """Return a manifest's bytes and media type."""
        answer, data = self.ask("GET", f"/v2/{name}/manifests/{tag}", (200,), Accept=ACCEPT)
        return data, answer.headers["Content-Type"]

    def blob(self, name: str, of: str) -> bytes:
        """Return a blob's bytes."""
        return self.ask("GET", f"/v2/{name}/blobs/{of}", (200,))[1]

    def put(self, name: str, data: bytes) -> str:
        """Upload a blob unless it is there."""
        of = digest(data)
        if self.ask("HEAD", f"/v2/{name}/blobs/{of}", (200, 404))[0].status == 404:
            answer, _ = self.ask("POST", f"/v2/{name}/blobs/uploads/", (202,), Content_Length="0")
            path = answer.headers["Location"].split(self.host, 1)[-1]
            path += ("&" if "?" in path else "?") + f"digest={of}"
            self.ask("PUT", path, (201,), data, Content_Type="application/octet-stream")
        return of

    def link(self, name: str, of: str, base: str) -> None:
        """Mount a blob of another repository into this one; 202 would mean that it is not there."""
        if name != base:
            self.ask("POST", f"/v2/{name}/blobs/uploads/?mount={of}&from={base}", (201,), Content_Length="0")


def main() -> None:
    """Run the command line."""
    parse = argparse.ArgumentParser()
    parse.add_argument("--registry", required=True)
    parse.add_argument("--base")
    parse.add_argument("--layer", action="append", default=[])
    parse.add_argument("--config", type=json.loads, default={})
    parse.add_argument("image")
    args = parse.parse_args()
    registry = Registry(args.registry)
    name, _, tag = args.image.partition(":")
    layers, kind, raw = [], f"{OCI}manifest.v1+json", b""
    config = {"architecture": MACHINE, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    if args.base:
        base, _, base_tag = args.base.partition(":")
        raw, kind = registry.manifest(base, base_tag or "latest")
        manifest = json.loads(raw)
        layers = manifest["layers"]
        for each in layers:
            registry.link(name, each["digest"], base)
        if args.layer or args.config:
            config = json.loads(registry.blob(base, manifest["config"]["digest"]))
        else:
            registry.link(name, manifest["config"]["digest"], base)
    if args.layer or args.config or not args.base:
        for file in args.layer:
            data = Path(file).read_bytes()
            config["rootfs"]["diff_ids"].append(digest(gzip.decompress(data)))
            layers.append(
                {"mediaType": f"{OCI}layer.v1.tar+gzip", "size": len(data), "digest": registry.put(name, data)}
            )
        env = dict(each.split("=", 1) for each in config["config"].get("Env", []))
        env |= args.config.pop("Env", {})
        config["config"] |= args.config | {"Env": [f"{key}={value}" for key, value in env.items()]}
        config.pop("history", None)  # it counts layers, and would count wrong
        data = json.dumps(config, sort_keys=True).encode()
        about = {"mediaType": f"{OCI}config.v1+json", "size": len(data), "digest": registry.put(name, data)}
        kind = f"{OCI}manifest.v1+json"
        raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": about, "layers": layers}).encode()
    registry.ask("PUT", f"/v2/{name}/manifests/{tag or 'latest'}", (201,), raw, Content_Type=kind)
    print(f"{args.registry}/{name}@{digest(raw)}")


main()
