"""Random lives of pull requests on both engines, with everything that goes wrong, judged from outside.

Each run has another seed, which it prints: `make chaos SEED=… ENGINE=… LIVES=9 CHAOS="--storm 8"` plays the same world
again, and so does `CHAOS_SEED=…` with this test.
"""

import os
import random

import pytest

from chaos import report
from chaos.driver import play

SEED = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**6))
LIVES, STORM_SECONDS = 9, 8.0


@pytest.mark.parametrize("engine", ["local", "argocd"])
async def test_random_lives_under_random_faults_break_no_rule(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = await play(engine, f"{SEED}.0", LIVES, storm=STORM_SECONDS)
    result.seed = SEED
    with capsys.disabled():
        print(f"\n{report.line(result)}")
    assert not result.violations, f"\n{report.full(result)}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the small disk that is to be full")
async def test_previews_survive_a_disk_that_is_full_for_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    result = await play("local", f"{SEED}.disk", 6, storm=6, only=frozenset({"full"}))
    with capsys.disabled():
        print(f"\n{report.line(result)}")
    assert not result.violations, f"\n{report.full(result)}"
