"""greenroom.yaml as a whole: what no field alone can know is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from greenroom.config.addresses import collide
from greenroom.config.found import Folder
from greenroom.config.platform import PlatformModel
from greenroom.config.settings import NO_CHART, NO_VERSION
from greenroom.core.labels import same
from greenroom.errors import Mistake

FILE = "greenroom.yaml"


def contradictions(folder: Folder) -> Iterator[Mistake]:
    """Every mistake between the fields of greenroom.yaml."""
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
    """One label cannot ask for a preview and keep it. GitHub does not tell upper case from lower."""
    life = model.lifetime
    labels = {"label": model.label, "lifetime.keepLabel": life.keep_label, "lifetime.sleepLabel": life.sleep_label}
    for (one, first), (other, second) in combinations(labels.items(), 2):
        if same(first, second):
            fix = f"Write another one, such as `{first}-{'keep' if 'keep' in other else 'sleep'}`."
            yield Mistake(FILE, other, f"`{second}` is what `{one}` says too, and one label has one meaning.", fix)


def _listeners(model: PlatformModel) -> Iterator[Mistake]:
    """Two of them on one port would end the start of the second."""
    listeners = {f"listen.{name}": address for name, address in model.listen}
    if model.engine == "local":
        del listeners["listen.plugin"]  # nobody asks there
        listeners["local.proxyPort"] = f"127.0.0.1:{model.local.proxy_port}"
    for (one, first), (other, second) in combinations(listeners.items(), 2):
        if collide(first, second):
            port = second.rpartition(":")[2]
            yield Mistake(FILE, other, f"port {port} is that of `{one}`.", "Give it another port.")
