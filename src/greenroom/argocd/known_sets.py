"""The preview sets of all repositories in memory: those that are served, and those that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from greenroom.argocd.applicationset import InstallationSpec, repository_of
from greenroom.argocd.client import Object
from greenroom.core.model.engine import ObservedPreview, PreviewSet
from greenroom.core.model.spec import Identity, with_privacy
from greenroom.core.planning import names
from greenroom.errors import Doubt, Failed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Unread:
    """A repository whose stored previews cannot be trusted, and the reason.

    `repository_id` is 0 when no label holds the id. In that case nothing of that repository exists except the set.
    """

    repository: str
    repository_id: int
    why: str


@dataclass(slots=True)
class KnownSets:
    """The served preview sets by repository id, and the sets that could not be read by ApplicationSet name."""

    frame: InstallationSpec
    served: dict[int, PreviewSet] = field(default_factory=dict)
    unread: dict[str, Unread] = field(default_factory=dict)

    # --- questions ---

    def named(self, name: str) -> PreviewSet | None:
        """Return the specs of the ApplicationSet with this name; None when it is not ours. Raise `Doubt` when
        unread.
        """
        if name in self.unread:
            raise Doubt(self.unread[name].why)
        return next((r for r in self.served.values() if self.frame.name(r.repository) == name), None)

    def certain(self, repository_id: int) -> PreviewSet | None:
        """Return the specs of a repository, or None when it has none. Raise `Doubt` when its set was not read."""
        for unread in self.unread.values():
            if unread.repository_id == repository_id:
                raise Doubt(unread.why)
        return self.served.get(repository_id)

    def all_read(self) -> None:
        """Raise `Doubt` when any set was not read."""
        for unread in self.unread.values():
            raise Doubt(unread.why)

    def doubts(self) -> dict[int, str]:
        """Return by repository id the reason why nothing of that repository may change."""
        return {u.repository_id: u.why for u in self.unread.values() if u.repository_id}

    def for_links(self, previews: Mapping[Identity, ObservedPreview]) -> dict[int, PreviewSet]:
        """Return the specs of all repositories, so that others can link to them.

        The specs of a repository in doubt come from its previews and are marked private. Greenroom cannot see whether
        that repository became private, and comments in other repositories link to public ones.
        """
        found = {}
        for unread in self.unread.values():
            theirs = ((i.number, p.spec) for i, p in previews.items() if i.repository_id == unread.repository_id)
            mine = {number: with_privacy(spec, True) for number, spec in theirs}
            if mine:
                found[unread.repository_id] = PreviewSet(unread.repository_id, unread.repository, specs=mine)
        return {**found, **self.served}

    def name_of(self, identity: Identity, like: Object | None = None) -> str | None:
        """Return the name of one of our previews, from its repository's set or else from the labels of `like`."""
        preview_set = self.served.get(identity.repository_id)
        repository = preview_set.repository if preview_set else repository_of(like or {})
        return names.namespace(self.frame.prefix, repository, identity.number) if repository else None

    def former(self, preview_set: PreviewSet) -> PreviewSet | None:
        """Return the specs of an earlier repository with this name, whose ApplicationSet this one takes over.

        Raise `Failed` while any of its previews is left: taking over would lose its specs.
        """
        for other in self.served.values():
            if other.repository == preview_set.repository:
                over = not other.specs and all(w.told for w in other.ledger.withdrawals)
                if over and preview_set.generation > other.generation:
                    return other
                raise Failed(
                    f"The ApplicationSet of {preview_set.repository} still belongs to an earlier repository with that"
                    f" name (GitHub ID {other.repository_id}; the current one has {preview_set.repository_id})."
                    " Greenroom takes over the ApplicationSet once all of the earlier repository's previews are"
                    " removed. If their removal is held, run `greenroom release"
                    f" {other.repository}@{other.repository_id}#NUMBER` for each of them."
                )
        return None

    # --- changes ---

    def replace(self, before: PreviewSet | None, after: PreviewSet | None) -> None:
        """Serve `after` in the place of `before`. None means no set."""
        if before is not None:
            del self.served[before.repository_id]
        if after is not None:
            self.served[after.repository_id] = after

    def read(self, name: str, preview_set: PreviewSet) -> None:
        """Note the specs that the ApplicationSet with this name carries."""
        self.unread.pop(name, None)
        self.served[preview_set.repository_id] = preview_set

    def not_read(self, name: str, unread: Unread) -> None:
        """Note that the ApplicationSet with this name cannot be trusted."""
        if name not in self.unread:
            log.error("stored previews of a repository cannot be read", name=name, why=unread.why)
        self.unread[name] = unread

    def deleted(self, name: str) -> None:
        """Forget an unread ApplicationSet that no longer exists."""
        del self.unread[name]
