"""Small builders of core values: a pull request that everything is right with, and worlds to change one thing in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from greenroom.core import names
from greenroom.core.catalogue import Image, Limits, Platform, Process, Repository, Service
from greenroom.core.model import (
    Actor,
    Confirmation,
    Facts,
    Health,
    Identity,
    LabelEvent,
    Ledger,
    Listing,
    Observed,
    ObservedPreview,
    Permission,
    Present,
    PullRequest,
    RowSet,
    Running,
    State,
)
from greenroom.core.rows import Choice, Row, Version

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
REPOSITORY_ID = 7
ADA = Actor("ada")
ME = "greenroom[bot]"
EMPTY = Ledger()
SERVICE = Service("shop", "shop", Image("registry.example.com/shop"), (Process("web", port=8080),))
REPOSITORY = Repository("shop", "acme/shop", (SERVICE,))
PLATFORM = Platform("test", "preview.example.com", (REPOSITORY,), limits=Limits(100, 100, 100))


def sha(number: int, version: int = 1) -> str:
    return hashlib.sha1(f"{number}/{version}".encode(), usedforsecurity=False).hexdigest()


def digest(of: str) -> str:
    return f"sha256:{hashlib.sha256(of.encode()).hexdigest()}"


def identity(number: int = 1) -> Identity:
    return Identity(REPOSITORY_ID, number)


def labelled(at: datetime = NOW - timedelta(hours=2), by: Actor = ADA, label: str = "preview") -> LabelEvent:
    return LabelEvent(label, True, by, at)


def unlabelled(at: datetime = NOW - timedelta(minutes=1), by: Actor = ADA, label: str = "preview") -> LabelEvent:
    return LabelEvent(label, False, by, at)


def pull_request(number: int = 1, **changes: Any) -> PullRequest:
    base = PullRequest(
        identity=identity(number),
        title=f"Change {number}",
        url=f"https://github.example.com/acme/shop/pull/{number}",
        author=ADA,
        state=State.OPEN,
        draft=False,
        head_sha=sha(number),
        head_ref=f"branch-{number}",
        head_repository_id=REPOSITORY_ID,
        base_ref="main",
        labels=frozenset({"preview"}),
        label_events=(labelled(),),
        activities=(),
        created_at=NOW - timedelta(days=1),
        updated_at=NOW - timedelta(hours=1),
        merge_sha=sha(number, 99),
    )
    return replace(base, **changes)


def without_label(number: int = 1, by: Actor = ADA, at: datetime = NOW - timedelta(minutes=1)) -> PullRequest:
    return pull_request(number, labels=frozenset(), label_events=(labelled(), unlabelled(at, by)))


def row(number: int = 1, platform: Platform = PLATFORM, **changes: Any) -> Row:
    reference = SERVICE.image.reference(sha(number), number)
    base = Row(
        repository_id=REPOSITORY_ID,
        repository="shop",
        slug="acme/shop",
        number=number,
        author="ada",
        naming=names.naming(platform, REPOSITORY, number),
        head_sha=sha(number),
        head_since=NOW - timedelta(hours=2),
        created=NOW - timedelta(hours=2),
        versions=(Version("shop", sha(number), reference, digest(reference)),),
        services=platform.repositories[0].services,
        url=f"https://github.example.com/acme/shop/pull/{number}",
        branch=f"branch-{number}",
    )
    return replace(base, **changes)


def preview(number: int = 1, of: Row | None = None, health: Health = Health.READY) -> ObservedPreview:
    made = of or row(number)
    services = tuple(
        Running(v.service, f"https://{made.naming.host(v.service)}", v.sha, v.digest, True, NOW - timedelta(hours=1))
        for v in made.versions
    )
    return ObservedPreview(identity(number), f"uid-{number}", made, health, services, NOW - timedelta(hours=1))


def observed(*numbers: int, ledger: Ledger = EMPTY, generation: int = 1) -> Observed:
    """An engine that holds and serves the previews with these numbers."""
    rows = RowSet(REPOSITORY_ID, "shop", generation, {n: row(n) for n in numbers}, ledger)
    return Observed({identity(n): preview(n) for n in numbers}, {REPOSITORY_ID: rows})


def listing(*pull_requests: PullRequest, read_at: datetime = NOW) -> Listing:
    return Listing(REPOSITORY_ID, "acme/shop", True, ME, read_at, pull_requests)


def confirmation(
    found: PullRequest,
    read_at: datetime = NOW,
    by: Actor | None = ADA,
    label_since: datetime | None = NOW - timedelta(days=300),
) -> Confirmation:
    return Confirmation(found, read_at, by, label_since)


def facts(*pull_requests: PullRequest, holds: Observed | None = None, **changes: Any) -> Facts:
    """Facts in which every labelled pull request has its image and everybody may write."""
    images = {
        SERVICE.image.reference(p.head_sha, p.identity.number): Present(
            digest(SERVICE.image.reference(p.head_sha, p.identity.number))
        )
        for p in pull_requests
    }
    base = Facts(
        listing=listing(*pull_requests),
        observed=holds or Observed(),
        permissions={"ada": Permission.WRITE, "grace": Permission.WRITE},
        images=images,
    )
    return replace(base, **changes)


OTHER: dict[str, Any] = {
    "repository": "store",
    "slug": "acme/store",
    "author": "grace",
    "head_since": NOW,
    "chart_version": "9.9.9",
    "settings": '{"class":"other"}',
    "lives": (("db", "container-2"),),
    "renewed": NOW,
    "asleep": True,
    "sleepy": True,
    "url": "https://github.example.com/acme/store/pull/1",
    "branch": "other",
    "private": False,
    "mentions": ("acme/payments#17",),
    "choices": (Choice("payments", "17", "ada", 900),),
    "sequence": 4,
    "open_to": (("shop", "preview-storefront-2", 8080),),
    "waiting_head": "f" * 40,
    "waiting_since": NOW,
}
"""Values that differ from those of `row`, for the fields that are not what its pods are made of."""
