"""Small builders of core values: a pull request that everything is right with, and worlds to change one thing in."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

from greenroom.core.model.catalog import Image, Limits, Platform, Process, Repository, Service
from greenroom.core.model.engine import EngineState, Health, Ledger, ObservedPreview, PreviewSet, Running
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import (
    Actor,
    Confirmation,
    LabelEvent,
    Listing,
    Permission,
    Permissions,
    Present,
    PullRequest,
    State,
)
from greenroom.core.model.spec import (
    Build,
    Caller,
    Config,
    Identity,
    LinkOverride,
    Origin,
    PreviewSpec,
    SeedImage,
    Times,
    Version,
    WaitingPush,
)
from greenroom.core.model.verdicts import Desired
from greenroom.core.planning import decision, names
from greenroom.core.planning import desired as verdicts
from greenroom.core.planning.context import pass_context
from greenroom.core.planning.decision import Decision

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


def labeled(at: datetime = NOW - timedelta(hours=2), by: Actor = ADA, label: str = "preview") -> LabelEvent:
    return LabelEvent(label, True, by, at)


def unlabeled(at: datetime = NOW - timedelta(minutes=1), by: Actor = ADA, label: str = "preview") -> LabelEvent:
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
        label_events=(labeled(),),
        activities=(),
        created_at=NOW - timedelta(days=1),
        updated_at=NOW - timedelta(hours=1),
        merge_sha=sha(number, 99),
    )
    return replace(base, **changes)


def without_label(number: int = 1, by: Actor = ADA, at: datetime = NOW - timedelta(minutes=1)) -> PullRequest:
    return pull_request(number, labels=frozenset(), label_events=(labeled(), unlabeled(at, by)))


def permissions(**people: Permission) -> Permissions:
    """The permissions of people on acme/shop, by login."""
    return Permissions("acme/shop", {("acme/shop", login): permission for login, permission in people.items()})


def parts(of: type, names: dict[str, Any] | None = None) -> dict[str, list[str]]:
    """The fields of each part of a spec. A field that is not a part would be in no table of comparisons."""
    found: dict[str, list[str]] = {}
    for part, kind in get_type_hints(of, localns=names).items():
        assert is_dataclass(kind), f"{part} belongs into one of the parts of {of.__name__}"
        found[part] = [f.name for f in fields(kind)]
    return found


PARTS = parts(PreviewSpec)


def spec(number: int = 1, platform: Platform = PLATFORM, **changes: Any) -> PreviewSpec:
    reference = SERVICE.image.reference(sha(number), number)
    base = PreviewSpec(
        id=identity(number),
        names=names.naming(platform, REPOSITORY, number),
        build=Build(sha(number), (Version("shop", sha(number), reference, digest(reference)),)),
        config=Config(platform.repositories[0].services),
        pull_request=Origin(
            "acme/shop", "ada", f"https://github.example.com/acme/shop/pull/{number}", f"branch-{number}"
        ),
        times=Times(created=NOW - timedelta(hours=2), head_since=NOW - timedelta(hours=2)),
    )
    return changed(base, **changes)


def changed(spec: PreviewSpec, **changes: Any) -> PreviewSpec:
    """Return the spec with other parts, or with other fields of its parts: each field belongs to exactly one part."""
    for name, value in changes.items():
        part = "" if name in PARTS else next(p for p, names in PARTS.items() if name in names)
        spec = replace(spec, **{part: replace(getattr(spec, part), **{name: value})} if part else {name: value})
    return spec


def preview(number: int = 1, of: PreviewSpec | None = None, health: Health | None = None) -> ObservedPreview:
    made = of or spec(number)
    health = health or (Health.PREPARED if made.prepared else Health.READY)
    services = tuple(
        Running(v.service, f"https://{made.names.host(v.service)}", v.sha, v.digest, True, NOW - timedelta(hours=1))
        for v in made.build.versions
    )
    return ObservedPreview(identity(number), f"uid-{number}", made, health, services, NOW - timedelta(hours=1))


def observed(*numbers: int, ledger: Ledger = EMPTY, generation: int = 1) -> EngineState:
    """An engine that holds and serves the previews with these numbers."""
    preview_set = PreviewSet(REPOSITORY_ID, "shop", generation, {n: spec(n) for n in numbers}, ledger)
    return EngineState({identity(n): preview(n) for n in numbers}, {REPOSITORY_ID: preview_set})


def listing(*pull_requests: PullRequest, read_at: datetime = NOW) -> Listing:
    return Listing(REPOSITORY_ID, "acme/shop", True, ME, read_at, pull_requests)


def confirmation(
    found: PullRequest,
    read_at: datetime = NOW,
    by: Actor | None = ADA,
    label_since: datetime | None = NOW - timedelta(days=300),
) -> Confirmation:
    return Confirmation(found, read_at, by, label_since)


def facts(*pull_requests: PullRequest, holds: EngineState | None = None, **changes: Any) -> Facts:
    """Facts in which every labeled pull request has its image and everybody may write."""
    images = {
        SERVICE.image.reference(p.head_sha, p.identity.number): Present(
            digest(SERVICE.image.reference(p.head_sha, p.identity.number))
        )
        for p in pull_requests
    }
    base = Facts(
        listing=listing(*pull_requests),
        observed=holds or EngineState(),
        permissions=permissions(ada=Permission.WRITE, grace=Permission.WRITE),
        images=images,
    )
    return replace(base, **changes)


def decide(
    facts: Facts, platform: Platform, repository: Repository, now: datetime, waiting: frozenset[Identity] = frozenset()
) -> Decision:
    return decision.decide(pass_context(facts, platform, repository, now), waiting)


def desired(facts: Facts, platform: Platform, repository: Repository, now: datetime) -> Desired:
    return verdicts.desired(pass_context(facts, platform, repository, now))


OTHER: dict[str, Any] = {
    "repository": "store",
    "slug": "acme/store",
    "author": "grace",
    "head_since": NOW,
    "version": "9.9.9",
    "settings": '{"class":"other"}',
    "holders": {"db": "container-2"},
    "reset_at": NOW,
    "seeds": (SeedImage("shop", "db", "registry.example.com/seeds:1", "sha256:1", "d" * 40),),
    "resets": 1,
    "replaced": ("container-1",),
    "command": 901,
    "commanded_at": NOW,
    "by": "grace",
    "asleep": True,
    "sleep_requested": True,
    "url": "https://github.example.com/acme/store/pull/1",
    "branch": "other",
    "private": False,
    "mentions": ("acme/payments#17",),
    "overrides": (LinkOverride("payments", "17", "ada", 900),),
    "comment_version": 4,
    "callers": (Caller("shop", "preview-storefront-2", 8080),),
    "waiting": WaitingPush("f" * 40, NOW),
}
"""Values that differ from those of `spec`, for the fields that are not what its pods are made of."""
