"""Options and connections of commands that use registries with the logins of `docker login`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from greenroom.registry.access import Access

_INSECURE = click.option("--insecure", multiple=True, metavar="HOST", help="A registry host to access over plain HTTP.")
_REALM = click.option(
    "--realm", multiple=True, metavar="HOST", help="An additional host that may issue tokens for the registry."
)


def registries(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for registries to a command."""
    return _INSECURE(_REALM(command))


@asynccontextmanager
async def access(images: Iterable[str], insecure: Iterable[str], realms: Iterable[str]) -> AsyncIterator[Access]:
    """Open the registries of these images, with the stored logins."""
    from greenroom import http_client
    from greenroom.registry.access import Access, Advice
    from greenroom.registry.docker_config import stored_login
    from greenroom.registry.references import reference

    hosts = {reference(name).host for name in images}
    logins = {host: login for host in hosts if (login := stored_login(host))}
    advice = Advice(
        login="Log in with `docker login`.",
        check="Check that the account from `docker login` can read that repository and, for seed images, write to it.",
        realm="allow it with --realm HOST.",
    )
    async with http_client.client(60) as client:
        yield Access(client, logins, tuple(insecure), tuple(realms), advice)
