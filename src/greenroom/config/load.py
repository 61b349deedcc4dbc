"""Loading of a folder: greenroom.yaml and services/*.yaml. All mistakes are reported at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from greenroom.config import manifests, reading, redaction
from greenroom.config import platform as platform_yaml
from greenroom.config.catalog import disagreements, repositories
from greenroom.config.cross_checks import contradictions
from greenroom.config.file import File
from greenroom.config.folder import Folder, Found
from greenroom.config.needs import ManifestModel
from greenroom.config.parse import Parsed, parsed
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.config.settings import Settings
from greenroom.config.warnings import advice
from greenroom.config.yaml_loader import MAX_BYTES
from greenroom.core.model.catalog import Platform
from greenroom.errors import FixConfiguration, Mistake

MAIN = "greenroom.yaml"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The content of one folder. `digest` changes when any of its files does.

    `warnings` are about settings that are allowed but probably unintended.
    """

    platform: Platform
    settings: Settings
    digest: str
    warnings: tuple[Mistake, ...] = ()


class Machine(Protocol):
    """Checks of a configuration that depend on this machine."""

    def mistakes(self, folder: Folder, found: Sequence[Found], home: Path) -> Iterator[Mistake]:
        """Yield a mistake for each setting that cannot work on this machine. Paths are relative to `home`."""

    def warnings(self, folder: Folder, found: Sequence[Found]) -> Iterator[Mistake]:
        """Yield a warning for each setting that this machine handles differently from what it says."""


def files(folder: Path) -> list[Path]:
    """Return the files of a configuration, sorted. The folder may also be given as its greenroom.yaml."""
    if folder.name == MAIN and folder.is_file():
        folder = folder.parent
    services = sorted((folder / "services").glob("*.y*ml"))
    return [folder / MAIN, *services, *sorted((folder / "needs").glob("*.yaml"))]


def digest(folder: Path) -> str:
    """Return the SHA-256 of names and contents. A missing or unreadable file counts as empty."""
    found = hashlib.sha256()
    for path in files(folder):
        try:
            content = reading.regular(path, MAX_BYTES)
        except OSError:
            content = b""
        found.update(f"{path.name}:{len(content)}:".encode() + content)
    return found.hexdigest()


def load(folder: Path, machine: Machine | None = None) -> Configuration:
    """Load the configuration in a folder. Raise `FixConfiguration` with all mistakes, including those of `machine`."""
    main, *rest = files(folder)
    others = [p for p in rest if p.parent.name == "services"]
    folder = main.parent
    if folder.is_file():
        home = folder.parent.parent if folder.parent.name in ("services", "needs") else folder.parent
        raise _wrong([Mistake(str(folder), "", "is a file, not a folder.", f"Pass the folder: `{home}`.")])
    if not main.exists():
        fix = "Create the file with `installation:` and `domain:`, or pass a folder that contains a greenroom.yaml."
        raise _wrong([Mistake(str(main), "", "the file does not exist.", fix)])
    taken = digest(folder)
    decided = parsed(main, MAIN, PlatformModel)
    read = [parsed(p, f"services/{p.name}", ServiceModel) for p in others]
    mistakes = [*decided.mistakes, *(m for s in read for m in s.mistakes)]
    if not others:
        mistakes.append(
            Mistake("services/", "", "contains no services.", "Add services/NAME.yaml. See docs/configuration.md.")
        )
    found = [Found(s.name, p.stem, s.model, s.dropped) for p, s in zip(others, read, strict=True) if s.model]
    whole = Folder(
        platform=decided.model or platform_yaml.UNKNOWN,
        dropped=decided.dropped if decided.model else frozenset(platform_yaml.KEYS),
        services={f.name: f for f in found if not f.dropped},
        unread=frozenset(name for p, s in zip(others, read, strict=True) if s.mistakes for name in _names(p, s)),
    )
    objects, wrong = _manifests(folder, found)
    between = [*contradictions(whole), *wrong, *disagreements(whole, found, objects)]
    doubtful = [*advice(whole, found)]
    if machine:
        between += machine.mistakes(whole, found, folder.absolute())
        doubtful += machine.warnings(whole, found)
    files_read = {decided.name: decided.file, **{s.name: s.file for s in read}}
    mistakes += [_at_home(m, files_read) for m in between]
    warnings = tuple(_scrubbed(_at_home(m, files_read)) for m in doubtful)
    if mistakes:
        raise _wrong(mistakes, warnings)
    settings = platform_yaml.to_settings(whole.platform, folder.absolute())
    return Configuration(platform_yaml.to_core(whole.platform, repositories(whole, objects)), settings, taken, warnings)


def _names(path: Path, read: Parsed[ServiceModel]) -> Iterator[str]:
    """Yield the possible names of a service with mistakes."""
    yield path.stem
    name = read.file.data.get("name") if read.file else None
    if isinstance(name, str):
        yield name


def _manifests(folder: Path, found: list[Found]) -> tuple[dict[str, tuple[str, ...]], list[Mistake]]:
    """Return the objects of each manifest that a service names, by its file, and the mistakes in the manifests."""
    named = {n.manifest for service in found for n in service.model.needs if isinstance(n, ManifestModel)}
    read = {name: manifests.read(folder, name) for name in sorted(named)}
    return {name: objects for name, (objects, _) in read.items()}, [m for _, wrong in read.values() for m in wrong]


def _at_home(mistake: Mistake, read: Mapping[str, File | None]) -> Mistake:
    """Return a mistake with its path as it is in the file."""
    file = read.get(mistake.file)
    return file.trimmed(mistake) if file else mistake


def _wrong(mistakes: list[Mistake], warnings: tuple[Mistake, ...] = ()) -> FixConfiguration:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return FixConfiguration(f"The configuration has {count}.", tuple(_scrubbed(m) for m in mistakes), warnings)


def _scrubbed(mistake: Mistake) -> Mistake:
    """Return a mistake with anything that looks like a secret hidden in its path, message and fix."""
    path, message, fix = (redaction.scrub(text) for text in (mistake.path, mistake.message, mistake.fix))
    return replace(mistake, path=path, message=message, fix=fix)


def report(error: FixConfiguration) -> str:
    """Return all mistakes as text, one line each, and then the warnings."""
    lines = [*map(str, error.mistakes), *warned(error.warnings)]
    return "\n".join(lines) if error.mistakes else str(error)


def warned(warnings: tuple[Mistake, ...]) -> list[str]:
    """Return warnings as text, one line each."""
    return [f"warning: {w}" for w in warnings]
