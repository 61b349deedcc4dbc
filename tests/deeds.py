"""What people, bots and the platform team do to a preview, in any order: the steps of random lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from builders import ADA, PLATFORM, REPOSITORY, SERVICE, identity, labeled, pull_request, sha
from greenroom.core.model.catalog import Limits, Platform, Repository, Service, Staging, Use
from greenroom.core.model.github import Activity, Actor, CommandComment, Kind, State
from machine import Machine

BOT = Actor("renovate[bot]", Kind.BOT)
GRACE = Actor("grace")
USES = replace(SERVICE, uses=(Use("payments", (("url", "PAYMENTS_URL"),)),))
BASE = replace(
    PLATFORM,
    repositories=(replace(REPOSITORY, services=(USES,)),),
    staging=(("payments", Staging("http://payments.staging", "https://payments.example.com")),),
)


def of(*services: Service, **more: object) -> Platform:
    return replace(BASE, repositories=(replace(REPOSITORY, services=services),), **more)  # type: ignore[arg-type]


def living(**more: object) -> Platform:
    return replace(BASE, lifetime=replace(BASE.lifetime, **more))  # type: ignore[arg-type]


CONFIGURATIONS = {
    "as it was": BASE,
    "settings": of(replace(USES, env=(("COLOR", "green"),))),
    "one service more": of(USES, replace(SERVICE, name="admin")),
    "another staging": replace(BASE, staging=(("payments", Staging("http://other", "https://other.example.com")),)),
    "another domain": replace(BASE, domain="other.example.com"),
    "another label": replace(BASE, label="review"),
    "out of the catalog": replace(BASE, repositories=(Repository("other", "acme/other", (SERVICE,)),)),
    "shorter lives": living(inactive_after=timedelta(days=1, hours=6)),
    "longer lives": living(inactive_after=timedelta(days=7)),
    "a greatest age": living(max_age=timedelta(days=3)),
    "no limit": living(inactive_after=None, max_age=None),
    "fewer places": replace(BASE, limits=Limits(1, 1, 1)),
}


def configured(name: str) -> Callable[[Machine, int], None]:
    def change(made: Machine, number: int) -> None:
        made.platform = CONFIGURATIONS[name]

    return change


def push(made: Machine, number: int) -> None:
    old = made.pull_requests[number]
    pushed = Activity("pushed", ADA, made.now)
    new = sha(number, int(old.head_sha, 16) % 1000 + 2)
    made.pull_requests[number] = replace(old, head_sha=new, activities=(*old.activities, pushed))


def push_unbuilt(made: Machine, number: int) -> None:
    """A push, and CI does not build it yet."""
    push(made, number)
    made.unbuilt.add(made.pull_requests[number].head_sha)


def builds(made: Machine, number: int) -> None:
    made.unbuilt.discard(made.pull_requests[number].head_sha)


def comments(actor: Actor) -> Callable[[Machine, int], None]:
    def comment(made: Machine, number: int) -> None:
        old = made.pull_requests[number]
        said = Activity("commented", actor, made.now)
        made.pull_requests[number] = replace(old, activities=(*old.activities, said))

    return comment


def toggle(label: str) -> Callable[[Machine, int], None]:
    def change(made: Machine, number: int) -> None:
        old = made.pull_requests[number]
        if label in old.labels:
            made.unlabel(number, ADA, label)
        else:
            events = (*old.label_events, labeled(made.now, ADA, label))
            made.pull_requests[number] = replace(old, labels=old.labels | {label}, label_events=events)

    return change


def command(text: str) -> Callable[[Machine, int], None]:
    def say(made: Machine, number: int) -> None:
        old = made.pull_requests[number]
        said = CommandComment(9000 + len(old.said), GRACE, text, made.now)
        spoke = Activity("commented", GRACE, made.now)
        made.pull_requests[number] = replace(old, said=(*old.said, said), activities=(*old.activities, spoke))

    return say


def close(made: Machine, number: int) -> None:
    made.pull_requests[number] = replace(made.pull_requests[number], state=State.CLOSED, closed_at=made.now)


def reopen(made: Machine, number: int) -> None:
    old = made.pull_requests[number]
    again = Activity("reopened", ADA, made.now)
    made.pull_requests[number] = replace(old, state=State.OPEN, closed_at=None, activities=(*old.activities, again))


def draft(made: Machine, number: int) -> None:
    old = made.pull_requests[number]
    made.pull_requests[number] = replace(old, draft=not old.draft)


def comment_lost(made: Machine, number: int) -> None:
    made.pull_requests[number] = replace(made.pull_requests[number], comment=None)


def released(made: Machine, number: int) -> None:
    if made.holds.sets and made.decision().statuses.get(identity(number)):
        made.release(number)


DEEDS: dict[str, Callable[[Machine, int], None]] = {
    "nothing": lambda made, number: None,
    "push": push,
    "push without an image": push_unbuilt,
    "CI builds": builds,
    "a person comments": comments(ADA),
    "a bot comments": comments(BOT),
    "label": toggle("preview"),
    "keep": toggle(PLATFORM.lifetime.keep_label),
    "sleep": toggle(PLATFORM.lifetime.sleep_label),
    "use another": command("/preview use payments#17"),
    "use staging": command("/preview use payments staging"),
    "close": close,
    "reopen": reopen,
    "draft": draft,
    "our comment is deleted": comment_lost,
    "a person releases": released,
    **{f"configuration: {name}": configured(name) for name in CONFIGURATIONS},
}
STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(DEEDS)), st.integers(1, 3), st.integers(0, 40)), min_size=1, max_size=12
)


def begun() -> Machine:
    made = Machine({n: pull_request(n) for n in (1, 2, 3)}, platform=BASE)
    made.settle()
    return made
