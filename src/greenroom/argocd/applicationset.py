"""One ApplicationSet for each repository: its spec, and the index of the `Preview` objects that store its previews.

At startup, the index shows whether any of these objects is lost. The spec of a preview is also an annotation of its
Application, which shows the spec that Argo CD has actually applied.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from greenroom.argocd.client import Object
from greenroom.argocd.packing import Unreadable, unpacked
from greenroom.core.model.engine import PreviewSet, Recovery
from greenroom.core.model.spec import Identity, PreviewSpec

MANAGED = "app.kubernetes.io/managed-by"
INSTALLATION = "greenroom.dev/installation"
REPOSITORY = "greenroom.dev/repository"
REPOSITORY_ID = "greenroom.dev/repository-id"
NUMBER = "greenroom.dev/number"
ROWS = "greenroom.dev/rows"
ROW = "greenroom.dev/row"
GENERATION = "greenroom.dev/generation"
INDEX = "greenroom.dev/previews"
RECOVERY = "greenroom.dev/recovery"
RENDERED = "greenroom.dev/rendered"
REFRESH = "argocd.argoproj.io/application-set-refresh"
FINALIZER = "resources-finalizer.argocd.argoproj.io"
REQUEUE_SECONDS = 180
UNDATED = "undated"
CANARY = "canary"
RELEASE = "preview"
"""Helm's release name of every preview. By default Argo CD uses the Application's name, which may have 63 characters;
Helm rejects more than 53. https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-release-name"""
SYNC = {"applicationsSync": "create-update"}


@dataclass(frozen=True, slots=True)
class InstallationSpec:
    """The settings that all ApplicationSets of an installation share."""

    installation: str
    prefix: str
    namespace: str
    project: str
    destination: str
    chart: str
    plugin: str

    def name(self, repository: str) -> str:
        """Return the name of a repository's ApplicationSet."""
        return f"{self.prefix}-{repository}"

    @property
    def canary(self) -> str:
        """Return the name of the canary's ApplicationSet and Application, which no repository can have."""
        return f"{self.prefix}--{CANARY}"

    def labels(self) -> dict[str, str]:
        """Return the labels that all our objects carry."""
        return {MANAGED: "greenroom", INSTALLATION: self.installation}


def source(chart: str) -> dict[str, str]:
    """Return where Argo CD finds the preview chart: an OCI registry, or a path in git after `//`.

    https://argo-cd.readthedocs.io/en/stable/user-guide/helm/
    """
    if chart.startswith("oci://"):
        repository, _, name = chart.removeprefix("oci://").rpartition("/")
        return {"repoURL": repository, "chart": name}
    scheme, _, rest = chart.partition("://")
    repository, _, path = rest.partition("//")
    return {"repoURL": f"{scheme}://{repository}", "path": path}


def application_set(frame: InstallationSpec, preview_set: PreviewSet, index: Mapping[int, int]) -> Object:
    """Return the ApplicationSet of one repository, with a refresh request.

    `index` maps the number of each stored preview to the generation in which its object was last written.
    """
    labels = {**frame.labels(), REPOSITORY: preview_set.repository, REPOSITORY_ID: str(preview_set.repository_id)}
    annotations = {**_notes(preview_set, index), REFRESH: str(preview_set.generation)}
    return _application_set(frame, frame.name(preview_set.repository), labels, annotations, _template(frame))


def _notes(preview_set: PreviewSet, index: Mapping[int, int]) -> dict[str, str]:
    """Return the annotations that Greenroom reads at startup."""
    entries = ",".join(f"{number}:{generation}" for number, generation in sorted(index.items()))
    return {GENERATION: str(preview_set.generation), INDEX: entries, **_recovery_note(preview_set)}


def _recovery_note(preview_set: PreviewSet) -> dict[str, str]:
    recovery = preview_set.recovery
    return {} if recovery is None else {RECOVERY: recovery.at.isoformat() if recovery.at else UNDATED}


