"""The result of the canary: whether Greenroom may act, and the reason why it may not."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from greenroom.argocd.canary import DELETES, Canary
from greenroom.argocd.refusals import stable
from greenroom.argocd.timing import Timing
from greenroom.errors import GreenroomError

log = structlog.get_logger(__name__)

CANNOT_ACT = "Greenroom cannot start, change or remove previews right now."


class Policy:
    """Argo CD's policy as last verified. `unable` says why nothing may be done; it is empty once the proof succeeded.

    `changed` is called when `unable` changes, and `proved` when a proof makes it empty.
    """

    def __init__(self, canary: Canary, changed: Callable[[], None], proved: Callable[[], None], timing: Timing) -> None:
        self.unable = f"{CANNOT_ACT} It is still verifying that Argo CD deletes nothing on its own."
        self._result: bool | None = None
        self._canary = canary
        self._changed = changed
        self._proved = proved
        self._timing = timing

    @property
    def next_check(self) -> float:
        """Return the seconds until the next proof."""
        return self._timing.canary_every if self._result else self._timing.canary_retry

    async def check(self) -> None:
        """Try to prove Argo CD's policy. The previous result stands when Argo CD does not respond."""
        before = self.unable
        try:
            proved = await self._canary.prove()
        except GreenroomError as error:
            if self._result is None:
                self.unable = f"{CANNOT_ACT} {stable(str(error))}"
            else:
                log.warning("Argo CD's policy could not be verified; the earlier result still applies", why=str(error))
        else:
            self._result, self.unable = proved, "" if proved else f"{CANNOT_ACT} {DELETES}"
        if self.unable:
            log.error(self.unable)
        if self.unable != before:
            self._changed()
        if before and not self.unable:
            self._proved()
