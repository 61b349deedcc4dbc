"""People who never stop asking: requests at a steady rate through the ingress, and which release answered each."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import httpx2

from e2e.scene import DOMAIN, NODE, Pull

RATE = 50.0  # requests a second
PATIENCE = 10.0  # seconds for one request
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One request by the monotonic clock: the status is 0 when nothing answered. `release` is in the page itself."""

    begun: float
    ended: float
    status: int
    release: str

    @property
    def failed(self) -> bool:
        """Return whether the ingress had nobody to ask, or the connection broke."""
        return self.status == NO_ANSWER or self.status >= 500


class Traffic:
    """Requests to a preview of payments while the context is open, from a thread of its own.

    A request begins every 20 ms whether or not the ones before have ended: a service that hangs does not slow it down.
    """

    def __init__(self, pull: Pull, rate: float = RATE) -> None:
        self.answers: list[Answer] = []
        self._host = f"{pull.repository.name}-pr-{pull.number}.{DOMAIN}"
        self._every = 1 / rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE + 10)

    @property
    def failures(self) -> list[Answer]:
        """The requests that failed so far."""
        return [a for a in self.answers if a.failed]

    async def _ask(self) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        async with (
            httpx2.AsyncClient(timeout=PATIENCE, trust_env=False, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            due = time.monotonic()
            while not self._over.is_set():
                group.create_task(self._request(client))
                due += self._every
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _request(self, client: httpx2.AsyncClient) -> None:
        begun, status, release = time.monotonic(), NO_ANSWER, ""
        try:
            answer = await client.get(f"http://{NODE}/", headers={"host": self._host})
            status = answer.status_code
            release = str(answer.json()["release"]) if status == 200 else ""
        except (httpx2.HTTPError, ValueError, KeyError, TypeError):
            pass
        self.answers.append(Answer(begun, time.monotonic(), status, release))


def counted(answers: Iterable[Answer]) -> str:
    """What was answered how often: `200 of 2: 150, 502: 3`."""
    found = Counter(f"{a.status or 'none'}{f' of {a.release}' if a.release else ''}" for a in answers)
    return ", ".join(f"{what}: {times}" for what, times in sorted(found.items()))
