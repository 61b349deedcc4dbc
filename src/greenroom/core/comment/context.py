"""The inputs for the statuses and comments of one repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenroom.core.linking.links import LinkIndex, SetByHand
from greenroom.core.model.catalog import Platform, Repository
from greenroom.core.model.facts import Facts
from greenroom.core.model.spec import Identity
from greenroom.core.model.verdicts import Desired
from greenroom.core.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class StatusContext:
    """The inputs for the statuses of one repository.

    `manual_overrides` holds, by preview, the links that people set in Argo CD. Previews without any are left out.
    """

    facts: Facts
    platform: Platform
    repository: Repository
    desired: Desired
    plan: Plan
    index: LinkIndex
    now: datetime
    manual_overrides: Mapping[Identity, Sequence[SetByHand]]
