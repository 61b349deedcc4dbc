"""The parts of the Argo CD engine, and how they are connected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from greenroom.argocd.answer import Answers
from greenroom.argocd.canary import Canary
from greenroom.argocd.clusters import Clusters
from greenroom.argocd.copies import Copies
from greenroom.argocd.engine_state import StateReader
from greenroom.argocd.known_sets import KnownSets
from greenroom.argocd.lead import Lead
from greenroom.argocd.lease import Lease
from greenroom.argocd.migration_reports import MigrationReports, ReportReader
from greenroom.argocd.observer import Ground, Observer
from greenroom.argocd.policy import Policy
from greenroom.argocd.preview_objects import PreviewObjects
from greenroom.argocd.probe import Prober
from greenroom.argocd.published import PublishedPreviews
from greenroom.argocd.refreshes import Refreshes
from greenroom.argocd.refusals import Refusals
from greenroom.argocd.removal import Removals
from greenroom.argocd.seed_builds import SeedBuilds
from greenroom.argocd.set_reader import SetReader
from greenroom.argocd.set_writer import SetWriter
from greenroom.argocd.settings import ArgoSettings
from greenroom.argocd.store import PreviewSets
from greenroom.argocd.stuck_sync import SyncTerminator
from greenroom.argocd.sweep import OrphanTracker
from greenroom.argocd.sweeper import Sweeper
from greenroom.argocd.timing import Timing
from greenroom.argocd.upkeep import Upkeep
from greenroom.argocd.watcher import Watcher
from greenroom.argocd.watchers import Watchers
from greenroom.background import Tasks
from greenroom.core.model.spec import Identity

EVERY = 0  # no repository on GitHub has this id


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The inputs of the engine: its connections, its clock, its tasks, and the two ways to report to its owner.

    `wake` takes the id of a repository that changed, or `EVERY`; `lose` takes the reason why this instance must end.
    """

    clusters: Clusters
    client: httpx2.AsyncClient
    wake: Callable[[int], None]
    lose: Callable[[str], None]
    tasks: Tasks
    timing: Timing


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that the engine calls."""

    lead: Lead
    known: KnownSets
    refreshes: Refreshes
    sets: PreviewSets
    copies: Copies
    watchers: Watchers
    answers: Answers
    state: StateReader
    removals: Removals
    sweeper: Sweeper
    upkeep: Upkeep
    objects: PreviewObjects
    published: PublishedPreviews
    builds: SeedBuilds


def parts(settings: ArgoSettings, surroundings: Surroundings) -> Parts:
    """Build and connect the parts. Nothing runs yet, and nothing is read or written."""
    frame, timing, wake = settings.frame, surroundings.timing, surroundings.wake
    # In the namespace of the ApplicationSets, so that all instances that may write them request the same Lease.
    lease_name = f"greenroom-{frame.installation}"
    lease = Lease(surroundings.clusters.argo, frame.namespace, lease_name, settings.holder, timing)
    clusters = surroundings.clusters.within(lease.held)
    known, refreshes = KnownSets(frame), Refreshes(clusters.argo, frame, timing)
    where = settings.object_namespace or frame.namespace
    objects = PreviewObjects(clusters.argo, frame, where, timing, surroundings.lose)
    reader, writer = SetReader(clusters.argo, frame, objects), SetWriter(clusters.argo, frame, surroundings.lose)
    sets = PreviewSets(known, refreshes, reader, writer, objects)
    canary = Canary(clusters.argo, frame, settings.chart_version, refreshes.named(frame.canary), timing)

    def push_all() -> None:
        for preview_set in known.served.values():
            refreshes.of(preview_set).push(preview_set.generation)

    builds = SeedBuilds(clusters.previews, settings.builds, lambda: wake(EVERY), timing)
    lead = Lead(lease, Policy(canary, lambda: wake(EVERY), push_all, timing))
    copies = Copies(clusters, frame, timing)
    watchers = _watchers(settings, surroundings, clusters, copies)
    refusals, tracker = Refusals(timing.error_lasts), OrphanTracker(timing.orphan_age)
    sweeper = Sweeper(clusters.previews, frame, known, copies, lead, tracker, timing.clock, settings.delete_orphans)
    return Parts(
        lead=lead,
        known=known,
        refreshes=refreshes,
        sets=sets,
        copies=copies,
        watchers=watchers,
        answers=Answers(frame, lead, canary, known, refreshes),
        state=StateReader(frame, copies, watchers, known, refusals, lead, builds),
        removals=Removals(clusters, frame, known, refreshes, copies, lead, timing.taken_over),
        sweeper=sweeper,
        upkeep=Upkeep(lead, known, sets, watchers, refusals, sweeper, wake, timing),
        objects=objects,
        published=PublishedPreviews(clusters.argo, objects, known, sets.restore, sets.discard, timing),
        builds=builds,
    )


def _watchers(settings: ArgoSettings, surroundings: Surroundings, clusters: Clusters, copies: Copies) -> Watchers:
    timing, where = surroundings.timing, settings.frame.namespace
    prober = Prober(surroundings.client, settings.scheme, settings.probe)
    ground = Ground(clusters.previews, copies.pods_in, prober, settings.logs, timing)

    reader = ReportReader(clusters.previews)

    def watcher(identity: Identity, name: str) -> Watcher:
        reports = MigrationReports(reader, surroundings.tasks, lambda: watchers.pods_changed(name))
        return Watcher(identity, Observer(ground, reports), SyncTerminator(clusters.argo, where, name), timing)

    watchers = Watchers(watcher, copies.application, surroundings.wake, surroundings.tasks, timing)
    return watchers
