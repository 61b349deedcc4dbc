"""`make bench-truth`: does another commit answer while Greenroom says that the head is what serves?

Pushes with crashes, deletions, evictions, moved tags, broken images and pushes on top, 50 requests a second through the
ingress. Each answer names its release. Exit code 1 when an answer contradicts `greenroom wait` or the Preview object.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e import scene as stage  # noqa: E402
from e2e.prober import READY, WAIT, probed  # noqa: E402


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pushes", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    stage.environment()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with stage.played(folder, os.environ["GREENROOM_E2E"]) as scene:
            pull = scene.payments.pull_request("truth", "0")
            pull.ready("0")
            print(f"{chosen.pushes} pushes begin", flush=True)
            begun = time.monotonic()
            prober, found = probed(pull, chosen.pushes, chosen.seed)
            took = time.monotonic() - begun
    for (by, said, answered), n in Counter(
        (v.claim.by, v.claim.release, v.answer.release) for v in found.violations
    ).items():
        print(f"  {by} said {said}, and {answered} answered: {n}")
    for violation in found.violations[:5]:
        print(f"  {violation}")
    kinds = ", ".join(f"{kind}: {n}" for kind, n in sorted(prober.kinds.items()))
    print(f"{chosen.pushes} pushes in {took / 60:.1f} min (seed {chosen.seed}; {kinds})")
    print(f"{len(prober.answers)} requests, {sum(a.failed for a in prober.answers)} failed")
    print(f"answers judged: {found.judged[WAIT]} after `greenroom wait`, {found.judged[READY]} while Ready was true")
    print(
        f"push -> the end of `greenroom wait`: {statistics.median(prober.waits):.1f} s (median of {len(prober.waits)})"
    )
    print(f"violations: {len(found.violations)} in {chosen.pushes} pushes")
    sys.exit(bool(found.violations) or not all(found.judged[by] for by in (WAIT, READY)))


if __name__ == "__main__":
    main()
