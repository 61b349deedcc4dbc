"""Choice of the image that each service of a preview runs. Tags resolve to digests; the last good digest stays
meanwhile.

The versions stay as long as the head does. When the base branch moves, GitHub makes a new merge commit, but CI builds
it only at the next push. A retargeted pull request touches other services. The running images are known to work.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from greenroom.core import messages
from greenroom.core.model.catalog import ImageFrom, Repository, Service
from greenroom.core.model.ci import MissingImages
from greenroom.core.model.github import ImageState, Missing, Present, PullRequest, Unknown
from greenroom.core.model.spec import PreviewSpec, Version
from greenroom.core.model.status import Reason, Stage
from greenroom.core.model.verdicts import Stay


@dataclass(frozen=True, slots=True)
class Versions:
    """Every service with its digest, and a note about them if there is one."""

    versions: tuple[Version, ...]
    note: Reason | None = None


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """Images that do not exist, and that CI may still push."""

    missing: MissingImages


def touched(service: Service, pull_request: PullRequest) -> bool:
    """Return whether a pull request concerns a service. One without `paths:` always counts; others count if one of
    their paths changed.

    A path also matches the files below it. `*` and `?` match as in a shell, also across `/`.
    """
    if not service.paths or pull_request.changed is None or not pull_request.base_sha:
        return True
    patterns = [p.rstrip("/") for p in service.paths]
    return any(f == p or f.startswith(f"{p}/") or fnmatchcase(f, p) for f in pull_request.changed for p in patterns)


def commit(service: Service, pull_request: PullRequest) -> str | None:
    """Return the commit whose image a service runs. It is the base branch's if the pull request does not touch the
    service.

    Return None while GitHub has no merge commit of this head.
    """
    if not touched(service, pull_request):
        return pull_request.base_sha
    return pull_request.merge_sha if service.image.built_from is ImageFrom.MERGE else pull_request.head_sha


def runs_base(service: Service, pull_request: PullRequest, spec: PreviewSpec) -> bool:
    """Return whether this spec runs the base branch's image of a service, because the pull request does not
    touch it.
    """
    known = next((v for v in spec.build.versions if v.service == service.name), None)
    return known is not None and not touched(service, pull_request) and spec.build.head_sha == pull_request.head_sha


def references(
    repository: Repository,
    pull_request: PullRequest,
    spec: PreviewSpec | None = None,
    *,
    renew: bool = False,
    failing: str = "",
) -> tuple[str, ...]:
    """Return the image references to look up for one pull request, in the order of the services.

    Kept versions are looked up to notice a tag that was pushed again. Newer references are added with `renew`, and for
    the `failing` service if it runs the base branch's image. A service without a commit ends the choice of versions, so
    nothing is looked up after it.
    """
    kept, found = _kept(repository, pull_request, spec), list[str]()
    stuck = without_commit(repository, pull_request, spec)
    for service in repository.services:
        if service is stuck:
            break
        known = kept.get(service.name)
        found += [known.reference] if known else []
        shas: tuple[str, ...] = ()
        if known is None or renew:
            shas = _wanted(service, pull_request, newest=renew)
        elif service.name == failing and (tip := _tip(service, pull_request)):
            shas = (tip,)
        found += [service.image.reference(sha, pull_request.identity.number) for sha in shas]
    return tuple(dict.fromkeys(found))


def without_commit(repository: Repository, pull_request: PullRequest, spec: PreviewSpec | None) -> Service | None:
    """Return the first service that has no commit to run, because GitHub has no merge commit of this head; or None."""
    if pull_request.merge_sha or all(s.image.built_from is not ImageFrom.MERGE for s in repository.services):
        return None
    kept = _kept(repository, pull_request, spec)
    return next((s for s in repository.services if s.name not in kept and not commit(s, pull_request)), None)


def _tip(service: Service, pull_request: PullRequest) -> str:
    """Return the newest commit of the base branch for a service that the pull request does not touch; else empty."""
    return "" if touched(service, pull_request) else pull_request.base_tip


def _wanted(service: Service, pull_request: PullRequest, *, newest: bool) -> tuple[str, ...]:
    """Return the commits whose image a service may run, the preferred one first.

    With `newest`, that is the tip of the base branch for a service that the pull request does not touch. Otherwise the
    tip is not used: it may move faster than CI builds its images.
    """
    tip = _tip(service, pull_request) if newest else ""
    return tuple(dict.fromkeys(sha for sha in (tip, commit(service, pull_request)) if sha))


def merge_reference(service: Service, pull_request: PullRequest) -> str | None:
    """Return the reference that CI would have pushed for the merge ref, to look up when the head's image is missing."""
    if service.image.built_from is ImageFrom.MERGE or not pull_request.merge_sha or not touched(service, pull_request):
        return None
    return service.image.reference(pull_request.merge_sha, pull_request.identity.number)


def merge_references(
    repository: Repository, pull_request: PullRequest, spec: PreviewSpec | None, missing: Container[str]
) -> tuple[str, ...]:
    """Return what to look up because these references of the head do not exist, for services without a version."""
    kept, found = _kept(repository, pull_request, spec), list[str]()
    for service in (s for s in repository.services if s.name not in kept):
        wanted = service.image.reference(pull_request.head_sha, pull_request.identity.number)
        merge = merge_reference(service, pull_request)
        found += [merge] if merge and wanted in missing else []
    return tuple(found)


