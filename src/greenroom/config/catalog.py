"""Repositories of the catalog, and the checks that need more than one file."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from greenroom.config import manifests
from greenroom.config import service as service_yaml
from greenroom.config.cycles import circles
from greenroom.config.dependencies import wrong_needs, wrong_uses
from greenroom.config.fields import NAME, named
from greenroom.config.folder import Folder, Found, near
from greenroom.config.needs import ManifestModel, NeedModel
from greenroom.config.variables import wrong_variables
from greenroom.core.model.catalog import Repository, Service
from greenroom.core.planning import names
from greenroom.errors import Mistake

Objects = Mapping[str, tuple[str, ...]]


def repositories(folder: Folder, objects: Objects) -> tuple[Repository, ...]:
    """Return the repositories of a folder without mistakes. `objects` holds the objects of each manifest."""
    found = list(folder.services.values())
    shorts = _short_names(folder, found)
    services: dict[str, list[Service]] = {}
    for service in found:
        slug = service.model.repository
        services.setdefault(slug, []).append(service_yaml.to_core(service.model, service.name, shorts[slug], objects))
    return tuple(
        Repository(shorts[slug], slug, tuple(s), prepare=_prepared(slug, folder))
        for slug, s in sorted(services.items())
    )


def _prepared(slug: str, folder: Folder) -> bool:
    """Return whether previews of a repository are prepared. One service that does not want it decides for all.

    The local engine reads the data of a database from the commit's worktree, so it prepares nothing.
    """
    models = [s.model for s in folder.services.values() if s.model.repository == slug]
    wanted = (folder.platform.prepare if m.prepare is None else m.prepare for m in models)
    return folder.platform.engine == "argocd" and all(wanted)


def disagreements(folder: Folder, found: list[Found], objects: Objects) -> Iterator[Mistake]:
    """Yield every mistake between the files. `found` holds all services, with the valid parts of faulty ones."""
    respelled = [*_respelled(found)]
    yield from respelled
    if folder.says("repositories") and not respelled:
        yield from _wrong_short_names(folder, found)
    if folder.says("staging"):
        yield from _wrong_staging(folder)
    for service in found:
        if "name" not in service.dropped:
            yield from _wrong_name(service, folder)
        yield from wrong_uses(service, folder)
        yield from wrong_needs(service, folder)
        yield from wrong_variables(service.file, service.model)
    yield from circles(folder, found)
    yield from _wrong_objects([f for f in found if not f.dropped], objects)


def _short_names(folder: Folder, found: list[Found]) -> dict[str, str]:
    """Return the short name of each repository, keyed by owner/name."""
    given = {slug: short for short, slug in folder.platform.repositories.items()}
    used = dict.fromkeys(f.model.repository for f in found)
    return {slug: given.get(slug) or names.short(slug.rpartition("/")[2]) for slug in used}


def _respelled(found: list[Found]) -> Iterator[Mistake]:
    """Yield a mistake for each repository that is spelled in two ways.

    GitHub ignores case in names, so two loops would fight over the repository.
    """
    first: dict[str, Found] = {}
    for service in (f for f in found if "repository" not in f.dropped):
        other = first.setdefault(service.model.repository.lower(), service)
        if other.model.repository != service.model.repository:
            message = f"{service.model.repository} is spelled {other.model.repository} in {other.file}."
            yield Mistake(service.file, "repository", message, "Use the same spelling in both files.")


def _wrong_short_names(folder: Folder, found: list[Found]) -> Iterator[Mistake]:
    found = [f for f in found if "repository" not in f.dropped]
    shorts = _short_names(folder, found)
    unknown = {} if folder.unread - {f.name for f in found} else folder.platform.repositories
    for short, slug in unknown.items():
        if slug not in shorts:
            meant = difflib.get_close_matches(slug, shorts, 1)
            fix = f"Did you mean {meant[0]}?" if meant else "Remove the line, or add a service from this repository."
            yield Mistake("greenroom.yaml", f"repositories.{short}", f"no service uses the repository {slug}.", fix)
    names_of: dict[str, str] = {}
    for short, slug in folder.platform.repositories.items():
        if (first := names_of.setdefault(slug.lower(), short)) != short:
            message = f"{slug} already has the short name `{first}`."
            yield Mistake("greenroom.yaml", f"repositories.{short}", message, "Remove one of the two.")
    for short, count in Counter(shorts.values()).items():
        if count > 1:
            both = " and ".join(sorted(s for s, n in shorts.items() if n == short))
            message = f"{both} would have the same short name, {short}."
            fix = "Give each repository a different name under `repositories:`."
            yield Mistake("greenroom.yaml", "repositories", message, fix)


def _wrong_staging(folder: Folder) -> Iterator[Mistake]:
    """Yield a mistake for each staging address of a service that does not exist."""
    known = folder.unread.union(folder.services)
    for name in sorted(set(folder.platform.staging) - known):
        fix = near(name, known, "Remove the line, or add services/NAME.yaml.")
        yield Mistake("greenroom.yaml", f"staging.{name}", f"the service `{name}` does not exist.", fix)


def _wrong_name(service: Found, folder: Folder) -> Iterator[Mistake]:
    if (other := folder.services.get(service.name, service)) is not service:
        fix = "Give one of the two services another `name:`."
        yield Mistake(service.file, "name", f"the service {service.name} is also defined in {other.file}.", fix)
        return
    if not re.fullmatch(NAME, service.name):
        meant = f"`name: {named(service.name) or 'web'}`"
        message = (
            f"`{service.name}` is not a valid service name."
            " Use lowercase letters, digits and `-`, starting with a letter."
        )
        yield Mistake(service.file, "", message, f"Add {meant}, or rename the file.")
        return
    host = f"{service.name}-pr-99999"
    if len(host) > names.LABEL or len(f"{host}.{folder.platform.domain}") > 253:
        message = (
            f"{host}.{folder.platform.domain} is too long for a host name."
            " The limits are 63 characters for each part between dots, and 253 in total."
        )
        fix = "Shorten the service's name."
        if len(host) <= names.LABEL:
            fix = "Shorten the service's name, or `domain:` in greenroom.yaml."
        yield Mistake(service.file, "name", message, fix)


def _wrong_objects(found: list[Found], objects: Objects) -> Iterator[Mistake]:
    """Yield a mistake for each manifest object whose name is already taken in the same preview."""
    for slug in dict.fromkeys(f.model.repository for f in found):
        services = [f for f in found if f.model.repository == slug]
        owners = {name: f"the service {f.name}" for f in services for name in _names(f)}
        files = {n.manifest for f in services for n in f.model.needs if isinstance(n, ManifestModel)}
        seen: dict[tuple[str, str], str] = {}
        for file in sorted(files):
            for kind, name in manifests.names(objects[file]):
                owner = owners.get(name) or seen.setdefault((kind, name), file)
                if owner != file:
                    message = f"{owner} already uses this name in the preview."
                    yield Mistake(file, f"{kind}/{name}", message, "Choose another name.")


def _names(service: Found) -> Iterator[str]:
    """Yield the names that the chart gives to a service's objects."""
    parts = [*service.model.processes, *(n.called for n in service.model.needs if isinstance(n, NeedModel))]
    yield from (service.name, f"{service.name}-web", *(f"{service.name}-{part}" for part in parts))
