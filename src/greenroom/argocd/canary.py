"""Proof that Argo CD's own policy deletes nothing when a spec is withdrawn.

A controller-wide policy of Argo CD silently overrides `applicationsSync: create-update`. So a separate ApplicationSet
has one Application that is never synced. Its spec is withdrawn, and the Application must stay.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Controlling-Resource-Modification/
"""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.argocd.applicationset import InstallationSpec, canary_set, canary_spec
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, Kube, Object
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.refusals import error_of
from greenroom.argocd.timing import DEFAULT, Timing
from greenroom.clock import wait_until
from greenroom.errors import Doubt

DELETES = (
    "Argo CD deletes Applications whose specs are missing, although the ApplicationSets set"
    " `applicationsSync: create-update`: a controller-wide policy overrides this setting. In the ConfigMap"
    " argocd-cmd-params-cm, remove `applicationsetcontroller.policy`, or set"
    " `applicationsetcontroller.enable.policy.override: true`."
)


@dataclass(slots=True)
class Canary:
    """The canary of one installation. `served` holds the specs that Argo CD receives for the canary's set."""

    kube: Kube
    frame: InstallationSpec
    version: str
    refresh: Refresh
    timing: Timing = DEFAULT
    served: tuple[Object, ...] = ()

    async def prove(self) -> bool:
        """Return whether an Application stays after its spec is withdrawn. Raise `Doubt` if Argo CD does not
        respond.
        """
        await self._serve(canary_spec(self.frame, self.version))
        uid = await self._appeared()
        await self._serve()
        await self.timing.clock.sleep(self.timing.canary_settles)
        return await self._uid() == uid

    async def _serve(self, *specs: Object) -> None:
        self.served = specs
        generation = self.refresh.wanted + 1
        self.refresh.serves(generation)
        body = canary_set(self.frame, generation)
        await self.kube.apply(APPLICATION_SETS, self.frame.namespace, self.frame.canary, body)
        self.refresh.push(generation)
        patience = self.timing.canary_patience
        if not await self.refresh.taken_over(patience):
            why = await self._error()
            says = f" The ApplicationSet reports: {why}." if why else ""
            raise Doubt(
                f"Argo CD did not request the specs of the ApplicationSet {self.frame.canary} within"
                f" {patience:.0f} s.{says} Check that Argo CD is running and that the ConfigMap {self.frame.plugin} has"
                " Greenroom's address and token. If Argo CD cannot resolve or reach that address, set `plugin.baseUrl`"
                " in the values of the Greenroom chart."
            )

    async def _appeared(self) -> str:
        timing = self.timing
        if uid := await wait_until(self._uid, timing.canary_patience, every=timing.poll, clock=timing.clock):
            return uid
        why = await self._error()
        says = f"The ApplicationSet reports: {why}" if why else "Check the log of Argo CD's ApplicationSet controller"
        raise Doubt(f"Argo CD did not create an Application from the ApplicationSet {self.frame.canary}. {says}.")

    async def _error(self) -> str:
        return error_of(await self.kube.get(APPLICATION_SETS, self.frame.namespace, self.frame.canary))

    async def _uid(self) -> str:
        found = await self.kube.get(APPLICATIONS, self.frame.namespace, self.frame.canary)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return ""
        return str(found["metadata"]["uid"])
