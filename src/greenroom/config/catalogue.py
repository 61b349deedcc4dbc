"""Services of all files together: what one file alone cannot know is wrong."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass

from greenroom.config import service as service_yaml
from greenroom.config.platform import PlatformModel
from greenroom.config.service import KINDS, LATER, VERSIONS, NeedModel, ServiceModel
from greenroom.core import names
from greenroom.core.catalogue import Repository, Service
from greenroom.errors import Mistake


@dataclass(frozen=True, slots=True)
class Found:
    """A service file that could be read. `file` is relative to the folder."""

    file: str
    stem: str
    model: ServiceModel

    @property
    def name(self) -> str:
        """The service's name: the key, or the file's name."""
        return self.model.name or self.stem


def catalogue_of(
    platform: PlatformModel, found: list[Found], unread: frozenset[str] = frozenset()
) -> tuple[tuple[Repository, ...], list[Mistake]]:
    """The repositories with their services, and every mistake between the files.

    `unread` are the names of files with mistakes of their own: whoever uses such a service makes no second one.
    """
    shorts, mistakes = _short_names(platform, found)
    known = {f.name: f for f in found}
    for service in found:
        mistakes += [*_named(service, known, platform), *_uses(service, known, platform, unread), *_needs(service)]
        mistakes += _variables(service)
    services: dict[str, list[Service]] = {}
    for service in found:
        short = shorts.get(service.model.repository, "")
        services.setdefault(service.model.repository, []).append(
            service_yaml.to_core(service.model, service.name, short)
        )
    repositories = tuple(Repository(shorts.get(slug, ""), slug, tuple(s)) for slug, s in sorted(services.items()))
    return repositories, mistakes


def _short_names(platform: PlatformModel, found: list[Found]) -> tuple[dict[str, str], list[Mistake]]:
    """The short name of each repository, owner/name to name."""
    mistakes = []
    given = {slug: short for short, slug in platform.repositories.items()}
    used = {f.model.repository: f.file for f in found}
    for short, slug in platform.repositories.items():
        if slug not in used:
            near = difflib.get_close_matches(slug, used, 1)
            fix = f"Did you mean {near[0]}?" if near else "Remove the line, or add a service of it."
            mistakes.append(Mistake("greenroom.yaml", f"repositories.{short}", f"no service is in {slug}.", fix))
    shorts = {slug: given.get(slug) or names.slug(slug.rpartition("/")[2].lower(), 30) for slug in used}
    for short, count in Counter(shorts.values()).items():
        if count > 1:
            both = " and ".join(sorted(s for s, n in shorts.items() if n == short))
            message = f"{both} would both be called {short}."
            fix = "Give one of them another name under `repositories:`."
            mistakes.append(Mistake("greenroom.yaml", "repositories", message, fix))
    return shorts, mistakes


def _named(service: Found, known: dict[str, Found], platform: PlatformModel) -> list[Mistake]:
    if known[service.name] is not service:
        other = known[service.name].file
        fix = "Give one of them another `name:`."
        return [Mistake(service.file, "name", f"the service {service.name} is in {other} too.", fix)]
    host = f"{service.name}-pr-99999"
    if len(host) > names.LABEL or len(f"{host}.{platform.domain}") > 253:
        message = f"{host}.{platform.domain} is longer than a host name may be (63 a label, 253 in all)."
        return [Mistake(service.file, "name", message, "Shorten the service's name or the domain.")]
    return []


def _uses(service: Found, known: dict[str, Found], platform: PlatformModel, unread: frozenset[str]) -> list[Mistake]:
    mistakes = []
    for index, use in enumerate(service.model.uses):
        path = f"uses.{index}.service"
        if use.service in {u.service for u in service.model.uses[:index]}:
            message = f"`{use.service}` is used twice; its address needs one variable."
            mistakes.append(Mistake(service.file, path, message, "Remove one of the two."))
        elif use.service == service.name:
            mistakes.append(Mistake(service.file, path, "a service cannot use itself.", "Remove it."))
        elif use.service in unread:
            continue
        elif use.service not in known:
            near = difflib.get_close_matches(use.service, known, 1)
            fix = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(sorted(known))}."
            mistakes.append(Mistake(service.file, path, f"there is no service `{use.service}`.", fix))
        elif not _listens(known[use.service].model):
            fix = "Give one of its web processes a port, or remove the use."
            mistakes.append(Mistake(service.file, path, f"`{use.service}` listens on nothing.", fix))
        elif use.required or known[use.service].model.repository == service.model.repository:
            continue
        elif use.service not in platform.staging:
            message = f"`{use.service}` has no staging address to fall back to."
            fix = f"Add `{use.service}: https://...` under `staging:` in greenroom.yaml."
            mistakes.append(Mistake(service.file, path, message, fix))
    return mistakes


def _listens(model: ServiceModel) -> bool:
    return bool(model.port) or any(p.kind == "web" and p.port for p in model.processes.values())


def _needs(service: Found) -> list[Mistake]:
    return [m for i, n in enumerate(service.model.needs) if (m := _need(service.file, f"needs.{i}", n))]


def _need(file: str, path: str, need: NeedModel) -> Mistake | None:
    if need.kind in LATER:
        message = f"`{need.kind}` comes with a later release; now there is {', '.join(KINDS)}."
        return Mistake(file, f"{path}.kind", message, "Remove it, or let the service use a shared one through `env:`.")
    if need.kind not in KINDS:
        near = difflib.get_close_matches(need.kind, (*KINDS, *LATER), 1, 0.4)
        fix = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(KINDS)}."
        return Mistake(file, f"{path}.kind", f"there is no need of the kind `{need.kind}`.", fix)
    if need.version not in VERSIONS:
        return Mistake(
            file, f"{path}.version", f"PostgreSQL {need.version} is not offered.", f"Use {', '.join(VERSIONS)}."
        )
    return None


def _variables(service: Found) -> list[Mistake]:
    model = service.model
    given = [
        *(n.variable for n in model.needs),
        *(v for u in model.uses for _, v in u.variables if v),
        *(v for _, v in model.address if v),
    ]
    given += model.env
    return [
        Mistake(service.file, name, f"the variable {name} is set {count} times.", "Give each its own name with `as:`.")
        for name, count in Counter(given).items()
        if count > 1
    ]
