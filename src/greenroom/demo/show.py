"""How the demo is shown: rich on a terminal, plain lines in a pipe, one JSON object a step for machines."""

from __future__ import annotations

import asyncio
import json
from typing import Protocol

from rich.console import Console
from rich.status import Status
from rich.table import Table

from greenroom.demo.story import Step


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

    async def keep(self, dashboard: str) -> None:
        """Leave it running until somebody interrupts."""


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

    async def keep(self, dashboard: str) -> None:
        """The address, then wait."""
        print(json.dumps({"dashboard": dashboard}), flush=True)
        await asyncio.Event().wait()


class People:
    """Progress with elapsed time while a step runs, one line when it ended, a table at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._rows: list[tuple[str, bool, str, float]] = []

    def begin(self, steps: int, seconds: float) -> None:
        """What is played."""
        self._console.print(f"The stage is set ({seconds:.1f} s): a shop of three repositories, {steps} steps.\n")

    def starts(self, step: Step) -> None:
        """The step's title, turning while it runs on a terminal."""
        if self._console.is_terminal:
            self._status = self._console.status(step.about)
            self._status.start()

    def ended(self, step: Step, ok: bool, seen: str, seconds: float) -> None:
        """The step's line."""
        if self._status:
            self._status.stop()
        mark = "[green]✓[/green]" if ok else "[red]✗[/red]"
        self._console.print(f"{mark} {step.about} [dim]({seconds:.1f} s)[/dim]")
        self._console.print(f"  {seen}", markup=False, style="dim" if ok else "red")
        self._rows.append((step.name, ok, seen, seconds))

    def end(self, ok: bool, seconds: float) -> None:
        """The table."""
        table = Table(title="What was seen from outside", title_justify="left", box=None, pad_edge=False)
        for name in ("step", "seen", "seconds"):
            table.add_column(name, justify="right" if name == "seconds" else "left")
        for name, good, seen, taken in self._rows:
            table.add_row(name, ("" if good else "NOT SEEN: ") + seen, f"{taken:.1f}")
        self._console.print()
        self._console.print(table, markup=False)
        verdict = "Every step was really seen." if ok else "The story stopped: a step was not seen."
        self._console.print(f"\n{verdict} {seconds:.1f} s in all.")

    async def keep(self, dashboard: str) -> None:
        """The address, then wait for Ctrl-C."""
        self._console.print(f"It keeps running. Dashboard: {dashboard}   (Ctrl-C ends it)")
        await asyncio.Event().wait()
