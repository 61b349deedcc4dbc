"""Lagging replica: the world as it was some seconds ago, for lists and reads by number alike.

GitHub answers reads from replicas of its database. They lag by seconds, or by more under load, and the answers do not
show it.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta

from greenroom.simulator.world import PullRequest, Repository, User, World


class Replica:
    """Snapshots of a world since its creation.

    A snapshot is taken after each event and before each manual move of the clock. Only the last one of each second is
    kept.
    """

    def __init__(self, world: World) -> None:
        self._behind = timedelta()
        self._world = world
        self._states: list[tuple[datetime, dict[str, Repository]]] = []
        self._remember()
        world.listeners.append(self._happened)
        world.ticking.append(self._remember)

    def lag(self, behind: timedelta) -> None:
        """Show the world as it was that long ago from now on."""
        self._behind = behind

    def world(self) -> World:
        """Return the world as it was when the lag began, or as it began if that is later."""
        until = self._world.now() - self._behind
        _, repositories = next((s for s in reversed(self._states) if s[0] <= until), self._states[0])
        shown = copy.copy(self._world)
        shown.repositories, shown.listeners = repositories, []
        return shown

    def _happened(self, event: str, action: str, repo: Repository, pull: PullRequest | None, who: User) -> None:
        self._remember()

    def _remember(self) -> None:
        now = self._world.now()
        if self._states and self._states[-1][0] == now:
            self._states.pop()
        self._states.append((now, copy.deepcopy(self._world.repositories)))
