"""Sentences about missing images, and notes on the images of services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from greenroom.core.comment.sanitize import plain
from greenroom.core.messages.words import shortened
from greenroom.core.model.ci import MissingImages
from greenroom.core.model.status import Reason


def waiting_for_image(missing: MissingImages, ci: Reason | None = None) -> Reason:
    """Return why a preview waits for images. `ci` is the reason that CI gives for those of the head."""
    names, several = ", ".join(shortened(m) for m in missing.references), "s" * (len(missing.references) > 1)
    waits = " ".join(
        filter(None, (f"Waiting for image{several} {names}.", _no_repository(missing.absent), missing.note))
    )
    exactly = "these names (from the services' `image:`)" if several else "this name (from the service's `image:`)"
    create = _create(missing.absent)
    steps = f"{create}Greenroom deploys the commit once CI pushes the image{several} under exactly {exactly}."
    checks = _checks(missing.references, missing.base, plain(missing.branch))
    if ci is None:
        whole = (
            " Tags are shortened here: the actual tags contain the full commit hash."
            if names != ", ".join(missing.references)
            else ""
        )
        return Reason("image-missing", waits, f"{steps}{whole} {checks}{_moved(missing)}")
    checks = f" {checks}" if missing.base else ""  # the checks of the base branch are on another page
    moved = _moved(missing) if ci.code == "ci-without-image" else ""
    return Reason(ci.code, f"{waits} {ci.text}", f"{f'{ci.fix} {steps}'.lstrip()}{checks}{moved}")


def _no_repository(absent: Sequence[str]) -> str:
    """Return what a registry such as ECR answers, where a push creates no repository."""
    *first, last = absent or ("",)
    if not last:
        return ""
    names = f"{', '.join(map(plain, first))} or {plain(last)}" if first else plain(last)
    return f"The registry has no repository named {names}."


def _create(absent: Sequence[str]) -> str:
    if not absent:
        return ""
    what = "the repository" if len(absent) == 1 else "the repositories"
    whose = "service's" if len(absent) == 1 else "services'"
    return f"Create {what} in the registry, or correct the {whose} `image:`. "


def _moved(missing: MissingImages) -> str:
    """Return why CI may have built a different merge commit. A re-run of CI would build the same one again."""
    if not missing.merged:
        return ""
    return (
        " If the base branch moved after CI ran, CI built an outdated merge commit. In that case, update the pull"
        " request's branch or push a commit."
    )


def prepared(waits: Reason, needs: Sequence[str]) -> Reason:
    """Return why a prepared preview waits for images. `needs` are the titles of its needs, which are ready."""
    *first, last = dict.fromkeys(needs) or ("Everything else",)
    ready = f"{', '.join(first)} and {last} are ready" if first else f"{last} is ready"
    text = f"{ready}; {waits.text[:1].lower()}{waits.text[1:]}"
    if waits.code != "image-missing":  # the code says what people have to do
        return replace(waits, text=text)
    return Reason("prepared", text, waits.fix)


def not_prepared(waits: Reason, why: str, fix: str) -> Reason:
    """Return what keeps a need from starting while the preview waits for images."""
    return Reason("failed", f"{plain(why, 300)} {waits.text}", fix)


def _checks(missing: Sequence[str], base: Sequence[str], branch: str) -> str:
    """Return where to look for the cause: in the checks of the pull request, of its base branch, or of both."""
    if not base:
        return "See the checks on this pull request."
    if len(base) < len(missing):
        names = ", ".join(shortened(b) for b in base)
        return (
            f"See the checks on this pull request, and on `{branch}` for {names}: this pull request does not change"
            f" {'that service' if len(base) == 1 else 'those services'}. {_each_commit(branch)}"
        )
    it = ("The image comes", "that service") if len(base) == 1 else ("The images come", "those services")
    why = f"{it[0]} from `{branch}`, because this pull request does not change {it[1]}."
    return f"{why} See the checks on `{branch}`. {_each_commit(branch)}"


def _each_commit(branch: str) -> str:
    return (
        f"For each commit on `{branch}`, CI must push an image of each service or retag the service's previous image."
    )


def merge_image_only(missing: str, merge: str) -> Reason:
    return Reason(
        "merge-image-only",
        f"Image {shortened(missing)} is missing, but {shortened(merge)} exists:"
        " CI builds GitHub's merge commit, not the head commit.",
        "Set `image.from: merge` for the service that uses this image, or check out"
        " `github.event.pull_request.head.sha` in the workflow.",
    )


def no_merge_commit(*, conflicts: bool) -> Reason:
    if not conflicts:
        return Reason(
            "merge-commit-pending",
            "`image.from: merge` needs a merge commit, which GitHub is still computing.",
            "Greenroom will check again shortly.",
        )
    return Reason(
        "no-merge-commit",
        "`image.from: merge` needs a merge commit, but the branch has conflicts with its base branch.",
        "Resolve the conflicts.",
    )


def every_service(files: int) -> Reason:
    return Reason(
        "every-service",
        f"GitHub does not list all {files:,} files that this pull request changes, so Greenroom treats every service as"
        " changed.",
    )


def registry_unknown(why: str) -> Reason:
    return Reason("registry-unknown", plain(why, 300), "Greenroom will check again shortly.")


def tag_moved(reference: str) -> Reason:
    return Reason(
        "tag-moved",
        f"The tag {plain(reference)} now points to a different image than the one that this preview uses.",
        "Push a new commit to get a new version.",
    )


def with_redeploy(note: Reason, name: str) -> Reason:
    """Return the note on a moved tag, with the command that deploys the image."""
    step = f"To deploy the new image now, the platform team can run `greenroom redeploy {name}`."
    return replace(note, fix=f"{note.fix} {step}")


def base_depends(service: str, branch: str, others: Sequence[str]) -> str:
    """Return what to do if the failing service is unchanged, but depends on something that is not from its branch.

    `others` are phrases such as `back, which this pull request changes`.
    """
    name, where = plain(service), "dependency" if len(others) == 1 else "dependencies"
    return (
        f"This pull request does not change `{name}`, so the preview runs the image from `{plain(branch)}`. `{name}`"
        f" depends on {'; and on '.join(others)}. Look for the cause in the {where} first."
    )


def base_broken(service: str, branch: str) -> str:
    """Return what to do if the failing image belongs to a service that the pull request does not change."""
    return (
        f"This pull request does not change `{plain(service)}`, so the preview runs the image from"
        f" `{plain(branch)}`, and pushing to this pull request does not help. Fix the problem on `{plain(branch)}`. The"
        f" preview then deploys the next image of `{plain(service)}` automatically."
    )
