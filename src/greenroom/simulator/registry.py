"""A small OCI registry that accepts and returns manifests. In the demo it takes the place of a team's registry.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(slots=True)
class Images:
    """The pushed images: repository and tag to digest, digest to manifest and type. `login` requires a user."""

    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    bearer: bool = False
    issued: set[str] = field(default_factory=set)
    away: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)

    def push(self, repository: str, tag: str, label: str = "", labels: Mapping[str, str] | None = None) -> str:
        """Push an image with an empty layer list under a tag. Return its digest. Each `label` makes another image.

        `labels` are those of its configuration.
        """
        content = json.dumps({"name": f"{repository}:{tag}:{label}", "config": {"Labels": dict(labels or {})}}).encode()
        config = hashlib.sha256(content).hexdigest()
        self.blobs[f"sha256:{config}"] = content
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{config}",
                "size": len(content),
            },
            "layers": [],
        }
        return self.put(repository, tag, json.dumps(manifest).encode(), MANIFEST)

    def put(self, repository: str, reference: str, body: bytes, kind: str) -> str:
        """Store a manifest under a tag or its digest. Return the digest."""
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.manifests[repository, digest] = (body, kind)
        if not reference.startswith("sha256:"):
            self.tags[repository, reference] = digest
        return digest

    def find(self, repository: str, reference: str) -> tuple[str, bytes, str] | None:
        """Return the digest, manifest and type, or None."""
        digest = self.tags.get((repository, reference), reference)
        found = self.manifests.get((repository, digest))
        return (digest, *found) if found else None


def registry(images: Images) -> Starlette:
    """Return the registry as an ASGI application."""

    async def base(request: Request) -> Response:
        return _refused(images, request) or JSONResponse({})

    async def manifest(request: Request) -> Response:
        if images.away:
            return Response("upstream is away", 502, media_type="text/html")
        if refused := _refused(images, request):
            return refused
        repository, reference = request.path_params["name"], request.path_params["reference"]
        if request.method == "PUT":
            kind = request.headers.get("content-type", "")
            digest = images.put(repository, reference, await request.body(), kind)
            return Response(status_code=201, headers={"docker-content-digest": digest})
        found = images.find(repository, reference)
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        digest, body, kind = found
        if kind not in request.headers.get("accept", ""):
            return _error(
                404, "MANIFEST_UNKNOWN", "OCI manifest found, but accept header does not support OCI manifests"
            )
        return Response(body, media_type=kind, headers={"docker-content-digest": digest})

    async def blob(request: Request) -> Response:
        if refused := _refused(images, request):
            return refused
        found = images.blobs.get(request.path_params["digest"])
        return Response(found) if found is not None else _error(404, "BLOB_UNKNOWN", "blob unknown")

    async def token(request: Request) -> Response:
        if not _basic(images, request):
            return _error(401, "UNAUTHORIZED", "wrong user or password")
        made = secrets.token_hex(16)
        images.issued.add(made)
        return JSONResponse({"token": made, "expires_in": 300})

    methods = ["GET", "HEAD", "PUT"]
    return Starlette(
        routes=[
            Route("/v2/", base),
            Route("/v2/{name:path}/manifests/{reference}", manifest, methods=methods),
            Route("/v2/{name:path}/blobs/{digest}", blob, methods=["GET", "HEAD"]),
            Route("/token", token),
        ]
    )


def _basic(images: Images, request: Request) -> bool:
    expected = base64.b64encode(":".join(images.login or ("", "")).encode()).decode()
    return images.login is None or request.headers.get("authorization") == f"Basic {expected}"


def _refused(images: Images, request: Request) -> Response | None:
    if images.login is None:
        return None
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if images.bearer:
        if kind == "Bearer" and value in images.issued:
            return None
        asked = f'Bearer realm="{request.base_url}token",service="registry",scope="repository:any:pull"'
    elif _basic(images, request):
        return None
    else:
        asked = 'Basic realm="registry"'
    response = _error(401, "UNAUTHORIZED", "authentication required")
    response.headers["www-authenticate"] = asked
    return response


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message, "detail": None}]}, status)
