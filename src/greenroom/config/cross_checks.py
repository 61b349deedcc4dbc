"""Checks across the fields of greenroom.yaml, for mistakes that no single field shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from greenroom.config.addresses import collide
from greenroom.config.folder import Folder
from greenroom.config.platform import PlatformModel
from greenroom.config.settings import NO_CHART, NO_VERSION
from greenroom.core.policy.labels import same
from greenroom.errors import Mistake

FILE = "greenroom.yaml"


def contradictions(folder: Folder) -> Iterator[Mistake]:
    """Yield every mistake between the fields of greenroom.yaml."""
    model = folder.platform
    if model.engine == "argocd" and folder.says("engine", "argocd"):
        yield from _chart(model)
    if folder.says("label", "lifetime"):
        yield from _labels(model)
    if folder.says("listen", "engine", "local"):
        yield from _listeners(model)


def _chart(model: PlatformModel) -> Iterator[Mistake]:
    if not model.argocd.chart:
        yield NO_CHART
    elif not model.argocd.chart_version:
        yield NO_VERSION


def _labels(model: PlatformModel) -> Iterator[Mistake]:
    """Yield a mistake for each label with two meanings, such as request and keep. GitHub ignores case in labels."""
    life = model.lifetime
    labels = {"label": model.label, "lifetime.keepLabel": life.keep_label, "lifetime.sleepLabel": life.sleep_label}
    for (one, first), (other, second) in combinations(labels.items(), 2):
        if same(first, second):
            fix = f"Choose another label, such as `{first}-{'keep' if 'keep' in other else 'sleep'}`."
            yield Mistake(
                FILE, other, f"`{second}` is already the value of `{one}`, and a label can have only one meaning.", fix
            )


def _listeners(model: PlatformModel) -> Iterator[Mistake]:
    """Yield a mistake for each pair of listeners on one port. The second one would fail to start."""
    listeners = {f"listen.{name}": address for name, address in model.listen}
    if model.engine == "local":
        del listeners["listen.plugin"]  # nothing calls it
        listeners["local.proxyPort"] = f"127.0.0.1:{model.local.proxy_port}"
    for (one, first), (other, second) in combinations(listeners.items(), 2):
        if collide(first, second):
            port = second.rpartition(":")[2]
            yield Mistake(FILE, other, f"port {port} is already used by `{one}`.", "Choose another port.")
