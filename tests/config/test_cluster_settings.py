"""What the platform team says about the cluster: taken only if the preview chart takes it, or refused with the fix."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from greenroom.config.cluster import (
    ArgoCDModel,
    DefaultsModel,
    ExternalSecretsModel,
    IngressModel,
    NetworkModel,
    QuotaModel,
    ReaderModel,
    SchedulingModel,
    StorageModel,
    chart_settings,
)
from greenroom.config.fields import Model

CHART = Path(__file__).parents[2] / "charts" / "preview" / "values.schema.json"
SCHEMA = json.loads(CHART.read_text())
MODELS: dict[str, type[Model]] = {
    "ingress": IngressModel,
    "network": NetworkModel,
    "scheduling": SchedulingModel,
    "quota": QuotaModel,
    "defaults": DefaultsModel,
    "externalSecrets": ExternalSecretsModel,
    "reader": ReaderModel,
}


def settings(**given: Any) -> str:
    made: Any = [model.model_validate(given.get(name, {})) for name, model in MODELS.items()]
    return chart_settings(*made)


def fits_the_chart(text: str) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate({"settings": json.loads(text)})


# --- the end of a process ---


def test_pause_before_a_process_ends_is_sent_only_if_it_is_not_the_default() -> None:
    """An upgrade to a version that knows it must not look like a change of the settings."""
    assert "drain" not in settings()
    assert "drain" not in settings(ingress={"drain": "3s"})
    for text, seconds in (("0s", 0), ("20s", 20), ("10m", 600)):
        made = settings(ingress={"drain": text})
        assert json.loads(made)["ingress"]["drainSeconds"] == seconds
        fits_the_chart(made)


def test_pause_that_would_hold_up_every_removal_is_refused() -> None:
    with pytest.raises(ValidationError, match="is longer than 10 min"):
        IngressModel.model_validate({"drain": "11m"})


# --- addresses ---


@pytest.mark.parametrize(
    "chart",
    [
        "",
        "oci://registry.example.com/charts/preview",
        "oci://registry.example.com:5000/preview",
        "https://github.com/acme/platform.git//charts/preview",
        "ssh://git@github.com/acme/platform.git//preview",
        "http://198.51.100.1:3000/acme/platform//p",
    ],
)
def test_charts_in_a_registry_or_in_git_are_taken(chart: str) -> None:
    assert ArgoCDModel(chart=chart).chart == chart


@pytest.mark.parametrize(
    "chart",
    [
        "preview",
        "registry.example.com/charts/preview",
        "oci://registry.example.com",
        "oci://registry.example.com/",
        "oci://registry.example.com/charts/",
        "oci://registry.example.com//preview",
        "oci://registry.example.com/charts /preview",
        "https://github.com/acme/platform.git",
        "https://github.com/acme/platform.git//",
        "https://github.com/acme/platform.git///charts",
        "https://github.com/acme//platform.git//charts",
        "https://github.com/acme/platform.git//charts/../../secrets",
        "git@github.com:acme/platform.git//charts/preview",
        "https:////charts",
    ],
)
def test_what_argo_cd_could_not_find_is_refused_with_both_ways_to_write_it(chart: str) -> None:
    with pytest.raises(ValidationError, match=r"not a valid chart address\. Write oci://HOST"):
        ArgoCDModel(chart=chart)


@pytest.mark.parametrize("probe", ["public", "none", "http://10.0.0.1", "https://traefik.ingress.svc:8443"])
def test_probes_that_can_be_asked(probe: str) -> None:
    assert IngressModel(probe=probe).probe == probe


@pytest.mark.parametrize(
    "probe", ["", "Public", "traefik:80", "http://", "http:x", "ftp://x", "http://x/y", "http://x?y", "http://x y"]
)
def test_probes_that_cannot_be_asked(probe: str) -> None:
    with pytest.raises(ValidationError, match="Write `public`, `none` or"):
        IngressModel(probe=probe)


@pytest.mark.parametrize("gateway", [{}, {"name": "web"}, {"namespace": "infra"}])
def test_routes_need_a_gateway_that_is_named(gateway: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="needs the name and namespace of a Gateway"):
        IngressModel.model_validate({"kind": "gateway", "gateway": gateway})


# --- what the chart is given ---

GOOD: list[dict[str, Any]] = [
    {},
    {"ingress": {"kind": "gateway", "gateway": {"name": "web", "namespace": "infra"}}},
    {"ingress": {"className": "nginx", "annotations": {"a/b": "c: 'd'\n"}, "from": [{"podSelector": {}}]}},
    {"network": {"dns": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "denied": ["10.0.0.0/8", "fd00::/8"]}},
    {"network": {"allowed": [{"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.1.1.0/24"]}}]}},
    {"network": {"allowed": [{"namespaceSelector": {"matchLabels": {"a": "b"}}, "podSelector": {}}]}},
    {"scheduling": {"preset": "eks", "spot": "required", "nodeSelector": {"disk": "gold"}, "priorityClass": "low"}},
    {"scheduling": {"tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]}},
    {"scheduling": {"tolerations": [{"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 30}]}},
    {"quota": {"cpu": "500m", "memory": "1.5Gi", "pods": 3, "storage": "10G"}},
    {"defaults": {"cpu": "0.5", "memory": "1000000", "memoryLimit": "1Gi"}},
    {"externalSecrets": {"store": "vault", "kind": "SecretStore"}, "reader": {"namespace": "a", "serviceAccount": "b"}},
]

BAD: list[tuple[dict[str, Any], str]] = [
    ({"ingress": {"from": [{}]}}, "not a valid NetworkPolicy peer"),
    ({"ingress": {"from": [{"namespace": "traefik"}]}}, "not a valid NetworkPolicy peer"),
    ({"ingress": {"from": [{"podSelector": "app=traefik"}]}}, "not a valid NetworkPolicy peer"),
    ({"network": {"dns": [{"namespaceSelector": None}]}}, "not a valid NetworkPolicy peer"),
    ({"network": {"allowed": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}}, "not a valid ipBlock"),
    ({"network": {"allowed": [{"ipBlock": {"range": "10.0.0.0/8"}}]}}, "not a valid ipBlock"),
    ({"network": {"allowed": [{"ipBlock": {"cidr": "10.0.0.1"}}]}}, "not a valid IP range"),
    ({"network": {"allowed": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x/8"]}}]}}, "not a valid IP range"),
    ({"network": {"allowed": [{"ipBlock": {}}]}}, "not a valid ipBlock"),
    ({"network": {"allowed": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": None}}]}}, "not a valid ipBlock"),
    ({"network": {"denied": ["10.0.0.0/64"]}}, "not a valid IP range"),
    ({"scheduling": {"tolerations": [{"key": "spot", "value": 1}]}}, "in quotes"),
    ({"scheduling": {"tolerations": [{"taint": "spot"}]}}, "'taint' is not valid in a toleration"),
    (
        {"scheduling": {"tolerations": [{"tolerationSeconds": "30"}]}},
        "'tolerationSeconds' is not valid in a toleration",
    ),
    ({"scheduling": {"tolerations": [{"key": "a", "operator": "In"}]}}, "the operator must be Equal or Exists"),
    ({"scheduling": {"tolerations": [{"key": "a", "effect": "Evict"}]}}, "the effect must be NoSchedule"),
    ({"quota": {"cpu": "eight"}}, "not a valid amount of CPU"),
    ({"quota": {"memory": "16 Gi"}}, "not a valid size"),
    ({"quota": {"pods": 0}}, "greater than or equal to 1"),
    ({"defaults": {"memoryLimit": ""}}, "not a valid size"),
    ({"defaults": {"cpu": "-1"}}, "not a valid amount of CPU"),
]


@pytest.mark.parametrize("given", GOOD, ids=[json.dumps(g)[:60] for g in GOOD])
def test_good_settings_are_what_the_chart_accepts_and_come_out_as_they_went_in(given: dict[str, Any]) -> None:
    text = settings(**given)
    fits_the_chart(text)
    told = json.loads(text)
    for part, values in given.items():
        assert {k: told[part][k] for k in values} == values
    assert "probe" not in told["ingress"], "how we ask concerns no preview"


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[json.dumps(b[0])[:60] for b in BAD])
def test_what_the_chart_or_kubernetes_would_refuse_is_refused_here(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        settings(**given)


def test_the_same_settings_are_the_same_text_in_whatever_order_they_are_written() -> None:
    one = settings(ingress={"annotations": {"a": "1", "b": "2"}, "className": "x"})
    two = settings(ingress={"className": "x", "annotations": {"b": "2", "a": "1"}})
    assert one == two
    assert one == json.dumps(json.loads(one), sort_keys=True, separators=(",", ":"))


def test_every_setting_of_the_chart_can_be_given_or_has_its_default_there() -> None:
    known = SCHEMA["properties"]["settings"]["properties"]
    told = json.loads(settings())
    assert told.keys() <= known.keys()
    for part, values in told.items():
        assert values.keys() <= known[part]["properties"].keys()


words = partial(st.text, max_size=6)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-1, 99), words(), st.just("NoExecute"), st.just("Exists"))
KEYS = st.sampled_from(["key", "operator", "value", "effect", "tolerationSeconds", "other"])
PEER = st.dictionaries(
    st.sampled_from(["podSelector", "namespaceSelector", "ipBlock"]),
    st.one_of(
        VALUES,
        st.dictionaries(
            st.sampled_from(["cidr", "except", "x"]),
            st.one_of(VALUES, st.just("10.0.0.0/8"), st.lists(st.just("10.0.0.0/8"), max_size=1)),
        ),
    ),
)


@given(
    quota=st.dictionaries(st.sampled_from(["cpu", "memory", "storage"]), st.from_regex(r"[0-9]*\.?[0-9]*[mkKGi]*\n?")),
    tolerations=st.lists(st.dictionaries(KEYS, VALUES, max_size=3), max_size=2),
    peers=st.lists(PEER, max_size=2),
)
def test_whatever_is_written_either_fits_the_chart_or_is_refused(
    quota: dict[str, str], tolerations: list[Any], peers: list[Any]
) -> None:
    try:
        text = settings(quota=quota, scheduling={"tolerations": tolerations}, ingress={"from": peers})
    except ValidationError:
        return
    fits_the_chart(text)


def test_the_class_of_volumes_reaches_the_chart() -> None:
    made: Any = [*(model() for model in MODELS.values()), None, StorageModel.model_validate({"className": "gp3"})]
    text = chart_settings(*made)
    fits_the_chart(text)
    assert json.loads(text)["storage"] == {"className": "gp3", "size": "5Gi"}


def test_secrets_to_pull_with_reach_the_chart_and_without_them_the_settings_are_those_of_before() -> None:
    """Settings that differ would look like a change of the configuration in every preview."""
    bare: Any = [*(model() for model in MODELS.values()), None, None]
    named: Any = [*bare, ["registry", "mirror"]]
    text = chart_settings(*named)
    fits_the_chart(text)
    told = json.loads(text)
    assert told.pop("imagePullSecrets") == ["registry", "mirror"]
    assert chart_settings(*bare) == json.dumps(told, sort_keys=True, separators=(",", ":"))
