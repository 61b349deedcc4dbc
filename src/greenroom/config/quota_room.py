"""Warning about a quota without room for a push, which starts one new pod of each process next to the old ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from greenroom.config.cluster import DefaultsModel
from greenroom.config.folder import Folder, Found
from greenroom.config.needs import NeedModel
from greenroom.config.service import ProcessModel, ServiceModel
from greenroom.core.model.kinds import KINDS
from greenroom.errors import Mistake

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_COUNTED = {"repository", "port", "processes", "needs", "resources"}


@dataclass(frozen=True, slots=True)
class _Pods:
    """A number of pods, and what they request together: millicores, and the memory limits in bytes."""

    pods: int = 0
    cpu: float = 0
    memory: float = 0

    def __add__(self, other: _Pods) -> _Pods:
        return _Pods(self.pods + other.pods, self.cpu + other.cpu, self.memory + other.memory)

    def times(self, count: int) -> _Pods:
        return _Pods(self.pods * count, self.cpu * count, self.memory * count)


def without_room(folder: Folder, found: Iterable[Found]) -> Iterator[Mistake]:
    """Yield a warning for each limit of the quota that a push to a repository would exceed temporarily.

    Manifests are not counted, so a preview may need more than this.
    """
    if not folder.says("quota", "defaults"):
        return
    by_repository: dict[str, list[Found]] = {}
    for each in found:
        by_repository.setdefault(each.model.repository, []).append(each)
    for slug, services in sorted(by_repository.items()):
        if not any(s.dropped & _COUNTED for s in services):
            yield from _exceeded(folder, slug, [s.model for s in services])


def _exceeded(folder: Folder, slug: str, services: list[ServiceModel]) -> Iterator[Mistake]:
    quota = folder.platform.quota
    needed = sum((_service(s, folder.platform.defaults) for s in services), _Pods())
    for key, has, wants, least in (
        ("pods", quota.pods, needed.pods, f"{needed.pods}"),
        ("cpu", _millicores(quota.cpu), needed.cpu, f"{int(needed.cpu)}m"),
        ("memory", _bytes(quota.memory), needed.memory, f"{-(-int(needed.memory) // 2**20)}Mi"),
    ):
        if wants > has:
            message = (
                f"is less than the {least} that a push to {slug} needs, because old and new pods briefly run together."
            )
            fix = f"Write at least {least}. Otherwise, the new version cannot start after a push."
            yield Mistake("greenroom.yaml", f"quota.{key}", message, fix)


def _service(service: ServiceModel, defaults: DefaultsModel) -> _Pods:
    own = service.resources
    limit = own.memory_limit or max(defaults.memory_limit, own.memory or defaults.memory, key=_bytes)
    pod = _Pods(1, _millicores(own.cpu or defaults.cpu), _bytes(limit))
    processes = {"web": ProcessModel(port=service.port)} if service.port else service.processes
    needs = (_need(n, defaults) for n in service.needs if isinstance(n, NeedModel))
    return sum(needs, pod.times(sum(_copies(p) for p in processes.values())))


def _copies(process: ProcessModel) -> int:
    """Return how many pods of a process run during a push: a job of a cron, or the replicas and a new one."""
    replicas = 1 if process.migrates else process.replicas
    return 1 if process.kind == "cron" else replicas + 1


def _need(need: NeedModel, defaults: DefaultsModel) -> _Pods:
    kind = KINDS.get(need.kind)
    return _Pods(1, _millicores(defaults.cpu), _bytes(need.memory or kind.chart.memory) if kind else 0)


def _bytes(quantity: str) -> float:
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


def _millicores(quantity: str) -> float:
    return float(quantity[:-1]) if quantity.endswith("m") else float(quantity) * 1000
