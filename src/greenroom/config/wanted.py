"""What a service needs and uses, compared with the kinds that there are, the other services and the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from greenroom.config.found import Folder, Found, near
from greenroom.config.needs import KINDS, LOCAL, ManifestModel, NeedModel, SharedNeedModel, nearest
from greenroom.config.service import ServiceModel, UseModel
from greenroom.errors import Mistake

Wrong = tuple[str, str, str]


def wrong_uses(service: Found, folder: Folder) -> Iterator[Mistake]:
    """Every use of a service that cannot be one."""
    for index, use in enumerate(service.model.uses):
        wrong = _use(use, service, folder)
        if use.service in {u.service for u in service.model.uses[:index]}:
            wrong = f"`{use.service}` is used twice; its address needs one variable.", "Remove one of the two."
        if wrong:
            yield Mistake(service.file, f"uses.{index}.service", *wrong)


def _use(use: UseModel, service: Found, folder: Folder) -> tuple[str, str] | None:
    if use.service == service.name:
        return "a service cannot use itself.", "Remove it."
    if use.service in folder.unread:
        return None
    if use.service not in folder.services:
        fix = near(use.service, folder.services, f"Known: {', '.join(sorted(folder.services))}.")
        return f"there is no service `{use.service}`.", fix
    other = folder.services[use.service].model
    if not _listens(other):
        return f"`{use.service}` listens on nothing.", "Give one of its web processes a port, or remove the use."
    falls_back = not use.required and _elsewhere(service, other)
    if falls_back and use.service not in folder.platform.staging and folder.says("staging"):
        fix = f"Add `{use.service}: https://...` under `staging:` in greenroom.yaml."
        return f"`{use.service}` has no staging address to fall back to.", fix
    return None


def _elsewhere(service: Found, other: ServiceModel) -> bool:
    """Whether the other one is in another repository, as far as is known."""
    return "repository" not in service.dropped and other.repository != service.model.repository


def _listens(model: ServiceModel) -> bool:
    return bool(model.port) or any(p.kind == "web" and p.port for p in model.processes.values())


def wrong_needs(service: Found, folder: Folder) -> Iterator[Mistake]:
    """Every need that nobody can have, or not from this engine."""
    called = Counter(n.called for n in service.model.needs if isinstance(n, NeedModel))
    for index, need in enumerate(service.model.needs):
        wrong = None
        if isinstance(need, NeedModel):
            wrong = _need(need)
            if called[need.called] > 1:
                called[need.called] = 1  # said once
                wrong = "name", f"two needs are called `{need.called}`.", "Give one of them another `name:`."
        elif isinstance(need, SharedNeedModel) and need.service not in folder.unread:
            wrong = _shared(need, service, folder)
        wrong = wrong or (_not_local(need) if folder.platform.engine == "local" else None)
        if wrong:
            yield Mistake(service.file, f"needs.{index}.{wrong[0]}", *wrong[1:])


def _need(need: NeedModel) -> Wrong | None:
    """What is wrong with a need by itself: which key, message, fix."""
    if need.kind not in KINDS:
        meant = nearest(need.kind)
        fix = f"Did you mean `{meant}`?" if meant else f"Known: {', '.join(KINDS)}; for others see `manifest:`."
        return "kind", f"there is no need of the kind `{need.kind}`.", fix
    kind = KINDS[need.kind]
    if need.version and need.version not in kind.versions:
        return "version", f"{kind.title} {need.version} is not offered.", f"Use {', '.join(kind.versions)}."
    if need.seed and need.kind != "postgresql":
        return "seed", f"a dump is read by PostgreSQL only, not by {kind.title}.", "Use `image:` with the data in it."
    return None


def _shared(need: SharedNeedModel, service: Found, folder: Folder) -> Wrong | None:
    """What is wrong with a need that another service is said to have."""
    if need.service == service.name:
        return "of", "a service cannot share a need with itself.", "Name the service that has it, or write `kind:`."
    if need.service not in folder.services:
        fix = near(need.service, folder.services, f"Known: {', '.join(sorted(folder.services))}.")
        return "of", f"there is no service `{need.service}`.", fix
    other = folder.services[need.service].model
    if _elsewhere(service, other):
        message = f"`{need.service}` is in {other.repository}: its previews are others than those of {service.name}."
        return "of", message, "Share within one repository; talk to the other one through `uses:`."
    own = [n.called for n in other.needs if isinstance(n, NeedModel)]
    if need.name in own:
        return None
    chained = [n for n in other.needs if isinstance(n, SharedNeedModel) and n.name == need.name]
    if chained:
        message = f"`{need.service}` has `{need.name}` from `{chained[0].service}` itself."
        return "of", message, f"Write `of: {chained[0].service}`."
    fix = near(need.name, own, f"It has: {', '.join(own) or 'none'}.")
    return "name", f"`{need.service}` has no need `{need.name}`.", fix


def _not_local(need: NeedModel | SharedNeedModel | ManifestModel) -> Wrong | None:
    """Why the local engine cannot offer a need."""
    if isinstance(need, ManifestModel):
        return "manifest", "the local engine has no Kubernetes.", "Remove it, or use `engine: argocd`."
    if isinstance(need, NeedModel) and need.kind not in LOCAL:
        message = f"the local engine does not offer {KINDS[need.kind].title}."
        return "kind", message, f"It offers {', '.join(LOCAL)}; for others use `engine: argocd`."
    return None
