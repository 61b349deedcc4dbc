"""The Git LFS of the simulator: the batch API of a repository, and the store that its links lead to.

https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import base64
import json
import re

from starlette.requests import Request
from starlette.responses import Response

from greenroom.simulator.world import World

MEDIA_TYPE = "application/vnd.git-lfs+json"
_BATCH = re.compile(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
_OBJECT = re.compile(r"/lfs-store/([0-9a-f]{64})")


def answer(world: World, request: Request, body: bytes) -> Response | None:
    """Answer a request to Git LFS; None for any other."""
    if batch := _BATCH.fullmatch(request.url.path):
        return _batch(world, batch[1], request, body)
    if found := _OBJECT.fullmatch(request.url.path):
        return _object(world, found[1], request)
    return None


def _batch(world: World, slug: str, request: Request, body: bytes) -> Response:
    scheme, _, login = request.headers.get("authorization", "").partition(" ")
    token = base64.b64decode(login).decode().partition(":")[2] if scheme == "Basic" else ""
    if token not in world.tokens:
        return _json({"message": "Credentials needed"}, 401)
    repository = world.repositories.get(slug.lower())
    if repository is None or repository.hidden:
        return _json({"message": "Not Found"}, 404)
    objects = []
    for asked in json.loads(body)["objects"]:
        if asked["oid"] in repository.lfs:
            href = f"{request.base_url}lfs-store/{asked['oid']}"
            download = {"href": href, "header": {"Authorization": f"RemoteAuth {asked['oid'][:8]}"}, "expires_in": 3600}
            objects.append({**asked, "authenticated": True, "actions": {"download": download}})
        else:
            error = {"code": 404, "message": "Object does not exist on the server"}
            objects.append({**asked, "error": error})
    return _json({"transfer": "basic", "objects": objects, "hash_algo": "sha256"})


def _object(world: World, oid: str, request: Request) -> Response:
    if request.headers.get("authorization") != f"RemoteAuth {oid[:8]}":
        return Response(status_code=403)
    found = next((r.lfs[oid] for r in world.repositories.values() if oid in r.lfs), None)
    return Response(status_code=404) if found is None else Response(found, media_type="application/octet-stream")


def _json(content: object, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type=MEDIA_TYPE)
