"""One ApplicationSet for each repository: what it says, and the row set that it carries.

The row set (rows, ledger, generation) is an annotation of the ApplicationSet, so that rows and ledger change together,
in the one place that Argo CD and every restart of ours see. A preview's own row is an annotation of its Application:
what Argo CD has really taken over.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from greenroom.argocd.kube import Object
from greenroom.core import codec
from greenroom.core.catalogue import Service
from greenroom.core.model import Identity, RowSet
from greenroom.core.rows import Row
from greenroom.core.text import plain
from greenroom.errors import Doubt, Full

T = TypeVar("T")


class Unreadable(Doubt):
    """An object of ours does not hold what we wrote: nothing of it is changed, and others go on."""


MANAGED = "app.kubernetes.io/managed-by"
INSTALLATION = "greenroom.dev/installation"
REPOSITORY = "greenroom.dev/repository"
REPOSITORY_ID = "greenroom.dev/repository-id"
NUMBER = "greenroom.dev/number"
ROWS = "greenroom.dev/rows"
ROW = "greenroom.dev/row"
GENERATION = "greenroom.dev/generation"
RENDERED = "greenroom.dev/rendered"
REFRESH = "argocd.argoproj.io/application-set-refresh"
FINALIZER = "resources-finalizer.argocd.argoproj.io"
REQUEUE_SECONDS = 180
MAX_ANNOTATION = 240_000  # Kubernetes takes 256 KiB for all annotations of an object together
RESERVE = 10_000  # for the ledger of what goes, when nothing more fits
SHARED = "shared"
CANARY = "canary"
RELEASE = "preview"
"""Helm's release name of every preview. By default Argo CD uses the Application's name, which may have 63 characters;
Helm rejects more than 53. https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-release-name"""
SYNC = {"applicationsSync": "create-update"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What every ApplicationSet of an installation has in common."""

    installation: str
    prefix: str
    namespace: str
    project: str
    destination: str
    chart: str
    plugin: str

    def name(self, repository: str) -> str:
        """The name of a repository's ApplicationSet."""
        return f"{self.prefix}-{repository}"

    @property
    def canary(self) -> str:
        """The name of the canary's ApplicationSet and of its Application; no repository can have it."""
        return f"{self.prefix}--{CANARY}"

    def labels(self) -> dict[str, str]:
        """The labels of everything that is ours."""
        return {MANAGED: "greenroom", INSTALLATION: self.installation}


def packed(value: object) -> str:
    """A value as text for an annotation."""
    return _text(codec.dumped(value))


def packed_set(rows: RowSet) -> str:
    """A row set as text. What rows share stands in it once, under its hash: services, and the chart's settings.

    Compression alone would not do: it sees no likeness over more than 32 KiB. https://www.rfc-editor.org/rfc/rfc1951
    """
    shared: dict[str, Any] = {}
    keys: dict[Service | str, str] = {}

    def key(part: Service | str) -> str:
        if part not in keys:
            value = codec.dumped(part)
            keys[part] = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
            shared[keys[part]] = value
        return keys[part]

    data = codec.dumped(replace(rows, rows={n: replace(row, services=()) for n, row in rows.rows.items()}))
    for number, row in rows.rows.items():
        data["rows"][str(number)] |= {"services": [key(s) for s in row.services], "settings": key(row.settings)}
    return _text({**data, SHARED: shared})


def _whole(data: Any) -> Any:
    """What `packed_set` took apart, together again; what an older version packed has nothing apart."""
    if not isinstance(data, dict) or SHARED not in data:
        return data
    try:
        shared = data.pop(SHARED)
        for row in data["rows"].values():
            row |= {"services": [shared[key] for key in row["services"]], "settings": shared[row["settings"]]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"something that rows share is missing: {error!r}") from None
    return data


def _text(data: object) -> str:
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(kind: type[T], text: str, where: str, fix: str = "Put it back.") -> T:
    """The value again. Raises `Unreadable` when somebody changed it, or another version wrote it."""
    try:
        return codec.loaded(kind, _whole(json.loads(zlib.decompress(base64.b64decode(text, validate=True)))))
    except (binascii.Error, zlib.error, ValueError) as error:
        why = plain(str(error), 100)
        sentence = f"{where} does not hold what Greenroom wrote there ({why}); nothing of it is changed. {fix}"
        raise Unreadable(sentence) from None


def source(chart: str) -> dict[str, str]:
    """Where Argo CD finds the preview chart: an OCI registry, or a path in git after `//`.

    https://argo-cd.readthedocs.io/en/stable/user-guide/helm/
    """
    if chart.startswith("oci://"):
        repository, _, name = chart.removeprefix("oci://").rpartition("/")
        return {"repoURL": repository, "chart": name}
    scheme, _, rest = chart.partition("://")
    repository, _, path = rest.partition("//")
    return {"repoURL": f"{scheme}://{repository}", "path": path}


