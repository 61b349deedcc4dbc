"""Decide over 10,000 in-memory pull requests, half of them labeled, a quarter with previews: seconds, peak memory."""

from __future__ import annotations

import hashlib
import resource
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from greenroom.core.model.catalog import Image, Limits, Platform, Process, Repository, Service
from greenroom.core.model.engine import EngineState, Health, ObservedPreview, PreviewSet
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import (
    Activity,
    Actor,
    LabelEvent,
    Listing,
    Permission,
    Permissions,
    Present,
    PullRequest,
    State,
)
from greenroom.core.model.spec import Build, Config, Identity, Origin, PreviewSpec, Times, Version
from greenroom.core.planning import names
from greenroom.core.planning.context import pass_context
from greenroom.core.planning.decision import decide

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
COUNT = 10_000


def _sha(number: int) -> str:
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


SERVICE = Service("shop", "shop", Image("registry.example.com/shop"), (Process("web", port=8080),))
REPOSITORY = Repository("shop", "acme/shop", (SERVICE,))
PLATFORM = Platform("bench", "preview.example.com", (REPOSITORY,), limits=Limits(COUNT, COUNT, COUNT))


def _pull_request(number: int) -> PullRequest:
    labeled = number % 2 == 0
    ada = Actor(f"dev{number % 50}")
    event = LabelEvent("preview", True, ada, NOW - timedelta(hours=2))
    return PullRequest(
        identity=Identity(1, number),
        title=f"Change {number}",
        url="",
        author=ada,
        state=State.OPEN,
        draft=False,
        head_sha=_sha(number),
        head_ref=f"branch-{number}",
        head_repository_id=1,
        base_ref="main",
        labels=frozenset({"preview"} if labeled else ()),
        label_events=(event,) if labeled else (),
        activities=tuple(Activity("commented", ada, NOW - timedelta(hours=h)) for h in range(20)),
        created_at=NOW - timedelta(days=1),
        updated_at=NOW - timedelta(hours=1),
    )


def _preview(pull_request: PullRequest) -> ObservedPreview:
    number, sha = pull_request.identity.number, pull_request.head_sha
    version = Version("shop", sha, SERVICE.image.reference(sha, number), f"sha256:{sha}")
    spec = PreviewSpec(
        id=pull_request.identity,
        names=names.naming(PLATFORM, REPOSITORY, number),
        build=Build(sha, (version,)),
        config=Config((SERVICE,)),
        pull_request=Origin("acme/shop", pull_request.author.login),
        times=Times(NOW, NOW),
    )
    return ObservedPreview(pull_request.identity, str(number), spec, Health.READY)


def facts() -> Facts:
    """10,000 pull requests of one repository."""
    pull_requests = tuple(_pull_request(n) for n in range(1, COUNT + 1))
    labeled = [p for p in pull_requests if p.labels]
    held = {p.identity: _preview(p) for p in labeled[::2]}
    preview_set = PreviewSet(1, "shop", 1, {i.number: o.spec for i, o in held.items()})
    return Facts(
        listing=Listing(1, "acme/shop", True, "greenroom[bot]", NOW, pull_requests),
        observed=EngineState(held, {1: preview_set}),
        permissions=Permissions("acme/shop", {("acme/shop", f"dev{n}"): Permission.WRITE for n in range(50)}),
        images={
            SERVICE.image.reference(p.head_sha, p.identity.number): Present(f"sha256:{p.head_sha}") for p in labeled
        },
    )


def main(times: int = 5) -> None:
    """Print the figures."""
    given = facts()
    taken = []
    actions = 0
    for _ in range(times):
        begun = time.perf_counter()
        actions = len(decide(pass_context(given, PLATFORM, REPOSITORY, NOW)).actions)
        taken.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"decide over {COUNT:,} pull requests: {median(taken):.2f} s (median of {times}), {actions:,} actions,")
    print(f"  peak memory of the process {peak:.0f} MB")


if __name__ == "__main__":
    main()
