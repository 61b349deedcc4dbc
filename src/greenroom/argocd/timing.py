"""The durations of the Argo CD engine, and the clock that measures them. Tests pass shorter ones."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.clock import SYSTEM, SystemClock
from greenroom.core.planning.backoff import growing


@dataclass(frozen=True, slots=True)
class Timing:
    """All values are in seconds. Deadlines that cut off an awaited call use the time of the event loop."""

    clock: SystemClock = SYSTEM

    # The Lease. Writes end after two thirds of its duration.
    lease_duration: float = 15.0
    lease_renewal: float = 2.0
    lease_retry: float = 1.0

    # Informers
    first_copy: float = 30.0
    copy_fresh: float = 45.0
    watch_server: int = 240
    watch_idle: float = 150.0
    """A bookmark arrives about once a minute, so a connection that is silent for this long is dead."""
    watch_settled: float = 30.0
    watch_quick: float = 1.0
    watch_pauses: tuple[float, ...] = growing(0.2, 15.0)

    # Argo CD's work on an ApplicationSet
    poll: float = 0.1
    taken_over: float = 5.0
    refresh_pauses: tuple[float, ...] = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
    repair_every: float = 60.0
    errors_every: float = 5.0
    error_lasts: float = 10.0
    """Shorter errors are not reported: each restart of Greenroom or Argo CD causes one."""

    # Preview objects
    definitions_every: float = 5.0
    publish_pause: float = 0.2
    """Passes that follow each other within this time share one write."""
    doubt_lasts: float = 120.0
    """After this time without a read, it is unknown whether a preview is ready."""

    # The canary
    canary_patience: float = 20.0
    canary_settles: float = 0.5
    canary_every: float = 3600.0
    canary_retry: float = 10.0

    # The sweep
    sweep_every: float = 3600.0
    orphan_age: float = 1800.0
    """Time for which a namespace must be an orphan before it is deleted. People can request sweeps at any time."""

    # The observation of one preview
    first_look: float = 1.0
    look_pauses: tuple[float, ...] = growing(0.2, 5.0, 1.5)
    removal_patience: float = 15.0
    operation_patience: float = 3.0
    no_pod_patience: float = 3.0
    render_patience: float = 10.0
    silence_patience: float = 20.0


DEFAULT = Timing()
