"""Choices and commands that a person made outside of comments, until our comment on the pull request holds them.

Like those in comments, they count once they were read back from the signed line. Losing them in a restart costs the
person another request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.github import Confirmation, DataCommand, Requested, SignedState, State
from greenroom.core.model.spec import Identity, LinkOverride
from greenroom.core.policy import labels

Asked = Mapping[int, Requested]
"""Requested choices and commands, by pull request number."""
NOTHING = Requested()


@dataclass(slots=True)
class RequestedChoices:
    """The open choices and commands of one running instance, by preview."""

    _open: dict[Identity, Requested] = field(default_factory=dict)

    def add(self, identity: Identity, choice: LinkOverride) -> None:
        """Add a choice. It replaces an earlier one for the same service."""
        known = self._open.get(identity, NOTHING)
        others = tuple(c for c in known.choices if c.service != choice.service)
        self._open[identity] = replace(known, choices=(*others, choice))

    def command(self, identity: Identity, command: DataCommand) -> None:
        """Add a command about the data. It replaces an earlier one."""
        self._open[identity] = replace(self._open.get(identity, NOTHING), data=command)

    def waits(self, identity: Identity) -> bool:
        """Return whether a choice or command for this preview is not yet in our comment."""
        return identity in self._open

    def still_open(self, read: PullRequestFacts, label: str) -> Asked:
        """Return what this repository's previews were asked for that is not in a block that was read back.

        Leave out a pull request that is closed or lost its label. Keep one that could not be read, or whose read is
        stale, because the person was promised that Greenroom tries again.
        """
        repository_id = read.listing.repository_id
        asking = {p.identity for p in read.listing.pull_requests if labels.carries(p.labels, label)}
        unsure = read.listing.doubts.keys() | read.stale
        asking |= {Identity(repository_id, n) for n in unsure} | _unlisted(read)
        found = {i.number: _unheld(read.blocks.get(i.number), asked) for i, asked in self._open.items() if i in asking}
        return {number: asked for number, asked in found.items() if asked != NOTHING}

    def keep(self, repository_id: int, asked: Asked) -> None:
        """Keep exactly these of a repository, as `still_open` returned them."""
        others = {i: known for i, known in self._open.items() if i.repository_id != repository_id}
        self._open = others | {Identity(repository_id, number): each for number, each in asked.items()}


def _unheld(block: SignedState | None, asked: Requested) -> Requested:
    """Return what a comment does not hold, and what no later command in it replaced."""
    known = {c.service: c for c in block.memory.choices} if block else {}
    choices = tuple(
        wanted
        for wanted in asked.choices
        if (held := known.get(wanted.service)) is None or not (held == wanted or held.comment > wanted.comment)
    )
    data = block.memory.data if block else None
    is_held = asked.data is not None and data is not None and data.order >= asked.data.order
    return Requested(choices, None if is_held else asked.data)


def _unlisted(read: PullRequestFacts) -> set[Identity]:
    """Return the previews that the list leaves out and that no read by number shows as closed."""
    listed, held = {p.identity for p in read.listing.pull_requests}, read.observed.held(read.listing.repository_id)
    answers = ((i, read.confirmed.get(i.number)) for i in held - listed)
    return {i for i, c in answers if not isinstance(c, Confirmation) or c.pull_request.state is State.OPEN}
