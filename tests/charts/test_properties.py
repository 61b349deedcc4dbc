"""What holds for every preview, however it is configured: judged by reading the rendered objects."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from charts.rendering import Object, Render, Values, containers, pods
from charts.variants import MINIMAL, VARIANTS

CUSTOM = {"ExternalSecret", "HTTPRoute"}  # of operators: Kubernetes has no schema for them
OURS = {"installation": "everything", "repository": "shop", "repository-id": "7", "number": "42"}
STOCK = ("docker.io/library/", "docker.io/valkey/", "registry.example.com/seed:")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@pytest.fixture(scope="module", params=[*VARIANTS, "minimal"])
def rendered(request: pytest.FixtureRequest, render: Render, everything: Values) -> list[Object]:
    if request.param == "minimal":
        return render({**everything, "values": MINIMAL})
    return render(everything, VARIANTS[request.param])


@pytest.fixture(scope="module")
def valid() -> set[str]:
    """What was judged before: most objects are the same in most variants."""
    return set()


def test_kubernetes_takes_it(rendered: list[Object], valid: set[str]) -> None:
    for found in rendered:
        text = json.dumps(found, sort_keys=True)
        if found["kind"] not in CUSTOM and text not in valid:
            kubernetes_validate.validate(found, "1.31", strict=True)
            valid.add(text)


@pytest.mark.parametrize("version", ["1.31", "1.32", "1.33", "1.34"])
@pytest.mark.parametrize("name", ["catalog", "storefront", "everything"])
def test_every_supported_kubernetes_takes_it(
    name: str, version: str, render: Render, request: pytest.FixtureRequest
) -> None:
    found = [o for o in render(request.getfixturevalue(name)) if o["kind"] not in CUSTOM]
    assert {kubernetes_validate.validate(o, version, strict=True) for o in found} == {version}


def test_names_are_valid_and_distinct(rendered: list[Object]) -> None:
    assert [n for n, count in Counter((o["kind"], o["metadata"]["name"]) for o in rendered).items() if count > 1] == []
    for found in rendered:
        limit = {"CronJob": 52, "StatefulSet": 52}.get(found["kind"], 63)
        name = found["metadata"]["name"]
        assert NAME.fullmatch(name), name
        assert len(name) <= limit, name
        assert "." not in name or found["kind"] == "NetworkPolicy", name


def test_each_object_is_in_the_previews_own_namespace(rendered: list[Object]) -> None:
    assert [o["metadata"]["name"] for o in rendered if o["kind"] == "Namespace"] == ["preview-shop-42"]
    for found in rendered:
        assert found["metadata"].get("namespace") == (None if found["kind"] == "Namespace" else "preview-shop-42")


def test_each_object_says_whose_it_is(rendered: list[Object]) -> None:
    expected = {f"greenroom.dev/{k}" for k in OURS} | {"app.kubernetes.io/managed-by"}
    for labels in _labels(rendered):
        assert expected <= set(labels)
        for key, value in labels.items():
            assert isinstance(value, str), key
            assert len(value) <= 63, value
            assert LABEL.fullmatch(value), value


def test_the_labels_have_the_specs_values(render: Render, everything: Values) -> None:
    for labels in _labels(render(everything)):
        assert {k: labels[f"greenroom.dev/{k}"] for k in OURS} == OURS


def _labels(rendered: list[Object]) -> Iterator[dict[str, str]]:
    for found in rendered:
        yield found["metadata"]["labels"]
        for claim in found.get("spec", {}).get("volumeClaimTemplates", []):
            yield claim["metadata"]["labels"]
    for _, pod in pods(rendered):
        yield pod["metadata"]["labels"]


def test_no_hooks_and_no_waves(rendered: list[Object]) -> None:
    for found in [*rendered, *(pod for _, pod in pods(rendered))]:
        for key in found["metadata"].get("annotations", {}):
            assert "hook" not in key
            assert "argocd.argoproj.io" not in key


def test_pod_security_is_restricted(rendered: list[Object]) -> None:
    namespace = rendered[0]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for _, pod in pods(rendered):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostUsers"}
        assert all(v.keys() <= {"name", "emptyDir", "configMap"} for v in spec.get("volumes", []))
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security.get("runAsUser", spec["securityContext"].get("runAsUser", 1)) > 0


def test_a_stock_image_runs_as_a_number(rendered: list[Object]) -> None:
    """Those of databases name root, and change the user themselves: runAsNonRoot would refuse them, waiting or serving."""
    for _, pod in pods(rendered):
        for container in containers(pod):
            if container["image"].startswith(STOCK):
                user = container["securityContext"].get("runAsUser") or pod["spec"]["securityContext"]["runAsUser"]
                assert user == 999


def test_nothing_secret_in_plain_sight(rendered: list[Object]) -> None:
    secrets = [o for o in rendered if o["kind"] == "Secret"]
    text = json.dumps([o for o in rendered if o["kind"] != "Secret"])
    for secret in secrets:
        password = secret["stringData"]["password"]
        assert re.fullmatch("[A-Za-z0-9]{32}", password)
        assert password not in text
    assert len({s["stringData"]["password"] for s in secrets}) == len(secrets)


def test_variables_are_set_once_and_their_secrets_exist(rendered: list[Object]) -> None:
    made = {o["metadata"]["name"] for o in rendered if o["kind"] == "Secret"}
    for _, pod in pods(rendered):
        for container in containers(pod):
            env = container.get("env", [])
            assert [n for n, count in Counter(v["name"] for v in env).items() if count > 1] == []
            for variable in env:
                assert isinstance(variable["name"], str)
                assert isinstance(variable.get("value", ""), str)
                if "valueFrom" in variable:
                    assert variable["valueFrom"]["secretKeyRef"]["name"] in made


def test_container_and_port_names(rendered: list[Object]) -> None:
    for _, pod in pods(rendered):
        names = [c["name"] for c in containers(pod)]
        assert len(names) == len(set(names))
        assert all(isinstance(n, str) and len(n) <= 63 and NAME.fullmatch(n) for n in names)
        ports = [p for c in containers(pod) for p in c.get("ports", [])]
        assert all(len(p["name"]) <= 15 and PORT_NAME.fullmatch(p["name"]) for p in ports)
        assert all(isinstance(p["containerPort"], int) for p in ports)
    for service in (o for o in rendered if o["kind"] == "Service"):
        assert all(len(p["name"]) <= 15 and PORT_NAME.fullmatch(p["name"]) for p in service["spec"]["ports"])


def test_selectors_choose_exactly_their_own(rendered: list[Object]) -> None:
    made = [(o, pod["metadata"]["labels"]) for o, pod in pods(rendered)]
    for found, labels in made:
        if found["kind"] != "CronJob":
            wanted = found["spec"]["selector"]["matchLabels"]
            assert [o["metadata"]["name"] for o, has in made if wanted.items() <= has.items()] == [
                found["metadata"]["name"]
            ]
            assert wanted.items() <= labels.items()
    for service in (o for o in rendered if o["kind"] == "Service"):
        wanted = service["spec"]["selector"]
        (pod,) = [pod for _, pod in pods(rendered) if wanted.items() <= pod["metadata"]["labels"].items()]
        open_ = [p for c in containers(pod) for p in c.get("ports", [])]
        for port in service["spec"]["ports"]:
            wanted = port.get("targetPort", port["port"])
            assert wanted in [p["name"] if isinstance(wanted, str) else p["containerPort"] for p in open_]


def test_routes_lead_to_services(rendered: list[Object]) -> None:
    known = {o["metadata"]["name"]: o["spec"]["ports"][0]["port"] for o in rendered if o["kind"] == "Service"}
    backends = []
    for found in rendered:
        if found["kind"] == "Ingress":
            (rule,) = found["spec"]["rules"]
            backend = rule["http"]["paths"][0]["backend"]["service"]
            backends.append((backend["name"], backend["port"]["number"]))
        if found["kind"] == "HTTPRoute":
            (backend,) = found["spec"]["rules"][0]["backendRefs"]
            backends.append((backend["name"], backend["port"]))
    assert all(known[name] == port for name, port in backends)
    hosts = [h for o in rendered if o["kind"] == "HTTPRoute" for h in o["spec"]["hostnames"]]
    hosts += [o["spec"]["rules"][0]["host"] for o in rendered if o["kind"] == "Ingress"]
    assert len(hosts) == len(set(hosts)) == len(backends)


def test_a_limit_is_never_below_its_request(rendered: list[Object]) -> None:
    for _, pod in pods(rendered):
        for container in containers(pod):
            resources = container["resources"]
            assert resources["requests"]["cpu"]
            assert _bytes(resources["requests"]["memory"]) <= _bytes(resources["limits"]["memory"]), container


def _bytes(quantity: str) -> float:
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    assert match, quantity
    return float(match[1]) * UNITS[match[2]]


def test_exceptions_of_a_range_are_inside_it(rendered: list[Object]) -> None:
    """The API refuses a policy that excepts what its range does not hold."""
    for policy in (o for o in rendered if o["kind"] == "NetworkPolicy"):
        peers = [p for rule in policy["spec"].get("egress", []) for p in rule.get("to", [])]
        for block in (p["ipBlock"] for p in peers if "ipBlock" in p):
            outer = ipaddress.ip_network(block["cidr"])
            for each in block.get("except", []):
                inner = ipaddress.ip_network(each)
                assert inner.version == outer.version
                assert int(outer.network_address) <= int(inner.network_address) <= int(outer.broadcast_address)
                assert inner.prefixlen > outer.prefixlen


def test_a_rolling_update_fits_the_quota(render: Render, catalog: Values) -> None:
    """With the default settings: all processes twice, a job of each cron, the databases."""
    found = render(catalog)
    (quota,) = [o["spec"]["hard"] for o in found if o["kind"] == "ResourceQuota"]
    count, memory = 0, 0.0
    for workload, pod in pods(found):
        surge = 0 if workload["spec"].get("strategy", {}).get("type") == "Recreate" else 1
        copies = workload["spec"].get("replicas", 1) + surge
        count += copies
        memory += copies * sum(_bytes(c["resources"]["limits"]["memory"]) for c in pod["spec"]["containers"])
    assert count <= int(quota["pods"]) / 2
    assert memory <= _bytes(quota["limits.memory"]) / 2


def test_no_line_is_empty_or_ends_in_a_blank(helm: str, everything: Values) -> None:
    from charts.rendering import template

    for variant in (VARIANTS["as it is"], VARIANTS["a gateway"], VARIANTS["nothing set by the platform"]):
        for line in template(helm, everything, variant).splitlines():
            assert line == line.rstrip(), line
            assert line
