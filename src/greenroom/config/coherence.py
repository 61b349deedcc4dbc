"""greenroom.yaml as a whole: what no field alone can know is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from greenroom.config.platform import PlatformModel
from greenroom.config.settings import NO_CHART, NO_VERSION
from greenroom.errors import Mistake


def disagreements(model: PlatformModel) -> Iterator[Mistake]:
    """Every mistake between the fields of greenroom.yaml."""
    if model.engine == "argocd":
        yield from _chart(model)


def _chart(model: PlatformModel) -> Iterator[Mistake]:
    if not model.argocd.chart:
        yield NO_CHART
    elif not model.argocd.chart_version:
        yield NO_VERSION
