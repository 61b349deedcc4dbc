"""What is known of one preview that Argo CD holds: looked at anew whenever its Application or one of its pods changes.

*Ready* means that every process runs the row's version and that an HTTP probe through the public host answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx2
import structlog

from greenroom import logs
from greenroom.argocd import pods as reading
from greenroom.argocd.kube import APPLICATIONS, EVENTS, NAMESPACES, Conflict, Kube, Object
from greenroom.argocd.pods import Trouble
from greenroom.argocd.sets import Unreadable, row_of
from greenroom.core.catalogue import Service
from greenroom.core.model import Health, Identity, Life, Running
from greenroom.core.reasons import PLATFORM
from greenroom.core.rows import Row, revision
from greenroom.errors import GreenroomError, RetryLater

log = structlog.get_logger(__name__)

LOG_LINES = 20
REMOVAL_PATIENCE = 15.0
OPERATION_PATIENCE = 3.0
NO_POD_PATIENCE = 3.0
RENDER_PATIENCE = 10.0
SILENCE_PATIENCE = 20.0
FAST, SLOW = 0.2, 5.0
# The kubelet answers 200 with this sentence when the container's log is gone; it is not what the container wrote.
RUNTIMES_ERROR = re.compile(
    r"(?:unable to retrieve container logs for \w+://|failed to try resolving symlinks in path)"
)
ERRORS = ("ComparisonError", "InvalidSpecError", "UnknownError")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw of the row that Argo CD has."""

    uid: str
    row: Row
    health: Health
    services: tuple[Running, ...] = ()
    since: datetime | None = None
    why: str = ""
    fix: str = ""
    log: tuple[str, ...] = ()
    lives: tuple[Life, ...] = ()
    by_hand: tuple[tuple[str, str], ...] = ()
    refused: bool = False


@dataclass(slots=True)
class Ground:
    """What looks are made with: both clusters, the copies kept of them, and how public addresses are asked."""

    argo: Kube
    previews: Kube
    namespace: str
    application: Callable[[str], Object | None]
    pods: Callable[[str], list[Object]]
    client: httpx2.AsyncClient
    scheme: str
    probe: str
    logs: bool
    changed: Callable[[Identity], None]


