"""`make bench-rollout`: requests that fail while a push replaces the version that serves, on the real cluster.

50 requests a second through the ingress, from two seconds before the push until six seconds after the new release
answered first. The image is there before the push. `--busy` changes another preview's Ingress all the time meanwhile:
an ingress controller that collects changes then hears of each one late.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e import scene as stage  # noqa: E402
from e2e.scene import Pull, kubectl, until  # noqa: E402
from e2e.traffic import Traffic, counted  # noqa: E402

BEFORE, AFTER = 2.0, 6.0  # seconds


@contextmanager
def neighbours(pull: Pull, busy: bool) -> Iterator[None]:
    """Change the Ingress of another preview four times a second, if asked to."""
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.wait(0.25):
            number += 1
            path = json.dumps(
                {"metadata": {"annotations": {"traefik.ingress.kubernetes.io/router.priority": str(number)}}}
            )
            kubectl("patch", "ingress", "payments", "-n", pull.namespace, "--type=merge", "-p", path, check=False)

    thread = threading.Thread(target=change, daemon=True)
    if busy:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if busy:
            thread.join(10)


def pushed(pull: Pull, release: str) -> tuple[int, int, float]:
    """Push one release under load. Return the failures, all requests, and the seconds in which both answered."""
    sha = pull.repository.commit(pull.branch, release)
    pull.repository.build(sha)
    with Traffic(pull) as traffic:
        time.sleep(BEFORE)
        pull.scene.github.do(lambda w: w.push(pull.repository.slug, pull.number, sha, "ada"))
        until(lambda: any(a.release == release for a in list(traffic.answers)), 90, f"release {release}")
        time.sleep(AFTER)
    new = [a for a in traffic.answers if a.release == release]
    old = [a for a in traffic.answers if a.release and a.release != release]
    overlap = max(a.ended for a in old) - min(a.begun for a in new)
    print(f"  release {release}: {counted(traffic.answers)}; both answered for {overlap:.2f} s", flush=True)
    assert max(traffic.answers, key=lambda a: a.begun).release == release, "the new release is the one that answers"
    return len(traffic.failures), len(traffic.answers), overlap


def removed(pull: Pull) -> float:
    """Seconds from the label's removal until neither Application nor namespace exists."""
    begun = time.monotonic()
    pull.unlabel()
    pull.gone(60)
    took = time.monotonic() - begun
    # The breaker counts three in an hour. A clock that jumps is doubt for a moment, so this comes after the figure.
    pull.scene.github.do(lambda w: w.advance(timedelta(hours=1, minutes=1)))
    return took


def told(found: list[tuple[int, int, float]], busy: bool) -> None:
    """Print the sums of all pushes."""
    failed, asked = sum(f for f, _, _ in found), sum(n for _, n, _ in found)
    hit = sum(f > 0 for f, _, _ in found)
    print(f"{failed} of {asked} requests failed, in {hit} of {len(found)} pushes (busy: {busy});")
    print(f"both versions answered for {statistics.median(o for _, _, o in found):.2f} s (median)")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pushes", type=int, default=10)
    options.add_argument("--removals", type=int, default=5)
    options.add_argument("--busy", action="store_true")
    options.add_argument("--chart", type=Path, default=ROOT / "charts" / "preview", help="another preview chart")
    chosen = options.parse_args()
    stage.environment()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with stage.played(folder, os.environ["GREENROOM_E2E"], chosen.chart) as scene:
            pull = scene.payments.pull_request("rollout", "1")
            pull.ready("1")
            other = scene.payments.pull_request("neighbour", "1")
            other.ready("1")
            with neighbours(other, chosen.busy):
                found = [pushed(pull, str(number + 2)) for number in range(chosen.pushes)]
            if found:
                told(found, chosen.busy)
            times = []
            for number in range(chosen.removals):
                gone = scene.payments.pull_request(f"removal-{number}", "1")
                gone.ready("1")
                times.append(removed(gone))
            if times:
                print(f"removed: {statistics.median(times):.2f} s (median, {min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
