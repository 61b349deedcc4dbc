"""How fast a webhook is answered over real HTTP, alone and with 200 under way: median and 99th percentile.

The endpoint runs in a process of its own, as it does in use; the sender shares the machine with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import time
from statistics import median

from greenroom.asgi_server import running
from greenroom.web.webhook import webhook

TOGETHER = 200
COUNT = 4000
SECRET = "bench secret"


def _request() -> bytes:
    about = {"number": 7, "updated_at": "2026-03-02T12:00:00Z", "body": "x" * 20_000}
    payload = {"action": "labeled", "repository": {"id": 1, "full_name": "a/b"}, "pull_request": about}
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    lines = ["POST /webhook HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += ["x-github-event: pull_request", f"x-hub-signature-256: {signature}", "", ""]
    return "\r\n".join(lines).encode() + body


async def serve() -> None:
    """The endpoint; prints its port, and runs until its input ends."""
    async with running(webhook([SECRET], lambda hint: None, lambda seen: None)) as url:
        print(url.rpartition(":")[2], flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def measure(port: int, together: int, count: int) -> list[float]:
    """Seconds of each answer, in order of size."""
    request, taken, left = _request(), list[float](), iter(range(count))

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            begun = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 202"), head
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            taken.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(send() for _ in range(together)))
    return sorted(taken)


def main() -> None:
    """Print the figures."""
    command = [sys.executable, "-m", "bench.webhook", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        for together, count in ((1, COUNT // 10), (TOGETHER, COUNT)):
            taken = asyncio.run(measure(port, together, count))
            p50, p99 = median(taken) * 1000, taken[int(len(taken) * 0.99)] * 1000
            print(f"webhook answers, {together} under way, n={count}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


if __name__ == "__main__":
    asyncio.run(serve()) if sys.argv[1:] == ["serve"] else main()
