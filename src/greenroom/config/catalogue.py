"""Services of all files together: what one file alone cannot know is wrong."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from greenroom.config import manifests
from greenroom.config import service as service_yaml
from greenroom.config.fields import NAME, named
from greenroom.config.needs import KINDS, LOCAL, ManifestModel, NeedModel, SharedNeedModel, nearest
from greenroom.config.platform import PlatformModel
from greenroom.config.service import ServiceModel
from greenroom.config.variables import wrong_variables
from greenroom.core import names
from greenroom.core.catalogue import Repository, Service
from greenroom.errors import Mistake

Wrong = tuple[str, str, str]


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
    platform: PlatformModel,
    found: list[Found],
    objects: Mapping[str, tuple[str, ...]],
    unread: frozenset[str] = frozenset(),
) -> tuple[tuple[Repository, ...], list[Mistake]]:
    """The repositories with their services, and every mistake between the files; no repository while there is one.

    `objects` are those of each manifest, by its file. `unread` are the names of files with mistakes of their own:
    whoever uses such a service makes no second one.
    """
    shorts, mistakes = _short_names(platform, found)
    known = {f.name: f for f in found}
    mistakes += _staging(platform, unread.union(known))
    for service in found:
        mistakes += [*_named(service, known, platform), *_uses(service, known, platform, unread)]
        mistakes += [*_needs(service, known, platform, unread), *wrong_variables(service.file, service.model)]
    mistakes += _objects(found, objects)
    if mistakes:
        return (), mistakes
    services: dict[str, list[Service]] = {}
    for service in found:
        short = shorts.get(service.model.repository, "")
        services.setdefault(service.model.repository, []).append(
            service_yaml.to_core(service.model, service.name, short, objects)
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


def _staging(platform: PlatformModel, known: frozenset[str]) -> Iterator[Mistake]:
    """A staging address of a service that nobody has would help nobody."""
    for name in sorted(set(platform.staging) - known):
        near = difflib.get_close_matches(name, known, 1)
        fix = f"Did you mean `{near[0]}`?" if near else "Remove the line, or add services/NAME.yaml."
        yield Mistake("greenroom.yaml", f"staging.{name}", f"there is no service `{name}`.", fix)


def _named(service: Found, known: dict[str, Found], platform: PlatformModel) -> list[Mistake]:
    if known[service.name] is not service:
        other = known[service.name].file
        fix = "Give one of them another `name:`."
        return [Mistake(service.file, "name", f"the service {service.name} is in {other} too.", fix)]
    if not re.fullmatch(NAME, service.name):
        meant = f"`name: {named(service.name) or 'web'}`"
        message = f"`{service.name}` is no name of a service: lower-case letters, digits and `-`, a letter first."
        return [Mistake(service.file, "", message, f"Add {meant}, or rename the file.")]
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


def _needs(service: Found, known: dict[str, Found], platform: PlatformModel, unread: frozenset[str]) -> list[Mistake]:
    mistakes, called = [], Counter(n.called for n in service.model.needs if isinstance(n, NeedModel))
    for index, need in enumerate(service.model.needs):
        if isinstance(need, NeedModel):
            wrong = _need(need)
            if called[need.called] > 1:
                called[need.called] = 1  # said once
                wrong = "name", f"two needs are called `{need.called}`.", "Give one of them another `name:`."
        elif isinstance(need, SharedNeedModel):
            wrong = None if need.service in unread else _shared(need, service, known)
        else:
            wrong = None
        wrong = wrong or (_not_local(need) if platform.engine == "local" else None)
        if wrong:
            mistakes.append(Mistake(service.file, f"needs.{index}.{wrong[0]}", *wrong[1:]))
    return mistakes


def _need(need: NeedModel) -> Wrong | None:
    """What is wrong with a need by itself: which key, message, fix."""
    if need.kind not in KINDS:
        near = nearest(need.kind)
        fix = f"Did you mean `{near}`?" if near else f"Known: {', '.join(KINDS)}; for others see `manifest:`."
        return "kind", f"there is no need of the kind `{need.kind}`.", fix
    kind = KINDS[need.kind]
    if need.version and need.version not in kind.versions:
        return "version", f"{kind.title} {need.version} is not offered.", f"Use {', '.join(kind.versions)}."
    if need.seed and need.kind != "postgresql":
        return "seed", f"a dump is read by PostgreSQL only, not by {kind.title}.", "Use `image:` with the data in it."
    return None


def _shared(need: SharedNeedModel, service: Found, known: dict[str, Found]) -> Wrong | None:
    """What is wrong with a need that another service is said to have."""
    if need.service == service.name:
        return "of", "a service cannot share a need with itself.", "Name the service that has it, or write `kind:`."
    if need.service not in known:
        near = difflib.get_close_matches(need.service, known, 1)
        fix = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(sorted(known))}."
        return "of", f"there is no service `{need.service}`.", fix
    other = known[need.service].model
    if other.repository != service.model.repository:
        message = f"`{need.service}` is in {other.repository}: its previews are others than those of {service.name}."
        return "of", message, "Share within one repository; talk to the other one through `uses:`."
    own = [n.called for n in other.needs if isinstance(n, NeedModel)]
    if need.name in own:
        return None
    chained = [n for n in other.needs if isinstance(n, SharedNeedModel) and n.name == need.name]
    if chained:
        message = f"`{need.service}` has `{need.name}` from `{chained[0].service}` itself."
        return "of", message, f"Write `of: {chained[0].service}`."
    near = difflib.get_close_matches(need.name, own, 1)
    fix = f"Did you mean `{near[0]}`?" if near else f"It has: {', '.join(own) or 'none'}."
    return "name", f"`{need.service}` has no need `{need.name}`.", fix


def _not_local(need: NeedModel | SharedNeedModel | ManifestModel) -> Wrong | None:
    """Why the local engine cannot offer a need."""
    if isinstance(need, ManifestModel):
        return "manifest", "the local engine has no Kubernetes.", "Remove it, or use `engine: argocd`."
    if isinstance(need, NeedModel) and need.kind not in LOCAL:
        message = f"the local engine does not offer {KINDS[need.kind].title}."
        return "kind", message, f"It offers {', '.join(LOCAL)}; for others use `engine: argocd`."
    return None


def _objects(found: list[Found], objects: Mapping[str, tuple[str, ...]]) -> list[Mistake]:
    """Objects of manifests that would have the name of something else in the same preview."""
    mistakes = []
    for slug in dict.fromkeys(f.model.repository for f in found):
        services = [f for f in found if f.model.repository == slug]
        owners = {name: f"the service {f.name}" for f in services for name in _names(f)}
        files = {n.manifest for f in services for n in f.model.needs if isinstance(n, ManifestModel)}
        seen: dict[tuple[str, str], str] = {}
        for file in sorted(files):
            for kind, name in manifests.names(objects[file]):
                owner = owners.get(name) or seen.setdefault((kind, name), file)
                if owner != file:
                    message = f"{owner} has something of this name in the preview."
                    mistakes.append(Mistake(file, f"{kind}/{name}", message, "Give it another name."))
    return mistakes


def _names(service: Found) -> Iterator[str]:
    """What the chart calls a service's objects."""
    parts = [*service.model.processes, *(n.called for n in service.model.needs if isinstance(n, NeedModel))]
    yield from (service.name, f"{service.name}-web", *(f"{service.name}-{part}" for part in parts))
