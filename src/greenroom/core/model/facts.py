"""All facts of one pass over one repository: what was read from GitHub and the registry, and what the engine holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from greenroom.core.model.engine import EngineState, Watermark
from greenroom.core.model.github import Confirmation, ImageState, Listing, Permissions, Requested, SignedState
from greenroom.core.model.seeds import SeedFacts


@dataclass(frozen=True, slots=True)
class PullRequestFacts:
    """The pull requests of one repository as a pass has read them, and what the engine holds of them.

    `confirmed` holds by-number reads, or the sentence why one failed. `blocks` holds the verified blocks by number; a
    missing entry is doubt. `stale` holds the numbers whose read is older than a hint, an earlier read, our own last
    write or the served choices. `watermarks` holds the newest reads of each pull request, from this pass or earlier
    ones. `promised` holds the numbers whose comment promised a preview when it was last read. `duplicates` holds, by
    number, the ids of our comments other than the one that we keep. `hidden` holds the numbers that GitHub hides
    although it shows the repository.
    """

    listing: Listing
    observed: EngineState
    confirmed: Mapping[int, Confirmation | str] = field(default_factory=dict)
    blocks: Mapping[int, SignedState] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    promised: frozenset[int] = frozenset()
    duplicates: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    watermarks: Mapping[int, Watermark] = field(default_factory=dict)
    hidden: frozenset[int] = frozenset()

    def completed(
        self,
        asked: Mapping[int, Requested],
        permissions: Permissions,
        images: Mapping[str, ImageState],
        seeds: SeedFacts,
    ) -> Facts:
        """Return all facts of the pass, once everything that these pull requests need was looked up."""
        read = {f.name: getattr(self, f.name) for f in fields(PullRequestFacts)}
        return Facts(**read, asked=asked, permissions=permissions, images=images, seeds=seeds)


@dataclass(frozen=True, slots=True)
class Facts(PullRequestFacts):
    """All facts of one pass over one repository. Only these can be decided on.

    `asked` holds what people asked for without a comment, by number. `images` holds the answers of the registry by
    reference, and `seeds` what was read for the seeds of needs.
    """

    asked: Mapping[int, Requested] = field(default_factory=dict)
    permissions: Permissions = field(default_factory=Permissions)
    images: Mapping[str, ImageState] = field(default_factory=dict)
    seeds: SeedFacts = field(default_factory=SeedFacts)
