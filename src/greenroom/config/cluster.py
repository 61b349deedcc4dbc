"""The part of greenroom.yaml about Argo CD and Kubernetes, including the `settings` of the preview chart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_network
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from greenroom.config.addresses import url
from greenroom.config.fields import NAME, Bytes, Cpu, Duration, Model

Peers = tuple[dict[str, Any], ...]
_PEER = {"podSelector", "namespaceSelector", "ipBlock"}
_TOLERATION = {"key", "operator", "value", "effect", "tolerationSeconds"}
DRAIN = timedelta(seconds=3)
"""The chart's own default."""
LONGEST_DRAIN = timedelta(minutes=10)
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute", "")


def _peers(value: Peers) -> Peers:
    for peer in value:
        if not peer or set(peer) - _PEER or not all(isinstance(v, dict) for v in peer.values()):
            shown = json.dumps(peer, default=str)
            raise ValueError(
                f"{shown} is not a valid NetworkPolicy peer. Use podSelector, namespaceSelector or ipBlock."
            )
        if "ipBlock" in peer:
            _block(peer, peer["ipBlock"])
    return value


def _block(peer: dict[str, Any], block: dict[str, Any]) -> None:
    inner = block.get("except", [])
    if len(peer) > 1 or set(block) - {"cidr", "except"} or "cidr" not in block or not isinstance(inner, list):
        shown = json.dumps(peer, default=str)
        raise ValueError(
            f"{shown} is not a valid ipBlock. Write `ipBlock: {{cidr: 10.1.0.0/16}}` and no other selector."
        )
    _ranges((block["cidr"], *inner))


def _ranges(value: tuple[Any, ...]) -> tuple[Any, ...]:
    for each in value:
        try:
            ip_network(each if isinstance(each, str) and "/" in each else "", strict=False)
        except ValueError:
            raise ValueError(f"{each!r} is not a valid IP range. Write it as 10.1.0.0/16 or fd00::/8.") from None
    return value


class GatewayModel(Model):
    """The Gateway that the HTTPRoutes of previews attach to."""

    name: str = Field("", description="The name of the Gateway.")
    namespace: str = Field("", description="The namespace of the Gateway.")


class IngressModel(Model):
    """Routing of traffic to previews in a cluster."""

    kind: Literal["ingress", "gateway"] = Field(
        "ingress", description="Whether previews get Ingress objects, or HTTPRoutes that attach to a Gateway."
    )
    class_name: str = Field("", description="The IngressClass. If empty, the cluster's default.")
    annotations: dict[str, str] = Field({}, description="Annotations for each Ingress, for example to require a login.")
    gateway: GatewayModel = Field(GatewayModel(), description="The Gateway for `kind: gateway`.")
    drain: Duration = Field(
        "3s",
        validate_default=True,
        description="How long a web process that is stopping keeps serving before it receives SIGTERM. See"
        " docs/kubernetes.md.",
    )
    sources: Peers = Field((), alias="from", description="NetworkPolicy peers that may connect to web ports.")
    probe: str = Field(
        "public",
        description=(
            "Where Greenroom sends requests to check that a preview responds: `public` for the public address, or"
            " http://HOST[:PORT] for that host, with the preview's Host header. `none` disables the check."
        ),
    )

    _from = field_validator("sources")(_peers)

    @field_validator("drain")
    @classmethod
    def _short(cls, value: timedelta) -> timedelta:
        if value > LONGEST_DRAIN:
            raise ValueError("is longer than 10 min, and every removal would take that long. Write at most `10m`.")
        return value

    @model_validator(mode="after")
    def _whole(self) -> IngressModel:
        if self.kind == "gateway" and not (self.gateway.name and self.gateway.namespace):
            raise ValueError(
                "`kind: gateway` needs the name and namespace of a Gateway. Add `gateway: {name: ..., namespace: ...}`."
            )
        if self.probe not in ("public", "none") and not _bare(self.probe):
            raise ValueError(f"probe: {self.probe!r} is not valid. Write `public`, `none` or http://HOST.")
        return self


def _bare(value: str) -> bool:
    """Return whether a value is an http(s) URL of a host without a path, query or fragment."""
    try:
        return bool(re.fullmatch(r"https?://[^/?#\s]+", url(value)))
    except ValueError:
        return False


class NetworkModel(Model):
    """Targets that previews may reach in addition to their own namespace and public internet addresses."""

    dns: Peers = Field(
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},),
        description="NetworkPolicy peers that previews may send DNS queries to. NodeLocal DNS needs an `ipBlock`.",
    )
    denied: tuple[str, ...] = Field((), description="Additional CIDR ranges that previews cannot reach.")
    allowed: Peers = Field(
        (), description="NetworkPolicy peers that previews can reach, even in a private or denied range."
    )

    _denied = field_validator("denied")(_ranges)
    _peers = field_validator("dns", "allowed")(_peers)


class QuotaModel(Model):
    """The resource quota of one preview."""

    cpu: Cpu = Field("8", description="The limit on total CPU requests.")
    memory: Bytes = Field("16Gi", description="The limit on total memory requests, and on total memory limits.")
    pods: int = Field(40, ge=1, description="The maximum number of pods.")
    storage: Bytes = Field("20Gi", description="The limit on total storage requests.")


class DefaultsModel(Model):
    """Default resources of processes."""

    cpu: Cpu = Field("50m", description="The requested CPU.")
    memory: Bytes = Field("128Mi", description="The requested memory.")
    memory_limit: Bytes = Field("512Mi", description="The memory limit.")


class StorageModel(Model):
    """The volumes of needs with persistent storage."""

    class_name: str = Field("", description="The storage class. If empty, the cluster's default.")
    size: Bytes = Field("5Gi", description="The default size of a volume.")