def versions(
    repository: Repository,
    pull_request: PullRequest,
    images: Mapping[str, ImageState],
    spec: PreviewSpec | None,
    *,
    renew: bool = False,
    failing: str = "",
) -> Versions | NotBuilt | Stay:
    """Return what each service should run, or why the preview waits.

    A digest in the spec stays, even when another image is pushed under its tag, until a person asks for the current one
    (`renew`). The image of a `failing` service that the pull request does not touch follows its base branch, because a
    push to the pull request cannot repair it.
    """
    kept = _kept(repository, pull_request, spec)
    found, missing = [], []
    note = messages.every_service(pull_request.changed_files) if _unlisted(repository, pull_request) else None
    for service in repository.services:
        known = kept.get(service.name)
        if known is None or renew:
            look = _looked_up(service, pull_request, images, known, newest=renew)
            if isinstance(look, Stay):
                return look
            if look is None:
                missing.append(service)
            else:
                found.append(look)
        elif service.name == failing and (newer := _of_base(service, pull_request, images, known)):
            found.append(newer)
        else:
            found.append(known)
            state = images.get(known.reference)
            if isinstance(state, Present) and state.digest != known.digest:
                note = messages.tag_moved(known.reference)
    return _waiting(missing, pull_request, images, note) if missing else Versions(tuple(found), note)


def _of_base(
    service: Service, pull_request: PullRequest, images: Mapping[str, ImageState], known: Version
) -> Version | None:
    """Return the base branch's newest image of a service that the pull request does not touch; None if it runs it."""
    tip = _tip(service, pull_request)
    if not tip:
        return None
    reference = service.image.reference(tip, pull_request.identity.number)
    state = images.get(reference)
    if not isinstance(state, Present) or state.digest == known.digest:
        return None
    return Version(service.name, tip, reference, state.digest)


def _kept(repository: Repository, pull_request: PullRequest, spec: PreviewSpec | None) -> dict[str, Version]:
    """Return the versions of the same head, except for services whose image the configuration has changed."""
    if spec is None or spec.build.head_sha != pull_request.head_sha:
        return {}
    made_from = {s.name: (s.image, s.paths) for s in spec.services}
    known = {v.service: v for v in spec.build.versions}
    found = {}
    for service in repository.services:
        version, sha = known.get(service.name), commit(service, pull_request)
        reference = service.image.reference(sha, pull_request.identity.number) if sha else ""
        same = made_from.get(service.name) == (service.image, service.paths)
        if version and (same or version.reference == reference):
            found[service.name] = version
    return found


def _looked_up(
    service: Service,
    pull_request: PullRequest,
    images: Mapping[str, ImageState],
    known: Version | None,
    *,
    newest: bool,
) -> Version | Stay | None:
    """Return the version in the registry now, else the known one; None while it is not built."""
    shas = _wanted(service, pull_request, newest=newest)
    wanted = [(sha, service.image.reference(sha, pull_request.identity.number)) for sha in shas]
    wanted += [(known.sha, known.reference)] if known else []
    for commit_sha, reference in wanted:
        state = images.get(reference, Unknown(f"The registry has not been queried for {reference}."))
        if isinstance(state, Present):
            return Version(service.name, commit_sha, reference, state.digest)
        if isinstance(state, Unknown):
            return Stay(Stage.WAITING, messages.registry_unknown(state.why))
    if known or shas:
        return known
    return Stay(Stage.WAITING, messages.no_merge_commit(conflicts=pull_request.conflicts))


def _unlisted(repository: Repository, pull_request: PullRequest) -> bool:
    """Return whether all services count as touched only because the list of changed files is incomplete."""
    return pull_request.changed is None and bool(pull_request.base_sha) and any(s.paths for s in repository.services)


def _waiting(
    missing: list[Service],
    pull_request: PullRequest,
    images: Mapping[str, ImageState],
    note: Reason | None,
) -> NotBuilt | Stay:
    wanted = [s.image.reference(commit(s, pull_request) or "", pull_request.identity.number) for s in missing]
    for service, reference in zip(missing, wanted, strict=True):
        merge = merge_reference(service, pull_request)
        if merge and isinstance(images.get(merge), Present):
            return Stay(Stage.WAITING, messages.merge_image_only(reference, merge))
    merged = any(s.image.built_from is ImageFrom.MERGE and touched(s, pull_request) for s in missing)
    base = tuple(reference for s, reference in zip(missing, wanted, strict=True) if not touched(s, pull_request))
    head = tuple(reference for s, reference in zip(missing, wanted, strict=True) if touched(s, pull_request))
    noted = note.text if note else ""
    absent = dict.fromkeys(r.rpartition(":")[0] for r in wanted if images.get(r) == Missing(no_repository=True))
    return NotBuilt(MissingImages(tuple(wanted), head, base, pull_request.base_ref, merged, noted, tuple(absent)))
