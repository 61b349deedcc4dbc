"""Which image each service of a preview should run: tags resolved to digests, the last good one kept meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from greenroom.core import reasons
from greenroom.core.catalogue import ImageFrom, Repository, Service
from greenroom.core.model import ImageState, Missing, Present, PullRequest, Unknown
from greenroom.core.rows import Row, Version
from greenroom.core.status import Reason, Stage
from greenroom.core.verdicts import Stay


@dataclass(frozen=True, slots=True)
class Versions:
    """Every service with its digest, and what is worth saying about them."""

    versions: tuple[Version, ...]
    note: Reason | None = None


def touched(service: Service, pull_request: PullRequest) -> bool:
    """Whether a pull request concerns a service: one without `paths:` always, others when a path of theirs changed.

    A path stands for what is below it; `*` and `?` match as in a shell, also across `/`.
    """
    if not service.paths or pull_request.changed is None or not pull_request.base_sha:
        return True
    patterns = [p.rstrip("/") for p in service.paths]
    return any(f == p or f.startswith(f"{p}/") or fnmatchcase(f, p) for f in pull_request.changed for p in patterns)


def commit(service: Service, pull_request: PullRequest) -> str | None:
    """The commit whose image a service runs: the base branch's when the pull request does not touch the service.

    None while GitHub has no merge commit.
    """
    if not touched(service, pull_request):
        return pull_request.base_sha
    return pull_request.merge_sha if service.image.built_from is ImageFrom.MERGE else pull_request.head_sha


def references(repository: Repository, pull_request: PullRequest) -> tuple[str, ...]:
    """The image references to look up for one pull request, in the order of the services."""
    wanted = ((s, commit(s, pull_request)) for s in repository.services)
    return tuple(s.image.reference(sha, pull_request.identity.number) for s, sha in wanted if sha)


def merge_reference(service: Service, pull_request: PullRequest) -> str | None:
    """The reference that CI would have pushed for the merge ref, worth a look when the head's image is missing."""
    if service.image.built_from is ImageFrom.MERGE or not pull_request.merge_sha or not touched(service, pull_request):
        return None
    return service.image.reference(pull_request.merge_sha, pull_request.identity.number)


def versions(
    repository: Repository, pull_request: PullRequest, images: Mapping[str, ImageState], row: Row | None
) -> Versions | Stay:
    """What each service should run, or why the preview waits. A digest that a row already carries stays."""
    pinned = {(v.service, v.reference): v for v in row.versions} if row else {}
    same_head = row is not None and row.head_sha == pull_request.head_sha
    kept = {v.service: v for v in row.versions} if row and same_head else {}
    found, missing, note = [], [], None
    for service in repository.services:
        if not touched(service, pull_request) and service.name in kept:
            found.append(kept[service.name])  # the base branch moves on; what was taken from it stays until a push
            continue
        sha = commit(service, pull_request)
        if sha is None:
            return Stay(Stage.WAITING, reasons.no_merge_commit())
        reference = service.image.reference(sha, pull_request.identity.number)
        state = images.get(reference, Unknown(f"The registry was not asked for {reference}."))
        if known := pinned.get((service.name, reference)):
            found.append(known)
            if isinstance(state, Present) and state.digest != known.digest:
                note = reasons.tag_moved(reference)
        elif isinstance(state, Present):
            found.append(Version(service.name, sha, reference, state.digest))
        elif isinstance(state, Missing):
            missing.append(service)
        else:
            return Stay(Stage.WAITING, reasons.registry_unknown(state.why))
    if missing:
        return _waiting(missing, pull_request, images, row)
    return Versions(tuple(found), note)


def _waiting(
    missing: list[Service], pull_request: PullRequest, images: Mapping[str, ImageState], row: Row | None
) -> Stay:
    wanted = [s.image.reference(commit(s, pull_request) or "", pull_request.identity.number) for s in missing]
    for service, reference in zip(missing, wanted, strict=True):
        merge = merge_reference(service, pull_request)
        if merge and isinstance(images.get(merge), Present):
            return Stay(Stage.WAITING, reasons.merge_image_only(reference, merge))
    return Stay(Stage.WAITING, reasons.waiting_for_image(wanted, row.head_sha[:7] if row else ""))
