"""Git commands in checkouts on this machine. Hooks do not run, and nothing prompts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from greenroom.local import machine, processes

_ENVIRONMENT = {
    "LC_ALL": "C",  # error messages are parsed
    # Git must not prompt, because nobody can answer.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
}


async def run(checkout: Path, *arguments: str, seconds: float, mark: str = "", may_fetch: bool = False) -> str:
    """Run git. Return an empty string on success, else the most useful line of its output.

    The time is limited, because git before 2.45 may fetch from a remote that hangs even without `may_fetch`.
    """
    child = await start(checkout, *arguments, mark=mark, may_fetch=may_fetch)
    try:
        async with asyncio.timeout(seconds):
            _, wrong = await processes.finish(child)
    except TimeoutError:
        return f"git did not finish within {seconds:g} s"
    lines = wrong.decode(errors="replace").strip().splitlines() or [f"git exited with {child.returncode}"]
    return machine.disk_error_or_last(lines) if child.returncode else ""


async def start(checkout: Path, *arguments: str, mark: str = "", may_fetch: bool = False) -> asyncio.subprocess.Process:
    """Start git, in its own session and with the mark of a preview. Finish it with `processes.finish`."""
    given = {processes.MARK: mark} if mark else {}
    if not may_fetch:
        given["GIT_NO_LAZY_FETCH"] = "1"  # in a partial clone, looking for a missing object would fetch it
    safe = ["-c", "core.hooksPath=/dev/null", "-c", f"safe.directory={checkout.resolve()}"]
    return await asyncio.create_subprocess_exec(
        "git",
        *safe,
        "-C",
        str(checkout),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        umask=0o022,
        env={**os.environ, **_ENVIRONMENT, **given},
    )
