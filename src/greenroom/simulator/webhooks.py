"""Signed webhooks, sent as GitHub sends them: at most once, in no guaranteed order, without automatic retries.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass

import httpx2

from greenroom.simulator import bodies
from greenroom.simulator.world import PullRequest, Repository, User, World


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook to deliver: event name, GUID, raw body."""

    event: str
    id: str
    body: bytes


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Webhooks:
    """Sender of a world's events to one URL. `log` holds each delivery with the status of its response, if any."""

    def __init__(self, world: World, secret: str, url: str = "") -> None:
        self._world = world
        self._secret = secret
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._late: list[Delivery] = []
        self._swapped: Delivery | None = None
        self._url = url
        self.log: list[tuple[Delivery, int | None]] = []
        world.listeners.append(self._happened)

    @property
    def url(self) -> str:
        """Return the URL that events are sent to; empty while they are sent to none."""
        return self._url

    def send_to(self, url: str) -> None:
        """Send events to this URL from now on; to none if it is empty."""
        self._url = url

    def _happened(self, event: str, action: str, repo: Repository, pull: PullRequest | None, who: User) -> None:
        if not self._url:
            return
        payload = bodies.body(self._world, event, action, repo, pull, who)
        self._fate(Delivery(event, str(uuid.uuid4()), json.dumps(payload).encode()))

    def _fate(self, delivery: Delivery) -> None:
        faults = self._world.faults
        if faults.fires("webhook-lost"):
            return
        if faults.fires("webhook-late"):
            self._late.append(delivery)
            return
        if faults.fires("webhook-reordered") and self._swapped is None:
            self._swapped = delivery
            return
        self._queue.put_nowait(delivery)
        if faults.fires("webhook-duplicated"):
            self._queue.put_nowait(delivery)
        if self._swapped:
            swapped, self._swapped = self._swapped, None
            self._queue.put_nowait(swapped)

    def send_late(self) -> None:
        """Queue the webhooks that were late or held back for reordering."""
        late = [*self._late, *([self._swapped] if self._swapped else [])]
        self._late, self._swapped = [], None
        for delivery in late:
            self._queue.put_nowait(delivery)

    def queued(self) -> list[Delivery]:
        """Remove and return all queued webhooks, in order, without sending them."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    async def run(self) -> None:
        """Send webhooks forever. If the receiver does not answer, log that and do not retry."""
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
            while True:
                delivery = await self._queue.get()
                headers = {
                    "content-type": "application/json",
                    "user-agent": "GitHub-Hookshot/simulated",
                    "x-github-event": delivery.event,
                    "x-github-delivery": delivery.id,
                    "x-hub-signature-256": signature(self._secret, delivery.body),
                }
                status = None
                try:
                    status = (await client.post(self.url, content=delivery.body, headers=headers)).status_code
                except httpx2.HTTPError:
                    status = None
                self.log.append((delivery, status))
