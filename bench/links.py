"""Resolve the links of 10,000 previews with five links each: staging, chosen, paired, missing, own; seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import median

from greenroom.core.linking import links
from greenroom.core.model.catalog import Image, Platform, Process, Repository, Service, Staging, Use
from greenroom.core.model.engine import EngineState, PreviewSet
from greenroom.core.model.github import Permission, Permissions
from greenroom.core.model.spec import Build, Choices, Config, Identity, LinkOverride, Origin, PreviewSpec, Times
from greenroom.core.planning import names

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


def _spec(index: int, number: int) -> PreviewSpec:
    repository = PLATFORM.repositories[index]
    used = [u.service for u in repository.services[0].uses]
    return PreviewSpec(
        id=Identity(index, number),
        names=names.naming(PLATFORM, repository, number),
        build=Build("0" * 40, ()),
        config=Config(repository.services),
        pull_request=Origin(repository.slug, f"dev{number % 50}", branch=f"branch-{number % 700}"),
        times=Times(NOW, NOW),
        choices=Choices((LinkOverride(used[1], str(number), "ada", 1), LinkOverride(used[2], "99999", "ada", 2))),
    )


def main(times: int = 5) -> None:
    """Print the figures."""
    each = COUNT // REPOSITORIES
    sets = {
        i: PreviewSet(i, r.name, 1, {n: _spec(i, n) for n in range(1, each + 1)})
        for i, r in enumerate(PLATFORM.repositories)
    }
    rights = Permissions(
        people={(r.slug, f"dev{n}"): Permission.WRITE for r in PLATFORM.repositories for n in range(50)}
    )
    taken, found = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        index = links.LinkIndex.of(EngineState(sets=sets))
        found = 0
        for spec in index.specs.values():
            link_context = links.LinkContext(
                PLATFORM,
                PLATFORM.repositories[spec.id.repository_id],
                spec.names,
                spec.id.number,
                spec.pull_request.author,
                spec.pull_request.branch,
                choices=spec.choices.overrides,
            )
            answer = links.resolved(link_context, index, rights)
            found += len(answer) if isinstance(answer, tuple) else 0
            links.callers(spec, index)
        index.awake()
        taken.append(time.perf_counter() - begun)
    print(f"links of {COUNT:,} previews, {found:,} of them: {median(taken):.2f} s (median of {times})")


if __name__ == "__main__":
    main()
