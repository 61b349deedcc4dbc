"""A process with a local engine that tests kill in the middle: `python killed_process.py serve|remove PICKLE`."""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

from greenroom.core.model.engine import Health, PreviewSet
from greenroom.local.engine import LocalEngine
from greenroom.local.settings import LocalSettings


async def serve(settings: LocalSettings, preview_set: PreviewSet) -> None:
    """Serve a set until the test kills this process."""
    async with LocalEngine(settings, lambda i: None) as engine:
        await engine.serve(preview_set)
        await asyncio.Event().wait()


async def remove(settings: LocalSettings, preview_set: PreviewSet, none: PreviewSet) -> None:
    """Serve a set of one preview, and remove it as soon as it is ready."""
    async with LocalEngine(settings, lambda i: None) as engine:
        await engine.serve(preview_set)
        while True:
            [preview] = (await engine.observe()).previews.values()
            if preview.health is Health.READY:
                break
            await asyncio.sleep(0.02)
        await engine.serve(none)
        await engine.remove(preview.identity, preview.uid)


if __name__ == "__main__":
    given = pickle.loads(Path(sys.argv[2]).read_bytes())
    asyncio.run(serve(*given) if sys.argv[1] == "serve" else remove(*given))
