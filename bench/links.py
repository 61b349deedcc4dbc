"""Resolve the links of 10,000 previews with five links each: staging, chosen, paired, missing, own; seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

from greenroom.core import links, names
from greenroom.core.catalogue import Image, Platform, Process, Repository, Service, Staging, Use
from greenroom.core.model import Observed, Permission, RowSet
from greenroom.core.rows import Choice, Row

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
COUNT, REPOSITORIES = 10_000, 10
WEB = (Process("web", port=8080),)


def _service(name: str, *uses: Use) -> Service:
    return Service(name, name, Image(f"registry.example.com/{name}"), WEB, uses=uses)


def _repositories() -> tuple[Repository, ...]:
    """Ten repositories, each using five of the others; one of them with its branch."""
    made = []
    for index in range(REPOSITORIES):
        others = [f"s{(index + step) % REPOSITORIES}" for step in range(1, 6)]
        uses = tuple(Use(o, (("url", f"{o.upper()}_URL"),), same_branch=n == 0) for n, o in enumerate(others))
        made.append(Repository(f"s{index}", f"acme/s{index}", (_service(f"s{index}", *uses),)))
    return tuple(made)


PLATFORM = Platform(
    "bench",
    "preview.example.com",
    _repositories(),
    staging=tuple((f"s{n}", Staging(f"http://s{n}.staging", "")) for n in range(REPOSITORIES)),
    inside="http://{service}.{namespace}:{port}",
)


def _row(index: int, number: int) -> Row:
    repository = PLATFORM.repositories[index]
    used = [u.service for u in repository.services[0].uses]
    return Row(
        repository_id=index,
        repository=repository.name,
        slug=repository.slug,
        number=number,
        author=f"dev{number % 50}",
        naming=names.naming(PLATFORM, repository, number),
        head_sha="0" * 40,
        head_since=NOW,
        created=NOW,
        versions=(),
        services=repository.services,
        branch=f"branch-{number % 700}",
        choices=(Choice(used[1], str(number), "ada", 1), Choice(used[2], "99999", "ada", 2)),
    )


def main(times: int = 5) -> None:
    """Print the figures."""
    each = COUNT // REPOSITORIES
    sets = {
        i: RowSet(i, r.name, 1, {n: _row(i, n) for n in range(1, each + 1)})
        for i, r in enumerate(PLATFORM.repositories)
    }
    rights = {(r.slug, f"dev{n}"): Permission.WRITE for r in PLATFORM.repositories for n in range(50)}
    taken, found = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        around = links.Neighbours.of(Observed(sets=sets))
        found = 0
        for row in around.rows.values():
            seeker = links.Seeker(
                PLATFORM,
                PLATFORM.repositories[row.repository_id],
                row.naming,
                row.number,
                row.author,
                row.branch,
                choices=row.choices,
            )
            answer = links.resolved(seeker, around, rights)
            found += len(answer) if isinstance(answer, tuple) else 0
            links.opened(row, around)
        around.awake()
        taken.append(time.perf_counter() - begun)
    print(f"links of {COUNT:,} previews, {found:,} of them: {median(taken):.2f} s (median of {times})")


if __name__ == "__main__":
    main()
