"""`required_reads` and `desired` agree: everything that a decision reads was asked for, and everything asked is read.

The facts count what a decision reads of them. An answer may end a decision early (a missing permission needs no image),
so what is asked for has to be read with some answers, and what is read has to be asked for with any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from itertools import product
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    ADA,
    NOW,
    REPOSITORY_ID,
    changed,
    confirmation,
    decide,
    digest,
    identity,
    labeled,
    listing,
    sha,
    unlabeled,
)
from builders import preview as built_preview
from builders import pull_request as built_pull_request
from greenroom.core.model.catalog import (
    Image,
    ImageFrom,
    Need,
    Platform,
    Process,
    Repository,
    Seeds,
    Service,
    Staging,
    Use,
)
from greenroom.core.model.engine import EngineState, Health, Ledger, ObservedPreview, PreviewSet, Release
from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.github import (
    Actor,
    CommandComment,
    CommentState,
    ImageState,
    Kind,
    Missing,
    Permission,
    Permissions,
    Present,
    PullRequest,
    SignedState,
    State,
    Unknown,
)
from greenroom.core.model.migrations import MigrationSet
from greenroom.core.model.seeds import SeedFacts, SeedLabel, Source, Tree
from greenroom.core.model.spec import (
    Build,
    Config,
    Identity,
    Link,
    LinkOverride,
    Links,
    Origin,
    PreviewSpec,
    SeedImage,
    Times,
    Version,
)
from greenroom.core.planning import names, required_reads
from greenroom.core.planning.context import pass_context
from greenroom.core.planning.desired import redeploy_key

WEB = (Process("web", port=8080),)
GRACE, MALLORY, BOT = Actor("grace"), Actor("mallory"), Actor("renovate[bot]", Kind.BOT)
PAYMENTS = Repository("payments", "acme/payments", (Service("payments", "payments", Image("r/payments"), WEB),))
SHOP = Repository(
    "shop",
    "acme/shop",
    (
        Service(
            "web",
            "shop",
            Image("r/web"),
            WEB,
            uses=(Use("payments", (("url", "P"),), same_branch=True),),
            needs=(Need("db", "postgresql", "16", seed="seed.sql"),),
        ),
        Service("worker", "shop", Image("r/worker", built_from=ImageFrom.MERGE), WEB),
        Service("api", "shop", Image("r/api"), WEB, paths=("api",)),
    ),
)
PLATFORM = Platform(
    "test",
    "preview.example.com",
    (PAYMENTS, SHOP),
    staging=(("payments", Staging("http://payments.staging", "")),),
    seeds=Seeds("r/seeds", builds=True),
)
KEPT = SeedImage("web", "db", "r/seeds:kept", digest("kept"), sha(77))
V = TypeVar("V")


class Read(dict[Any, V]):
    """Answers that count which of them are read."""

    def __init__(self, answers: dict[Any, V]) -> None:
        super().__init__(answers)
        self.keys_read: set[Any] = set()

    def __getitem__(self, key: Any) -> V:
        self.keys_read.add(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        self.keys_read.add(key)
        return super().get(key, default)


@dataclass(frozen=True)
class Case:
    """One pull request and its preview."""

    number: int
    labels: frozenset[str]
    by: Actor
    author: Actor
    fork: bool
    draft: bool
    lost_event: bool
    files: frozenset[str] | None
    merge: bool
    commands: tuple[tuple[str, Actor], ...]
    paired: bool
    listed: str
    served: str
    failing: str
    redeploy: bool
    other_label: bool
    promised: bool
    stale: bool
    foreign: bool
    chosen: str
    was_paired: bool
    mentions: bool
    seeded: bool


PEOPLE = st.sampled_from([ADA, GRACE, MALLORY, BOT, Actor("", Kind.NOBODY)])
WORDS = st.sampled_from(["/preview use payments#17", "/preview use payments staging", "/preview use nothing#1", "Hi"])
CASES = st.builds(
    Case,
    st.just(0),
    st.sampled_from([frozenset({"preview"}), frozenset({"Preview", "preview-sleep"}), frozenset()]),
    PEOPLE,
    PEOPLE,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, frozenset({"api/x"}), frozenset({"web/x"})]),
    st.booleans(),
    st.lists(st.tuples(WORDS, PEOPLE), max_size=3).map(tuple),
    st.booleans(),
    st.sampled_from(["open", "open", "open", "closed", "unlabeled", "in doubt", "unreadable"]),
    st.sampled_from(["", "same head", "older head", "withdrawn"]),
    st.sampled_from(["", "api", "web"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "staging", "17", "99"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def pull_request(case: Case) -> PullRequest:
    events = () if case.lost_event else (labeled(by=case.by),)
    said = tuple(CommandComment(900 + i, by, text, NOW) for i, (text, by) in enumerate(case.commands))
    return built_pull_request(
        case.number,
        labels=case.labels,
        label_events=events,
        author=case.author,
        draft=case.draft,
        head_repository_id=1 if case.fork else REPOSITORY_ID,
        head_ref="idea" if case.paired else f"branch-{case.number}",
        merge_sha=sha(case.number, 99) if case.merge else None,
        base_sha=sha(1000),
        base_tip=sha(1001),
        changed=case.files,
        mentions=("acme/payments#17",) if case.mentions else (),
        said=said,
    )


def read_by_number(case: Case) -> PullRequest:
    if case.listed == "closed":
        return replace(pull_request(case), state=State.CLOSED, closed_at=NOW)
    return replace(pull_request(case), labels=frozenset(), label_events=(labeled(), unlabeled()))


def spec_of(case: Case) -> PreviewSpec:
    head = sha(case.number, 1 if case.served == "same head" else 7)
    versions = tuple(
        Version(s.name, head, s.image.reference(head, case.number), digest(s.image.reference(head, case.number)))
        for s in SHOP.services
    )
    made = PreviewSpec(
        id=identity(case.number),
        names=names.naming(PLATFORM, SHOP, case.number),
        build=Build(head, versions),
        config=Config(SHOP.services),
        pull_request=Origin("acme/shop", "ada", "https://github.example.com/acme/shop/pull/1", "idea"),
        times=Times(NOW, NOW),
    )
    pair = Link("web", "payments", (("url", "P"),), "http://payments", "", number=17, paired=True)
    made = replace(made, links=Links((pair,))) if case.was_paired else made
    made = changed(made, seeds=(KEPT,)) if case.seeded else made
    return changed(made, label="beta") if case.other_label else made


def engine(cases: list[Case]) -> EngineState:
    """Return an engine that holds the previews of these cases, and a preview of payments on the branch `idea`."""
    held = {c.number: spec_of(c) for c in cases if c.served}
    previews: dict[Identity, ObservedPreview] = {
        identity(c.number): replace(
            built_preview(c.number, held[c.number], Health.FAILED if c.failing else Health.READY), failing=c.failing
        )
        for c in cases
        if c.served
    }
    asked = tuple(Release(identity(c.number), redeploy_key(PLATFORM), "ada", NOW) for c in cases if c.redeploy)
    served = {c.number: held[c.number] for c in cases if c.served not in ("", "withdrawn")}
    payments = PreviewSpec(
        id=Identity(8, 17),
        names=names.naming(PLATFORM, PAYMENTS, 17),
        build=Build(sha(17), (Version("payments", sha(17), "r/payments:1", digest("1")),)),
        config=Config(PAYMENTS.services),
        pull_request=Origin("acme/payments", "grace", "https://github.example.com/acme/payments/pull/17", "idea"),
        times=Times(NOW, NOW),
    )
    sets = {
        REPOSITORY_ID: PreviewSet(REPOSITORY_ID, "shop", 1, served, Ledger(releases=asked)),
        8: PreviewSet(8, "payments", 1, {17: payments}),
    }
    foreign = {identity(c.number): "another installation" for c in cases if c.foreign}
    return EngineState(previews, sets, other_installations=foreign)


@st.composite
def reads(draw: st.DrawFn) -> PullRequestFacts:
    """What a pass has read of a few pull requests in any state."""
    cases = [replace(c, number=n) for n, c in enumerate(draw(st.lists(CASES, min_size=1, max_size=4)), 1)]
    listed = listing(*(pull_request(c) for c in cases if c.listed == "open"))
    listed = replace(listed, doubts={c.number: "GitHub returned 502." for c in cases if c.listed == "in doubt"})
    holds, promised = engine(cases), frozenset(c.number for c in cases if c.promised)
    asked = required_reads.numbers(listed, holds, PLATFORM, promised)
    answers = {
        c.number: "GitHub returned 502." if c.listed == "unreadable" else confirmation(read_by_number(c))
        for c in cases
        if c.number in asked
    }
    choices = {c.number: (LinkOverride("payments", c.chosen, "ada", 5),) for c in cases if c.chosen}
    blocks = {number: SignedState(1, CommentState(choices=chosen)) for number, chosen in choices.items()}
    stale = frozenset(c.number for c in cases if c.stale)
    return PullRequestFacts(listed, holds, {**listed.doubts, **answers}, blocks, stale=stale, promised=promised)


@dataclass(frozen=True)
class Counted:
    """What a decision read, or what was asked for."""

    numbers: frozenset[int]
    people: frozenset[tuple[str, str]]
    images: frozenset[str]
    sources: frozenset[Source] = frozenset()
    labels: frozenset[str] = frozenset()

    def __or__(self, other: Counted) -> Counted:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Counted(*(here | there for here, there in pairs))

    def beyond(self, other: Counted) -> list[object]:
        """Return what is here and not there."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return [each for here, there in pairs for each in here - there]


