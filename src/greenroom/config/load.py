"""Read a folder: greenroom.yaml and services/*.yaml, every mistake at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from greenroom.config import manifests, reading, secrecy
from greenroom.config import platform as platform_yaml
from greenroom.config.advice import advice
from greenroom.config.catalogue import disagreements, repositories
from greenroom.config.coherence import contradictions
from greenroom.config.documents import MAX_BYTES
from greenroom.config.file import File
from greenroom.config.found import Folder, Found
from greenroom.config.needs import ManifestModel
from greenroom.config.parse import Parsed, parsed
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.config.settings import Settings
from greenroom.core.catalogue import Platform
from greenroom.errors import FixConfiguration, Mistake

MAIN = "greenroom.yaml"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that one folder says. `digest` changes when any of its files does.

    `warnings` are what is allowed and probably not meant.
    """

    platform: Platform
    settings: Settings
    digest: str
    warnings: tuple[Mistake, ...] = ()


def files(folder: Path) -> list[Path]:
    """The files that make up a configuration, sorted. The folder may be named by its greenroom.yaml, too."""
    if folder.name == MAIN and folder.is_file():
        folder = folder.parent
    services = sorted((folder / "services").glob("*.y*ml"))
    return [folder / MAIN, *services, *sorted((folder / "needs").glob("*.yaml"))]


def digest(folder: Path) -> str:
    """SHA-256 over names and contents; a missing or unreadable file counts as empty."""
    found = hashlib.sha256()
    for path in files(folder):
        try:
            content = reading.regular(path, MAX_BYTES)
        except OSError:
            content = b""
        found.update(f"{path.name}:{len(content)}:".encode() + content)
    return found.hexdigest()


def load(folder: Path) -> Configuration:
    """The configuration in a folder. Raises `FixConfiguration` with all mistakes."""
    main, *rest = files(folder)
    others = [p for p in rest if p.parent.name == "services"]
    folder = main.parent
    if folder.is_file():
        home = folder.parent.parent if folder.parent.name in ("services", "needs") else folder.parent
        raise _wrong([Mistake(str(folder), "", "is a file.", f"Name the folder: `{home}`.")])
    if not main.exists():
        fix = "Make one with `installation:` and `domain:`, or name the folder that holds it."
        raise _wrong([Mistake(str(main), "", "there is no such file.", fix)])
    taken = digest(folder)
    decided = parsed(main, MAIN, PlatformModel)
    read = [parsed(p, f"services/{p.name}", ServiceModel) for p in others]
    mistakes = [*decided.mistakes, *(m for s in read for m in s.mistakes)]
    if not others:
        mistakes.append(
            Mistake("services/", "", "holds no service.", "Add services/NAME.yaml; see docs/configuration.md.")
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
    files_read = {decided.name: decided.file, **{s.name: s.file for s in read}}
    mistakes += [_at_home(m, files_read) for m in between]
    warnings = tuple(_scrubbed(_at_home(m, files_read)) for m in advice(whole, found))
    if mistakes:
        raise _wrong(mistakes, warnings)
    settings = platform_yaml.to_settings(whole.platform, folder.absolute())
    return Configuration(platform_yaml.to_core(whole.platform, repositories(whole, objects)), settings, taken, warnings)


def _names(path: Path, read: Parsed[ServiceModel]) -> Iterator[str]:
    """What a service with mistakes may be called."""
    yield path.stem
    name = read.file.data.get("name") if read.file else None
    if isinstance(name, str):
        yield name


def _manifests(folder: Path, found: list[Found]) -> tuple[dict[str, tuple[str, ...]], list[Mistake]]:
    """The objects of each manifest that a service names, by its file."""
    named = {n.manifest for service in found for n in service.model.needs if isinstance(n, ManifestModel)}
    read = {name: manifests.read(folder, name) for name in sorted(named)}
    return {name: objects for name, (objects, _) in read.items()}, [m for _, wrong in read.values() for m in wrong]


def _at_home(mistake: Mistake, read: Mapping[str, File | None]) -> Mistake:
    """A mistake at the path that its file has."""
    file = read.get(mistake.file)
    return file.trimmed(mistake) if file else mistake


def _wrong(mistakes: list[Mistake], warnings: tuple[Mistake, ...] = ()) -> FixConfiguration:
    count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return FixConfiguration(f"The configuration has {count}.", tuple(_scrubbed(m) for m in mistakes), warnings)


def _scrubbed(mistake: Mistake) -> Mistake:
    """A mistake without what looks like a secret, whichever sentence it came into."""
    path, message, fix = (secrecy.scrub(text) for text in (mistake.path, mistake.message, mistake.fix))
    return replace(mistake, path=path, message=message, fix=fix)


def report(error: FixConfiguration) -> str:
    """All mistakes as text, one line each; then the warnings."""
    lines = [*map(str, error.mistakes), *warned(error.warnings)]
    return "\n".join(lines) if error.mistakes else str(error)


def warned(warnings: tuple[Mistake, ...]) -> list[str]:
    """Warnings as text, one line each."""
    return [f"warning: {w}" for w in warnings]
