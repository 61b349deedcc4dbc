"""What `make cluster-down` says about processes that it left. No cluster is needed."""

from __future__ import annotations

import subprocess
from pathlib import Path

PROOF = Path(__file__).parents[1] / "deploy" / "cluster" / "proof.sh"
NOTHING_ELSE = """
set -euo pipefail
. "$1"
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
    command = ["bash", "-c", f"{NOTHING_ELSE}\n{script}", "proof", str(PROOF), *arguments]
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
