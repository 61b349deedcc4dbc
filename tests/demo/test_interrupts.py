"""However the demo is ended, and however often somebody asks for it: nothing runs on, and no file stays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.local.processes import started

SECONDS = 40.0
DEMO = (sys.executable, "-m", "greenroom", "demo", "--json")


@pytest.fixture
def home() -> Iterator[Path]:
    """Where the demo makes its folder; previews of root run as `nobody`, who must be able to enter it."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def descendants(pid: int) -> dict[int, str]:
    """Everything that a process started, and what that did, with the start times that tell one from another."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found, last = {pid}, 0
    while len(found) > last:
        last = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return {child: started(child) or "" for child in found - {pid}}


def when_it_plays(demo: subprocess.Popen[str], home: Path) -> None:
    """A preview runs, with its database."""
    assert demo.stdout
    for line in demo.stdout:
        step = json.loads(line)
        assert step["ok"], step
        if step["step"] == "ready":
            return


def when_it_makes_repositories(demo: subprocess.Popen[str], home: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not list(home.glob("*/git/*")):
        assert time.monotonic() < deadline
        assert demo.poll() is None


def group(demo: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a terminal does it: everything in it is told."""
    os.killpg(demo.pid, number)


def alone(demo: subprocess.Popen[str], number: signal.Signals) -> None:
    demo.send_signal(number)


@pytest.mark.parametrize(
    ("moment", "told", "numbers"),
    [
        (when_it_plays, group, [signal.SIGINT]),
        (when_it_plays, group, [signal.SIGHUP, signal.SIGINT]),
        (when_it_plays, alone, [signal.SIGTERM, signal.SIGHUP]),
        (when_it_makes_repositories, group, [signal.SIGINT]),
    ],
    ids=["Ctrl-C", "the terminal is closed", "SIGTERM", "Ctrl-C at the start"],
)
def test_an_impatient_interrupt_leaves_nothing_behind(
    moment: Callable[[subprocess.Popen[str], Path], None],
    told: Callable[[subprocess.Popen[str], signal.Signals], None],
    numbers: list[signal.Signals],
    home: Path,
) -> None:
    environment = {**os.environ, "TMPDIR": str(home)}
    with subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        moment(demo, home)
        running = descendants(demo.pid)
        run_as = [json.loads(note.read_text())["home"] for note in home.glob("*/platform/.greenroom/home.json")]
        deadline = time.monotonic() + SECONDS
        while demo.poll() is None:  # again and again
            assert time.monotonic() < deadline
            for number in numbers:
                told(demo, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.wait(0.2)
    ended = {130, *(-number for number in numbers)}  # while Python itself ends, signals are the system's again
    left = [pid for pid, start in running.items() if start and started(pid) == start]
    for pid in left:  # a demo that is wrong leaves none of it to this machine
        os.kill(pid, signal.SIGKILL)
    assert left == []
    assert demo.returncode in ended
    assert [*home.iterdir(), *(folder for folder in run_as if Path(folder).exists())] == []


def test_what_was_ignored_before_stays_ignored(home: Path) -> None:
    """`nohup greenroom demo`: the terminal may be closed."""
    demo = subprocess.Popen(
        ("nohup", *DEMO),
        env={**os.environ, "TMPDIR": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with demo:
        when_it_plays(demo, home)
        group(demo, signal.SIGHUP)
        assert demo.stdout
        assert json.loads(demo.stdout.readline())["ok"], "the next step is played"
        demo.terminate()
        demo.communicate(timeout=SECONDS)
    assert demo.returncode == 130
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("arguments", [("--keep",), ("--state", "STATE")], ids=["--keep", "--state"])
def test_demo_names_the_folder_that_it_keeps(arguments: tuple[str, ...], home: Path) -> None:
    asked = [str(home / "state") if a == "STATE" else a for a in arguments]
    demo = subprocess.Popen(
        (*DEMO[:-1], *asked),
        env={**os.environ, "TMPDIR": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with demo:
        when_it_makes_repositories(demo, home)
        running = descendants(demo.pid)
        group(demo, signal.SIGINT)
        said, _ = demo.communicate(timeout=SECONDS)
    [stays] = home.iterdir()
    assert said.splitlines()[-1] == f"Shutting down; its files stay in {stays}."
    assert demo.returncode == 130
    assert [pid for pid, start in running.items() if start and started(pid) == start] == []


WATCH = """
import os, signal, sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
"""


@pytest.mark.parametrize(
    "program", [(str(Path(sys.executable).with_name("greenroom")),), DEMO[:3]], ids=["script", "-m"]
)
@pytest.mark.parametrize("module", ["greenroom.cli", "click", "greenroom.errors", "greenroom.demo", "httpx2"])
def test_ctrl_c_while_loading_prints_no_traceback(program: tuple[str, ...], module: str, home: Path) -> None:
    (home / "sitecustomize.py").write_text(WATCH)
    environment = {**os.environ, "TMPDIR": str(home), "PYTHONPATH": str(home), "INTERRUPTED_AT": module}
    done = subprocess.run(
        (*program, "demo"), env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
