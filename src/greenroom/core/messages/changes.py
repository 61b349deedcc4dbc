"""Sentences about the next version of a preview."""

from __future__ import annotations

from greenroom.core.comment.sanitize import plain
from greenroom.core.model.status import Reason


def falls_asleep() -> Reason:
    return Reason("sleep", "The pull request has the sleep label, and no preview that is awake uses this preview.")


def wakes() -> Reason:
    return Reason(
        "wake", "The pull request no longer has the sleep label, or a preview that is awake now uses this preview."
    )


def data_reset() -> Reason:
    return Reason("data-reset", "Because of a data reset, the services restart and run their migrations again.")


def tried_again(retry: int) -> Reason:
    return Reason(
        "tried-again", f"Argo CD could not create or update the preview. Greenroom tries again (attempt {retry + 1})."
    )


def redeployed(version: str) -> Reason:
    return Reason("redeployed", f"The preview switches to chart {plain(version)} and the current settings.")


def new_version(sha: str) -> Reason:
    return Reason("new-version", f"Commit {sha[:7]} was pushed and its images are available.")


def waits_for_push(sha: str) -> Reason:
    return Reason("new-commit", f"Commit {sha[:7]} was pushed. The preview is waiting for the images of this commit.")


def images_there(sha: str) -> Reason:
    return Reason("new-version", f"The images for commit {sha[:7]} are available. The services are starting.")


def new_image(sha: str) -> Reason:
    return Reason("new-image", f"New images for commit {sha[:7]} are available. The preview deploys them.")


def image_of(service: str, sha: str) -> Reason:
    """Return why a service gets the image of a commit that is not the head: the base branch's, or a merge commit."""
    return Reason("new-image", f"The preview deploys the image of {plain(service)} from commit {sha[:7]}.")


def new_settings() -> Reason:
    return Reason("new-settings", "The configuration that applies to this preview changed.")


def same_version() -> Reason:
    return Reason("refreshed", "Only details changed, such as the pull request's URL. Nothing restarts.")