@dataclass(slots=True)
class Watcher:
    """Looks at one preview for as long as its Application exists."""

    ground: Ground
    identity: Identity
    name: str
    look: Look | None = None
    doubt: str = ""
    broken: bool = False  # the doubt is about this very object, not about who was asked
    refused_since: float = 0.0
    _refusing_since: float = 0.0
    _dirty: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: frozenset[tuple[str, str]] = frozenset()
    _going_since: float = 0.0
    _bare_since: float = 0.0
    _silent_since: float = 0.0
    _operation: str = ""
    _operation_since: float = 0.0
    _termination: str = ""

    def poke(self) -> None:
        """Something of this preview changed."""
        self._dirty.set()

    async def run(self) -> None:
        """Look until the Application is gone."""
        wait = FAST
        while (application := self.ground.application(self.name)) is not None:
            self._dirty.clear()
            found, doubt, broken = self.look, "", False
            try:
                found = await self._look(application)
            except GreenroomError as error:
                doubt, broken = str(error), isinstance(error, Unreadable)
            except Exception as error:
                log.exception("a preview could not be looked at", preview=self.name)
                doubt, broken = f"{self.name} could not be looked at ({type(error).__name__}); it stays as it is.", True
            news = found != self.look or broken != self.broken or (found is None and doubt != self.doubt)
            self.look, self.doubt, self.broken = found, doubt, broken
            if news:
                self.ground.changed(self.identity)
                wait = FAST
            quiet = found is not None and not doubt and found.health is Health.READY
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if quiet else wait):
                    await self._dirty.wait()
            wait = min(SLOW, wait * 1.5)

    async def _look(self, application: Object) -> Look:
        """One look. What Argo CD, Kubernetes and containers say is scrubbed here, once, for all who are told."""
        found = await self._seen(application)
        return replace(found, why=logs.scrub(found.why), log=tuple(logs.scrub(line) for line in found.log))

    async def _seen(self, application: Object) -> Look:
        metadata, row = application["metadata"], row_of(application)
        pods = self.ground.pods(row.naming.namespace)
        services = tuple(reading.running(pods, row, s, self._url(row, s)) for s in row.services)
        look = Look(
            uid=metadata["uid"],
            row=row,
            health=Health.UPDATING if any(s.ready and s.sha for s in services) else Health.STARTING,
            services=services,
            since=datetime.fromisoformat(metadata["creationTimestamp"]),
            lives=reading.lives(pods, row),
            by_hand=_by_hand(application),
        )
        if metadata.get("deletionTimestamp"):
            return replace(look, health=Health.REMOVING, why=await self._why_still_there(row))
        self._going_since = 0.0
        if row.asleep or (self.look and self.look.uid != look.uid):
            self._answered = frozenset()  # what wakes, or is made anew, is asked again
        await self._end_stuck_operation(application)
        refusal = _refusal(application)
        self._refusing_since = (self._refusing_since or time.monotonic()) if refusal else 0.0
        tried = self.look is None or self.look.row != row  # another row is another try
        self.refused_since = (time.monotonic() if tried else self.refused_since or time.monotonic()) if refusal else 0.0
        if refusal and time.monotonic() - self._refusing_since >= _patience(application):
            return replace(look, health=Health.FAILED, why=refusal, fix=PLATFORM, refused=True)
        if row.asleep:
            return replace(look, health=Health.READY)
        if reading.settled(pods, row):
            self._bare_since = 0.0
            silence = await self._silence(row)
            self._silent_since = (self._silent_since or time.monotonic()) if silence else 0.0
            if not silence:
                return replace(look, health=Health.READY)
            lasts = time.monotonic() - self._silent_since >= SILENCE_PATIENCE
            return replace(look, why=f"Every process runs, but {silence}.") if lasts else look
        self._silent_since = 0.0
        found = reading.trouble(pods, row, datetime.now(UTC)) or await self._why_no_pod(pods, row)
        if found is None:
            return look
        if found.silent:
            found = reading.with_probe(found, await self._events(row, "reason=Unhealthy"))
        before = self.look
        if before and before.log and (before.row, before.why) == (row, logs.scrub(found.why)):
            return replace(
                look, health=Health.FAILED, why=found.why, fix=found.fix, log=before.log
            )  # later lines are no news
        return replace(look, health=Health.FAILED, why=found.why, fix=found.fix, log=await self._log(row, found))

    # --- the public host ---

    def _url(self, row: Row, service: Service) -> str:
        host = row.naming.host(service.name)
        return f"{self.ground.scheme}://{host}" if host else ""

    async def _silence(self, row: Row) -> str:
        """How a public service does not answer at its host; empty when each does. Asked once for each version."""
        wanted = {
            (host, revision(s, row)): s.web.probe for s in row.services if (host := row.naming.host(s.name)) and s.web
        }
        for (host, made_from), path in wanted.items():
            if (host, made_from) not in self._answered:
                if silence := await self._asked(host, path):
                    return silence
                self._answered |= {(host, made_from)}
        self._answered &= wanted.keys()
        return ""

    async def _asked(self, host: str, path: str) -> str:
        ground = self.ground
        if ground.probe == "none":
            return ""
        base = f"{ground.scheme}://{host}" if ground.probe == "public" else ground.probe
        try:
            answer = await ground.client.get(f"{base}{path}", headers={"host": host})
        except httpx2.HTTPError as error:
            return f"{ground.scheme}://{host}{path} does not answer ({type(error).__name__})"
        # An access policy in front of the preview answers for it.
        answers = 200 <= answer.status_code < 400 or answer.status_code in (401, 403)
        return "" if answers else f"{ground.scheme}://{host}{path} answers {answer.status_code}"

    # --- why not ---

    async def _why_no_pod(self, pods: list[Object], row: Row) -> Trouble | None:
        process = reading.missing(pods, row)
        if not process:
            self._bare_since = 0.0
            return None
        self._bare_since = self._bare_since or time.monotonic()
        if time.monotonic() - self._bare_since < NO_POD_PATIENCE:
            return None
        return reading.not_created(await self._events(row, "reason=FailedCreate"), process)

    async def _events(self, row: Row, which: str) -> list[Object]:
        selector = f"{which},type=Warning"
        events, _ = await self.ground.previews.listed(EVENTS, row.naming.namespace, fieldSelector=selector)
        return events

    async def _log(self, row: Row, found: Trouble) -> tuple[str, ...]:
        if not found.pod or not self.ground.logs:
            return ()
        # The runtime may have deleted the log of one container and still have that of the one before or after it.
        for previous in (found.previous, not found.previous):
            lines = await self.ground.previews.logs(
                row.naming.namespace, found.pod, found.container, LOG_LINES, previous=previous
            )
            if own := tuple(line for line in lines if not RUNTIMES_ERROR.match(line)):
                return own
        return ()

    async def _why_still_there(self, row: Row) -> str:
        self._going_since = self._going_since or time.monotonic()
        if time.monotonic() - self._going_since < REMOVAL_PATIENCE:
            return ""
        namespace = await self.ground.previews.get(NAMESPACES, "", row.naming.namespace)
        return held_by(namespace) if namespace else "Argo CD has not finished with its Application."

    async def _end_stuck_operation(self, application: Object) -> None:
        """End an operation that works on an older row while a newer one waits: Argo CD would wait for it for ever."""
        operation = (application.get("status") or {}).get("operationState") or {}
        begun = operation.get("startedAt", "")
        if begun != self._operation:  # measured from here: the cluster's clock is another
            self._operation, self._operation_since = begun, time.monotonic()
        if operation.get("phase") != "Running" or begun == self._termination or _operates_on_spec(application):
            return
        if time.monotonic() - self._operation_since < OPERATION_PATIENCE:
            return
        self._termination = begun
        # Of this very state: what ended meanwhile would end the next operation.
        version = application["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "status": {"operationState": {"phase": "Terminating"}}}
        try:
            await self.ground.argo.merge(APPLICATIONS, self.ground.namespace, self.name, body)
        except Conflict:  # it is another state by now; the next look sees which
            self._termination = ""
        except RetryLater:
            self._termination = ""
            raise


def held_by(namespace: Object) -> str:
    """Why a namespace that is being deleted is still there, in one sentence."""
    name, status = namespace["metadata"]["name"], namespace.get("status") or {}
    said = [
        str(c.get("message", "")).rstrip(".")
        for c in status.get("conditions") or ()
        if c.get("status") == "True" and c.get("type", "").startswith("Namespace")
    ]
    finalizers = namespace["metadata"].get("finalizers") or ()
    said += [f"the finalizer {f} is on it" for f in finalizers]
    return f"The namespace {name} is still there: {'; '.join(said) or 'it is being deleted'}."


def _by_hand(application: Object) -> tuple[tuple[str, str], ...]:
    helm = ((application["spec"].get("source") or {}).get("helm")) or {}
    return tuple(sorted((p.get("name", ""), p.get("value", "")) for p in helm.get("parameters") or ()))


def _operates_on_spec(application: Object) -> bool:
    status = application.get("status") or {}
    operation = status["operationState"]
    source = (operation.get("syncResult") or {}).get("source") or (
        (operation.get("operation") or {}).get("sync") or {}
    ).get("source")
    return source is None or _values(source) == _values(application["spec"].get("source") or {})


def _values(source: Mapping[str, object]) -> object:
    helm = source.get("helm") or {}
    return helm.get("values") if isinstance(helm, dict) else None


def _patience(application: Object) -> float:
    """Seconds that a refusal may last before it is told: a restart of Argo CD looks like one for a moment."""
    failed = ((application.get("status") or {}).get("operationState") or {}).get("phase") in ("Failed", "Error")
    return 0.0 if failed else RENDER_PATIENCE


def _refusal(application: Object) -> str:
    """Why Argo CD could not apply what it has, in one sentence; empty when it did, or is at it."""
    status = application.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in ERRORS:
            # Without the command that failed: it names another temporary file each time.
            said = re.sub(r"^.*`[^`]*` failed (exit status \d+: )?", "", str(condition.get("message", "")), flags=re.S)
            return f"Argo CD cannot render the preview: {said.strip().rstrip('.')}."
    operation = status.get("operationState") or {}
    if operation.get("phase") in ("Failed", "Error") and _operates_on_spec(application):
        failed = [
            f"{r.get('kind')} {r.get('name')}: {str(r.get('message', '')).rstrip('.')}"
            for r in (operation.get("syncResult") or {}).get("resources") or ()
            if r.get("status") == "SyncFailed"
        ]
        why = "; ".join(failed[:3]) or str(operation.get("message", "")).rstrip(".")
        return f"Argo CD could not apply the preview: {why}."
    return ""
