"""A pass with its verdicts and its plan, which the statuses and comments report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from greenroom.core.linking.links import SetByHand
from greenroom.core.model.ci import CommitCi
from greenroom.core.model.facts import Facts
from greenroom.core.model.spec import Identity
from greenroom.core.model.verdicts import Desired
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class DecidedPass:
    """The context of a pass, with the verdicts and the plan of one repository.

    `manual_overrides` holds, by preview, the links that people set in Argo CD. Previews without any are left out. `ci`
    holds, by preview, what CI does for the commit whose image is missing. Verdicts and plan are made without it.
    """

    context: PassContext[Facts]
    desired: Desired
    plan: Plan
    manual_overrides: Mapping[Identity, Sequence[SetByHand]]
    ci: Mapping[Identity, CommitCi] = field(default_factory=dict)
