"""Checks of a service's needs and uses against the known kinds, the other services and the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from greenroom.config.folder import Folder, Found, near
from greenroom.config.needs import ManifestModel, NeedModel, SharedNeedModel, nearest
from greenroom.config.service import ServiceModel, UseModel
from greenroom.core.model.kinds import KINDS, Kind, local
from greenroom.errors import Mistake

Wrong = tuple[str, str, str]


def wrong_uses(service: Found, folder: Folder) -> Iterator[Mistake]:
    """Yield a mistake for each invalid use of a service."""
    for index, use in enumerate(service.model.uses):
        wrong = _use(use, service, folder)
        if use.service in {u.service for u in service.model.uses[:index]}:
            wrong = f"`{use.service}` is listed twice under `uses:`.", "Remove one of the two."
        if wrong:
            yield Mistake(service.file, f"uses.{index}.service", *wrong)


def _use(use: UseModel, service: Found, folder: Folder) -> tuple[str, str] | None:
    if use.service == service.name:
        return "a service cannot use itself.", "Remove it."
    if use.service in folder.unread:
        return None
    if use.service not in folder.services:
        fix = near(use.service, folder.services, f"Known: {', '.join(sorted(folder.services))}.")
        return f"the service `{use.service}` does not exist.", fix
    other = folder.services[use.service].model
    if not _listens(other):
        return (
            f"`{use.service}` does not listen on any port.",
            f"Give `{use.service}` a web process with a port, or remove `{use.service}` from `uses:`.",
        )
    falls_back = not use.required and _elsewhere(service, other)
    if falls_back and use.service not in folder.platform.staging and folder.says("staging"):
        fix = f"Add `{use.service}: https://...` under `staging:` in greenroom.yaml."
        return f"`{use.service}` has no staging address to fall back to.", fix
    return None


def _elsewhere(service: Found, other: ServiceModel) -> bool:
    """Return whether the other service is in another repository, as far as that is known."""
    return "repository" not in service.dropped and other.repository != service.model.repository


def _listens(model: ServiceModel) -> bool:
    return bool(model.port) or any(p.kind == "web" and p.port for p in model.processes.values())


def wrong_needs(service: Found, folder: Folder) -> Iterator[Mistake]:
    """Yield a mistake for each need that is invalid or that this engine does not offer."""
    called = Counter(n.called for n in service.model.needs if isinstance(n, NeedModel))
    for index, need in enumerate(service.model.needs):
        wrong = None
        if isinstance(need, NeedModel):
            wrong = _need(need)
            if called[need.called] > 1:
                called[need.called] = 1  # report it once
                wrong = "name", f"more than one need is called `{need.called}`.", "Give each of them its own `name:`."
        elif isinstance(need, SharedNeedModel) and need.service not in folder.unread:
            wrong = _shared(need, service, folder)
        wrong = wrong or (_not_local(need) if folder.platform.engine == "local" else None)
        if wrong:
            yield Mistake(service.file, f"needs.{index}.{wrong[0]}", *wrong[1:])


def _need(need: NeedModel) -> Wrong | None:
    """Return the problem with a need on its own, as key, message and fix; None if there is none."""
    if need.kind not in KINDS:
        meant = nearest(need.kind)
        fix = (
            f"Did you mean `{meant}`?"
            if meant
            else f"Known kinds: {', '.join(KINDS)}. For other needs, use `manifest:` (docs/needs.md)."
        )
        return "kind", f"`{need.kind}` is not a known kind of need.", fix
    kind = KINDS[need.kind]
    if need.version and need.version not in kind.versions:
        return "version", f"{kind.title} {need.version} is not supported.", f"Use one of {', '.join(kind.versions)}."
    if wrong := _seed(need, kind):
        return wrong
    if need.storage == "persistent" and not kind.chart.data:
        return "storage", f"{kind.title} does not store data on disk.", "Remove `storage: persistent`."
    return _parts(need, need.kind)


def _seed(need: NeedModel, kind: Kind) -> Wrong | None:
    """Return the problem with the seed of a need; None if there is none."""
    if not need.seed:
        return None
    if not kind.chart.seeded:
        known = ", ".join(k.title for k in KINDS.values() if k.chart.seeded)
        return (
            "seed",
            f"{kind.title} does not start from a dump; {known} do.",
            "Use an `image:` that contains the data.",
        )
    if need.seed.mode == "restore" and not kind.restores:
        fix = "Use `mode: layer`, or `mode: copy` for data on a volume."
        return "seed.mode", f"the image of {kind.title} does not restore dumps.", fix
    if need.seed.extensions and not kind.extensions:
        return "seed.extensions", f"{kind.title} has no extensions.", "Remove `extensions`."
    return None


def _parts(need: NeedModel | SharedNeedModel, kind: str) -> Wrong | None:
    """Return the first requested part of an address that a kind does not have; None if it has them all."""
    known = KINDS[kind].parts
    missing = next((part for part, _ in need.pairs if part not in known), "")
    return (f"as.{missing}", f"{KINDS[kind].title} has no {missing}.", f"Use {', '.join(known)}.") if missing else None


def _shared(need: SharedNeedModel, service: Found, folder: Folder) -> Wrong | None:
    """Return the problem with a need that another service should have; None if there is none."""
    if need.service == service.name:
        return (
            "of",
            "a service cannot share a need with itself.",
            "Name the service that has the need, or write `kind:` instead of `of:`.",
        )
    if need.service not in folder.services:
        fix = near(need.service, folder.services, f"Known: {', '.join(sorted(folder.services))}.")
        return "of", f"the service `{need.service}` does not exist.", fix
    other = folder.services[need.service].model
    if _elsewhere(service, other):
        message = f"`{need.service}` is in {other.repository}, so it never runs in the same preview as {service.name}."
        return "of", message, "Needs can only be shared within one repository. Use `uses:` to call the other service."
    own = {n.called: n.kind for n in other.needs if isinstance(n, NeedModel)}
    if need.name in own:
        return _parts(need, own[need.name]) if own[need.name] in KINDS else None
    chained = [n for n in other.needs if isinstance(n, SharedNeedModel) and n.name == need.name]
    if chained:
        message = f"`{need.service}` itself shares `{need.name}` from `{chained[0].service}`."
        return "of", message, f"Write `of: {chained[0].service}`."
    fix = near(need.name, own, f"Needs that `{need.service}` can share: {', '.join(own) or 'none'}.")
    return "name", f"`{need.service}` has no need called `{need.name}`.", fix


def _not_local(need: NeedModel | SharedNeedModel | ManifestModel) -> Wrong | None:
    """Return the reason why the local engine cannot offer a need; None if it can."""
    if isinstance(need, ManifestModel):
        return (
            "manifest",
            "the local engine does not run Kubernetes objects.",
            "Remove the need, or use `engine: argocd`.",
        )
    if isinstance(need, NeedModel) and need.seed and need.seed.repository:
        message = "the local engine reads only dumps in the service's own repository."
        return "seed.repository", message, "Remove `repository`, or use `engine: argocd`."
    if isinstance(need, NeedModel) and not KINDS[need.kind].local:
        message = f"the local engine does not support {KINDS[need.kind].title}."
        return "kind", message, f"Supported kinds: {', '.join(local(KINDS))}. For other kinds, use `engine: argocd`."
    return None
