"""The proof that Argo CD's own policy lets a row go without deleting anything.

A controller-wide policy of Argo CD wins over `applicationsSync: create-update` without a word. So a set of its own has
one Application that is never synced; its row is withdrawn, and the Application must stay.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Controlling-Resource-Modification/
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from greenroom.argocd.kube import APPLICATION_SETS, APPLICATIONS, Kube, Object
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.sets import Frame, canary_row, canary_set
from greenroom.errors import Doubt

PATIENCE = 20.0
DELETES = (
    "Argo CD deletes Applications whose rows are missing, although the ApplicationSets say create-update: a policy of"
    " the whole controller wins. Take `applicationsetcontroller.policy` out of argocd-cmd-params-cm, or set"
    " `applicationsetcontroller.enable.policy.override: true`; until then nothing is served, started or removed."
)


@dataclass(slots=True)
class Canary:
    """One installation's canary. `served` is what its set is answered with."""

    kube: Kube
    frame: Frame
    version: str
    refresh: Refresh
    served: tuple[Object, ...] = ()

    async def prove(self) -> bool:
        """Whether a withdrawn row leaves its Application alone. Raises `Doubt` when Argo CD does not take part."""
        await self._serve(canary_row(self.frame, self.version))
        uid = await self._appeared()
        await self._serve()
        await asyncio.sleep(0.5)
        return await self._uid() == uid

    async def _serve(self, *rows: Object) -> None:
        self.served = rows
        self.refresh.wanted += 1
        body = canary_set(self.frame, self.refresh.wanted)
        await self.kube.apply(APPLICATION_SETS, self.frame.namespace, self.frame.canary, body)
        self.refresh.push(self.refresh.wanted)
        if not await self.refresh.taken_over(PATIENCE):
            raise Doubt(
                f"Argo CD did not ask for the rows of {self.frame.canary} within {PATIENCE:.0f} s. Does it run, and"
                f" does its plugin ConfigMap {self.frame.plugin} name our address and token?"
            )

    async def _appeared(self) -> str:
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while loop.time() < end:
            if uid := await self._uid():
                return uid
            await asyncio.sleep(0.1)
        found = await self.kube.get(APPLICATION_SETS, self.frame.namespace, self.frame.canary)
        said = [
            c.get("message", "")
            for c in ((found or {}).get("status") or {}).get("conditions") or ()
            if (c.get("type"), c.get("status")) == ("ErrorOccurred", "True")
        ]
        raise Doubt(f"Argo CD made no Application from {self.frame.canary}: {'; '.join(said) or 'it says nothing'}.")

    async def _uid(self) -> str:
        found = await self.kube.get(APPLICATIONS, self.frame.namespace, self.frame.canary)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return ""
        return str(found["metadata"]["uid"])
