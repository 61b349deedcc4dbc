"""Settings of the local engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Settings of the engine. `checkouts` maps owner/name to a git repository; `proxy_port` 0 takes a free port."""

    state: Path
    checkouts: Mapping[str, Path]
    installation: str
    proxy_port: int = 0
    probe_seconds: float = 30.0
    sleep_label: str = "preview-sleep"
