"""What `make cluster-down` says about processes that it left. No cluster is needed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROOF = Path(__file__).parents[1] / "deploy" / "cluster" / "proof.sh"
NOTHING_ELSE = """
set -euo pipefail
. "$1/lib.sh"
. "$1/proof.sh"
say() { echo "$*"; }
mounts() { :; }
networked() { :; }
ip() { :; }
find() { :; }
iptables-save() { :; }
CGROUPS= NAME=none NETNS=none RUN=/nonexistent/run LOGS=/nonexistent/logs BIN=/nonexistent/bin
"""
RUNNING = """
one=$2 other=$3 BIN=$(dirname "$(readlink "/proc/$2/exe")")
strays() { echo "/proc/$one"; }
networks() { echo "$one"; echo "$other"; }
proof
"""


def proof(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f"{NOTHING_ELSE}\n{script}", "proof", str(PROOF.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_processes_that_still_run_are_named_with_the_command_that_ends_them() -> None:
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "61"]) as other:
        try:
            done = proof(RUNNING, str(one.pid), str(other.pid))
        finally:
            one.kill()
            other.kill()
    assert done.returncode == 1
    assert [line.rstrip() for line in done.stdout.splitlines()[:4]] == [
        f"left: process {one.pid} still runs: sleep 60",
        f"left: process {one.pid} still runs inside the cluster's network: sleep 60",
        f"left: process {other.pid} still runs inside the cluster's network: sleep 61",
        f"end what still runs with: kill {one.pid} {other.pid}",
    ]


def test_without_such_processes_no_command_is_printed() -> None:
    done = proof("strays() { :; }\nnetworks() { :; }\nproof")
    assert "kill" not in done.stdout


@pytest.mark.parametrize(
    ("command", "found"),
    [("echo x; seq 100000", 0), ("seq 100000; echo x", 0), ("echo x; exit 1", 0), ("seq 100000", 1), ("exit 1", 1)],
    ids=["a long output after the match", "before it", "a command that fails after it", "no match", "no output"],
)
def test_output_that_matches_is_found_however_much_follows(command: str, found: int) -> None:
    script = f"if matches '^x$' sh -c '{command}'; then exit 0; else exit 1; fi"
    assert {proof(script).returncode for _ in range(20)} == {found}


def test_python_without_pip_is_passed_over(tmp_path: Path) -> None:
    """The virtual environment that docs/trial.md puts first on PATH has none."""
    without = tmp_path / "python3"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    done = proof(f"PATH={tmp_path}:$PATH; pip_python")
    assert done.stdout.strip().endswith("python3")
    assert str(tmp_path) not in done.stdout
