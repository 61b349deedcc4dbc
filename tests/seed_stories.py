"""Stories about databases that start from seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from greenroom.core.model.catalog import Need, SeedOptions, Seeds
from greenroom.core.model.seeds import LABEL, SeedInputs
from greenroom.core.model.spec import Data, Identity
from greenroom.simulator.payloads import blob_id
from stories import SLUG, Story, sha

Files = Mapping[str, bytes]
OLD, NEW = b"CREATE TABLE orders (id int);\n", b"CREATE TABLE orders (id int, name text);\n"
PATH = "seed/shop.sql"


def seeded(story: Story, *, builds: bool = False, **options: object) -> None:
    [repository] = story.platform.repositories
    [service] = repository.services
    need = Need("postgresql", "postgresql", "16", seed=PATH, seed_options=SeedOptions(**options))  # type: ignore[arg-type]
    story.configure(
        repositories=(replace(repository, services=(replace(service, needs=(need,)),)),),
        seeds=Seeds(f"{story.registry}/seeds", builds),
    )


def tag(dump: bytes) -> str:
    return SeedInputs("postgresql", "16", "docker.io/library/postgres:16", blob_id(dump)).tag


def commit(story: Story, dump: bytes | None, branch: str = "feature", files: Files | None = None) -> None:
    _set(story, sha(branch), dump, files or {})


def on_base(story: Story, dump: bytes | None, files: Files | None = None) -> None:
    """Set the files of the base branch."""
    _set(story, story.world.repository(SLUG).main_sha, dump, files or {})


def _set(story: Story, at: str, dump: bytes | None, files: Files) -> None:
    story.world.repository(SLUG).files[at] = {"README.md": b"x", **files} | ({PATH: dump} if dump else {})


def image(story: Story, dump: bytes, tool: str = "", ran: Mapping[str, bytes] | None = None) -> None:
    """Push the image of a dump in which these migrations ran, by name."""
    pairs = [[name, blob_id(content)] for name, content in (ran or {}).items()]
    said = {"bytes": 1000, "migrations": {"tool": tool, "applied": pairs, "packages": ""}}
    story.images.push("seeds", tag(dump), labels={LABEL: json.dumps(said)})


def data(story: Story, number: int) -> Data:
    return story.engine.previews[Identity(story.world.repository(SLUG).id, number)].spec.data


def dumps(story: Story, number: int) -> list[str]:
    return [s.dump for s in data(story, number).seeds]
