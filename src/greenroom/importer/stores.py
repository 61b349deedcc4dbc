"""Report what a Compose file tells a database, queue or cache and the need that takes its place cannot be told."""

from __future__ import annotations

import re
from collections.abc import Iterator

from greenroom.importer import secrets
from greenroom.importer.draft import Draft, was
from greenroom.importer.services import Found

# Names and passwords: a need makes its own.
_OWN = re.compile(r"(?:USER(?:NAME)?|PASS(?:WORD)?(?:_FILE)?|_DB|DATABASE|VHOST|PGDATA|ERLANG_COOKIE)$")
INIT_SCRIPTS = "/docker-entrypoint-initdb.d"


def report(draft: Draft, store: Found) -> None:
    """Add a note to the draft for the command, the settings and the init scripts of a store."""
    for key in ("command", "entrypoint"):
        if store.spec.get(key):
            draft.note(
                f"`{key}` of {store.name} was left out: a need starts as its image does. If its options matter, bake "
                "them into an image and name that under `image:` (docs/needs.md)."
            )
    settings = [name for name in store.env if not _OWN.search(name.upper())]
    if settings:
        draft.note(
            f"{', '.join(settings)} of {store.name} {was(settings)} left out: a need takes no settings. If they "
            "matter, bake them into an image and name that under `image:` (docs/needs.md)."
        )
    for source in _init_scripts(store):
        draft.note(
            f"{source} of {store.name} was left out: init scripts do not run in a need. Put the data into a dump, "
            "`seed:`, or into an image, `image:` (docs/needs.md)."
        )


def _init_scripts(store: Found) -> Iterator[str]:
    """Yield what is mounted where the official images look for init scripts. https://hub.docker.com/_/postgres"""
    volumes = store.spec.get("volumes")
    for each in volumes if isinstance(volumes, list) else ():
        long = each if isinstance(each, dict) else {}
        source, _, target = str(each).partition(":")
        source, target = (str(long.get("source", "")), str(long.get("target", ""))) if long else (source, target)
        if target.startswith(INIT_SCRIPTS):
            yield source if source and not secrets.value(source) else "A volume"
