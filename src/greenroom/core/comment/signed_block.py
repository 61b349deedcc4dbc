"""The hidden signed block on the first line of our one comment, which stores our state of a pull request.

The signature covers version, host, installation, repository, pull request, comment and sequence. A block copied to
another comment, pull request or installation is therefore invalid. A block that is missing, duplicated, in another
place or wrongly signed reads as None. That means doubt, never that nothing was chosen. The block holds no secrets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime

from greenroom.core.model.codec import dumped, loaded
from greenroom.core.model.github import Comment, CommentState, DataCommand, PullRequest, SignedState, later_command
from greenroom.core.model.spec import Identity, LinkOverride

VERSION = 1
_LINE = re.compile(r"<!-- greenroom:(\d+) (\S+) (\d+) (\d+) (\S+) (\S+) ([0-9a-f]{64}) -->")

_SIGNED = re.compile(r"(?<!\S)(\S+) (\S+) ([0-9a-f]{64}) -->")  # anchored at the start of a word, so matching is linear


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key with its public id. `secret` never leaves the process."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Signer:
    """The signer's identity: the web host of GitHub, our installation, the current key, and older keys that are still
    accepted.
    """

    host: str
    installation: str
    key: Key
    older: tuple[Key, ...] = ()

    @property
    def prefix(self) -> str:
        """Return the start that all comments of this installation have in common."""
        return f"<!-- greenroom:{VERSION} {self.installation} "

    def marker(self, identity: Identity) -> str:
        """Return the start of the first line of our comment on this pull request. It finds the comment but proves
        nothing.
        """
        return f"{self.prefix}{identity.repository_id} {identity.number} "

    def line(self, identity: Identity, comment_id: int, block: SignedState) -> str:
        """Return the first line of our comment, signed with the current key."""
        payload = _payload(block)
        mac = self._mac(self.key, identity, comment_id, payload)
        return f"{self.marker(identity)}{payload} {self.key.id} {mac} -->"

    def unsigned(self, identity: Identity) -> str:
        """Return the first line of a new comment that has no id yet. It identifies the comment and holds no block."""
        return f"{self.marker(identity)}-->"

    def read(self, identity: Identity, comment: Comment | None) -> SignedState | None:
        """Return the verified block. Return None if there is none, it is not ours, or it was changed."""
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
        line in another comment does not match. If two are signed, the later sequence counts.
        """
        by_id = next((c for c in pull_request.mine if c.id == known), None)
        signed = [c for c in pull_request.mine if self._signed_states(identity, c)]
        return by_id or max(signed, key=lambda c: self._sequence(identity, c), default=pull_request.comment)

    def duplicates(self, identity: Identity, pull_request: PullRequest) -> tuple[int, ...]:
        """Return the ids of our comments other than the one that is kept; empty unless that one is verified.

        A duplicate appears when a process is killed before it stores the id of a new comment, and GitHub's list does
        not show that comment yet. Only comments that are certainly ours are returned: those with a valid signature,
        which covers their id, and those that no other account edited and that begin with our marker for this pull
        request. A comment with a choice that the kept comment lacks is not returned until the kept one has been read
        back with it (`block`).
        """
        kept = pull_request.comment
        block = self.read(identity, kept)
        if kept is None or block is None:
            return ()

        def superfluous(comment: Comment) -> bool:
            others = self._signed_states(identity, comment)
            if others:
                return all(_later(block, other) == block for other in others)
            return comment.trusted and comment.body.startswith(self.unsigned(identity))

        others = (c for c in pull_request.mine if c.id != kept.id)
        return tuple(c.id for c in others if superfluous(c))

    def block(self, identity: Identity, pull_request: PullRequest) -> SignedState | None:
        """Return the verified block of our comment, including choices that only a second comment of ours holds.

        If there are such choices, the block counts as signed by an older key. The comment is then written again and
        holds them.
        """
        kept = pull_request.comment
        found = own = self.read(identity, kept)
        for comment in pull_request.mine:
            if found and kept and comment.id != kept.id and (other := self.read(identity, comment)):
                found = _later(found, other)
        return found if found is None or found == own else replace(found, stale_key=True)

    def _sequence(self, identity: Identity, comment: Comment) -> int:
        block = self.read(identity, comment)
        return block.sequence if block else 0

    def _signed_states(self, identity: Identity, comment: Comment) -> tuple[SignedState, ...]:
        """Return the states that we signed for this comment, wherever they are in the text, no matter who edited that.

        One proves that the comment is ours. It may be an older state that a person pasted.
        """
        keys = {key.id: key for key in (self.key, *self.older)}
        valid = (
            _block(payload, stale_key=keys[key_id] is not self.key)
            for payload, key_id, mac in _SIGNED.findall(comment.body)
            if key_id in keys and hmac.compare_digest(mac, self._mac(keys[key_id], identity, comment.id, payload))
        )
        return tuple(state for state in valid if state)

    def _mac(self, key: Key, identity: Identity, comment_id: int, payload: str) -> str:
        signed = [VERSION, self.host, self.installation, identity.repository_id, identity.number, comment_id, payload]
        text = json.dumps(signed, separators=(",", ":"))
        return hmac.new(key.secret, text.encode(), hashlib.sha256).hexdigest()


def visible(body: str) -> str:
    """Return the visible part of our comment: all but the first line, as GitHub stores it (without `\\r`)."""
    return body.replace("\r\n", "\n").partition("\n")[2].strip()


def _later(block: SignedState, other: SignedState) -> SignedState:
    """Return the block with the other block's choices and command that are later than its own."""
    choices = {c.service: c for c in block.memory.choices}
    for each in other.memory.choices:
        if each.service not in choices or choices[each.service].comment < each.comment:
            choices[each.service] = each
    kept = tuple(choices[service] for service in sorted(choices))
    memory = replace(block.memory, choices=kept, data=later_command(block.memory.data, other.memory.data))
    return replace(block, memory=memory) if memory != block.memory else block


def _payload(block: SignedState) -> str:
    memory = {
        "sequence": block.sequence,
        "warned": block.memory.warned_at.isoformat() if block.memory.warned_at else None,
        "expired": block.memory.expired_at.isoformat() if block.memory.expired_at else None,
        "why": block.memory.why,
        "choices": dumped(block.memory.choices),
        "heard": block.memory.heard,
        "data": dumped(block.memory.data) if block.memory.data else None,
    }
    return base64.b64encode(json.dumps(memory, sort_keys=True, separators=(",", ":")).encode()).decode()


def _block(payload: str, *, stale_key: bool) -> SignedState | None:
    try:
        memory = json.loads(base64.b64decode(payload, validate=True))
        return SignedState(
            sequence=int(memory["sequence"]),
            memory=CommentState(
                _time(memory["warned"]),
                _time(memory["expired"]),
                str(memory["why"]),
                tuple(loaded(LinkOverride, c) for c in memory.get("choices", ())),
                int(memory.get("heard", 0)),
                loaded(DataCommand, memory["data"]) if memory.get("data") else None,
            ),
            stale_key=stale_key,
        )
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
