"""Which image each service of a preview should run: tags resolved to digests, the last good one kept meanwhile.

The versions stay as long as the head does. When the base branch moves, GitHub makes a new merge commit, but CI builds
it only at the next push; a retargeted pull request touches other services. The running images are known to work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from greenroom.core import reasons
from greenroom.core.catalogue import ImageFrom, Repository, Service
from greenroom.core.model import ImageState, Present, PullRequest, Unknown
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

    None while GitHub has no merge commit of this head.
    """
    if not touched(service, pull_request):
        return pull_request.base_sha
    return pull_request.merge_sha if service.image.built_from is ImageFrom.MERGE else pull_request.head_sha


def references(
    repository: Repository, pull_request: PullRequest, row: Row | None = None, *, renew: bool = False
) -> tuple[str, ...]:
    """The image references to look up for one pull request, in the order of the services.

    Kept versions are looked up to notice a tag that was pushed again. With `renew`, newer references are added.
    """
    kept = _kept(repository, pull_request, row)
    found: list[str] = []
    for service in repository.services:
        known, wanted = kept.get(service.name), commit(service, pull_request)
        found += [known.reference] if known else []
        if wanted and (known is None or renew):
            found.append(service.image.reference(wanted, pull_request.identity.number))
    return tuple(dict.fromkeys(found))


def merge_reference(service: Service, pull_request: PullRequest) -> str | None:
    """The reference that CI would have pushed for the merge ref, worth a look when the head's image is missing."""
    if service.image.built_from is ImageFrom.MERGE or not pull_request.merge_sha or not touched(service, pull_request):
        return None
    return service.image.reference(pull_request.merge_sha, pull_request.identity.number)


def versions(
    repository: Repository,
    pull_request: PullRequest,
    images: Mapping[str, ImageState],
    row: Row | None,
    *,
    renew: bool = False,
) -> Versions | Stay:
    """Return what each service should run, or why the preview waits.

    A digest in the row stays, even when another image is pushed under its tag, until a person asks for the current one
    (`renew`).
    """
    kept = _kept(repository, pull_request, row)
    found, missing = [], []
    note = reasons.every_service(pull_request.changed_files) if _unlisted(repository, pull_request) else None
    for service in repository.services:
        known = kept.get(service.name)
        if known is None or renew:
            look = _looked_up(service, pull_request, images, known)
            if isinstance(look, Stay):
                return look
            if look is None:
                missing.append(service)
            else:
                found.append(look)
        else:
            found.append(known)
            state = images.get(known.reference)
            if isinstance(state, Present) and state.digest != known.digest:
                note = reasons.tag_moved(known.reference)
    return _waiting(missing, pull_request, images, row, note) if missing else Versions(tuple(found), note)


def _kept(repository: Repository, pull_request: PullRequest, row: Row | None) -> dict[str, Version]:
    """Return the versions of the same head, except for services whose image the configuration has changed."""
    if row is None or row.head_sha != pull_request.head_sha:
        return {}
    made_from = {s.name: (s.image, s.paths) for s in row.services}
    known = {v.service: v for v in row.versions}
    found = {}
    for service in repository.services:
        version, sha = known.get(service.name), commit(service, pull_request)
        reference = service.image.reference(sha, pull_request.identity.number) if sha else ""
        same = made_from.get(service.name) == (service.image, service.paths)
        if version and (same or version.reference == reference):
            found[service.name] = version
    return found


def _looked_up(
    service: Service, pull_request: PullRequest, images: Mapping[str, ImageState], known: Version | None
) -> Version | Stay | None:
    """Return the version in the registry now, else the known one; None while it is not built."""
    sha = commit(service, pull_request)
    wanted = [(sha, service.image.reference(sha, pull_request.identity.number))] if sha else []
    wanted += [(known.sha, known.reference)] if known else []
    for commit_sha, reference in wanted:
        state = images.get(reference, Unknown(f"The registry was not asked for {reference}."))
        if isinstance(state, Present):
            return Version(service.name, commit_sha, reference, state.digest)
        if isinstance(state, Unknown):
            return Stay(Stage.WAITING, reasons.registry_unknown(state.why))
    if known or sha:
        return known
    return Stay(Stage.WAITING, reasons.no_merge_commit(conflicts=pull_request.conflicts))


def _unlisted(repository: Repository, pull_request: PullRequest) -> bool:
    """Return whether all services count as touched only because the list of changed files is incomplete."""
    return pull_request.changed is None and bool(pull_request.base_sha) and any(s.paths for s in repository.services)


def _waiting(
    missing: list[Service],
    pull_request: PullRequest,
    images: Mapping[str, ImageState],
    row: Row | None,
    note: Reason | None,
) -> Stay:
    wanted = [s.image.reference(commit(s, pull_request) or "", pull_request.identity.number) for s in missing]
    for service, reference in zip(missing, wanted, strict=True):
        merge = merge_reference(service, pull_request)
        if merge and isinstance(images.get(merge), Present):
            return Stay(Stage.WAITING, reasons.merge_image_only(reference, merge))
    merged = any(s.image.built_from is ImageFrom.MERGE and touched(s, pull_request) for s in missing)
    reason = reasons.waiting_for_image(wanted, row.head_sha[:7] if row else "", merged=merged)
    return Stay(Stage.WAITING, replace(reason, text=f"{reason.text} {note.text}") if note else reason)
