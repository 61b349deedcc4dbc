"""`needs/NAME.yaml`: the platform team's own objects, for needs that Greenroom has no kind for.

An object is rejected with a sentence if Kubernetes would reject it in a preview's namespace (pod security
"restricted"), if it would leave the namespace, or if it would interfere with Greenroom's own labels.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from greenroom.config import reading
from greenroom.config.yaml_loader import Unreadable, documents, unreadable
from greenroom.errors import Mistake

KINDS = {"ConfigMap": "v1", "Service": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1"}
MAX_BYTES = 20_000
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")

Wrong = tuple[str, str]


def read(folder: Path, name: str) -> tuple[tuple[str, ...], list[Mistake]]:
    """Return the objects of a manifest as canonical JSON, and its mistakes. `name` is relative to the folder."""
    try:
        content = reading.regular(folder / name, MAX_BYTES)
    except FileNotFoundError:
        return (), [
            Mistake(name, "", "the file does not exist.", "Create the file, or name another file under `manifest:`.")
        ]
    except OSError as error:
        return (), [unreadable(name, error)]
    if len(content) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES} bytes, the limit for a manifest."
        return (), [
            Mistake(
                name,
                "",
                message,
                "Remove everything that a preview does not need. Each preview stores the whole manifest.",
            )
        ]
    try:
        found = [o for o in documents(content, name) if o is not None]
    except Unreadable as error:
        return (), [error.mistake]
    mistakes = [Mistake(name, _called(o), *wrong) for o in found for wrong in _wrong(o)]
    if not found:
        mistakes.append(Mistake(name, "", "contains no objects.", "Write a Deployment and a Service."))
    return () if mistakes else tuple(_canonical(o) for o in found), mistakes


def names(objects: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of each object, and the name label of a workload's pods where it differs."""
    for found in map(json.loads, objects):
        yield found["kind"], found["metadata"]["name"]
        label = _at(found, "spec", "template", "metadata", "labels").get("app.kubernetes.io/name")
        if label and label != found["metadata"]["name"]:
            yield "Pod", label


def _wrong(found: Any) -> Iterator[Wrong]:
    """Yield the message and the fix for each problem of one object. Check nothing else after a wrong shape."""
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        yield "is not a Kubernetes object.", "Write `apiVersion:`, `kind:` and `metadata:`, with `---` between objects."
        return
    if not _is_json(found):
        yield "contains a date or a key that JSON cannot represent.", "Put it in quotes."
        return
    kind, metadata = found.get("kind"), found["metadata"]
    if not isinstance(kind, str) or found.get("apiVersion") != KINDS.get(kind):
        said = f"{found.get('apiVersion')} {kind}"
        yield f"{said} is not allowed in a manifest.", f"Use one of: {', '.join(f'{v} {k}' for k, v in KINDS.items())}."
        return
    if not isinstance(metadata.get("name"), str) or not _NAME.fullmatch(metadata["name"]):
        yield (
            f"metadata.name: {metadata.get('name')!r} is not a valid name.",
            "Use up to 52 lowercase letters, digits and `-`, starting with a letter and not ending with `-`.",
        )
    yield from _metadata(metadata, "metadata")
    if kind == "Service":
        yield from _service(_at(found, "spec"))
    if kind in ("Deployment", "StatefulSet"):
        yield from _metadata(_at(found, "spec", "template", "metadata"), "spec.template.metadata")
        yield from _pod(_at(found, "spec", "template", "spec"))


def _metadata(metadata: dict[str, Any], where: str) -> Iterator[Wrong]:
    if "namespace" in metadata:
        yield f"{where}.namespace is set, but each preview has its own namespace.", "Remove it."
    for key in sorted(set(metadata) - {"name", "labels", "annotations", "namespace"}):
        yield f"{where}.{key} is not allowed in a manifest.", "Use only `name`, `labels` and `annotations`."
    for part in ("labels", "annotations"):
        for key, value in _at(metadata, part).items():
            domain = str(key).rpartition("/")[0]
            if domain.endswith(("greenroom.dev", "argocd.argoproj.io", "helm.sh")):
                yield f"{where}.{part}: {key} is reserved in previews.", "Remove it."
            elif not isinstance(value, str):
                yield f"{where}.{part}.{key}: {value!r} is not a string.", f'Quote it: "{value}".'


def _service(spec: dict[str, Any]) -> Iterator[Wrong]:
    if spec.get("type", "ClusterIP") != "ClusterIP" or "externalIPs" in spec:
        yield "the Service would be reachable from outside the preview.", "Remove `type` and `externalIPs`."
    ports = spec.get("ports")
    if not isinstance(ports, list) or not ports or not all(isinstance(p, dict) and "port" in p for p in ports):
        yield "the Service has no ports, so nothing can call it.", "Add `ports: [{port: 8025}]`."


def _pod(spec: dict[str, Any]) -> Iterator[Wrong]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{key} is set, which gives the pod access outside its preview.", "Remove it."
    for volume in _list(spec, "volumes"):
        for key in sorted(set(volume) - {"name"} - VOLUMES):
            yield f"the volume {volume.get('name')} has the type {key}, which previews do not support.", "Use emptyDir."
    containers = [*_list(spec, "initContainers"), *_list(spec, "containers")]
    if not _list(spec, "containers"):
        yield "spec.template.spec has no containers.", "Add a container with `name:` and `image:`."
    for container in containers:
        for what, fix in _container(container, _at(spec, "securityContext")):
            yield f"the container {container.get('name')}: {what}", fix


def _container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[Wrong]:
    security = _at(container, "securityContext")
    both = {**pod, **security}
    capabilities = _at(security, "capabilities")
    resources = _at(container, "resources")
    if "memory" in _at(resources, "requests") and "memory" not in _at(resources, "limits"):
        yield (
            "requests memory without a memory limit.",
            "Add a limit at least as large as the request: `resources: {limits: {memory: ...}}`.",
        )
    if security.get("privileged"):
        yield "is privileged.", "Remove `privileged`."
    if any(p.get("hostPort") for p in _list(container, "ports")):
        yield "uses a port on the node.", "Remove `hostPort`."
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root.", "Add `securityContext: {runAsNonRoot: true, runAsUser: 1000}` to the container."
    if _at(both, "seccompProfile").get("type") not in ("RuntimeDefault", "Localhost"):
        yield (
            "does not have the seccomp profile RuntimeDefault or Localhost.",
            "Add `securityContext: {seccompProfile: {type: RuntimeDefault}}` to the container.",
        )
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges.", "Add `securityContext: {allowPrivilegeEscalation: false}` to the container."
    if capabilities.get("drop") != ["ALL"]:
        yield "keeps capabilities.", "Add `securityContext: {capabilities: {drop: [ALL]}}` to the container."
    if set(_names(capabilities, "add")) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities.", "Remove all except NET_BIND_SERVICE from `capabilities.add`."


def _at(found: Any, *path: str) -> dict[str, Any]:
    """Return the mapping at a path; empty if there is none."""
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _list(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = found.get(key)
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _names(found: dict[str, Any], key: str) -> list[str]:
    value = found.get(key)
    return [str(v) for v in value] if isinstance(value, list) else []


def _called(found: Any) -> str:
    kind = found.get("kind") if isinstance(found, dict) else ""
    return f"{kind or 'object'}/{_at(found, 'metadata').get('name', '?')}"


def _is_json(found: Any) -> bool:
    try:
        return bool(json.loads(_canonical(found)) == found)
    except (TypeError, ValueError):
        return False


def _canonical(found: Any) -> str:
    return json.dumps(found, sort_keys=True, separators=(",", ":"), allow_nan=False)
