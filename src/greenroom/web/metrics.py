"""Prometheus metrics of one instance, and its health for Kubernetes. Numbers only: no titles, no logins."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from greenroom.controller.status_store import Board
from greenroom.github.budget import Budget
from greenroom.github.content_budget import WINDOWS

TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Metrics that are counted as events happen, and metrics that are read from the board at each scrape."""

    def __init__(
        self,
        board: Board,
        requests: Callable[[], Mapping[str, int]],
        budget: Callable[[], Budget | None] = lambda: None,
        writes: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._board = board
        self._requests = requests
        self._budget = budget
        self._writes = writes
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.passes = Histogram(
            "greenroom_pass_seconds",
            "Duration of control loop passes, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.webhooks = Counter(
            "greenroom_webhooks", "Webhook deliveries by outcome.", ["outcome"], registry=self.registry
        )

    def delivered(self, outcome: str) -> None:
        """Count a webhook that was answered."""
        self.webhooks.labels(outcome).inc()

    @contextmanager
    def timed(self) -> Iterator[Callable[[str], None]]:
        """Time a pass. Call the yielded function with the outcome, or the pass counts as an error."""
        begun, outcome = time.perf_counter(), ["error"]
        try:
            yield lambda name: outcome.__setitem__(0, name)
        finally:
            self.passes.labels(outcome[0]).observe(time.perf_counter() - begun)

    def collect(self) -> Iterator[Metric]:
        """Yield the current metrics of the board and of the requests to GitHub."""
        stages = GaugeMetricFamily("greenroom_previews", "Pull requests by stage.", labels=["repository", "stage"])
        counted = Tally((s.repository, s.stage.value) for s in self._board.statuses.values())
        for labels, count in counted.items():
            stages.add_metric(labels, count)
        yield stages
        overdue = GaugeMetricFamily(
            "greenroom_previews_overdue",
            "Held previews that are past their lifetime and wait for a person's decision.",
            labels=["repository"],
        )
        late = Tally(s.repository for s in self._board.statuses.values() if s.overdue)
        for name in self._board.repositories:
            overdue.add_metric([name], late[name])
        yield overdue
        trouble = GaugeMetricFamily(
            "greenroom_repository_trouble", "1 if the repository cannot be read.", labels=["repository"]
        )
        for name, health in self._board.repositories.items():
            trouble.add_metric([name], float(bool(health.trouble)))
        yield trouble
        requests = GaugeMetricFamily("greenroom_github_requests", "Requests to GitHub since start.", labels=["kind"])
        for kind, number in self._requests().items():
            requests.add_metric([kind], number)
        yield requests
        points = GaugeMetricFamily(
            "greenroom_github_points",
            "GraphQL points: hourly limit, points remaining, and points spent since Greenroom started.",
            labels=["kind"],
        )
        if budget := self._budget():  # GitHub Enterprise Server has no limit unless its administrator sets one
            points.add_metric(["limit"], budget.limit)
            points.add_metric(["remaining"], budget.remaining)
            points.add_metric(["spent"], budget.spent)
        yield points
        yield from self._content()

    def _content(self) -> Iterator[Metric]:
        """Yield the content-creating requests sent to GitHub, and its limits on them."""
        name = "greenroom_github_content_requests"
        sent = GaugeMetricFamily(
            name, "Content-creating requests to GitHub in the last minute and in the last hour.", labels=["window"]
        )
        limit = GaugeMetricFamily(f"{name}_limit", "GitHub's limit on content-creating requests.", labels=["window"])
        for window, number in self._writes().items():
            sent.add_metric([window], number)
            limit.add_metric([window], WINDOWS[window][1])
        yield sent
        yield limit


def metrics(found: Metrics, ready: Callable[[], bool]) -> Starlette:
    """Return the application for /metrics, /healthz and /readyz.

    /healthz shows that the process answers; /readyz, that it leads and has read all that it answers with.
    """

    async def scrape(request: Request) -> Response:
        return Response(generate_latest(found.registry), headers={"content-type": TYPE})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        return (
            PlainTextResponse("ready\n")
            if ready()
            else PlainTextResponse("another instance is the leader, or this one has not finished its first read\n", 503)
        )

    return Starlette(routes=[Route("/metrics", scrape), Route("/healthz", healthz), Route("/readyz", readyz)])
