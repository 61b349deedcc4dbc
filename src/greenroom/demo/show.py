"""How the demo is shown: rich on a terminal, plain lines in a pipe, one JSON object a step for machines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.status import Status
from rich.table import Table

from greenroom.core.text import counted
from greenroom.demo.story import Step

SEEN = "what was seen from outside"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left running: two addresses, the folder with everything in it, and what the program is called here."""

    dashboard: str
    admin: str
    folder: str
    program: str


class Shown(Protocol):
    """What a way of showing can do."""

    def begin(self, steps: int, seconds: float) -> None:
        """The stage is set."""

    def starts(self, step: Step) -> None:
        """A step begins."""

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """A step ended."""

    def end(self, ok: bool, seconds: float) -> None:
        """The story ended."""

    def keep(self, kept: Kept) -> None:
        """It keeps running, and there."""

    def ends(self) -> None:
        """Somebody ended it: what runs is ended first."""


def shown(*, as_json: bool) -> Shown:
    """The way that fits."""
    return Lines() if as_json else People(Console(highlight=False))


class Lines:
    """One JSON object a line."""

    def begin(self, steps: int, seconds: float) -> None:
        """Nothing: machines read steps."""

    def starts(self, step: Step) -> None:
        """Nothing: a step is told once, when it ended."""

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """The step's line."""
        print(json.dumps({"step": step.name, "ok": ok, "seconds": round(seconds, 2), "seen": seen}), flush=True)

    def end(self, ok: bool, seconds: float) -> None:
        """The summary's line."""
        print(json.dumps({"summary": "demo", "ok": ok, "seconds": round(seconds, 2)}), flush=True)

    def keep(self, kept: Kept) -> None:
        """Where it is."""
        told = {"dashboard": kept.dashboard, "admin": kept.admin, "folder": kept.folder}
        print(json.dumps(told), flush=True)

    def ends(self) -> None:
        """Nothing: the exit code says it."""


class People:
    """Progress with elapsed time while a step runs, a line when it ended, a table of what was seen at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._rows: list[tuple[str, str, str]] = []

    def begin(self, steps: int, seconds: float) -> None:
        """What is played."""
        self._say(f"The stage is set ({seconds:.1f} s): a shop of three repositories, {counted(steps, 'step')}.\n")

    def starts(self, step: Step) -> None:
        """The step's title, turning while it runs on a terminal."""
        if self._console.is_terminal:
            self._status = self._console.status(step.about)
            self._status.start()

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """The step's line; what was seen comes in the table."""
        if self._status:
            self._status.stop()
        mark = "[green]✓[/green]" if ok else "[red]✗[/red]"
        self._say(f"{mark} {step.about} [dim]({seconds:.1f} s)[/dim]")
        told = " ".join(seen.split()) if ok else f"NOT SEEN: {' '.join(seen.split())}"
        self._rows.append((step.name, told, f"{seconds:.1f}"))

    def end(self, ok: bool, seconds: float) -> None:
        """The table: within the terminal, or whole lines in a pipe."""
        self._say("")
        if self._console.is_terminal:
            self._console.print(self._table(), markup=False)
        else:
            for line in _lines([("step", SEEN, "seconds"), *self._rows]):
                self._console.print(line, markup=False, soft_wrap=True)
        verdict = "Every step was really seen." if ok else "The story stopped: a step was not seen."
        self._say(f"\n{verdict} {seconds:.1f} s in all.")

    def keep(self, kept: Kept) -> None:
        """Where it is, and how the command line reaches it."""
        self._say("\nIt keeps running until Ctrl-C, with previews to look at: ready, linked, failed, waiting.\n")
        self._say(f"  Dashboard  {kept.dashboard}")
        self._say(f"  Terminal   export GREENROOM_ADMIN={kept.admin}   then: {kept.program} list")
        self._say(f"  Folder     {kept.folder}")

    def ends(self) -> None:
        """That it takes a moment, and the cursor as it was."""
        if self._status:
            self._status.stop()
        self._say("\nEnding what runs here; nothing is left behind.")

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
    """Rows as lines of one width each, the last column to the right."""
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    return [f"{name:<{wide[0]}}  {seen:<{wide[1]}}  {taken:>{wide[2]}}" for name, seen, taken in rows]
