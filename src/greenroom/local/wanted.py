"""The spec that a preview has to apply, and the steps that end as soon as another spec supersedes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from greenroom.core.model.spec import PreviewSpec
from greenroom.local.version_key import key_of


class Wanted:
    """The spec that is served; None once it is withdrawn."""

    def __init__(self, spec: PreviewSpec | None) -> None:
        self._spec = spec
        self._changed = asyncio.Event()

    @property
    def spec(self) -> PreviewSpec | None:
        """Return the spec that is served."""
        return self._spec

    def serve(self, spec: PreviewSpec | None) -> None:
        """Replace the spec, and interrupt what waits for another one."""
        self._spec = spec
        self._changed.set()

    def superseded(self, spec: PreviewSpec | None) -> bool:
        """Return whether the current spec needs another version, sleep or a wake-up. A withdrawn spec stops nothing."""
        now = self._spec
        if now is None or now is spec:
            return False
        return spec is None or now.asleep != spec.asleep or key_of(now) != key_of(spec)

    async def pause(self, spec: PreviewSpec | None, seconds: float) -> None:
        """Wait, unless another spec superseded this one. Another spec ends the wait."""
        if self.superseded(spec):
            return
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def run(self, spec: PreviewSpec | None, step: Coroutine[Any, Any, None]) -> None:
        """Run a step to its end, or cancel it as soon as another spec supersedes this one."""
        doing = asyncio.create_task(step)
        try:
            while not doing.done() and not self.superseded(spec):
                self._changed.clear()
                async with asyncio.TaskGroup() as group:
                    changed = group.create_task(self._changed.wait())
                    await asyncio.wait((doing, changed), return_when=asyncio.FIRST_COMPLETED)
                    changed.cancel()
        finally:
            doing.cancel()
            await asyncio.wait((doing,))
            if not doing.cancelled():
                doing.exception()  # retrieve it, or asyncio logs an error when this task is canceled too
        if not doing.cancelled():
            doing.result()
