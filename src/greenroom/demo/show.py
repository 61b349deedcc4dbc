"""Output of the demo: rich on a terminal, plain lines in a pipe, one JSON object per step for machines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.status import Status
from rich.table import Table

from greenroom.core.comment.sanitize import counted
from greenroom.demo.story import Step

SEEN = "observed result"


@dataclass(frozen=True, slots=True)
class Kept:
    """Demo that keeps running: two addresses, the folder with all its files, and the name of the program here."""

    dashboard: str
    admin: str
    folder: str
    program: str


class Shown(Protocol):
    """Interface for output of the demo."""

    def begin(self, steps: int, seconds: float) -> None:
        """Report that the setup finished."""

    def starts(self, step: Step) -> None:
        """Report that a step begins."""

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """Report that a step ended."""

    def end(self, ok: bool, seconds: float) -> None:
        """Report that the story ended."""

    def keep(self, kept: Kept) -> None:
        """Report that the demo keeps running, and where."""

    def ends(self, folder: Path | None) -> None:
        """Report that a person stopped the demo and that it is shutting down. `folder` is kept, if given."""


def shown(*, as_json: bool) -> Shown:
    """Return the output for machines if `as_json`, otherwise the output for people."""
    return Lines() if as_json else People(Console(highlight=False))


class Lines:
    """Output for machines: one JSON object per line."""

    def begin(self, steps: int, seconds: float) -> None:
        """Do nothing: machines read steps."""

    def starts(self, step: Step) -> None:
        """Do nothing: a step is reported once, when it ends."""

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """Print the step's line."""
        print(json.dumps({"step": step.name, "ok": ok, "seconds": round(seconds, 2), "seen": seen}), flush=True)

    def end(self, ok: bool, seconds: float) -> None:
        """Print the summary's line."""
        print(json.dumps({"summary": "demo", "ok": ok, "seconds": round(seconds, 2)}), flush=True)

    def keep(self, kept: Kept) -> None:
        """Print where the demo runs."""
        told = {"dashboard": kept.dashboard, "admin": kept.admin, "folder": kept.folder}
        print(json.dumps(told), flush=True)

    def ends(self, folder: Path | None) -> None:
        """Do nothing: the exit code reports it."""


class People:
    """Output for people: a spinner while a step runs, a line when it ends, and a table of the results at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._rows: list[tuple[str, str, str]] = []

    def begin(self, steps: int, seconds: float) -> None:
        """Print that the setup finished, and the number of steps."""
        self._say(
            f"Setup finished ({seconds:.1f} s): a shop with three repositories. Next: {counted(steps, 'step')}.\n"
        )

    def starts(self, step: Step) -> None:
        """Show the step's title with a spinner while the step runs, on a terminal only."""
        if self._console.is_terminal:
            self._status = self._console.status(step.about)
            self._status.start()

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """Print the step's line. The table shows the result."""
        if self._status:
            self._status.stop()
        mark = "[green]✓[/green]" if ok else "[red]✗[/red]"
        self._say(f"{mark} {step.about} [dim]({seconds:.1f} s)[/dim]")
        told = " ".join(seen.split()) if ok else f"FAILED: {' '.join(seen.split())}"
        self._rows.append((step.name, told, f"{seconds:.1f}"))

    def end(self, ok: bool, seconds: float) -> None:
        """Print the table within the terminal's width, or as whole lines in a pipe, and the summary."""
        self._say("")
        if self._console.is_terminal:
            self._console.print(self._table(), markup=False)
        else:
            for line in _lines([("step", SEEN, "seconds"), *self._rows]):
                self._console.print(line, markup=False, soft_wrap=True)
        verdict = f"All {counted(len(self._rows), 'step')} passed in" if ok else "The demo stopped: a step failed after"
        self._say(f"\n{verdict} {seconds:.1f} s.")

    def keep(self, kept: Kept) -> None:
        """Print where the demo runs, and how the command line reaches it."""
        self._say(
            "\nThe demo keeps running until Ctrl-C, with previews to look at: ready, linked, failed and waiting.\n"
        )
        self._say(f"  Dashboard  {kept.dashboard}")
        self._say(f"  Terminal   export GREENROOM_ADMIN={kept.admin}   then: {kept.program} list")
        self._say(f"  Folder     {kept.folder}")

    def ends(self, folder: Path | None) -> None:
        """Print that the demo is shutting down and which files stay, and restore the cursor."""
        if self._status:
            self._status.stop()
        left = f"its files stay in {folder}" if folder else "nothing is left behind"
        self._say(f"\nShutting down; {left}.")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=not self._console.is_terminal)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("step", SEEN, "seconds"):
            table.add_column(name, justify="right" if name == "seconds" else "left", no_wrap=name != SEEN)
        for row in self._rows:
            table.add_row(*row)
        return table


def _lines(rows: list[tuple[str, str, str]]) -> list[str]:
    """Return the rows as lines of equal width, with the last column aligned to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    return [f"{name:<{wide[0]}}  {seen:<{wide[1]}}  {taken:>{wide[2]}}" for name, seen, taken in rows]
