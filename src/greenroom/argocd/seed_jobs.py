"""The two Jobs that build the image of a seed, as Kubernetes objects. Pure.

A dump is code: PostgreSQL runs its functions while it restores it. So it is restored in a pod of its own (`bake`) that
has no credentials and cannot open connections. A second pod (`courier`) has the credentials. It checks the dump, sends
it to the first pod, fetches the packed layer, and pushes it. The courier never runs anything from the dump.
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.argocd.applicationset import MANAGED
from greenroom.argocd.client import Object
from greenroom.core.model.codec import dumped
from greenroom.core.model.kinds import KINDS
from greenroom.core.model.seeds import SeedBuild

SEED, ROLE = "greenroom.dev/seed", "greenroom.dev/seed-role"
OWNER = "greenroom.dev/builds-seeds-for"
"""Label of seed builds. Not the preview label: objects with that label are watched and searched for orphans."""
PORT = 8080
DEADLINE = 20 * 60
KEPT = 10 * 60
"""Seconds for which a finished Job is kept. After that, a failed build is retried."""
DISK = "20Gi"
"""Size limit of each volume. It has room for a dump of 5 GB, the restored data and the image layer.

A function in a dump may never stop writing, and a node with a full disk would evict the databases of previews.
"""
# The agent reads the report once the script has ended, however it ended. A build that is given up has no data folder.
BAKE = """until [ -e $WORK/go ]; do
  [ ! -e $WORK/bake.sh ] || [ -d $WORK/data ] || exit 1
  sleep 0.1
done
code=0
sh $WORK/bake.sh --work $WORK/data "$@" || code=$?
echo $code >$WORK/exit.draft
mv $WORK/exit.draft $WORK/exit
exit $code
"""
_JOB_UID = "metadata.labels['batch.kubernetes.io/controller-uid']"
_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Settings of the Jobs that build seeds. `image` is Greenroom's own image, `secret` has the courier's credentials.

    `github` is the URL of GitHub's API, and `insecure` the registries that use plain HTTP.
    """

    installation: str
    namespace: str
    image: str
    secret: str
    github: str
    insecure: tuple[str, ...] = ()
    pull_secrets: tuple[str, ...] = ()

    def labels(self, key: str, role: str) -> dict[str, str]:
        """Return the labels of the objects of a build."""
        return {MANAGED: "greenroom", OWNER: self.installation, SEED: key, ROLE: role}


def name_of(key: str) -> str:
    """Return the name of the bake Job and its Service."""
    return f"seed-{key}"


def service(build: SeedBuild, settings: BuildSettings, owner: Object) -> Object:
    """Return the Service under which the courier finds the bake pod. It is deleted with the Job `owner`."""
    metadata = _metadata(build, settings, "bake")
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": owner["metadata"]["name"]}
    metadata["ownerReferences"] = [{**reference, "uid": owner["metadata"]["uid"]}]
    spec = {
        "selector": {SEED: build.key, ROLE: "bake", OWNER: settings.installation},
        "ports": [{"name": "http", "port": PORT, "targetPort": PORT}],
        "publishNotReadyAddresses": True,
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def bake(build: SeedBuild, settings: BuildSettings) -> Object:
    """Return the Job that restores the dump. Its uid is the token that its agent expects from the courier."""
    work = [{"name": "work", "mountPath": "/work"}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    common = {"securityContext": _RESTRICTED | {"readOnlyRootFilesystem": True}, "volumeMounts": work}
    extensions = [word for name in build.inputs.extensions for word in ("--extension", name)]
    agent = {
        "name": "agent",
        "image": settings.image,
        "args": ["seed", "agent", "--work", "/work", "--port", str(PORT), "--kind", build.inputs.kind],
        "env": [{"name": "GREENROOM_SEED_TOKEN", "valueFrom": {"fieldRef": {"fieldPath": _JOB_UID}}}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        **common,
    }
    database = {
        "name": "database",
        "image": build.inputs.base,
        "command": ["sh", "-c", BAKE, "bake", *extensions],
        "env": [{"name": "WORK", "value": "/work"}],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        **common,
    }
    user = KINDS[build.inputs.kind].chart.user
    return _job(build, settings, "bake", [agent, database], user, ["work", "tmp"])


def courier(build: SeedBuild, settings: BuildSettings, bake_job: Object) -> Object:
    """Return the Job that sends the dump and pushes the image. Its termination message says why it failed."""
    # Optional, because a pod without its Secret would never start, and so never say what is missing.
    secret = {"name": settings.secret, "optional": True}
    env = [
        {"name": "GREENROOM_SEED_BUILD", "value": json.dumps(dumped(build), sort_keys=True)},
        {"name": "GREENROOM_SEED_TOKEN", "value": bake_job["metadata"]["uid"]},
        {"name": "GREENROOM_GITHUB_TOKEN", "valueFrom": {"secretKeyRef": {**secret, "key": "github-token"}}},
        {"name": "GREENROOM_GITHUB_API", "value": settings.github},
        {"name": "DOCKER_CONFIG", "value": "/credentials"},
    ]
    insecure = [word for host in settings.insecure for word in ("--insecure", host)]
    container = {
        "name": "courier",
        "image": settings.image,
        "args": ["seed", "courier", f"http://{name_of(build.key)}.{settings.namespace}:{PORT}", *insecure],
        "env": env,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": _RESTRICTED | {"readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "credentials", "mountPath": "/credentials", "readOnly": True},
        ],
    }
    made = _job(build, settings, "courier", [container], 65532, ["tmp"])
    items = [{"key": "docker-config", "path": "config.json"}]
    made["spec"]["template"]["spec"]["volumes"].append(
        {"name": "credentials", "secret": {"secretName": settings.secret, "items": items, "optional": True}}
    )
    return made


def _metadata(build: SeedBuild, settings: BuildSettings, role: str) -> Object:
    name = name_of(build.key) if role == "bake" else f"{name_of(build.key)}-{role}"
    return {"name": name, "namespace": settings.namespace, "labels": settings.labels(build.key, role)}


def _job(
    build: SeedBuild,
    settings: BuildSettings,
    role: str,
    containers: list[Mapping[str, object]],
    user: int,
    volumes: list[str],
) -> Object:
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
        "volumes": [{"name": name, "emptyDir": {"sizeLimit": DISK}} for name in volumes],
    }
    if settings.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(build, settings, role),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE,
            "ttlSecondsAfterFinished": KEPT,
            "template": {"metadata": {"labels": settings.labels(build.key, role)}, "spec": pod},
        },
    }
