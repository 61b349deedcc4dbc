"""A push without a gap: the old version serves until the new one does, and until nobody sends it requests any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from charts.rendering import EVERYTHING, Object, Render, Values, named, pods
from charts.test_properties import _bytes
from charts.variants import VARIANTS
from greenroom.config import load
from greenroom.config.cluster import DRAIN, IngressModel


def services(rendered: list[Object]) -> Iterator[Object]:
    """The Deployments of services."""
    for found in rendered:
        if found["kind"] == "Deployment" and found["metadata"]["labels"]["greenroom.dev/role"] == "service":
            yield found


def pod(rendered: list[Object], name: str) -> Object:
    found: Object = named(rendered, "Deployment", name)["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_pod_ends_before_one_of_the_new_version_is_ready(variant: str, render: Render, everything: Values) -> None:
    for found in services(render(everything, VARIANTS[variant])):
        assert found["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }
        volumes = found["spec"]["template"]["spec"].get("volumes", [])
        assert all(v.keys() == {"name", "configMap"} for v in volumes), "two pods at once can share only a ConfigMap"
        for container in found["spec"]["template"]["spec"]["containers"]:
            assert ("readinessProbe" in container) == ("ports" in container)


def test_process_that_answers_keeps_answering_until_the_ingress_knows(render: Render, everything: Values) -> None:
    """Traefik applies changes at most every two seconds, so it hears of an end up to two seconds late."""
    found = render(everything)
    web, worker = pod(found, "shop-web"), pod(found, "shop-worker")
    assert web["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 3}}}
    assert "lifecycle" not in worker["containers"][0], "nobody sends a worker requests"
    assert (web["terminationGracePeriodSeconds"], worker["terminationGracePeriodSeconds"]) == (7, 5)


@pytest.mark.parametrize("seconds", [1, 3, 5, 30, 600])
def test_process_has_time_to_end_after_the_pause(seconds: int, render: Render, everything: Values) -> None:
    web = pod(render(everything, {"settings": {"ingress": {"drainSeconds": seconds}}}), "shop-web")
    assert web["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == seconds
    assert web["terminationGracePeriodSeconds"] == seconds + 4


def test_without_a_pause_the_process_ends_at_once(render: Render, everything: Values) -> None:
    """Kubernetes before 1.34 refuses a pause of no seconds."""
    web = pod(render(everything, {"settings": {"ingress": {"drainSeconds": 0}}}), "shop-web")
    assert "lifecycle" not in web["containers"][0]
    assert web["terminationGracePeriodSeconds"] == 5


def test_database_is_never_two_pods_on_one_volume(render: Render, everything: Values) -> None:
    found = render(everything)
    held = [o for o, template in pods(found) if "greenroom.dev/storage" in template["metadata"].get("annotations", {})]
    assert {o["kind"] for o in held} == {"Deployment", "StatefulSet"}
    for each in held:
        replaces = each["kind"] == "StatefulSet" or each["spec"]["strategy"] == {"type": "Recreate"}
        assert replaces, "the old pod ends before the new one starts"


def test_pause_of_the_chart_is_the_default_of_the_configuration(render: Render, everything: Values) -> None:
    web = pod(render(everything), "shop-web")
    assert web["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == DRAIN.total_seconds()
    assert IngressModel().drain == DRAIN


def test_check_counts_the_pods_of_a_push_as_the_chart_makes_them(render: Render, everything: Values) -> None:
    """Manifests are not counted: the configuration does not say how many pods they have."""
    found = render(everything)
    manifests = {o["metadata"]["name"] for objects in everything["values"]["manifests"].values() for o in objects}
    memory = 0.0
    for workload, template in pods(found):
        if workload["metadata"]["name"] in manifests:
            continue
        spec = workload["spec"]
        held = "greenroom.dev/storage" in template["metadata"].get("annotations", {})
        copies = spec.get("replicas", 1) + (workload["kind"] == "Deployment" and not held)
        memory += copies * sum(_bytes(c["resources"]["limits"]["memory"]) for c in template["spec"]["containers"])
    [warning] = [w for w in load(EVERYTHING).warnings if w.path == "quota.memory"]
    assert f"Write at least {int(memory / 2**20)}Mi" in str(warning)
