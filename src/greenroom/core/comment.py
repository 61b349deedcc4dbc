"""The hidden signed block on the first line of our one comment: what we must not forget about a pull request.

The signature covers version, host, installation, repository, pull request, comment and sequence, so a block copied to
another comment, pull request or installation is worth nothing. A block that is missing, doubled, elsewhere or wrongly
signed reads as None: doubt, never as "nothing was chosen". Nothing in it is secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime

from greenroom.core.codec import dumped, loaded
from greenroom.core.model import Block, Comment, Identity, Memory, PullRequest
from greenroom.core.rows import Choice

VERSION = 1
_LINE = re.compile(r"<!-- greenroom:(\d+) (\S+) (\d+) (\d+) (\S+) (\S+) ([0-9a-f]{64}) -->")

_SIGNED = re.compile(r"(?<!\S)(\S+) (\S+) ([0-9a-f]{64}) -->")  # from the start of a word: linear in any text


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key with its public id. `secret` never leaves the process."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: the web host of GitHub, our installation, the key of today and older ones that are still accepted."""

    host: str
    installation: str
    key: Key
    older: tuple[Key, ...] = ()

    def marker(self, identity: Identity) -> str:
        """What the first line of our comment on this pull request begins with; it finds the comment, proves nothing."""
        return f"<!-- greenroom:{VERSION} {self.installation} {identity.repository_id} {identity.number} "

    def line(self, identity: Identity, comment_id: int, block: Block) -> str:
        """The first line of our comment, signed with the key of today."""
        payload = _payload(block)
        mac = self._mac(self.key, identity, comment_id, payload)
        return f"{self.marker(identity)}{payload} {self.key.id} {mac} -->"

    def unsigned(self, identity: Identity) -> str:
        """The first line of a comment that was just made and has no id yet: it can be found, and holds no block."""
        return f"{self.marker(identity)}-->"

    def read(self, identity: Identity, comment: Comment | None) -> Block | None:
        """The verified block, or None: there is none, it is not ours, or it was touched."""
        if comment is None or not comment.trusted or comment.body.count("<!-- greenroom:") != 1:
            return None
        match = _LINE.fullmatch(comment.body.splitlines()[0].strip())
        if not match or not comment.body.startswith(self.marker(identity)):
            return None
        payload, key_id, mac = match.group(5, 6, 7)
        for key in (self.key, *self.older):
            if key.id == key_id and hmac.compare_digest(mac, self._mac(key, identity, comment.id, payload)):
                return _block(payload, stale_key=key is not self.key)
        return None

    def ours(self, identity: Identity, pull_request: PullRequest, known: int | None) -> Comment | None:
        """Return our one comment on this pull request, found by its id and author, then by signature, then by marker.

        People add text before the marker or edit it. The signature covers the comment's id, so a copy of the signed
        line in another comment does not match.
        """
        by_id = next((c for c in pull_request.mine if c.id == known), None)
        signed = next((c for c in pull_request.mine if self._signed(identity, c)), None)
        return by_id or signed or pull_request.comment

    def _signed(self, identity: Identity, comment: Comment) -> bool:
        keys = {key.id: key for key in (self.key, *self.older)}
        return any(
            key_id in keys and hmac.compare_digest(mac, self._mac(keys[key_id], identity, comment.id, payload))
            for payload, key_id, mac in _SIGNED.findall(comment.body)
        )

    def _mac(self, key: Key, identity: Identity, comment_id: int, payload: str) -> str:
        signed = [VERSION, self.host, self.installation, identity.repository_id, identity.number, comment_id, payload]
        text = json.dumps(signed, separators=(",", ":"))
        return hmac.new(key.secret, text.encode(), hashlib.sha256).hexdigest()


def visible(body: str) -> str:
    """What people see of a comment of ours: all but the first line, as GitHub keeps it (without `\\r`)."""
    return body.replace("\r\n", "\n").partition("\n")[2].strip()


def _payload(block: Block) -> str:
    memory = {
        "sequence": block.sequence,
        "warned": block.memory.warned_at.isoformat() if block.memory.warned_at else None,
        "expired": block.memory.expired_at.isoformat() if block.memory.expired_at else None,
        "why": block.memory.why,
        "choices": dumped(block.memory.choices),
        "heard": block.memory.heard,
    }
    return base64.b64encode(json.dumps(memory, sort_keys=True, separators=(",", ":")).encode()).decode()


def _block(payload: str, *, stale_key: bool) -> Block | None:
    try:
        memory = json.loads(base64.b64decode(payload, validate=True))
        return Block(
            sequence=int(memory["sequence"]),
            memory=Memory(
                _time(memory["warned"]),
                _time(memory["expired"]),
                str(memory["why"]),
                tuple(loaded(Choice, c) for c in memory.get("choices", ())),
                int(memory.get("heard", 0)),
            ),
            stale_key=stale_key,
        )
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
