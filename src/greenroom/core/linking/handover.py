"""The users that the removal of a preview waits for: previews whose running processes still call it. Pure.

The spec is deleted first, so the links of the users move to another preview or to staging. The target is deleted once
the users run with the new links. Those links are observed in their processes, not inferred from their specs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from greenroom.core.linking.addresses import host_of
from greenroom.core.model.engine import EngineState, Health, ObservedPreview
from greenroom.core.model.spec import Names, PreviewSpec

PATIENCE = timedelta(seconds=60)
"""Maximum time that a removal waits for the preview's users, counted from the deletion of the preview's spec."""
SHORT = timedelta(seconds=10)
"""Maximum time that a removal waits for a user that may never switch its link: a user that has failed, is in doubt, or
keeps its link to the target. The limit also applies if no service of the target is running. Each of these conditions
may be temporary, so the limit is not zero.
"""


@dataclass(frozen=True, slots=True)
class Users:
    """The users that the removal of a preview waits for, and those that it does not wait for any longer."""

    waited_for: tuple[PreviewSpec, ...] = ()
    given_up: tuple[PreviewSpec, ...] = ()


def users(target: ObservedPreview, observed: EngineState, waited: timedelta) -> Users:
    """Return the users that still call a preview whose spec was deleted `waited` ago.

    Users that are asleep or are being removed do not count. Users linked by hand in Argo CD do not count either,
    because only a person can change that link.
    """
    found: dict[str, PreviewSpec] = {}
    late: dict[str, PreviewSpec] = {}
    naming = target.spec.names
    serves = any(service.ready or service.sha for service in target.services)  # a worker may be all that is not ready
    for identity, preview in observed.previews.items():
        spec = observed.spec(identity)
        if identity == target.identity or spec is None or spec.asleep or preview.health is Health.REMOVING:
            continue
        if not _calls(preview, naming):
            continue
        moves = preview.health is not Health.FAILED and identity.repository_id not in observed.doubts
        linked = any(link.namespace == naming.namespace for link in spec.links.targets)
        limit = PATIENCE if serves and moves and not linked else SHORT
        (found if waited < limit else late)[spec.names.name] = spec
    return Users(tuple(found[name] for name in sorted(found)), tuple(late[name] for name in sorted(late)))


def _calls(preview: ObservedPreview, naming: Names) -> bool:
    manual_overrides = {host_of(value) for _, value in preview.manual_overrides}
    return any(naming.answers(host) for host in preview.calls - manual_overrides)
