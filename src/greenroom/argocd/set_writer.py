"""Writing of our ApplicationSets: over exactly the version that was read, and never over another instance's notes.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

from collections.abc import Callable

from greenroom.argocd import applicationset
from greenroom.argocd import receipt as receipts
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.client import APPLICATION_SETS, Conflict, Kube, Object
from greenroom.core.model.engine import PreviewSet
from greenroom.errors import Doubt, Failed, RetryLater

TRIES = 5
NO_VERSION = "1"  # no object has this version any longer, so an apply with it creates the object or is rejected


class SetWriter:
    """Writes ApplicationSets, and recognizes its own writes by what they carry.

    It calls `overtaken` with a sentence when another instance has also written.
    """

    def __init__(self, kube: Kube, frame: InstallationSpec, overtaken: Callable[[str], None]) -> None:
        self._kube = kube
        self._frame = frame
        self._overtaken = overtaken
        self._ours: dict[int, set[int]] = {}

    def read(self, preview_set: PreviewSet, found: Object) -> None:
        """Note that this ApplicationSet was read, so that a write may replace it."""
        self._ours[preview_set.repository_id] = {_carried(found)}

    def take_over(self, former: PreviewSet, preview_set: PreviewSet) -> None:
        """Note that a repository takes over the ApplicationSet of a former one with the same name.

        Both ids share one record, so that the next try recognizes a write whose answer was lost, under either id.
        """
        self._ours[preview_set.repository_id] = self._ours.setdefault(former.repository_id, set())

    async def standing(self, preview_set: PreviewSet, known: PreviewSet | None) -> Object | None:
        """Return the ApplicationSet that a write replaces: none, or one of ours that is not newer than the known one.

        Raise `Failed` when it is not ours.
        """
        name = self._frame.name(preview_set.repository)
        found = await self._kube.get(APPLICATION_SETS, self._frame.namespace, name)
        if found and applicationset.RENDERED in (found["metadata"].get("labels") or {}):
            raise Failed(
                f"The ApplicationSet {name} was created by `greenroom render`. Delete it: Argo CD removes its previews,"
                " and Greenroom creates them again."
            )
        if found and not receipts.ours(found, self._frame.installation):
            raise Failed(
                f"The ApplicationSet {name} already exists and does not belong to this installation."
                " Set another `namePrefix:` in greenroom.yaml."
            )
        if found:
            self._no_newer(found, preview_set, known)
        return found

    def _no_newer(self, found: Object, preview_set: PreviewSet, known: PreviewSet | None) -> None:
        """Raise `Doubt` when another instance wrote after our last read: it led meanwhile, or leads now."""
        if _carried(found) in self._ours.get(preview_set.repository_id, ()):
            return
        generation = applicationset.generation_of(found)
        if known is None or generation > known.generation:
            why = (
                f"Another instance wrote generation {generation} of the specs of {preview_set.repository}, but this"
                f" instance has read {f'only generation {known.generation}' if known else 'no generation'}. This"
                " instance is stopping, and will read the new generation when it restarts."
            )
            self._overtaken(why)
            raise Doubt(why)

    async def apply(
        self, body: Object, standing: Object | None, preview_set: PreviewSet, known: PreviewSet | None
    ) -> None:
        """Write the ApplicationSet over exactly the version that exists. Raise `RetryLater` when it keeps changing."""
        name = self._frame.name(preview_set.repository)
        self._ours.setdefault(preview_set.repository_id, set()).add(
            _carried(body)
        )  # the answer to this write may be lost
        for _ in range(TRIES):
            version = standing["metadata"]["resourceVersion"] if standing else NO_VERSION
            try:
                await self._kube.apply(
                    APPLICATION_SETS, self._frame.namespace, name, applicationset.over(body, version)
                )
            except Conflict:  # Argo CD removed its annotation or wrote a status, or another instance wrote
                standing = await self.standing(preview_set, known)
                continue
            self._ours[preview_set.repository_id] = {_carried(body)}
            return
        raise RetryLater(f"The ApplicationSet {name} keeps changing. Greenroom will retry shortly.", after=1.0)


def _carried(found: Object) -> int:
    """Return a hash of what an ApplicationSet carries, which distinguishes writes."""
    return hash(applicationset.carried(found))