def asked_of(read: PullRequestFacts) -> Counted:
    """Return what a pass asks for, if no image that it asks for first exists."""
    context = pass_context(read, PLATFORM, SHOP, NOW)
    people = {("acme/shop", login) for login in required_reads.askers(context)}
    people |= {(slug, login) for (_, login), slug in required_reads.readers(context).items()}
    people |= {*required_reads.rights(context)}
    first = {*required_reads.references(context)}
    merged = {*required_reads.merge_references(context, first)}
    numbers = required_reads.numbers(read.listing, read.observed, PLATFORM, read.promised)
    sources = required_reads.sources(context)
    seeds = seed_images(read, sources)
    trunks = required_reads.trunks(context, trees(sources), dict.fromkeys(seeds, Missing()))
    labels = {seed.digest for seed in required_reads.held_images(context)}
    return Counted(
        frozenset(numbers),
        frozenset(people),
        frozenset(first | merged | seeds),
        frozenset({*sources, *trunks}),
        frozenset(labels),
    )


def seed_images(read: PullRequestFacts, sources: Iterable[Source]) -> set[str]:
    return {*required_reads.seed_references(pass_context(read, PLATFORM, SHOP, NOW), trees(sources))}


def trees(sources: Iterable[Source]) -> dict[Source, Tree | str]:
    return {source: Tree({"seed.sql": sha(77)}, {"": MigrationSet()}) for source in sources}