def notes_loss(found: Object | None, preview_set: PreviewSet) -> bool:
    """Return whether an ApplicationSet notes the loss of stored data that this set has, if it has any."""
    annotations = (found or {"metadata": {}})["metadata"].get("annotations") or {}
    return _recovery_note(preview_set).items() <= annotations.items()


def index_of(found: Object) -> dict[int, int] | None:
    """Return the index of an ApplicationSet, or None when it has none. Raise `Unreadable` when it was edited."""
    text = (found["metadata"].get("annotations") or {}).get(INDEX)
    if text is None:
        return None
    try:
        pairs = (entry.split(":") for entry in text.split(",") if entry)
        return {int(number): int(generation) for number, generation in pairs}
    except ValueError:
        raise _edited(found, INDEX) from None


def recovery_of(found: Object) -> Recovery | None:
    """Return the loss of stored data that an ApplicationSet notes. Raise `Unreadable` when the note was edited."""
    text = (found["metadata"].get("annotations") or {}).get(RECOVERY)
    if text is None:
        return None
    try:
        return Recovery(None if text == UNDATED else datetime.fromisoformat(text))
    except ValueError:
        raise _edited(found, RECOVERY) from None


def _edited(found: Object, annotation: str) -> Unreadable:
    return Unreadable(
        f"The annotation {annotation} of the ApplicationSet {found['metadata']['name']} is not valid. Greenroom leaves"
        " the ApplicationSet unchanged. Restore the annotation, or delete the ApplicationSet with"
        " `kubectl delete --cascade=orphan`: previews keep running, and Greenroom creates the ApplicationSet again."
    )


def over(body: Object, version: str) -> Object:
    """Return the object, to be written over this version of itself and no other."""
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}


def canary_set(frame: InstallationSpec, generation: int) -> Object:
    """Return the set whose one Application proves that Argo CD's own policy deletes nothing when a spec is
    withdrawn.
    """
    template = _template(frame)
    template["spec"] = {**template["spec"], "syncPolicy": {}}
    annotations = {GENERATION: str(generation), REFRESH: str(generation)}
    template["metadata"] = {"name": "{{ .name }}", "labels": frame.labels()}
    return _application_set(frame, frame.canary, frame.labels(), annotations, template)


def canary_spec(frame: InstallationSpec, version: str) -> Object:
    """Return the canary's spec. Its Application is never synced, so nothing exists in the namespace that it names."""
    name = frame.canary
    return {"name": name, "namespace": name, "chartVersion": version or "0", "values": {}, "row": ""}


def _application_set(
    frame: InstallationSpec, name: str, labels: dict[str, str], annotations: dict[str, str], template: Object
) -> Object:
    plugin = {"configMapRef": {"name": frame.plugin}, "requeueAfterSeconds": REQUEUE_SECONDS}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": frame.namespace, "labels": labels, "annotations": annotations},
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"plugin": plugin}],
            # A missing spec deletes nothing: Greenroom removes Applications one by one.
            "syncPolicy": SYNC,
            # A link that a person changed in Argo CD stays.
            "ignoreApplicationDifferences": [{"jsonPointers": ["/spec/source/helm/parameters"]}],
            "template": template,
        },
    }


def _template(frame: InstallationSpec) -> Object:
    labels = {
        **frame.labels(),
        REPOSITORY: "{{ .repository }}",
        REPOSITORY_ID: "{{ .repositoryId }}",
        NUMBER: "{{ .number }}",
    }
    return {
        "metadata": {
            "name": "{{ .name }}",
            "labels": labels,
            "annotations": {ROW: "{{ .row }}"},
            "finalizers": [FINALIZER],
        },
        "spec": application_spec(frame),
    }


