"""Seeds: SQL files of a commit from which databases are created."""

from __future__ import annotations

import hashlib
from pathlib import Path

from greenroom.errors import Failed
from greenroom.local import files
from greenroom.local.postgres import Postgres

EMPTY = "template0"
_NO_TEXT = "\0"


async def template(postgres: Postgres, tree: Path, seed: str) -> str:
    """Return the template database of a seed, which is a path in a worktree. Create it unless it exists.

    Raise `Failed` if the seed cannot be read or restored.
    """
    if not seed:
        return EMPTY
    content = _content(tree, seed)
    name = f"seed_{hashlib.sha256(content.encode()).hexdigest()[:20]}"
    await postgres.template(name, content)
    return name


def _content(tree: Path, seed: str) -> str:
    try:
        content = files.of_commit(tree, seed).decode()
    except Failed as error:
        raise Failed(f"The seed {error}") from None
    except UnicodeDecodeError:
        content = _NO_TEXT
    if _NO_TEXT in content:
        how = "Create it with `pg_dump --format=plain --encoding=UTF8`."
        raise Failed(f"The seed {seed} is not plain SQL in UTF-8. {how}")
    return content
