"""Sentences about the data that databases start from."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.core.comment.sanitize import plain
from greenroom.core.model.seeds import SeedBuild
from greenroom.core.model.status import Reason

OTHER_NOT_READ = "Greenroom has not read the repository that contains the dump. See Greenroom's log for errors."


def seed_missing(builds: Sequence[SeedBuild], *, builds_here: bool) -> Reason:
    """Return why a preview waits for seed images. `builds_here` means that Greenroom builds them itself."""
    paths = list(dict.fromkeys(plain(b.path, 100) for b in builds))
    several = len({b.inputs.tag for b in builds}) > 1
    images, do = ("images", "do") if several else ("image", "does")
    if builds_here:
        return Reason(
            "seed-building",
            f"Greenroom is building the seed {images} from {', '.join(paths)}.",
            f"The preview starts once the {images} {'exist' if several else 'exists'}.",
        )
    tags = ", ".join(dict.fromkeys(b.inputs.tag for b in builds))
    return Reason(
        "seed-missing",
        f"The seed {images} for {', '.join(paths)} {do} not exist yet ({'tags' if several else 'tag'} {tags}).",
        "CI builds seed images with `greenroom seed build`. See the checks on the commit that last changed"
        f" {'each' if len(paths) > 1 else 'the'} dump.",
    )


def seed_failed(path: str, why: str) -> Reason:
    return Reason(
        "seed-failed",
        plain(why, 400),
        f"If the dump {plain(path, 100)} is the cause, fix the dump and push. Otherwise, Greenroom retries in about 10"
        " minutes.",
    )


def no_dump(path: str, slug: str, ref: str) -> Reason:
    """Return that a dump is missing. `slug` is empty for another repository, whose name the comment does not show."""
    short = ref[:7] if len(ref) == 40 else ref
    where = f"{plain(slug)} at {plain(short)}" if slug else "the repository that is configured for it"
    return Reason(
        "seed-not-found",
        f"The dump {plain(path, 100)} does not exist in {where}.",
        "Add the file, or ask the platform team to correct the `seed:` setting that names this file.",
    )


def seed_not_read(slug: str) -> str:
    """Return why the files of a commit are unknown."""
    return f"The files of {plain(slug)} have not been read yet."


def seed_unknown(why: str) -> Reason:
    return Reason("seed-unknown", plain(why, 300), "Greenroom will check again shortly.")
