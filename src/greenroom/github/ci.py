"""The state of CI for one commit: workflow runs of GitHub Actions, and once they have ended, check runs of other apps.

This module uses REST and not GraphQL, for two reasons. A conditional request that finds no change is free, and while CI
builds, most reads find none; a query costs a point each time. And GraphQL reaches workflow runs only through check
suites, for which fine-grained tokens cannot have permission; here, `actions: read` is enough.
https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from greenroom.core.model.ci import AwaitedCommit, CiRun, CiState, CommitCi
from greenroom.core.policy.ci import usual_duration
from greenroom.errors import Doubt, FixCredentials
from greenroom.github import shapes, translate_ci
from greenroom.github.clock import Clock
from greenroom.github.reading import Payload
from greenroom.github.transport import NotFound, Transport

PAGE, PAGES = 100, 5
SUCCESSES = 10
ESTIMATED = 3
"""Maximum number of running workflows whose usual duration is looked up. Each lookup takes one request."""
REMEMBERED = timedelta(hours=1)
"""Time for which a workflow's usual duration is remembered, and the wait before a forbidden read is retried."""


class CiReader:
    """Reader of the CI of single commits. Every read is complete or raises an exception."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._usual: dict[str, tuple[datetime, timedelta | None]] = {}
        self._forbidden: dict[str, datetime] = {}

    async def of(self, slug: str, commit: AwaitedCommit) -> CommitCi:
        """Return what CI does for a commit of a repository. Raise `Doubt` if an answer cannot be parsed."""
        with shapes.understood(f"CI of {slug}"):
            return await self._of(slug, commit)

    async def _of(self, slug: str, commit: AwaitedCommit) -> CommitCi:
        newest = translate_ci.newest(await self._runs(slug, head_sha=commit.sha), commit.sha)
        runs = [translate_ci.workflow_run(n) for n in newest]
        if not any(r.state in _DECISIVE for r in runs):
            runs += await self._checks(slug, commit.sha)
        if any(r.state is CiState.RUNNING for r in runs):
            return CommitCi(tuple(await self._estimated(slug, newest, runs)))
        if runs or not commit.settled:
            return CommitCi(tuple(runs))
        others = await self._runs(slug, branch=commit.branch, per_page=SUCCESSES)
        return CommitCi((), await self._message(slug, commit.sha), translate_ci.earlier(others, commit.sha))

    async def _runs(self, slug: str, workflow: int | None = None, **filters: object) -> list[Payload]:
        """Return workflow runs, newest first. With the filter `head_sha`, raise `Doubt` unless the list is complete."""
        of = f"/workflows/{workflow}" if workflow else ""
        query = urlencode({"exclude_pull_requests": "true", "per_page": PAGE, **filters})
        what = f"workflow runs of {slug}"
        with self._transport.whole_read():
            answer = await self._transport.get(f"/repos/{slug}/actions{of}/runs?{query}")
            shapes.check(answer, shapes.WORKFLOW_RUNS, what)
            found: list[Payload] = answer["workflow_runs"]
            if "head_sha" in filters:
                _all(found, answer, "head_sha", filters["head_sha"], what)
        return found

    async def _checks(self, slug: str, sha: str) -> list[CiRun]:
        """Return the check runs of other apps; none if the token has no `checks: read`, which is optional."""
        now = self._clock.now()
        if now < self._forbidden.get(slug, now):
            return []
        what = f"check runs of {slug}"
        try:
            with self._transport.whole_read():
                nodes = await self._check_runs(slug, sha, what)
        except (FixCredentials, NotFound):
            self._forbidden[slug] = now + REMEMBERED
            return []
        return [translate_ci.check_run(n) for n in nodes if translate_ci.of_another_app(n)]

    async def _check_runs(self, slug: str, sha: str, what: str) -> list[Payload]:
        """Return all check runs of a commit. Those of a large matrix may need several pages."""
        nodes: list[Payload] = []
        for page in range(1, PAGES + 1):
            path = f"/repos/{slug}/commits/{sha}/check-runs?per_page={PAGE}&page={page}"
            answer = await self._transport.get(path)
            shapes.check(answer, shapes.CHECK_RUNS, what)
            nodes += answer["check_runs"]
            if len(nodes) >= int(answer["total_count"]) or not answer["check_runs"]:
                break
        _all(nodes, answer, "head_sha", sha, what)
        return nodes

    async def _estimated(self, slug: str, newest: Iterable[Payload], runs: list[CiRun]) -> list[CiRun]:
        """Return the runs, with the usual durations of at most `ESTIMATED` runs that are in progress."""
        found, asked = [], 0
        by_page = {translate_ci.workflow_run(n).page: n for n in newest}
        for run in runs:
            node = by_page.get(run.page)
            if run.state is CiState.RUNNING and node and asked < ESTIMATED:
                asked += 1
                run = replace(run, usual=await self._usually(slug, int(node["workflow_id"]), run.event))
            found.append(run)
        return found

    async def _usually(self, slug: str, workflow: int, event: str) -> timedelta | None:
        """Return the median duration of the last successful runs of a workflow after such an event."""
        key, now = f"{slug} {workflow} {event}", self._clock.now()
        until, known = self._usual.get(key, (now, None))
        if now < until:
            return known
        nodes = await self._runs(slug, workflow, status="success", event=event, per_page=SUCCESSES)
        found = usual_duration(translate_ci.duration(n) for n in nodes[:SUCCESSES])
        self._usual = {k: v for k, v in self._usual.items() if v[0] > now}
        self._usual[key] = (now + REMEMBERED, found)
        return found

    async def _message(self, slug: str, sha: str) -> str | None:
        """Return the message of a commit; None if the token may not read it."""
        what = f"commit {sha[:7]} of {slug}"
        try:
            with self._transport.whole_read():
                answer = await self._transport.get(f"/repos/{slug}/git/commits/{sha}")
                shapes.check(answer, shapes.GIT_COMMIT, what)
                if answer["sha"] != sha:
                    raise Doubt(f"GitHub returned a different commit when Greenroom read {what}. Greenroom will retry.")
        except (FixCredentials, NotFound):
            return None
        return str(answer["message"])


_DECISIVE = (CiState.QUEUED, CiState.RUNNING, CiState.APPROVAL, CiState.PROTECTED)
"""States that explain a missing image, whatever the states of other apps are."""


def _all(nodes: list[Payload], answer: Payload, key: str, value: object, what: str) -> None:
    """Raise `Doubt` unless these are all nodes of an answer, and all belong to the commit that was asked for."""
    if len(nodes) != (total := int(answer["total_count"])):
        raise Doubt(
            f"GitHub's count of {what} is {total}, but its list contains {len(nodes)}. Greenroom will read the list"
            " again."
        )
    if any(n[key] != value for n in nodes):
        raise Doubt(f"GitHub's list of {what} contains entries for another commit. Greenroom will read the list again.")
