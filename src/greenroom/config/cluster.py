"""The part of greenroom.yaml that concerns Argo CD and Kubernetes: what the preview chart is given as `settings`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from greenroom.config.addresses import url
from greenroom.config.fields import NAME, Bytes, Cpu, Model

Peers = tuple[dict[str, Any], ...]
_PEER = {"podSelector", "namespaceSelector", "ipBlock"}
_TOLERATION = {"key", "operator", "value", "effect", "tolerationSeconds"}
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute", "")


def _peers(value: Peers) -> Peers:
    for peer in value:
        if not peer or set(peer) - _PEER or not all(isinstance(v, dict) for v in peer.values()):
            shown = json.dumps(peer, default=str)
            raise ValueError(f"{shown} is no NetworkPolicy peer. Use podSelector, namespaceSelector or ipBlock.")
        if "ipBlock" in peer:
            _block(peer, peer["ipBlock"])
    return value


def _block(peer: dict[str, Any], block: dict[str, Any]) -> None:
    inner = block.get("except", [])
    if len(peer) > 1 or set(block) - {"cidr", "except"} or "cidr" not in block or not isinstance(inner, list):
        shown = json.dumps(peer, default=str)
        raise ValueError(f"{shown} is no block of addresses. Write `ipBlock: {{cidr: 10.1.0.0/16}}`, alone.")
    _ranges((block["cidr"], *inner))


def _ranges(value: tuple[Any, ...]) -> tuple[Any, ...]:
    for each in value:
        try:
            ip_network(each if isinstance(each, str) and "/" in each else "", strict=False)
        except ValueError:
            raise ValueError(f"{each!r} is no range of addresses. Write it as 10.1.0.0/16 or fd00::/8.") from None
    return value


class GatewayModel(Model):
    """The Gateway that routes attach to."""

    name: str = Field("", description="Its name.")
    namespace: str = Field("", description="Its namespace.")


class IngressModel(Model):
    """How people reach previews in a cluster."""

    kind: Literal["ingress", "gateway"] = Field("ingress", description="Ingress objects, or HTTPRoutes of a Gateway.")
    class_name: str = Field("", description="The IngressClass; the cluster's default when empty.")
    annotations: dict[str, str] = Field({}, description="Annotations of each Ingress, such as for noindex or a login.")
    gateway: GatewayModel = Field(GatewayModel(), description="For `kind: gateway`.")
    sources: Peers = Field((), alias="from", description="NetworkPolicy peers that may call web ports.")
    probe: str = Field(
        "public",
        description="`public` asks the address itself; http://HOST[:PORT] asks there with the Host header; `none`.",
    )

    _from = field_validator("sources")(_peers)

    @model_validator(mode="after")
    def _whole(self) -> IngressModel:
        if self.kind == "gateway" and not (self.gateway.name and self.gateway.namespace):
            raise ValueError("kind is gateway, but no Gateway is named. Add `gateway: {name: ..., namespace: ...}`.")
        if self.probe not in ("public", "none") and not _bare(self.probe):
            raise ValueError(f"probe: {self.probe!r} is neither `public`, `none` nor http://HOST.")
        return self


def _bare(value: str) -> bool:
    """Whether that is a URL of a host and nothing below it."""
    try:
        return bool(re.fullmatch(r"https?://[^/?#\s]+", url(value)))
    except ValueError:
        return False


class NetworkModel(Model):
    """What previews may reach, beside their own namespace and the internet without private ranges."""

    dns: Peers = Field(
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},),
        description="Where DNS is; NodeLocal DNS needs an ipBlock.",
    )
    denied: tuple[str, ...] = Field((), description="Further CIDR ranges that are closed.")
    allowed: Peers = Field((), description="Peers that are open all the same.")

    _denied = field_validator("denied")(_ranges)
    _peers = field_validator("dns", "allowed")(_peers)


class QuotaModel(Model):
    """The most that one preview may ask for."""

    cpu: Cpu = Field("8", description="CPU requests.")
    memory: Bytes = Field("16Gi", description="Memory requests and limits.")
    pods: int = Field(40, ge=1, description="Pods.")
    storage: Bytes = Field("20Gi", description="Storage requests.")


class DefaultsModel(Model):
    """What a process asks for that says nothing."""

    cpu: Cpu = Field("50m", description="Requested CPU.")
    memory: Bytes = Field("128Mi", description="Requested memory.")
    memory_limit: Bytes = Field("512Mi", description="The most memory.")


class StorageModel(Model):
    """The volumes of needs with persistent storage."""

    class_name: str = Field("", description="Their storage class; the cluster's default one when empty.")
    size: Bytes = Field("5Gi", description="How large they are where the need says nothing.")


class ExternalSecretsModel(Model):
    """A store of the External Secrets operator for the names in `envFrom`."""

    store: str = Field("", description="Its name; empty: Secrets come from elsewhere.")
    kind: Literal["ClusterSecretStore", "SecretStore"] = Field("ClusterSecretStore", description="Its kind.")


class SchedulingModel(Model):
    """Where preview pods run."""

    spot: Literal["preferred", "required", "never"] = Field("preferred", description="Use of spot capacity.")
    preset: Literal["none", "eks", "karpenter", "gke", "aks"] = Field("none", description="Whose spot labels.")
    node_selector: dict[str, str] = Field({}, description="Further node labels that are demanded.")
    tolerations: tuple[dict[str, str | int], ...] = Field((), description="Further taints that are tolerated.")
    priority_class: str = Field("", description="The PriorityClass of previews.")

    @field_validator("tolerations")
    @classmethod
    def _tolerated(cls, value: tuple[dict[str, str | int], ...]) -> tuple[dict[str, str | int], ...]:
        for each in value:
            wrong = [k for k, v in each.items() if isinstance(v, int) != (k == "tolerationSeconds")]
            if wrong or set(each) - _TOLERATION:
                first = (wrong or sorted(set(each) - _TOLERATION))[0]
                raise ValueError(f"{first!r} of a toleration is wrong. Write {{key: spot, value: 'true'}}, in quotes.")
            if each.get("operator", "") not in ("Equal", "Exists", "") or each.get("effect", "") not in _EFFECTS:
                raise ValueError(
                    f"{json.dumps(each)}: the operator is Equal or Exists; the effect is NoSchedule, PreferNoSchedule"
                    " or NoExecute. Write one of these."
                )
        return value


class ReaderModel(Model):
    """The ServiceAccount that may read logs in previews."""

    namespace: str = Field("", description="Its namespace.")
    service_account: str = Field("", description="Its name; empty: logs are not read.")


class ArgoCDModel(Model):
    """Where Argo CD is and what its Applications use."""

    namespace: str = Field("argocd", pattern=NAME, description="Argo CD's namespace.")
    project: str = Field("greenroom-previews", pattern=NAME, description="The AppProject of previews.")
    destination: str = Field("in-cluster", description="The destination cluster's name in Argo CD.")
    chart: str = Field("", description="The preview chart: oci://HOST/PATH/preview, or a git URL, `//` and the path.")
    chart_version: str = Field("", description="Its fixed version: an OCI tag, or a git tag or commit.")
    plugin: str = Field(
        "greenroom-plugin", pattern=NAME, description="The ConfigMap that tells Argo CD where we answer."
    )
    kubeconfig: str = Field("", description="A file for reaching Argo CD's cluster; empty: this pod's own cluster.")
    previews_kubeconfig: str = Field("", description="A file for reading the previews' cluster, when that is another.")
    sweep: Literal["report", "delete"] = Field("report", description="What the hourly sweep does with orphans.")

    @field_validator("chart")
    @classmethod
    def _address(cls, value: str) -> str:
        image = re.fullmatch(r"oci://[^/\s]+(/[^/\s]+)+", value)
        path = re.fullmatch(r"(https?|ssh|git|file)://(?!.*//.*//)[^\s]*[^/\s]//[^/\s]([^\s]*[^/\s])?", value)
        if value and not image and not (path and ".." not in value.split("/")):
            raise ValueError(
                f"{value!r} is no chart address. Write oci://HOST/PATH/preview, or a git URL with the path after `//`:"
                " https://github.com/acme/platform.git//charts/preview."
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
    """The chart's `settings` as canonical JSON: a row carries them until its next push.

    What says nothing is left out where it came later: an upgrade must not look like a change of the settings.
    """
    route = ingress.model_dump(by_alias=True, exclude={"probe"})
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
