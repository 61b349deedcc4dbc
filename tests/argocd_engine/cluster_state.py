"""What a cluster stores, read as a start of Greenroom reads it, and what people do to it."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from argocd_engine.fake import FakeKube
from greenroom.argocd import applicationset, stored_preview
from greenroom.argocd.applicationset import InstallationSpec, identity_of
from greenroom.argocd.client import APPLICATION_SETS, PREVIEW_CONFIGS, PREVIEWS, Object
from greenroom.core.model import codec
from greenroom.core.model.engine import PreviewSet
from greenroom.core.model.records import joined, records
from greenroom.core.model.spec import Identity


def the_set(kube: FakeKube, name: str = "preview-shop") -> Object:
    """The ApplicationSet with this name."""
    return kube.objects[APPLICATION_SETS.plural, "argocd", name]


def the_preview(kube: FakeKube, name: str = "shop-1") -> Object:
    """The Preview object with this name."""
    return kube.objects[PREVIEWS.plural, "argocd", name]


def stored(kube: FakeKube, name: str = "preview-shop") -> PreviewSet:
    """The preview set that the ApplicationSet with this name and the Preview objects of its repository store."""
    found = the_set(kube, name)
    configs = {o["metadata"]["name"]: o for (kind, *_), o in kube.objects.items() if kind == PREVIEW_CONFIGS.plural}
    repository_id, kept = applicationset.repository_id_of(found), {}
    for (kind, *_), o in kube.objects.items():
        identity = identity_of(o) if kind == PREVIEWS.plural else None
        if identity and identity.repository_id == repository_id:
            kept[identity.number] = stored_preview.content(o, configs).kept
    generation, recovery = applicationset.generation_of(found), applicationset.recovery_of(found)
    return joined(repository_id, applicationset.repository_of(found), generation, kept, recovery)


def index(kube: FakeKube, name: str = "preview-shop") -> dict[int, int] | None:
    """The numbers and generations that an ApplicationSet names."""
    return applicationset.index_of(the_set(kube, name))


def another_instance_wrote(kube: FakeKube, frame: InstallationSpec, preview_set: PreviewSet) -> None:
    """Another instance of the same installation served this set."""
    for number, kept in records(preview_set).items():
        identity = Identity(preview_set.repository_id, number)
        spec = stored_preview.stored_spec(frame, preview_set.repository, identity, kept, preview_set.generation)
        name = stored_preview.object_name(frame, preview_set.repository, number)
        labels = {
            applicationset.REPOSITORY: preview_set.repository,
            applicationset.REPOSITORY_ID: str(identity.repository_id),
            applicationset.NUMBER: str(number),
        }
        if kept.spec:
            kube.put(PREVIEW_CONFIGS.plural, stored_preview.preview_config(frame, "argocd", kept.spec))
        kube.put(PREVIEWS.plural, stored_preview.kubernetes_object(frame, "argocd", name, labels, spec))
    of_each = dict.fromkeys(records(preview_set), preview_set.generation)
    kube.put(APPLICATION_SETS.plural, applicationset.application_set(frame, preview_set, of_each))


def packed_set(preview_set: PreviewSet) -> str:
    """A preview set in the first stored format, without the values that specs shared there."""
    text = json.dumps(codec.dumped(preview_set), separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def first_format(frame: InstallationSpec, preview_set: PreviewSet) -> Object:
    """An ApplicationSet as the first version wrote it, with the whole set in one annotation."""
    made = applicationset.application_set(frame, preview_set, {})
    annotations: dict[str, Any] = made["metadata"]["annotations"]
    del annotations[applicationset.INDEX]
    annotations.pop(applicationset.RECOVERY, None)
    annotations[applicationset.ROWS] = packed_set(preview_set)
    return made


def applied_before(kube: FakeKube, found: Object) -> None:
    """An earlier start of Greenroom applied this ApplicationSet, so Greenroom owns all its fields."""
    kube._applied[APPLICATION_SETS.plural, "argocd", found["metadata"]["name"]] = found
    kube.put(APPLICATION_SETS.plural, found)
