"""Play many lives: `python -m chaos --lives 1000 --seed 7 --engine local`; `--life 123` plays the world of that life."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
from pathlib import Path

from chaos import report
from chaos.driver import play

WORLD = {"local": 24, "argocd": 24}


def main() -> int:
    """Play worlds until there were enough lives; 1 when any rule was broken."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--lives", type=int, default=48)
    parser.add_argument("--seed", default="")
    parser.add_argument("--life", type=int)
    parser.add_argument("--engine", choices=("local", "argocd"), default="local")
    parser.add_argument("--storm", type=float, default=12.0)
    parser.add_argument(
        "--keep", type=Path, default=None, help="a folder for the whole record of worlds with violations"
    )
    parser.add_argument("--only", default="", help="faults that may happen, by comma; all when empty")
    given = parser.parse_args()
    seed = given.seed or str(random.SystemRandom().randrange(10**6))
    size = min(WORLD[given.engine], given.lives)
    worlds = (
        range(given.life // size, given.life // size + 1) if given.life is not None else range(-(-given.lives // size))
    )
    print(
        f"chaos: engine {given.engine}, SEED={seed}, worlds {worlds.start} to {worlds.stop - 1} of {size} lives",
        flush=True,
    )
    broken = played = 0
    for number in worlds:
        played_one = play(
            given.engine,
            f"{seed}.{number}",
            size,
            first=number * size,
            storm=given.storm,
            expire=number % 3 == 1,
            room=size * 2 // 3 if number % 3 == 2 else 500,
            only=frozenset(given.only.split(",")) - {""},
        )
        result = asyncio.run(played_one)
        result.seed = seed
        broken, played = broken + len(result.violations), played + result.lives
        print(report.line(result), flush=True)
        if result.violations:
            print(report.full(result), flush=True)
            if given.keep:
                print(f"  everything: {report.kept(result, given.keep / str(number))}", flush=True)
    print(f"{played} lives, {broken} violations", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
