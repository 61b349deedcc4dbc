"""A perfect engine and a perfect GitHub in memory: apply a decision, read again. For stories of several passes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from builders import NOW, PLATFORM, REPOSITORY, REPOSITORY_ID, confirmation, decide, facts, preview, pull_request
from greenroom.core.comment.signed_block import Key, Signer
from greenroom.core.model.actions import (
    Action,
    Change,
    Remove,
    RemoveLabel,
    Start,
    UpdateComment,
    VerifyRemoval,
    Withdraw,
)
from greenroom.core.model.catalog import Platform
from greenroom.core.model.engine import EngineState, Release
from greenroom.core.model.facts import Facts
from greenroom.core.model.github import Actor, Comment, Kind, LabelEvent, Missing, PullRequest
from greenroom.core.planning import preview_sets
from greenroom.core.planning.decision import Decision, set_of_repository

SIGNER = Signer("github.example.com", "test", Key("k1", b"secret"))
BOT = Actor("greenroom[bot]", Kind.BOT)


@dataclass
class Machine:
    """What exists, between passes."""

    pull_requests: dict[int, PullRequest]
    holds: EngineState = field(default_factory=EngineState)
    now: datetime = NOW
    platform: Platform = PLATFORM
    unbuilt: set[str] = field(default_factory=set)  # the commits whose images do not exist

    def facts(self) -> Facts:
        open_ones = [p for p in self.pull_requests.values() if p.state == "open"]
        made = facts(*open_ones, holds=self.holds)
        blocks = {n: b for n, p in self.pull_requests.items() if (b := SIGNER.read(p.identity, p.comment))}
        return replace(
            made,
            listing=replace(made.listing, read_at=self.now),
            confirmed={n: confirmation(p, self.now) for n, p in self.pull_requests.items()},
            blocks=blocks,
            images={r: Missing() if r.rpartition(":")[2] in self.unbuilt else s for r, s in made.images.items()},
        )

    def decision(self) -> Decision:
        return decide(self.facts(), self.platform, self.platform.repositories[0], self.now)

    def apply(self, decision: Decision) -> None:
        actions = decision.actions
        preview_set = set_of_repository(self.facts(), REPOSITORY)
        changes = [a for a in actions if isinstance(a, Start | Change | Withdraw)]
        spent = decision.plan.spent
        new = preview_sets.applied(preview_set, changes, self.now, spent) if changes or spent else preview_set
        concluded = [a.identity for a in actions if isinstance(a, VerifyRemoval)]
        new = preview_sets.all_told(new, concluded) if concluded else new
        previews = dict(self.holds.previews)
        for number, spec in new.specs.items():
            made = preview(number, spec)
            previews[made.identity] = made
        for action in actions:
            if isinstance(action, Remove):
                del previews[action.identity]
        self.holds = EngineState(previews, {**self.holds.sets, REPOSITORY_ID: new})
        for action in actions:
            self._on_github(action)

    def _on_github(self, action: Action) -> None:
        number = action.identity.number
        if isinstance(action, UpdateComment):
            old = self.pull_requests[number]
            block = SIGNER.read(old.identity, old.comment)
            from greenroom.core.model.github import SignedState

            sequence = block.sequence + 1 if block else 1
            body = f"{SIGNER.line(old.identity, 500 + number, SignedState(sequence, action.memory))}\n{action.text}"
            self.pull_requests[number] = replace(old, comment=Comment(500 + number, body))
        if isinstance(action, RemoveLabel):
            self.unlabel(number, BOT, action.label)

    def unlabel(self, number: int, by: Actor, label: str = "preview") -> None:
        old = self.pull_requests[number]
        event = LabelEvent(label, False, by, self.now)
        self.pull_requests[number] = replace(
            old, labels=old.labels - {label}, label_events=(*old.label_events, event), updated_at=self.now
        )

    def settle(self, passes: int = 12) -> list[Action]:
        """Pass until nothing is to do; every action on the way."""
        done: list[Action] = []
        for _ in range(passes):
            decision = self.decision()
            if not decision.actions and not decision.plan.spent:
                return done
            done += decision.actions
            self.apply(decision)
        raise AssertionError(f"not quiet after {passes} passes: {self.decision().actions}")

    def release(self, *numbers: int) -> None:
        held = self.decision().statuses
        preview_set = self.holds.sets[REPOSITORY_ID]
        chosen = [s for s in held.values() if s.number in numbers]
        releases = [Release(s.identity, s.hold, "grace", self.now) for s in chosen if s.hold]
        released = preview_sets.released(preview_set, releases, self.now)
        self.holds = EngineState(self.holds.previews, {**self.holds.sets, REPOSITORY_ID: released})

    def pass_time(self, by: timedelta) -> None:
        self.now += by

    @property
    def living(self) -> set[int]:
        return {i.number for i in self.holds.previews if i.repository_id == REPOSITORY_ID}


def settled(count: int, platform: Platform = PLATFORM) -> Machine:
    """Return a machine in which the previews of this many pull requests run and nothing is left to do."""
    made = Machine({n: pull_request(n) for n in range(1, count + 1)}, platform=platform)
    made.settle()
    return made
