"""Link choices that a person made outside of comments, until our comment on the pull request holds them.

Like all choices, they count once they were read back from the signed line. Losing them in a restart costs the person
another request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from greenroom.core.model.facts import PullRequestFacts
from greenroom.core.model.github import Confirmation, SignedState, State
from greenroom.core.model.spec import Identity, LinkOverride
from greenroom.core.policy import labels

Asked = Mapping[int, tuple[LinkOverride, ...]]
"""Choices by the number of the pull request."""


@dataclass(slots=True)
class RequestedChoices:
    """The open choices of one running instance, by preview and service."""

    _open: dict[Identity, dict[str, LinkOverride]] = field(default_factory=dict)

    def add(self, identity: Identity, choice: LinkOverride) -> None:
        """Add a choice. It replaces an earlier one for the same service."""
        self._open.setdefault(identity, {})[choice.service] = choice

    def waits(self, identity: Identity) -> bool:
        """Return whether a choice for this preview is not yet in our comment."""
        return identity in self._open

    def still_open(self, read: PullRequestFacts, label: str) -> Asked:
        """Return the choices of this repository that are not in a block that was read back.

        Leave out the choices for a pull request that is closed or lost its label. Keep those for one that could not be
        read, or whose read is stale, because the person was promised that Greenroom tries again.
        """
        repository_id = read.listing.repository_id
        asking = {p.identity for p in read.listing.pull_requests if labels.carries(p.labels, label)}
        unsure = read.listing.doubts.keys() | read.stale
        asking |= {Identity(repository_id, n) for n in unsure} | _unlisted(read)
        found = {
            i.number: _unheld(read.blocks.get(i.number), choices) for i, choices in self._open.items() if i in asking
        }
        return {number: choices for number, choices in found.items() if choices}

    def keep(self, repository_id: int, asked: Asked) -> None:
        """Keep exactly these choices of a repository, as `still_open` returned them."""
        others = {i: choices for i, choices in self._open.items() if i.repository_id != repository_id}
        mine = {Identity(repository_id, n): {c.service: c for c in choices} for n, choices in asked.items()}
        self._open = others | mine


def _unheld(block: SignedState | None, choices: Mapping[str, LinkOverride]) -> tuple[LinkOverride, ...]:
    """Return the choices that a comment does not hold, and that no later command in it replaced."""
    known = {c.service: c for c in block.memory.choices} if block else {}
    return tuple(
        wanted
        for service, wanted in choices.items()
        if (held := known.get(service)) is None or not (held == wanted or held.comment > wanted.comment)
    )


def _unlisted(read: PullRequestFacts) -> set[Identity]:
    """Return the previews that the list leaves out and that no read by number shows as closed."""
    listed, held = {p.identity for p in read.listing.pull_requests}, read.observed.held(read.listing.repository_id)
    answers = ((i, read.confirmed.get(i.number)) for i in held - listed)
    return {i for i, c in answers if not isinstance(c, Confirmation) or c.pull_request.state is State.OPEN}
