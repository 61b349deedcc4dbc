"""The row sets as ApplicationSets keep them: read at the start, written over what is known, and mended.

Nothing else holds the rows for the next start. So each write names the version of the object that it goes over: one
that comes late, from an instance that leads no more, is refused by Kubernetes itself.
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from greenroom.argocd import receipt as receipts
from greenroom.argocd import sets
from greenroom.argocd.kube import APPLICATION_SETS, APPLICATIONS, Conflict, Kube, Object
from greenroom.argocd.refresh import Refresh
from greenroom.argocd.sets import Frame
from greenroom.core.model import Identity, ObservedPreview, RowSet
from greenroom.errors import Doubt, Failed, GreenroomError, RetryLater

log = structlog.get_logger(__name__)

TRIES = 5
NO_VERSION = "1"  # no object has it any more: an apply with it makes one, or is refused


@dataclass(frozen=True, slots=True)
class Unread:
    """An ApplicationSet of ours that cannot be taken for what it says, and why.

    `repository_id` is 0 when nothing says it; then nothing of that repository exists but the set.
    """

    repository: str
    repository_id: int
    why: str


class RowSets:
    """What is served, by repository id; and what could not be read, by the ApplicationSet's name.

    `overtaken` is called with the sentence when another instance wrote as well.
    """

    def __init__(self, kube: Kube, frame: Frame, overtaken: Callable[[str], None]) -> None:
        self.known: dict[int, RowSet] = {}
        self.unread: dict[str, Unread] = {}
        self._kube = kube
        self._frame = frame
        self._overtaken = overtaken
        self._refreshes: dict[str, Refresh] = {}
        self._ours: dict[int, set[int]] = {}
        self._writing = asyncio.Lock()

    async def aclose(self) -> None:
        """Stop asking Argo CD."""
        for refresh in self._refreshes.values():
            await refresh.aclose()

    def refresh(self, name: str) -> Refresh:
        """What Argo CD has fetched of the ApplicationSet with that name."""
        if name not in self._refreshes:
            self._refreshes[name] = Refresh(self._kube, self._frame.namespace, name)
        return self._refreshes[name]

    def refresh_of(self, rows: RowSet) -> Refresh:
        """What Argo CD has fetched of a repository's rows."""
        return self.refresh(self._frame.name(rows.repository))

    def named(self, name: str) -> RowSet | None:
        """The rows of the ApplicationSet with that name, or None when it is not ours. Raises `Doubt` when unread."""
        if name in self.unread:
            raise Doubt(self.unread[name].why)
        return next((r for r in self.known.values() if self._frame.name(r.repository) == name), None)

    async def read(self) -> None:
        """Know what the ApplicationSets hold. One that cannot be read is doubt about its repository and no other."""
        for name, found in (await self._found()).items():
            await self._take(name, found)

    async def _take(self, name: str, found: Object) -> RowSet | None:
        try:
            rows = sets.rows_of(found)
            self._called(name, rows)
            self._made_of(name, found, rows)
        except Doubt as error:
            if name not in self.unread:
                log.error("an ApplicationSet cannot be read", name=name, why=str(error))
            repository = sets.repository_of(found) or name.removeprefix(f"{self._frame.prefix}-")
            self.unread[name] = Unread(repository, await self._id_of(repository, found), str(error))
            return None
        self.unread.pop(name, None)
        self.known[rows.repository_id] = rows
        self._ours[rows.repository_id] = {_carried(found)}
        return rows

    async def _id_of(self, repository: str, found: Object) -> int:
        """GitHub's id of a repository, as its ApplicationSet's label says, or else its Applications'."""
        if repository_id := sets.repository_id_of(found):
            return repository_id
        theirs = f"{sets.INSTALLATION}={self._frame.installation},{sets.REPOSITORY}={repository}"
        applications, _ = await self._kube.listed(APPLICATIONS, self._frame.namespace, labelSelector=theirs)
        return next((i for a in applications if (i := sets.repository_id_of(a))), 0)

    def _called(self, name: str, rows: RowSet) -> None:
        if name != self._frame.name(rows.repository):
            raise Doubt(
                f"The ApplicationSet {name} was made under another `namePrefix:` than {self._frame.prefix}; nothing of"
                f" {rows.repository} is changed. Set it back, or delete that ApplicationSet once it has no Application."
            )

    def _made_of(self, name: str, found: Object, rows: RowSet) -> None:
        """Raises `Doubt` when previews exist that were made of another chart, in another cluster or project."""
        now, before = sets.made_of(sets.application_set(self._frame, rows, grows=False)), sets.made_of(found)
        if rows.rows and now != before:
            raise Doubt(
                f"The previews of {rows.repository} were made of {before}, and greenroom.yaml says {now}; nothing of"
                f" them is changed. Set `argocd:` back and let them go first, or delete the ApplicationSet {name} when"
                " none is left."
            )

    def certain(self, repository_id: int) -> RowSet | None:
        """The rows of a repository, or None when it has none. Raises `Doubt` when its set was not read."""
        for unread in self.unread.values():
            if unread.repository_id == repository_id:
                raise Doubt(unread.why)
        return self.known.get(repository_id)

    def doubts(self) -> dict[int, str]:
        """Why nothing of a repository may change, by its id."""
        return {u.repository_id: u.why for u in self.unread.values() if u.repository_id}

    def around(self, previews: Mapping[Identity, ObservedPreview]) -> dict[int, RowSet]:
        """The rows of all repositories, for those that link to them: of one in doubt, those that its previews have.

        Nobody follows whether a repository in doubt became private, and comments elsewhere link to what is public.
        """
        found = {}
        for unread in self.unread.values():
            theirs = ((i.number, p.row) for i, p in previews.items() if i.repository_id == unread.repository_id)
            mine = {number: replace(row, private=True) for number, row in theirs}
            if mine:
                found[unread.repository_id] = RowSet(unread.repository_id, unread.repository, rows=mine)
        return {**found, **self.known}

    async def serve(self, rows: RowSet) -> None:
        """Keep the set in its ApplicationSet, answer with it from then on, and have Argo CD ask."""
        async with self._writing:
            await self._serve(rows)

    async def _serve(self, rows: RowSet) -> None:
        self.named(self._frame.name(rows.repository))
        known = self.certain(rows.repository_id)
        if known and rows.generation <= known.generation:
            raise Doubt(f"Generation {rows.generation} of {rows.repository} is not newer than {known.generation}.")
        former = self._former(rows) if known is None else None
        if former:
            # Shared, so that a write whose answer is lost is recognized by the next try, whichever id it is for.
            self._ours[rows.repository_id] = self._ours.setdefault(former.repository_id, set())
        grows = known is None or not rows.rows.items() <= known.rows.items()
        body = sets.application_set(self._frame, rows, grows=grows)
        standing = await self._standing(rows, known or former)
        refresh = self.refresh_of(rows)
        # Argo CD asks as soon as it sees the change, so the answer is there before; a row alone deletes nothing.
        before = known or former
        if before:
            del self.known[before.repository_id]
        self.known[rows.repository_id] = rows
        refresh.wanted = rows.generation
        try:
            await self._apply(body, standing, rows, before)
        except BaseException:
            self.known.pop(rows.repository_id)
            refresh.restored(before.generation if before else 0)
            if before:
                self.known[before.repository_id] = before
            raise
        refresh.push(rows.generation)

    async def mend(self) -> tuple[int, ...]:
        """Write again what somebody deleted or changed; returns the repositories that are in doubt no more."""
        async with self._writing:
            found = await self._found()
            certain = await self._read_again(found)
            for rows in tuple(self.known.values()):
                name = self._frame.name(rows.repository)
                if name in found and sets.carries(found[name], rows):
                    continue
                try:
                    await self._write_again(rows)
                except GreenroomError as error:
                    log.warning("an ApplicationSet is not as it was written, and stays so", name=name, why=str(error))
        return certain

    async def _read_again(self, found: Mapping[str, Object]) -> tuple[int, ...]:
        """Take what a person put back; forget what a person took away, whose rows are made anew then."""
        certain = []
        for name, unread in tuple(self.unread.items()):
            if name not in found:
                del self.unread[name]
            elif rows := await self._take(name, found[name]):
                self.refresh(name).push(rows.generation)
            if name not in self.unread:
                certain.append(unread.repository_id)
        return tuple(certain)

    async def _write_again(self, rows: RowSet) -> None:
        standing = await self._standing(rows, rows)
        await self._apply(sets.application_set(self._frame, rows, grows=False), standing, rows, rows)
        log.warning("an ApplicationSet was not as it was written; it is written again", repository=rows.repository)
        self.refresh_of(rows).restored(rows.generation)
        self.refresh_of(rows).push(rows.generation)

    # --- within ---

    async def _found(self) -> dict[str, Object]:
        """The ApplicationSets of ours, by name, without the canary's."""
        mine = f"{sets.INSTALLATION}={self._frame.installation}"
        found, _ = await self._kube.listed(APPLICATION_SETS, self._frame.namespace, labelSelector=mine)
        return {name: o for o in found if not (name := o["metadata"]["name"]).endswith(f"--{sets.CANARY}")}

    async def _standing(self, rows: RowSet, known: RowSet | None) -> Object | None:
        """What stands where the set is to be written: nothing, or ours and no newer than what is known."""
        name = self._frame.name(rows.repository)
        found = await self._kube.get(APPLICATION_SETS, self._frame.namespace, name)
        if found and sets.RENDERED in (found["metadata"].get("labels") or {}):
            raise Failed(
                f"The ApplicationSet {name} was made by `greenroom render`. Delete it: Argo CD removes its previews,"
                " and they are made anew."
            )
        if found and not receipts.ours(found, self._frame.installation):
            raise Failed(
                f"The ApplicationSet {name} exists and is not ours. Set another `namePrefix:` in greenroom.yaml."
            )
        if found:
            self._no_newer(found, rows, known)
        return found

    def _no_newer(self, found: Object, rows: RowSet, known: RowSet | None) -> None:
        """Raises `Doubt` when another instance wrote since we read: it led meanwhile, or leads."""
        if _carried(found) in self._ours.get(rows.repository_id, ()):
            return
        try:
            generation = sets.rows_of(found).generation
        except Doubt:
            if known is None:
                raise
            generation = sets.generation_of(found)  # changed by hand, or written by a newer version
        if known is None or generation > known.generation:
            why = (
                f"Another instance wrote generation {generation} of {rows.repository} while this one knew"
                f" {known.generation if known else 'none'}; this one stops, and reads it when it starts again."
            )
            self._overtaken(why)
            raise Doubt(why)

    async def _apply(self, body: Object, standing: Object | None, rows: RowSet, known: RowSet | None) -> None:
        """Write it over exactly what stands there."""
        name = self._frame.name(rows.repository)
        self._ours.setdefault(rows.repository_id, set()).add(_carried(body))  # it may arrive although no answer does
        for _ in range(TRIES):
            version = standing["metadata"]["resourceVersion"] if standing else NO_VERSION
            try:
                await self._kube.apply(APPLICATION_SETS, self._frame.namespace, name, sets.over(body, version))
            except Conflict:  # Argo CD took its annotation off, or told how it fares; or another instance wrote
                standing = await self._standing(rows, known)
                continue
            self._ours[rows.repository_id] = {_carried(body)}
            return
        raise RetryLater(f"The ApplicationSet {name} changes all the time; it is written a little later.", after=1.0)

    def _former(self, rows: RowSet) -> RowSet | None:
        """Return the rows of an earlier repository with this name, whose ApplicationSet this one takes over.

        Raises `Failed` while any of its previews is left: taking over would lose its rows.
        """
        for other in self.known.values():
            if other.repository == rows.repository:
                over = not other.rows and all(w.told for w in other.ledger.withdrawals)
                if over and rows.generation > other.generation:
                    return other
                raise Failed(
                    f"The ApplicationSet of {rows.repository} still belongs to an earlier repository with that name"
                    f" (GitHub's id {other.repository_id}, now {rows.repository_id}). Remove its previews with"
                    " `greenroom release`."
                )
        return None


def _carried(found: Object) -> int:
    """The rows that an ApplicationSet carries, told apart from others without being read."""
    return hash((found["metadata"].get("annotations") or {}).get(sets.ROWS))
