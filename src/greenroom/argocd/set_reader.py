"""Reading of our ApplicationSets: the specs that one carries, or why they cannot be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.argocd import applicationset
from greenroom.argocd.applicationset import INSTALLATION, InstallationSpec
from greenroom.argocd.client import APPLICATION_SETS, APPLICATIONS, Kube, Object
from greenroom.argocd.known_sets import Unread
from greenroom.core.model.engine import PreviewSet
from greenroom.errors import Doubt


@dataclass(frozen=True, slots=True)
class SetReader:
    """Reads the ApplicationSets of one installation."""

    kube: Kube
    frame: InstallationSpec

    async def found(self) -> dict[str, Object]:
        """Return our ApplicationSets by name, without the canary's."""
        mine = f"{INSTALLATION}={self.frame.installation}"
        found, _ = await self.kube.listed(APPLICATION_SETS, self.frame.namespace, labelSelector=mine)
        return {name: o for o in found if not (name := o["metadata"]["name"]).endswith(f"--{applicationset.CANARY}")}

    async def preview_set(self, name: str, found: Object) -> PreviewSet | Unread:
        """Return the specs of an ApplicationSet, or why they cannot be trusted."""
        try:
            preview_set = applicationset.set_of(found)
            self._called(name, preview_set)
            self._made_of(name, found, preview_set)
        except Doubt as error:
            repository = applicationset.repository_of(found) or name.removeprefix(f"{self.frame.prefix}-")
            return Unread(repository, await self._id_of(repository, found), str(error))
        return preview_set

    async def _id_of(self, repository: str, found: Object) -> int:
        """Return GitHub's id of a repository from its ApplicationSet's label, or else from its Applications' labels."""
        if repository_id := applicationset.repository_id_of(found):
            return repository_id
        theirs = f"{INSTALLATION}={self.frame.installation},{applicationset.REPOSITORY}={repository}"
        applications, _ = await self.kube.listed(APPLICATIONS, self.frame.namespace, labelSelector=theirs)
        return next((i for a in applications if (i := applicationset.repository_id_of(a))), 0)

    def _called(self, name: str, preview_set: PreviewSet) -> None:
        """Raise `Doubt` when a set was created under another prefix."""
        if name != self.frame.name(preview_set.repository):
            raise Doubt(
                f"The ApplicationSet {name} was created with a different `namePrefix:` than {self.frame.prefix}."
                f" Greenroom does not change anything in {preview_set.repository}. Restore `namePrefix:`, or"
                f" delete that ApplicationSet"
                " once it has no Application."
            )

    def _made_of(self, name: str, found: Object, preview_set: PreviewSet) -> None:
        """Raise `Doubt` when existing previews were made from another chart, or in another cluster or project."""
        now = applicationset.made_of(applicationset.application_set(self.frame, preview_set, grows=False))
        before = applicationset.made_of(found)
        if preview_set.specs and now != before:
            raise Doubt(
                f"The previews of {preview_set.repository} were created from {before}, but greenroom.yaml says {now}."
                " Greenroom does not change them. Restore `argocd:` and remove these previews first, or delete the"
                f" ApplicationSet {name} when none is left."
            )