class ExternalSecretsModel(Model):
    """The store of the External Secrets operator that provides the Secrets in `envFrom`."""

    store: str = Field("", description="The name of the store. If empty, External Secrets is not used.")
    kind: Literal["ClusterSecretStore", "SecretStore"] = Field(
        "ClusterSecretStore", description="The kind of the store."
    )


class SchedulingModel(Model):
    """Placement of preview pods."""

    spot: Literal["preferred", "required", "never"] = Field(
        "preferred", description="Whether previews run on spot capacity."
    )
    preset: Literal["none", "eks", "karpenter", "gke", "aks"] = Field(
        "none",
        description="The cloud or autoscaler that provides the nodes. The preset determines which labels identify"
        " spot nodes.",
    )
    node_selector: dict[str, str] = Field({}, description="Additional node labels that preview pods require.")
    tolerations: tuple[dict[str, str | int], ...] = Field((), description="Additional tolerations of preview pods.")
    priority_class: str = Field("", description="The PriorityClass of preview pods.")

    @field_validator("tolerations")
    @classmethod
    def _tolerated(cls, value: tuple[dict[str, str | int], ...]) -> tuple[dict[str, str | int], ...]:
        for each in value:
            wrong = [k for k, v in each.items() if isinstance(v, int) != (k == "tolerationSeconds")]
            if wrong or set(each) - _TOLERATION:
                first = (wrong or sorted(set(each) - _TOLERATION))[0]
                raise ValueError(
                    f"{first!r} is not valid in a toleration. Write {{key: spot, value: 'true'}}, in quotes."
                )
            if each.get("operator", "") not in ("Equal", "Exists", "") or each.get("effect", "") not in _EFFECTS:
                raise ValueError(
                    f"{json.dumps(each)}: the operator must be Equal or Exists, and the effect must be"
                    " NoSchedule, PreferNoSchedule or NoExecute. Use one of these."
                )
        return value


class ReaderModel(Model):
    """The ServiceAccount that may read the logs of previews."""

    namespace: str = Field("", description="The namespace of the ServiceAccount.")
    service_account: str = Field("", description="The name of the ServiceAccount. If empty, logs are not read.")


class ArgoCDModel(Model):
    """The location of Argo CD, and the settings of its Applications."""

    namespace: str = Field("argocd", pattern=NAME, description="The namespace of Argo CD.")
    project: str = Field("greenroom-previews", pattern=NAME, description="The AppProject of previews.")
    destination: str = Field("in-cluster", description="The name of the destination cluster in Argo CD.")
    chart: str = Field(
        "", description="The preview chart: oci://HOST/PATH/preview, or a git URL followed by `//` and the path."
    )
    chart_version: str = Field("", description="The pinned version of the chart: an OCI tag, or a git tag or commit.")
    plugin: str = Field(
        "greenroom-plugin",
        pattern=NAME,
        description="The ConfigMap with the address of Greenroom's plugin for Argo CD.",
    )
    kubeconfig: str = Field(
        "",
        description="The kubeconfig file for Argo CD's cluster. If empty, Greenroom uses the cluster of its own pod.",
    )
    previews_kubeconfig: str = Field(
        "", description="The kubeconfig file for the previews' cluster. If empty, previews run in Argo CD's cluster."
    )
    object_namespace: str | None = Field(
        None, pattern=NAME, description="The namespace of the Preview objects. If empty, the namespace of Argo CD."
    )
    sweep: Literal["report", "delete"] = Field(
        "report",
        description="What the hourly sweep does with orphans: `report` only lists them, `delete` also deletes"
        " orphaned namespaces.",
    )

    @field_validator("chart")
    @classmethod
    def _address(cls, value: str) -> str:
        image = re.fullmatch(r"oci://[^/\s]+(/[^/\s]+)+", value)
        path = re.fullmatch(r"(https?|ssh|git|file)://(?!.*//.*//)[^\s]*[^/\s]//[^/\s]([^\s]*[^/\s])?", value)
        if value and not image and not (path and ".." not in value.split("/")):
            raise ValueError(
                f"{value!r} is not a valid chart address. Write oci://HOST/PATH/preview, or a git URL with the path"
                " after `//`: https://github.com/acme/platform.git//charts/preview."
            )
        return value


def chart_settings(
    ingress: IngressModel,
    network: NetworkModel,
    scheduling: SchedulingModel,
    quota: QuotaModel,
    defaults: DefaultsModel,
    secrets: ExternalSecretsModel,
    reader: ReaderModel,
    images: Mapping[str, str] | None = None,
    storage: StorageModel | None = None,
    pull_secrets: Sequence[str] = (),
) -> str:
    """Return the chart's `settings` as canonical JSON. A spec carries them until its next push.

    Parts that were added later are left out when they are empty or the chart's default: an upgrade must not look like a
    change of the settings.
    """
    route = ingress.model_dump(by_alias=True, exclude={"probe", "drain"})
    if ingress.drain != DRAIN:
        route["drainSeconds"] = int(ingress.drain.total_seconds())
    parts: dict[str, Any] = {
        "ingress": route,
        "network": network.model_dump(by_alias=True),
        "scheduling": scheduling.model_dump(by_alias=True),
        "quota": quota.model_dump(by_alias=True),
        "defaults": defaults.model_dump(by_alias=True),
        "externalSecrets": secrets.model_dump(by_alias=True),
        "reader": reader.model_dump(by_alias=True),
    }
    if images:
        parts["images"] = dict(images)
    if storage:
        parts["storage"] = storage.model_dump(by_alias=True)
    if pull_secrets:
        parts["imagePullSecrets"] = list(pull_secrets)
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))
