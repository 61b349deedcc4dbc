"""Files of Git LFS: the pointer in git, and the download of the content that it names.

https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import httpx2

from greenroom.errors import Failed, RetryLater

LARGEST_POINTER = 1024
MEDIA_TYPE = "application/vnd.git-lfs+json"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The content that a pointer names: its SHA-256 in hex, and its size in bytes."""

    oid: str
    size: int


def pointer(content: bytes) -> Pointer | None:
    """Return the pointer that a file in git is; None if it is the content itself."""
    match = _POINTER.match(content) if len(content) <= LARGEST_POINTER else None
    return Pointer(match[1].decode(), int(match[2])) if match else None


def of_file(path: Path) -> Pointer | None:
    """Return the pointer in a file; None if it has other content."""
    with path.open("rb") as file:
        return pointer(file.read(LARGEST_POINTER + 1))


@dataclass(frozen=True, slots=True)
class Store:
    """The Git LFS of one repository (owner/name), with GitHub's API and a token that may read the repository."""

    client: httpx2.AsyncClient
    api_url: str
    token: str
    slug: str

    async def download(self, wanted: Pointer, target: Path, path: str, most: int) -> None:
        """Download the content of a pointer, and verify it. `path` is for messages.

        Raise `Failed` if the server refuses it or it is larger than `most` bytes, and `RetryLater` if it could not be
        read completely.
        """
        if wanted.size > most:
            raise Failed(
                f"{path} has {wanted.size // 2**20:,} MB in Git LFS. Greenroom reads at most"
                f" {most // 2**20:,} MB of it."
            )
        try:
            link, headers = await self._link(wanted, path)
            computed, size = hashlib.sha256(), 0
            # The link is to a store of its own, which must not get GitHub's token.
            async with self.client.stream("GET", link, headers={**headers, "accept-encoding": "identity"}) as answer:
                if answer.status_code != 200:
                    raise RetryLater(f"The Git LFS storage returned {answer.status_code} for {path}.")
                with target.open("wb") as file:
                    async for part in answer.aiter_bytes():
                        size += len(part)
                        if size > wanted.size:
                            break
                        computed.update(part)
                        file.write(part)
        except httpx2.HTTPError as error:
            raise RetryLater(f"The download of {path} from Git LFS failed ({type(error).__name__}).") from None
        if size != wanted.size or computed.hexdigest() != wanted.oid:
            raise RetryLater(f"The download of {path} from Git LFS is incomplete or corrupt.")

    async def _link(self, wanted: Pointer, path: str) -> tuple[str, dict[str, str]]:
        """Return the address of the content and the headers that it needs."""
        url = f"{_web(self.api_url)}/{self.slug}.git/info/lfs"
        login = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        headers = {"accept": MEDIA_TYPE, "content-type": MEDIA_TYPE, "authorization": f"Basic {login}"}
        asked = {
            "operation": "download",
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": [{"oid": wanted.oid, "size": wanted.size}],
        }
        answer = await self.client.post(f"{url}/objects/batch", headers=headers, json=asked)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise RetryLater(f"Git LFS returned {answer.status_code} for {path}.")
        if answer.status_code != 200:
            raise Failed(
                f"Git LFS returned {answer.status_code} for {path}. Check the LFS quota of the repository that contains"
                " this file, and check that `github-token` in the Secret for seed builds may read the contents of that"
                " repository."
            )
        try:
            found = answer.json()["objects"][0]
            if "error" in found:
                raise Failed(
                    f"Git LFS did not provide {path} ({found['error']['code']}). If Git LFS does not contain the file,"
                    " run `git lfs push --all origin` in a clone that has it."
                )
            action = found["actions"]["download"]
            if url.startswith("https://") and not str(action["href"]).startswith("https://"):
                raise Failed(f"Git LFS returned an address without TLS for {path}. Greenroom does not read it.")
            return str(action["href"]), {str(k): str(v) for k, v in (action.get("header") or {}).items()}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise RetryLater(f"The Git LFS response for {path} cannot be parsed.") from None


def _web(api_url: str) -> str:
    """Return the address of the repositories that belong to an API.

    https://docs.github.com/en/enterprise-server/rest/quickstart
    https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency
    """
    base = api_url.rstrip("/").removesuffix("/api/v3")
    host = base.removeprefix("https://api.")  # github.com, and SUBDOMAIN.ghe.com with data residency
    return f"https://{host}" if base.startswith("https://api.") and host.endswith(("github.com", ".ghe.com")) else base