def read_by(read: PullRequestFacts, permission: Permission, image: ImageState, seed: ImageState) -> Counted:
    """Return what the decision reads when everybody has this permission, every image is in this state, and every seed
    in that one.
    """
    asked = asked_of(read)
    people = Read(dict.fromkeys(asked.people, permission))
    of_seeds = dict.fromkeys(seed_images(read, asked.sources), seed)
    images = Read(dict.fromkeys(asked.images, image) | of_seeds)
    labels = Read(dict.fromkeys([*asked.labels, digest("any")], SeedLabel()))
    files = Read(trees(asked.sources))
    numbers = Read(dict(read.confirmed))
    readers = required_reads.readers(pass_context(read, PLATFORM, SHOP, NOW))
    owners = {service: slug for (service, _), slug in readers.items()}
    granted, seeds = (
        Permissions("acme/shop", people, owners),
        SeedFacts(files, images, labels),
    )
    decide(replace(read, confirmed=numbers).completed({}, granted, images, seeds), PLATFORM, SHOP, NOW)
    return Counted(
        frozenset(numbers.keys_read),
        frozenset(people.keys_read),
        frozenset(images.keys_read),
        frozenset(files.keys_read),
        frozenset(labels.keys_read - {digest("any")}),
    )


PERMISSIONS = (Permission.WRITE, Permission.READ, Permission.NONE, Permission.UNKNOWN)
IMAGES: tuple[ImageState, ...] = (Present(digest("any")), Missing(), Unknown("The registry returned 503."))


SOME = PERMISSIONS[0], IMAGES[0], IMAGES[0]


def all_answers(read: PullRequestFacts) -> Iterator[Counted]:
    for permission, image, seed in product(PERMISSIONS, IMAGES, IMAGES):
        yield read_by(read, permission, image, seed)


@settings(max_examples=200)
@given(reads())
def test_decision_reads_no_fact_that_was_not_asked_for(read: PullRequestFacts) -> None:
    asked = asked_of(read) | Counted(
        frozenset(read.listing.doubts), frozenset(), frozenset()
    )  # they came with the list
    for found in all_answers(read):
        assert found.beyond(asked) == []


@settings(max_examples=200)
@given(reads())
def test_no_fact_is_asked_for_that_no_decision_reads(read: PullRequestFacts) -> None:
    fresh = replace(read, stale=frozenset())  # only the answers by number show which reads are stale
    found = Counted(read_by(fresh, *SOME).numbers, frozenset(), frozenset())
    for each in all_answers(read):
        found |= each
    assert asked_of(read).beyond(found) == []
