"""A pass with its verdicts and its plan, which the statuses and comments report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenroom.core.linking.links import SetByHand
from greenroom.core.model.facts import Facts
from greenroom.core.model.spec import Identity
from greenroom.core.model.verdicts import Desired
from greenroom.core.planning.context import PassContext
from greenroom.core.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class DecidedPass:
    """The context of a pass, with the verdicts and the plan of one repository.

    `manual_overrides` holds, by preview, the links that people set in Argo CD. Previews without any are left out.
    """

    context: PassContext[Facts]
    desired: Desired
    plan: Plan
    manual_overrides: Mapping[Identity, Sequence[SetByHand]]
