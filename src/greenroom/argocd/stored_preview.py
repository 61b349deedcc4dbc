"""One pull request's stored data as the `spec` of a `Preview` object, and back. Pure.

People may read these objects. Data that may contain a secret of the configuration (variables, manifests, settings of
the chart, addresses) is therefore in a separate `PreviewConfig` object, which only Greenroom may read. Its name is a
hash of its content, so it never changes. It is written first.
https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/custom-resources/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from greenroom.argocd.applicationset import InstallationSpec, identity_of
from greenroom.argocd.client import PREVIEW_CONFIGS, PREVIEWS, Object
from greenroom.argocd.packing import Unreadable, packed, unpacked
from greenroom.core.comment.sanitize import plain
from greenroom.core.model import codec
from greenroom.core.model.catalog import Service
from greenroom.core.model.records import EMPTY, StoredPreview
from greenroom.core.model.spec import Config, Identity, Injected, PreviewSpec

SPEC_PARTS = ("names", "build", "config", "pullRequest", "times", "chart", "data", "links", "choices")
DEFAULT_PREFIX = "preview"
CHECKSUM, GENERATION, LEDGER, IDENTITY = "checksum", "generation", "ledger", "identity"
FIX = "Restore the object. If you cannot, delete it: Greenroom creates it again from the Application."


@dataclass(frozen=True, slots=True)
class PrivateParts:
    """The parts of a spec that people who may read previews must not see. `addresses` are those of the links."""

    services: tuple[Service, ...]
    injected: tuple[Injected, ...]
    settings: str
    addresses: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, spec: PreviewSpec) -> PrivateParts:
        """Return the private parts of a spec."""
        addresses = tuple((link.url, link.public) for link in spec.links.targets)
        return cls(spec.config.services, spec.config.injected, spec.chart.settings, addresses)

    def added_to(self, spec: PreviewSpec) -> PreviewSpec:
        """Return the spec with its private parts. Raise `ValueError` when they belong to another spec."""
        targets = tuple(
            replace(link, url=url, public=public)
            for link, (url, public) in zip(spec.links.targets, self.addresses, strict=True)
        )
        return replace(
            spec,
            config=Config(self.services, self.injected),
            chart=replace(spec.chart, settings=self.settings),
            links=replace(spec.links, targets=targets),
        )


def preview_config(frame: InstallationSpec, namespace: str, spec: PreviewSpec) -> Object:
    """Return the `PreviewConfig` object with the private parts of a spec."""
    text = packed(PrivateParts.of(spec))
    name = f"{frame.prefix}-{_content_hash(text)}"
    metadata = {"name": name, "namespace": namespace, "labels": frame.labels()}
    return {
        "apiVersion": PREVIEW_CONFIGS.version,
        "kind": "PreviewConfig",
        "metadata": metadata,
        "spec": {"data": text},
    }


def _content_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def is_as_written(config: Object) -> bool:
    """Return whether the name of a `PreviewConfig` is the hash of its content."""
    text = str((config.get("spec") or {}).get("data", ""))
    return str(config["metadata"]["name"]).endswith(f"-{_content_hash(text)}")


def stored_spec(
    frame: InstallationSpec, repository: str, identity: Identity, kept: StoredPreview, generation: int
) -> Object:
    """Return the `spec` of a `Preview` object with this stored data, written in this generation of its set."""
    made: Object = {
        "repository": {"id": identity.repository_id, "name": repository},
        "number": identity.number,
        GENERATION: generation,
    }
    if kept.spec is not None:
        made |= _parts(frame, kept.spec)
    if kept.ledger != EMPTY.ledger:  # its entries are of this preview, so they do not repeat its identity
        made[LEDGER] = {
            kind: [{k: v for k, v in entry.items() if k != IDENTITY} for entry in entries]
            for kind, entries in _dumped(kept.ledger).items()
        }
    if kept.watermark:
        made["watermark"] = _dumped(kept.watermark)
    if kept.comment:
        made["comment"] = kept.comment
    return {**made, CHECKSUM: checksum(made)}


def _parts(frame: InstallationSpec, spec: PreviewSpec) -> Object:
    targets = tuple(replace(link, url="", public="") for link in spec.links.targets)
    public = replace(spec, links=replace(spec.links, targets=targets), chart=replace(spec.chart, settings=""))
    dumped = _dumped(public)
    dumped["config"] = {
        "services": [service.name for service in spec.services],
        "ref": preview_config(frame, "", spec)["metadata"]["name"],
    }
    return {part: dumped[part] for part in SPEC_PARTS}


def _dumped(value: Any) -> Any:
    return _without_none(codec.dumped(value, camel=True))


def _without_none(value: Any) -> Any:
    """Return a value without nulls, which the API server drops. https://kubernetes.io/docs/tasks/extend-kubernetes/"""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def checksum(spec: Mapping[str, Any]) -> str:
    """Return a checksum of a `spec`, which shows whether someone other than Greenroom changed it."""
    rest = {k: v for k, v in spec.items() if k != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def written_checksum(found: Object) -> str:
    """Return the checksum in an object; empty if it has none."""
    return str((found.get("spec") or {}).get(CHECKSUM, ""))


def is_edited(found: Object) -> bool:
    """Return whether someone other than Greenroom changed the stored data of an object."""
    spec = found.get("spec") or {}
    return CHECKSUM in spec and spec[CHECKSUM] != checksum(spec)


def generation_of(found: Object) -> int:
    """Return the generation of the set in which an object was last written; 0 when it stores nothing."""
    spec = found.get("spec") or {}
    value = spec.get(GENERATION, 0) if CHECKSUM in spec else 0
    return value if isinstance(value, int) else 0


def preview_of(found: Object) -> Identity | None:
    """Return the preview of an object, from its `spec`, which the checksum covers, or else from its labels."""
    spec = found.get("spec") or {}
    try:
        written = CHECKSUM in spec and not is_edited(found)
        return Identity(int(spec["repository"]["id"]), int(spec["number"])) if written else identity_of(found)
    except (KeyError, TypeError, ValueError):  # another version of Greenroom wrote it
        return identity_of(found)


def ref_of(found: Object) -> str:
    """Return the name of the `PreviewConfig` that an object needs; empty when it needs none."""
    return str(((found.get("spec") or {}).get("config") or {}).get("ref", ""))


@dataclass(frozen=True, slots=True)
class Content:
    """The stored data of an object. `whole` is False when its `PreviewConfig` is missing; the spec is None then."""

    kept: StoredPreview
    whole: bool = True


def content(found: Object, configs: Mapping[str, Object]) -> Content:
    """Return the stored data of a `Preview` object.

    Raise `Unreadable` when the object was edited, or another version wrote it.
    """
    spec, name = found.get("spec") or {}, str(found["metadata"]["name"])
    if CHECKSUM not in spec:
        return Content(EMPTY)  # it has a status, and stores nothing
    if is_edited(found):
        raise _unreadable(name, "its checksum does not match")
    try:
        kept, ref = _kept(spec), ref_of(found)
        if kept.spec is None:
            return Content(kept)
        if ref not in configs:
            return Content(replace(kept, spec=None), whole=False)
        where = f"The PreviewConfig {ref}"
        private = unpacked(
            PrivateParts,
            str((configs[ref].get("spec") or {}).get("data", "")),
            where,
            "Delete it, and restart Greenroom.",
        )
        return Content(replace(kept, spec=private.added_to(kept.spec)))
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(name, plain(str(error), 100)) from None


def _kept(spec: Mapping[str, Any]) -> StoredPreview:
    identity = {"repositoryId": spec["repository"]["id"], "number": spec["number"]}
    stored = {key: spec[key] for key in ("watermark", "comment") if key in spec}
    stored[LEDGER] = {
        kind: [{**entry, IDENTITY: identity} for entry in entries] for kind, entries in (spec.get(LEDGER) or {}).items()
    }
    if "build" in spec:
        parts = {part: spec[part] for part in SPEC_PARTS if part in spec}
        stored["spec"] = {**parts, "config": {"services": []}, "id": identity}
    return codec.loaded(StoredPreview, stored, camel=True)


def _unreadable(name: str, why: str) -> Unreadable:
    cause = f"The Preview {name} cannot be read ({why}): it was edited, or another version of Greenroom wrote it."
    return Unreadable(f"{cause} Greenroom leaves it unchanged. {FIX}")


def object_name(frame: InstallationSpec, repository: str, number: int) -> str:
    """Return the name of a new object: `shop-42`, or `PREFIX-shop-42` if the installation has its own prefix."""
    own = f"{repository}-{number}"
    return own if frame.prefix == DEFAULT_PREFIX else f"{frame.prefix}-{own}"


def kubernetes_object(
    frame: InstallationSpec, namespace: str, name: str, labels: Mapping[str, str], spec: Object
) -> Object:
    """Return a `Preview` object without its status."""
    metadata = {"name": name, "namespace": namespace, "labels": {**frame.labels(), **labels}}
    return {"apiVersion": PREVIEWS.version, "kind": "Preview", "metadata": metadata, "spec": spec}
