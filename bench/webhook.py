"""How fast a webhook is answered over real HTTP, with 200 under way: milliseconds, median and 99th percentile."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from statistics import median

import httpx2

from greenroom.serving import running
from greenroom.web.webhook import webhook

TOGETHER = 200
COUNT = 4000
SECRET = "bench secret"


def _body() -> bytes:
    about = {"number": 7, "updated_at": "2026-03-02T12:00:00Z", "body": "x" * 20_000}
    return json.dumps(
        {"action": "labeled", "repository": {"id": 1, "full_name": "a/b"}, "pull_request": about}
    ).encode()


async def measure() -> list[float]:
    """Seconds of each answer."""
    body = _body()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-github-event": "pull_request", "x-hub-signature-256": signature}
    taken: list[float] = []
    application = webhook([SECRET], lambda hint: None, lambda seen: None)
    limits = httpx2.Limits(max_connections=TOGETHER, max_keepalive_connections=TOGETHER)
    async with running(application) as url, httpx2.AsyncClient(limits=limits, timeout=30) as client:
        left = iter(range(COUNT))

        async def send() -> None:
            for _ in left:
                begun = time.perf_counter()
                answer = await client.post(f"{url}/webhook", content=body, headers=headers)
                taken.append(time.perf_counter() - begun)
                assert answer.status_code == 202

        await asyncio.gather(*(send() for _ in range(TOGETHER)))
    return sorted(taken)


def main() -> None:
    """Print the figures. Client and server share one process and one core, so this is an upper bound."""
    taken = asyncio.run(measure())
    late = taken[int(len(taken) * 0.99)]
    print(
        f"webhook answers, {TOGETHER} under way, n={COUNT}: p50 {median(taken) * 1000:.0f} ms, p99 {late * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
