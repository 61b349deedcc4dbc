"""Changes to a spec without a push: new lives of the data, retries after a refusal, sleep. Pure.

An ephemeral database starts from its seed again whenever its container, or the pod with its volume, starts again. That
is a new data generation: the services restart and migrate.
https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from greenroom.core.model.engine import ObservedPreview
from greenroom.core.model.github import DataCommand
from greenroom.core.model.spec import Data, PreviewSpec, SeedImage
from greenroom.core.planning import backoff

NEWER_SEED = "a newer seed"
_TRIES = (5, 10, 30, 60, 120, 300)


def data(spec: PreviewSpec | None, preview: ObservedPreview | None, now: datetime) -> Data:
    """Return the data's current life. A container seen for the first time does not start a new data generation, unless
    services started before it did.
    """
    if spec is None:
        return Data()
    known = dict(spec.data.holders)
    lost = overtaken = False
    for life in preview.lives if preview else ():
        if life.container in spec.data.replaced:
            continue
        lost = lost or known.get(life.need, life.container) != life.container
        overtaken = overtaken or (life.need not in known and life.overtaken)
        known[life.need] = life.container
    if spec.prepared or not (lost or overtaken):  # before the first version, there is nothing to lose or to restart
        return replace(spec.data, holders=known)
    restarted = replace(spec.data, generation=spec.data.generation + 1, holders=known)
    # Services that only have to restart once more after a reset do not make it another one.
    return restarted if spec.data.by and not lost else replace(restarted, reset_at=now, by="")


def next_data(
    spec: PreviewSpec | None,
    preview: ObservedPreview | None,
    seeds: tuple[SeedImage, ...],
    command: DataCommand | None,
    last: DataCommand | None,
    now: datetime,
) -> Data:
    """Return the life of the data of the next spec, which starts from these seeds and follows this command.

    Another seed for data that exists is a reset. Before the first version runs, there is nothing to reset, so a new
    preview counts the `last` command as followed.
    """
    known = data(spec, preview, now) if spec else _followed(Data(), last)
    images = {(s.service, s.need): s.digest for s in known.seeds}
    changed = any(images.get((s.service, s.need), s.digest) != s.digest for s in seeds)
    asked = command is not None and spec is not None and bool(spec.resettable)
    if (changed or asked) and spec and not spec.prepared:
        known = replace(reset(known, now), by=command.by if command else NEWER_SEED)
    return replace(_followed(known, command), seeds=seeds)


def commanded(old: Data, new: Data) -> bool:
    """Return whether a person's command leads from one life of the data to another."""
    return (old.command, old.commanded_at) != (new.command, new.commanded_at)


def while_held(old: PreviewSpec, new: Data, preview: ObservedPreview | None, now: datetime) -> Data:
    """Return the life of the data while a changed configuration waits for a person. Every need keeps its seed, unless a
    person's command replaces it.
    """
    if not commanded(old.data, new):
        return data(old, preview, now)
    fresh = {(s.service, s.need): s for s in new.seeds}
    return replace(new, seeds=tuple(fresh.get((s.service, s.need), s) for s in old.data.seeds))


def _followed(data: Data, command: DataCommand | None) -> Data:
    return replace(data, command=command.comment, commanded_at=command.at) if command else data


def reset(data: Data, now: datetime) -> Data:
    """Return the life of data that a person wants to start from its seed again.

    The containers seen so far are replaced. They may be seen for a moment longer, which must not look like new ones.
    Until a newer one is seen, those of the reset before may be there too.
    """
    ended = tuple(sorted(data.holders.values())) or data.replaced
    return replace(
        data, generation=data.generation + 1, resets=data.resets + 1, holders={}, replaced=ended, reset_at=now
    )


def try_again_in(spec: PreviewSpec, preview: ObservedPreview | None) -> timedelta | None:
    """Return the time until Argo CD should apply the same spec again; None when it did not refuse the spec.

    Argo CD does not retry a failed sync of an unchanged source automatically.
    https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/#automated-sync-semantics
    """
    if preview is None or preview.refused_for is None or preview.spec != spec:
        return None
    return timedelta(seconds=backoff.pause(_TRIES, spec.build.retry)) - preview.refused_for


def retries(spec: PreviewSpec | None, preview: ObservedPreview | None, same_head: bool) -> int:
    """Return the number of the try: one more when the next try is due, and zero after each push."""
    if spec is None or not same_head:
        return 0
    wait = try_again_in(spec, preview)
    return spec.build.retry + 1 if wait is not None and wait <= timedelta(0) else spec.build.retry
