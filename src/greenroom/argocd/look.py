"""The result of one look at a preview, and the state that the loop gets from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from greenroom.core.model.engine import Health, Life, ObservedPreview, Running
from greenroom.core.model.migration_report import ServiceMigration
from greenroom.core.model.spec import Identity, PreviewSpec, same_pods


@dataclass(frozen=True, slots=True)
class Look:
    """The result of one look at a preview, for the spec that Argo CD has."""

    uid: str
    spec: PreviewSpec
    health: Health
    services: tuple[Running, ...] = ()
    since: datetime | None = None
    why: str = ""
    fix: str = ""
    log: tuple[str, ...] = ()
    lives: tuple[Life, ...] = ()
    manual_overrides: tuple[tuple[str, str], ...] = ()
    refused: bool = False
    calls: frozenset[str] = frozenset()
    failing: str = ""
    migrations: tuple[ServiceMigration, ...] = ()


def observed(identity: Identity, look: Look, served: PreviewSpec | None, refused_for: float | None) -> ObservedPreview:
    """Return the state of a preview. While Argo CD has not taken over the `served` spec, the preview is not ready.

    `refused_for` is in seconds; None when Argo CD refuses nothing.
    """
    health = look.health
    older = served is not None and not same_pods(look.spec, served)
    if health is not Health.REMOVING and older:
        health = Health.UPDATING if any(s.ready for s in look.services) else Health.STARTING
    current = health is look.health  # otherwise the reasons are those of an older spec
    return ObservedPreview(
        identity=identity,
        uid=look.uid,
        spec=look.spec,
        health=health,
        services=look.services,
        since=look.since,
        why=look.why if current else "",
        fix=look.fix if current else "",
        log=look.log if current else (),
        lives=look.lives,
        manual_overrides=look.manual_overrides,
        refused_for=timedelta(seconds=refused_for) if refused_for is not None else None,
        calls=look.calls,
        failing=look.failing if current else "",
        migrations=() if older or health is Health.REMOVING else look.migrations,
    )