def application_set(frame: Frame, rows: RowSet, *, grows: bool = True) -> Object:
    """The ApplicationSet of one repository, with its row set and a wish to be refreshed. Raises `Full`.

    One that does not grow, because rows only go, may use the reserve.
    """
    text = packed_set(rows)
    if len(text) > MAX_ANNOTATION + (0 if grows else RESERVE):
        raise Full(
            f"The rows of {rows.repository} are {len(text)} bytes, more than an annotation holds ({MAX_ANNOTATION})."
            " Lower `limits.perRepository`, or make the manifests of its services smaller."
        )
    labels = {**frame.labels(), REPOSITORY: rows.repository, REPOSITORY_ID: str(rows.repository_id)}
    annotations = {ROWS: text, GENERATION: str(rows.generation), REFRESH: str(rows.generation)}
    return _application_set(frame, frame.name(rows.repository), labels, annotations, _template(frame))


def over(body: Object, version: str) -> Object:
    """An object as it is written over that version of itself, and over no other."""
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}


def canary_set(frame: Frame, generation: int) -> Object:
    """The set whose one Application proves that Argo CD's own policy lets rows go without deleting anything."""
    template = _template(frame)
    template["spec"] = {**template["spec"], "syncPolicy": {}}
    annotations = {GENERATION: str(generation), REFRESH: str(generation)}
    template["metadata"] = {"name": "{{ .name }}", "labels": frame.labels()}
    return _application_set(frame, frame.canary, frame.labels(), annotations, template)


def canary_row(frame: Frame, version: str) -> Object:
    """The canary's row. Its Application is never synced, so nothing exists in the namespace that it names."""
    name = frame.canary
    return {"name": name, "namespace": name, "chartVersion": version or "0", "values": {}, "row": ""}


def _application_set(
    frame: Frame, name: str, labels: dict[str, str], annotations: dict[str, str], template: Object
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
            # A row that is missing deletes nothing: removal is Greenroom's, one by one.
            "syncPolicy": SYNC,
            # A link that a person changed in Argo CD stays.
            "ignoreApplicationDifferences": [{"jsonPointers": ["/spec/source/helm/parameters"]}],
            "template": template,
        },
    }


def _template(frame: Frame) -> Object:
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


def application_spec(frame: Frame) -> Object:
    """The spec of a preview's Application, with the fields of a row as template parameters."""
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
            # Argo CD's own retries go on with the old values while newer ones wait; another nonce tries again instead.
            "retry": {"limit": 0},
            "syncOptions": ["RespectIgnoreDifferences=true"],
        },
        "ignoreDifferences": [
            # Passwords are made once in the cluster; another rendering must not replace them.
            {"group": "", "kind": "Secret", "jsonPointers": ["/data", "/stringData"]},
            # A volume keeps the size and class that it was made with; Kubernetes refuses any change of this.
            {"group": "apps", "kind": "StatefulSet", "jsonPointers": ["/spec/volumeClaimTemplates"]},
        ],
        "revisionHistoryLimit": 2,
    }


def made_of(found: Object) -> str:
    """What no row says of the Applications of a set: the chart, the cluster and the project, for people to read."""
    spec = found["spec"]["template"]["spec"]
    source = spec.get("source") or {}
    chart = "/".join(source[key] for key in ("repoURL", "chart", "path") if source.get(key))
    return f"{chart} in {(spec.get('destination') or {}).get('name', '')}, project {spec.get('project', '')}"


def identity_of(found: Object) -> Identity | None:
    """Which preview an object's labels name, or None when they name none."""
    labels = (found.get("metadata") or {}).get("labels") or {}
    try:
        return Identity(int(labels[REPOSITORY_ID]), int(labels[NUMBER]))
    except (KeyError, ValueError):
        return None


def repository_id_of(found: Object) -> int:
    """GitHub's id of the repository that an object's labels name; 0 when they name none."""
    text = str(((found.get("metadata") or {}).get("labels") or {}).get(REPOSITORY_ID, ""))
    return int(text) if text.isdecimal() else 0


def repository_of(found: Object) -> str:
    """The short name of the repository that an object's labels name; empty when they name none."""
    return str(((found.get("metadata") or {}).get("labels") or {}).get(REPOSITORY, ""))


def generation_of(found: Object) -> int:
    """The generation that an ApplicationSet says beside its rows; 0 when it says none."""
    text = str((found["metadata"].get("annotations") or {}).get(GENERATION, ""))
    return int(text) if text.isdecimal() else 0


def row_of(application: Object) -> Row:
    """The row that Argo CD has taken over for this Application. Raises `Unreadable`."""
    metadata = application["metadata"]
    text = (metadata.get("annotations") or {}).get(ROW, "")
    fix = "Put it back, or delete the Application if nobody wants that preview; Argo CD writes it anew if it is served."
    return unpacked(Row, text, f"The annotation {ROW} of the Application {metadata['name']}", fix)


def carries(found: Object, rows: RowSet) -> bool:
    """Whether an ApplicationSet holds these rows, and still deletes nothing by itself."""
    try:
        return rows_of(found) == rows and found["spec"].get("syncPolicy") == SYNC
    except Doubt:
        return False


def rows_of(found: Object) -> RowSet:
    """The row set that an ApplicationSet of ours carries. Raises `Unreadable`."""
    metadata = found["metadata"]
    text = (metadata.get("annotations") or {}).get(ROWS, "")
    fix = (
        "Put it back; if that cannot be, delete the ApplicationSet with `--cascade=orphan`: previews run on, and rows"
        " are made anew."
    )
    return unpacked(RowSet, text, f"The annotation {ROWS} of the ApplicationSet {metadata['name']}", fix)
