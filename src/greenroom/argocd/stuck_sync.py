"""An operation of Argo CD on an older spec while a newer spec waits. Argo CD would otherwise wait for it forever.

`StuckSync` finds one, and `SyncTerminator` ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from greenroom.argocd import sync_status
from greenroom.argocd.client import APPLICATIONS, Conflict, Kube, Object
from greenroom.argocd.stopwatch import Stopwatch
from greenroom.argocd.timing import Timing
from greenroom.errors import RetryLater


@dataclass(slots=True)
class StuckSync:
    """The age of one Application's operation, by our own clock, which differs from the cluster's."""

    timing: Timing
    _operation: str = ""
    _age: Stopwatch = field(init=False)

    def __post_init__(self) -> None:
        self._age = Stopwatch(self.timing.clock)

    def found(self, application: Object) -> str:
        """Return the start of an operation that is stuck, which identifies it; empty when none is."""
        operation = sync_status.operation(application)
        begun = operation.get("startedAt", "")
        if begun != self._operation:
            self._operation = begun
            self._age.reset()
        lasts = self._age.lasts(True, self.timing.operation_patience)
        running = operation.get("phase") == "Running"
        return begun if lasts and running and not sync_status.operates_on_spec(application) else ""


@dataclass(slots=True)
class SyncTerminator:
    """Ends stuck operations of one Application, each once."""

    argo: Kube
    namespace: str
    name: str
    _ended: str = ""

    async def end(self, application: Object, begun: str) -> None:
        """End the operation that began then. Raise `RetryLater` when Kubernetes cannot be reached; call again then."""
        if begun == self._ended:
            return
        # Patch exactly this version: if the operation has ended meanwhile, the patch would end the next one.
        version = application["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "status": {"operationState": {"phase": "Terminating"}}}
        self._ended = begun
        try:
            await self.argo.merge(APPLICATIONS, self.namespace, self.name, body)
        except Conflict:  # the Application changed meanwhile; the next observation sees its state
            self._ended = ""
        except RetryLater:
            self._ended = ""
            raise
