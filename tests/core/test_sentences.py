"""Sentences about previews in random states name only versions that run, expiries that apply and steps that work."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import click
from hypothesis import given
from hypothesis import strategies as st

from builders import digest, identity, sha
from deeds import DEEDS, STEPS, begun
from greenroom import cli
from greenroom.core.comment.body import comment_text
from greenroom.core.messages import day
from greenroom.core.model.engine import EngineState, Health, Running
from greenroom.core.model.github import PullRequest
from greenroom.core.model.status import Stage, Status
from greenroom.core.policy import labels
from greenroom.web.sorting import expiry
from machine import Machine

HEALTH = st.sampled_from([Health.STARTING, Health.UPDATING, Health.READY, Health.FAILED])
STATE = st.tuples(HEALTH, st.lists(st.sampled_from(["wanted", "old", "outdated", "down"]), min_size=4, max_size=4))
STATES = st.tuples(STATE, STATE, STATE)
LABELED = st.sets(st.sampled_from(["keep", "sleep"]))
OLD = 40


def disturbed(made: Machine, states: tuple[tuple[Health, list[str]], ...]) -> None:
    """Let every preview run its services in random ways: the wanted version, an old one, old settings, or none."""
    previews = dict(made.holds.previews)
    for (health, runs), number in zip(states, (1, 2, 3), strict=True):
        held = previews.get(identity(number))
        if held is not None:
            services = tuple(_run(s, how, number) for s, how in zip(held.services, runs, strict=False))
            why = "web ended with exit code 1." if health is Health.FAILED else ""
            previews[identity(number)] = replace(held, health=health, services=services, why=why)
    made.holds = EngineState(previews, made.holds.sets)


def _run(service: Running, how: str, number: int) -> Running:
    if how == "down":
        return replace(service, ready=False, sha="", digest="", since=None)
    if how == "old":
        return replace(service, sha=sha(number, OLD), digest=digest(sha(number, OLD)), outdated=True)
    return replace(service, outdated=how == "outdated")


def shown(made: Machine, status: Status) -> str:
    """Return the comment and what pages and terminal add to it."""
    return f"{comment_text(status, made.platform, private=True)}\n{status.reason}\n{expiry(status, made.now)}"


@given(STEPS, STATES, LABELED)
def test_sentences_name_only_running_versions_valid_expiries_and_possible_steps(
    steps: list[tuple[str, int, int]], states: tuple[tuple[Health, list[str]], ...], labeled: set[str]
) -> None:
    made = begun()
    for label in sorted(labeled):
        DEEDS[label](made, 1)
    for deed, number, hours in steps:
        made.pass_time(timedelta(hours=hours))
        DEEDS[deed](made, number)
        made.settle()
        disturbed(made, states)
        for status in made.decision().statuses.values():
            text, pull_request = shown(made, status), made.pull_requests[status.number]
            only_what_runs(status, text)
            only_the_expiry_that_applies(made, status, pull_request, text)
            only_possible_steps(made, status, pull_request, text)


def only_what_runs(status: Status, text: str) -> None:
    runs = {s.service: s.sha[:7] for s in status.services if s.ready}
    for version in re.findall(r"The (?:current|previous) version, (\w+), keeps running", text):
        assert version in runs.values(), text
    for names, version in re.findall(r"([\w, -]+) keeps? running version (\w+)", text):
        for name in re.split(r", | and ", names.strip()):
            assert runs.get(name) == version, text
    for names in re.findall(r"; ([\w, -]+) (?:is|are) not ready\.", text):
        for name in re.split(r", | and ", names):
            assert name not in runs, text
    if "No version is running" in text:
        assert not runs, text


def only_the_expiry_that_applies(made: Machine, status: Status, pull_request: PullRequest, text: str) -> None:
    life = made.platform.lifetime
    kept = labels.carries(pull_request.labels, life.keep_label)
    moves = ("without activity", "unless there is activity", "A push, comment or review")
    if (kept or life.inactive_after is None) and status.stage is not Stage.HELD:
        assert not [words for words in moves if words in text], text
    if status.stage is Stage.HELD:  # docs/reasons.md: it does not expire
        assert "is removed after" not in text, text
    if life.max_age is None:
        assert "after its creation" not in text, text
        assert "maximum age" not in text, text
    if status.expires is None:
        assert "will be removed at" not in text, text
        assert not re.search(r"^Expires ", text, re.MULTILINE), text
    for named in re.findall(r"will be removed at (\d{4}-\d\d-\d\d \d\d:\d\d UTC)", text):
        assert status.expires is not None, text
        assert named >= day(status.expires), text


def only_possible_steps(made: Machine, status: Status, pull_request: PullRequest, text: str) -> None:
    known = cli.main.list_commands(click.Context(cli.main))
    for sentence in re.findall(r"[^.\n]*`greenroom [^`]*`", text):
        verb, *names = sentence[sentence.index("`") :].split("`greenroom ")[1].rstrip("`").split()
        assert verb in known, text
        assert names in ([status.name], []), text
        assert "latform team" in sentence or status.stage is Stage.REMOVED or (verb == "release" and not names), text
        if verb == "release" and names:
            assert status.hold, text
    for service in re.findall(r"`/preview use ([\w-]+)#N`", text):
        assert service in {link.target for link in status.links}, text
    on = pull_request.labels
    for label in re.findall(r"Remove the label `([\w-]+)`", text):
        assert labels.carries(on, label), text
    for label in re.findall(r"so does the label `([\w-]+)`", text):
        assert not labels.carries(on, label), text