def application_spec(frame: InstallationSpec) -> Object:
    """Return the spec of a preview's Application, with the fields of a spec as template parameters."""
    return {
        "project": frame.project,
        "source": {
            **source(frame.chart),
            "targetRevision": "{{ .chartVersion }}",
            "helm": {"releaseName": RELEASE, "values": "{{ toJson .values }}"},
        },
        "destination": {"name": frame.destination, "namespace": "{{ .namespace }}"},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            # Argo CD's own retries repeat the old values while newer ones wait. A new retry number retries instead.
            "retry": {"limit": 0},
            "syncOptions": ["RespectIgnoreDifferences=true"],
        },
        "ignoreDifferences": [
            # Passwords are created once in the cluster. Another rendering must not replace them.
            {"group": "", "kind": "Secret", "jsonPointers": ["/data", "/stringData"]},
            # A volume keeps the size and class that it was created with. Kubernetes rejects any change of this field.
            {"group": "apps", "kind": "StatefulSet", "jsonPointers": ["/spec/volumeClaimTemplates"]},
        ],
        "revisionHistoryLimit": 2,
    }


def made_of(found: Object) -> str:
    """Return the chart, the cluster and the project of a set's Applications as text for people. No spec holds them."""
    spec = found["spec"]["template"]["spec"]
    source = spec.get("source") or {}
    chart = "/".join(source[key] for key in ("repoURL", "chart", "path") if source.get(key))
    return f"{chart} in {(spec.get('destination') or {}).get('name', '')}, project {spec.get('project', '')}"


def identity_of(found: Object) -> Identity | None:
    """Return the preview that an object's labels name, or None when they name none."""
    labels = (found.get("metadata") or {}).get("labels") or {}
    try:
        return Identity(int(labels[REPOSITORY_ID]), int(labels[NUMBER]))
    except (KeyError, ValueError):
        return None


def repository_id_of(found: Object) -> int:
    """Return GitHub's id of the repository that an object's labels name; 0 when they name none."""
    text = str(((found.get("metadata") or {}).get("labels") or {}).get(REPOSITORY_ID, ""))
    return int(text) if text.isdecimal() else 0


def repository_of(found: Object) -> str:
    """Return the short name of the repository that an object's labels name; empty when they name none."""
    return str(((found.get("metadata") or {}).get("labels") or {}).get(REPOSITORY, ""))


def generation_of(found: Object) -> int:
    """Return the generation that an ApplicationSet states beside its specs; 0 when it states none."""
    text = str((found["metadata"].get("annotations") or {}).get(GENERATION, ""))
    return int(text) if text.isdecimal() else 0


def spec_of(application: Object) -> PreviewSpec:
    """Return the spec that Argo CD has taken over for this Application. Raise `Unreadable` if it cannot be unpacked."""
    metadata = application["metadata"]
    text = (metadata.get("annotations") or {}).get(ROW, "")
    fix = (
        "Restore the annotation, or delete the Application. If the preview is still wanted, Argo CD creates the"
        " Application again."
    )
    return unpacked(PreviewSpec, text, f"The annotation {ROW} of the Application {metadata['name']}", fix)


def carries(found: Object, preview_set: PreviewSet, index: Mapping[int, int]) -> bool:
    """Return whether an ApplicationSet carries these notes, and its sync policy still deletes nothing."""
    annotations = found["metadata"].get("annotations") or {}
    theirs = {key: annotations[key] for key in (GENERATION, INDEX, RECOVERY, ROWS) if key in annotations}
    return theirs == _notes(preview_set, index) and found["spec"].get("syncPolicy") == SYNC


def carried(found: Object) -> str:
    """Return what an ApplicationSet carries as a text that distinguishes it from others."""
    annotations = found["metadata"].get("annotations") or {}
    return "\n".join(str(annotations.get(key)) for key in (GENERATION, INDEX, RECOVERY, ROWS))


def first_format(found: Object) -> PreviewSet | None:
    """Return the preview set that an ApplicationSet carries in the first stored format, one annotation for all specs.

    Return None when it is stored in `Preview` objects. Raise `Unreadable` if the set cannot be unpacked.
    """
    metadata = found["metadata"]
    annotations = metadata.get("annotations") or {}
    if INDEX in annotations:
        return None
    fix = (
        "Restore the annotation. If you cannot, delete the ApplicationSet with `kubectl delete --cascade=orphan`:"
        " previews keep running, and Greenroom creates the specs again."
    )
    where = f"The annotation {ROWS} of the ApplicationSet {metadata['name']}"
    return unpacked(PreviewSet, annotations.get(ROWS, ""), where, fix)
