"""A whole run must exercise every fault and every judged operation at least once; else it fails, whatever passed.

A fault counts where Greenroom meets it: the simulator's own tests, which send webhooks to a dummy, do not count.
"""

from __future__ import annotations

import logging
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from greenroom.simulator.faults import ALL, Faults
from judge import COUNTS, operations

FIRED: Counter[str] = Counter()
os.environ.setdefault("SEED", str(random.SystemRandom().randrange(10**6)))
"""Set before pytest-xdist starts its processes: all of them must collect the same tests."""
_real = Faults.fires


def _counting(self: Faults, name: str, path: str = "", nodes: int = 1) -> bool:
    fired = _real(self, name, path, nodes)
    FIRED[name] += fired and not os.environ.get("PYTEST_CURRENT_TEST", "").startswith("tests/simulator/")
    return fired


Faults.fires = _counting  # type: ignore[method-assign]  # counts over all simulators of the run; changes nothing


def pytest_sessionstart(session: pytest.Session) -> None:
    """A run in the background (`&`, nohup) was told to ignore these, and what it starts would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For a test that sets logging up: what is captured for it ends with it."""
    handlers = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers = handlers
    structlog.reset_defaults()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # one of several processes (pytest-xdist): the first one judges all counts
        output["fired"], output["counts"] = dict(FIRED), dict(COUNTS)
        return
    option = session.config.option
    whole = not (option.keyword or option.markexpr or getattr(option, "lf", False))
    if exitstatus or not whole or session.config.args != session.config.getini("testpaths"):
        return
    silent = [f"fault {name}" for name in ALL if not FIRED[name]]
    silent += [f"operation {name}" for name in (*operations(), "POST /graphql") if not COUNTS[name]]
    if silent:
        print(f"\nnever exercised in this run: {', '.join(silent)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Add the counts of a process that has ended."""
    output = getattr(node, "workeroutput", {})
    FIRED.update(output.get("fired", {}))
    COUNTS.update(output.get("counts", {}))
