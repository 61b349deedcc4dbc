"""Our own account on GitHub."""

from __future__ import annotations

from greenroom.github import queries, shapes
from greenroom.github.reading import Payload, whole
from greenroom.github.transport import Transport


class Account:
    """The account that the token belongs to. Its login is read once, and updated with each list."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._login = ""

    async def login(self) -> str:
        """Return our login, as GitHub shows it."""
        if not self._login:
            data = whole(await self._transport.query(queries.VIEWER, {}))
            shapes.check(data, {"viewer": shapes.ACTOR}, "our own account")
            self._login = data["viewer"]["login"]
        return self._login

    def shown(self, answer: Payload) -> str:
        """Return our login, from an answer that shows it."""
        shapes.check(answer, {"data": {"viewer": shapes.ACTOR}}, "our own account")
        self._login = answer["data"]["viewer"]["login"]
        return self._login
