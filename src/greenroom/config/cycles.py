"""Circles of `required: preview`, in which each repository's previews would wait forever for those of the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from greenroom.config.folder import Folder, Found
from greenroom.errors import Mistake

Wait = tuple[Found, int, str]
"""A service, the index of one of its `uses:`, and the name of the service that it waits for."""


def circles(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Yield a mistake for each circle. Services of one repository share a preview and never wait for each other."""
    waits = _waits(folder, found)
    while True:
        try:
            TopologicalSorter({of: {t for one, t in waits if one == of} for of, _ in waits}).prepare()
        except CycleError as error:
            slugs = list(reversed(error.args[1][1:]))
            first = slugs.index(min(slugs))
            index = [*slugs[first:], *slugs[:first]]
            steps = [*zip(index, [*index[1:], index[0]], strict=True)]
            yield _mistake(steps, waits)
            del waits[steps[0]]
        else:
            return


def _waits(folder: Folder, found: Iterable[Found]) -> dict[tuple[str, str], Wait]:
    """Map each pair of a waiting repository and its target to the first use that requires it."""
    waits: dict[tuple[str, str], Wait] = {}
    for service in found:
        if service.dropped & {"repository", "uses"}:
            continue
        for index, use in enumerate(service.model.uses):
            other = folder.services.get(use.service)
            if use.required and other and other.model.repository != service.model.repository:
                step = service.model.repository, other.model.repository
                waits.setdefault(step, (service, index, use.service))
    return waits


def _mistake(steps: list[tuple[str, str]], waits: dict[tuple[str, str], Wait]) -> Mistake:
    service, index, _ = waits[steps[0]]
    told = [
        f"{of} waits for a preview of {target} (`{waits[of, target][0].name}` uses `{waits[of, target][2]}`)"
        for of, target in steps
    ]
    message = f"{', and '.join(told)}. None of them would ever start."
    return Mistake(
        service.file, f"uses.{index}.required", message, "Remove `required: preview` from one of these `uses:` entries."
    )
