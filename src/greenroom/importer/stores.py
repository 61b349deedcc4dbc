"""Notes on the settings of a Compose file's database, queue or cache that the need in its place cannot take."""

from __future__ import annotations

import re
from collections.abc import Iterator

from greenroom.importer import secrets
from greenroom.importer.draft import Draft, was
from greenroom.importer.services import Found

# Names and passwords: a need creates its own.
_OWN = re.compile(r"(?:USER(?:NAME)?|PASS(?:WORD)?(?:_FILE)?|_DB|DATABASE|VHOST|PGDATA|ERLANG_COOKIE)$")
INIT_SCRIPTS = "/docker-entrypoint-initdb.d"


def report(draft: Draft, store: Found) -> None:
    """Add a note to the draft for the command, the settings and the init scripts of a store."""
    for key in ("command", "entrypoint"):
        if store.spec.get(key):
            draft.note(
                f"`{key}` of {store.name} was left out,"
                " because a need starts with the command of its image. If the options matter, bake "
                "them into an image, and name it under `image:` (docs/needs.md)."
            )
    settings = [name for name in store.env if not _OWN.search(name.upper())]
    if settings:
        draft.note(
            f"{', '.join(settings)} of {store.name} {was(settings)} left out,"
            " because a need does not accept settings. If they "
            "matter, bake them into an image, and name it under `image:` (docs/needs.md)."
        )
    for source, target in _mounted(store):
        if target.startswith(INIT_SCRIPTS):
            dump = "a plain SQL dump in the service's repository (`seed:`, with `engine: local`) or "
            where = f"{dump if store.kind == 'postgresql' else ''}an image (`image:`; see docs/needs.md)"
            draft.note(
                f"{source} of {store.name} was left out, because init scripts do not run in a preview."
                f" Put the data into {where}."
            )
        elif source.startswith((".", "/", "~")):
            draft.note(
                f"{source} of {store.name} was left out, because needs cannot mount files. If it matters, bake it into "
                "an image and set `image:` to that image (docs/needs.md)."
            )


def _mounted(store: Found) -> Iterator[tuple[str, str]]:
    """Yield the source and target of each mount. https://hub.docker.com/_/postgres (initialization scripts)"""
    volumes = store.spec.get("volumes")
    for each in volumes if isinstance(volumes, list) else ():
        long = each if isinstance(each, dict) else {}
        source, _, target = str(each).partition(":")
        source, target = (str(long.get("source", "")), str(long.get("target", ""))) if long else (source, target)
        yield source if source and not secrets.value(source) else "A volume", target
