"""What a spec changes in a preview that runs: what restarts, what sleeps, what wins."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from charts.rendering import Object, Render, Values, named, objects, pods, template, without_chance
from charts.variants import SPOT, VARIANTS


def env(rendered: list[Object], workload: str) -> dict[str, str]:
    (pod,) = [pod for o, pod in pods(rendered) if o["metadata"]["name"] == workload]
    return {v["name"]: v["value"] for v in pod["spec"]["containers"][0]["env"] if "value" in v}


def changed(render: Render, given: Values, more: Values) -> dict[str, set[str]]:
    """The workloads whose pods would be made anew, by kind."""
    before = {(o["kind"], o["metadata"]["name"]): pod for o, pod in pods(without_chance(render(given)))}
    after = {(o["kind"], o["metadata"]["name"]): pod for o, pod in pods(without_chance(render(given, more)))}
    assert before.keys() == after.keys()
    result: dict[str, set[str]] = {}
    for (kind, name), pod in before.items():
        if after[kind, name] != pod:
            result.setdefault(kind, set()).add(name)
    return result


def test_helm_renders_the_longest_name_of_a_preview_under_the_release_name_of_the_set(
    helm: str, everything: Values
) -> None:
    """helm refuses a release name of more than 53 characters; the name of a preview has up to 63."""
    longest = "preview-" + "s" * 50 + "-1234"
    given = {**everything, "name": longest, "namespace": longest}
    with pytest.raises(AssertionError, match="release name"):
        template(helm, given, release=longest)
    assert objects(template(helm, given))


def test_a_retry_number_changes_no_object(render: Render, everything: Values) -> None:
    assert without_chance(render(everything)) == without_chance(render(everything, {"preview": {"retry": 7}}))


@pytest.mark.parametrize("state", [{"dataGeneration": 2}, {"restart": "99"}])
def test_services_start_again_and_databases_do_not(state: dict[str, Any], render: Render, catalog: Values) -> None:
    assert changed(render, catalog, {"preview": state}) == {"Deployment": {"catalog-web", "catalog-worker"}}


def test_numbers_stay_numbers(render: Render, everything: Values) -> None:
    found = render(everything, {"preview": {"number": 10_000_000, "dataGeneration": 12_345_678}})
    web = named(found, "Deployment", "shop-web")["spec"]["template"]["metadata"]
    assert web["annotations"]["greenroom.dev/data-generation"] == "12345678"
    assert web["annotations"]["greenroom.dev/restart"] == "2418733019"
    assert web["labels"]["greenroom.dev/number"] == "10000000"
    assert env(found, "shop-web")["GREENROOM_PREVIEW"] == "shop#10000000"
    toleration = named(found, "Deployment", "shop-web")["spec"]["template"]["spec"]["tolerations"][0]
    assert toleration["tolerationSeconds"] == 3_000_000


@pytest.mark.parametrize(
    ("variant", "services", "databases", "suspended"),
    [("as it is", None, 1, False), ("asleep", 0, 1, True), ("asleep with databases", 0, 0, True)],
)
def test_sleep(
    variant: str, services: int | None, databases: int, suspended: bool, render: Render, everything: Values
) -> None:
    for found, pod in pods(render(everything, VARIANTS[variant])):
        labels = pod["metadata"]["labels"]
        if "greenroom.dev/manifest" in labels:
            assert "replicas" not in found["spec"], "a manifest is as the team wrote it"
        elif found["kind"] == "CronJob":
            assert found["spec"]["suspend"] is suspended
        elif labels["greenroom.dev/role"] == "need":
            assert found["spec"]["replicas"] == databases
        elif services is not None:
            assert found["spec"]["replicas"] == services


def test_replicas(render: Render, everything: Values) -> None:
    found = {o["metadata"]["name"]: o["spec"].get("replicas") for o, _ in pods(render(everything))}
    assert (found["shop-web"], found["shop-worker"], found["shop-admin-web"]) == (1, 3, 1)


def test_migrations_run_once_before_the_process_that_migrates(render: Render, everything: Values) -> None:
    rendered = render(everything)
    inits = {
        o["metadata"]["name"]: [c["name"] for c in pod["spec"].get("initContainers", [])] for o, pod in pods(rendered)
    }
    own = [f"wait-shop-{n}" for n in ("mariadb", "mysql", "postgresql", "rabbitmq", "redis", "reports", "sessions")]
    assert inits["shop-web"] == [*own, "migrate"]
    assert inits["shop-worker"] == own
    (cron,) = [names for name, names in inits.items() if name.startswith("shop-nightly-")]
    assert cron == own
    (sharing,) = [names for name, names in inits.items() if name.startswith("true-reports-") and names]
    assert sharing == ["wait-true-reports-048e1ad9", "wait-shop-redis", "wait-shop-postgresql"]
    assert inits["no-on"] == []
    web = named(rendered, "Deployment", "shop-web")["spec"]
    migrate, serve = web["template"]["spec"]["initContainers"][-1], web["template"]["spec"]["containers"][0]
    assert (migrate["env"], migrate["envFrom"]) == (serve["env"], serve["envFrom"])
    assert web["progressDeadlineSeconds"] > 600
    assert web["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def limited(seconds: int) -> Values:
    return {"services": {"catalog": {"migrate": {"timeoutSeconds": seconds}}}}


def _run(command: list[str], *more: str) -> tuple[int, float]:
    begun = time.monotonic()
    code = subprocess.run([*command[:4], *more], check=False, timeout=20).returncode
    return code, time.monotonic() - begun


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for this signal: before that, its shell just ends."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(re.findall(r"SigCgt:\s*(\w+)", status)[0], 16) & 1 << (number - 1))


def test_a_migration_that_hangs_is_ended_and_others_end_as_they_do(render: Render, catalog: Values) -> None:
    """The rendered command itself, run here."""
    web = named(render(catalog, limited(1)), "Deployment", "catalog-web")["spec"]["template"]["spec"]
    command = web["initContainers"][-1]["command"]
    assert command[4:] == ["python", "migrate.py"]
    assert _run(command, "sh", "-c", "exit 3")[0] == 3
    assert _run(command, "true")[0] == 0
    code, seconds = _run(command, "sleep", "15")
    assert code == 124
    assert seconds < 10
    with subprocess.Popen([*command[:3], "60", "sleep", "50"]) as first:
        while not _catches(first.pid, signal.SIGTERM):
            time.sleep(0.01)
        first.terminate()
        assert first.wait(5) != 0, "and who ends the pod ends it"


def test_a_migration_without_a_limit_is_as_it_is_written(render: Render, catalog: Values) -> None:
    web = named(render(catalog, limited(0)), "Deployment", "catalog-web")["spec"]
    assert web["template"]["spec"]["initContainers"][-1]["command"] == ["python", "migrate.py"]
    assert web["progressDeadlineSeconds"] > 86400


def test_a_link_set_by_hand_wins(render: Render, storefront: Values) -> None:
    assert env(render(storefront), "storefront-web")["PAYMENTS_URL"] == "https://payments.staging.example.com"
    manual_overrides = render(storefront, sets=("links.payments.url=https://mine.example.com/?a=b",))
    assert env(manual_overrides, "storefront-web")["PAYMENTS_URL"] == "https://mine.example.com/?a=b"
    assert env(manual_overrides, "storefront-web")["CATALOG_URL"] == "https://catalog.staging.example.com"
    emptied = render(storefront, sets=("links.payments.url=",))
    assert env(emptied, "storefront-web")["PAYMENTS_URL"] == "https://payments.staging.example.com"


def test_the_address_leads_to_one_process(render: Render, everything: Values) -> None:
    def led_to(rendered: list[Object]) -> tuple[int, str]:
        ingress = named(rendered, "Ingress", "shop")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        service = named(rendered, "Service", ingress["name"])["spec"]
        return ingress["port"]["number"], service["selector"]["app.kubernetes.io/component"]

    assert led_to(render(everything)) == (8080, "web")
    assert led_to(render(everything, VARIANTS["another process has the address"])) == (9000, "admin")
    assert led_to(render(everything, VARIANTS["no command, no port"])) == (9000, "admin")


def test_readiness(render: Render, everything: Values) -> None:
    def probes(rendered: list[Object]) -> dict[str, object]:
        return {
            o["metadata"]["name"]: pod["spec"]["containers"][0].get("readinessProbe", {}).keys()
            & {"httpGet", "tcpSocket"}
            for o, pod in pods(rendered)
        }

    assert probes(render(everything))["shop-web"] == {"httpGet"}
    assert probes(render(everything))["shop-worker"] == set()
    assert probes(render(everything, VARIANTS["no probe"]))["shop-web"] == {"tcpSocket"}
    for _, pod in pods(render(everything)):
        assert not pod["spec"]["containers"][0].keys() & {"livenessProbe", "startupProbe"}


def test_an_image_with_data_has_nothing_mounted_over_it(render: Render, everything: Values) -> None:
    found = render(everything, VARIANTS["a database that brings its data"])
    for name in ("shop-postgresql", "shop-reports"):
        pod = named(found, "Deployment", name)["spec"]["template"]
        container = pod["spec"]["containers"][0]
        assert container["image"] == "registry.example.com/seed:1"
        assert [m["mountPath"] for m in container["volumeMounts"]] == ["/dev/shm"]
        assert [v["name"] for v in pod["spec"]["volumes"]] == ["shared"]
        assert "PGDATA" not in {v["name"] for v in container["env"]}
        assert pod["metadata"]["annotations"]["greenroom.dev/storage"] == "ephemeral"
    web = named(found, "Deployment", "shop-web")["spec"]["template"]["spec"]["initContainers"]
    assert [c["image"] for c in web if c["name"] == "wait-shop-postgresql"] == ["registry.example.com/seed:1"]


def test_seed_in_a_layer_is_used_where_it_is(render: Render, everything: Values) -> None:
    found = named(render(everything, VARIANTS["a seed in a layer"]), "Deployment", "shop-postgresql")["spec"]
    pod, container = found["template"], found["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example.com/seed:1"
    assert [m["mountPath"] for m in container["volumeMounts"]] == ["/dev/shm"]
    assert {"name": "PGDATA", "value": "/var/lib/preview/pgdata"} in container["env"]
    assert container["command"][:2] == ["sh", "-c"]
    assert container["command"][3:] == ["start", "layer", "0"]
    assert container["resources"]["requests"]["ephemeral-storage"] == "900Mi"
    assert pod["metadata"]["annotations"]["greenroom.dev/storage"] == "ephemeral"
    assert found["strategy"]["type"] == "RollingUpdate"


def test_reset_of_a_seed_makes_another_pod(render: Render, everything: Values) -> None:
    rendered = render(everything, VARIANTS["a seed that was reset"])
    found = named(rendered, "Deployment", "shop-postgresql")["spec"]
    assert found["template"]["metadata"]["labels"]["greenroom.dev/resets"] == "2"
    assert "greenroom.dev/resets" not in found["selector"]["matchLabels"], "it cannot be changed"
    selector = named(rendered, "Service", "shop-postgresql")["spec"]["selector"]
    assert selector.items() <= found["template"]["metadata"]["labels"].items()
    assert selector["greenroom.dev/resets"] == "2", "the old pod gets no traffic while it ends"
    unchanged = named(render(everything), "Deployment", "shop-postgresql")["spec"]
    assert "greenroom.dev/resets" not in unchanged["template"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("kind", "name", "storage"),
    [("Deployment", "shop-postgresql", "pod"), ("StatefulSet", "shop-reports", "persistent")],
)
def test_copied_seed_is_on_a_volume_beside_the_layer(
    render: Render, everything: Values, kind: str, name: str, storage: str
) -> None:
    pod = named(render(everything, VARIANTS["seeds on volumes"]), kind, name)["spec"]["template"]
    container = pod["spec"]["containers"][0]
    assert [m["mountPath"] for m in container["volumeMounts"]] == ["/dev/shm", "/var/lib/greenroom"]
    assert {"name": "PGDATA", "value": "/var/lib/preview/pgdata"} in container["env"]
    assert container["command"][3:] == ["start", "copy", "2" if name == "shop-reports" else "0"]
    assert pod["metadata"]["annotations"]["greenroom.dev/storage"] == storage


def test_seeds_of_mariadb_start_on_their_data_and_report_no_migration(render: Render, everything: Values) -> None:
    rendered = render(everything, VARIANTS["seeds of MariaDB"])
    for kind, name, mode, mounts in (
        ("Deployment", "shop-postgresql", "layer", None),
        ("StatefulSet", "shop-reports", "copy", [{"name": "data", "mountPath": "/var/lib/greenroom"}]),
    ):
        container = named(rendered, kind, name)["spec"]["template"]["spec"]["containers"][0]
        assert "exec mariadbd" in container["command"][2]
        assert container["command"][3:] == ["start", mode, "0"]
        assert container.get("volumeMounts") == mounts
        assert "args" not in container
        assert {v["name"] for v in container["env"] if "PASSWORD" in v["name"]} == {
            "MARIADB_PASSWORD",
            "MARIADB_ROOT_PASSWORD",
        }
    web = named(rendered, "Deployment", "shop-web")["spec"]["template"]["spec"]["initContainers"]
    assert not [c["name"] for c in web if c["name"].startswith("report")]


def test_seed_to_restore_has_the_volume_and_the_start_of_the_stock_image(render: Render, everything: Values) -> None:
    rendered = (render(everything), render(everything, VARIANTS["a seed that the stock image restores"]))
    found = (named(each, "Deployment", "shop-postgresql") for each in rendered)
    stock, pod = (deepcopy(each["spec"]["template"]["spec"]) for each in found)  # other tests read them, too
    assert pod["containers"][0].pop("image") != stock["containers"][0].pop("image")
    assert "-clog_statement=ddl" in pod["containers"][0].pop("args")
    assert pod == stock


def test_persistent_data_is_on_a_claim_that_is_deleted_with_the_preview(render: Render, everything: Values) -> None:
    spec = named(render(everything), "StatefulSet", "shop-reports")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    mounts = spec["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "data", "mountPath": "/var/lib/preview"} in mounts


@pytest.mark.parametrize("variant", SPOT)
def test_spot(variant: str, render: Render, storefront: Values) -> None:
    preset, spot = variant.split(", ")
    (pod,) = [pod["spec"] for _, pod in pods(render(storefront, SPOT[variant]))]
    text = json.dumps(pod.get("affinity"))
    labels = {
        "eks": "eks.amazonaws.com/capacityType",
        "karpenter": "karpenter.sh/capacity-type",
        "gke": "cloud.google.com/gke-spot",
        "aks": "kubernetes.azure.com/scalesetpriority",
    }
    if preset == "none":
        assert "affinity" not in pod
    else:
        assert labels[preset] in text
        assert ("preferredDuring" in text) == (spot == "preferred")
        assert ("NotIn" in text) == (spot == "never")
    assert ("tolerations" in pod) == (preset in ("gke", "aks") and spot != "never")


def test_previews_ask_not_to_be_found(render: Render, everything: Values) -> None:
    route = named(render(everything, VARIANTS["a gateway"]), "HTTPRoute", "shop")
    (header,) = route["spec"]["rules"][0]["filters"][0]["responseHeaderModifier"]["set"]
    assert header == {"name": "X-Robots-Tag", "value": "noindex"}
    assert "noindex" in json.dumps(named(render(everything), "Ingress", "shop")["metadata"]["annotations"])


def test_secrets_come_from_the_store(render: Render, everything: Values) -> None:
    found = {o["metadata"]["name"]: o["spec"] for o in render(everything) if o["kind"] == "ExternalSecret"}
    assert found.keys() == {"registry", "shared", "shop-settings"}
    assert found["registry"]["target"]["template"]["type"] == "kubernetes.io/dockerconfigjson"
    assert found["shared"]["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}


def test_two_renders_differ_in_passwords_only(helm: str, everything: Values) -> None:
    first, second = (objects(template(helm, everything)) for _ in range(2))
    assert first != second
    assert without_chance(first) == without_chance(second)


def test_the_kubelet_asks_under_the_name_that_people_use(render: Render, everything: Values) -> None:
    found = named(render(everything), "Deployment", "shop-web")["spec"]["template"]["spec"]["containers"][0]
    host = everything["values"]["services"]["shop"]["host"]
    assert found["readinessProbe"]["httpGet"]["httpHeaders"] == [{"name": "Host", "value": host}]


def test_a_default_request_above_the_default_limit_raises_the_limit(render: Render, everything: Values) -> None:
    found = render(everything, {"settings": {"defaults": {"memory": "1Gi"}}})
    [limits] = named(found, "LimitRange", "preview")["spec"]["limits"]
    assert (limits["defaultRequest"]["memory"], limits["default"]["memory"]) == ("1Gi", "1Gi")


def unbuilt(given: Values) -> Values:
    return {"services": {name: {"image": "", "sha": "", "revision": "0"} for name in given["values"]["services"]}}


@pytest.mark.parametrize("name", ["catalog", "storefront", "everything"])
def test_prepared_preview_is_the_whole_preview_without_the_pods_of_its_services(
    name: str, render: Render, request: pytest.FixtureRequest
) -> None:
    """So no need starts again, and no other object changes, when the services come."""
    given: Values = request.getfixturevalue(name)
    whole, prepared = (without_chance(render(given, more)) for more in ({}, unbuilt(given)))
    services = [o for o, pod in pods(whole) if pod["metadata"]["labels"]["greenroom.dev/role"] == "service"]
    assert {o["kind"] for o in services} <= {"Deployment", "CronJob"}
    assert services
    assert prepared == [o for o in whole if o not in services]
    images = {v["image"] for v in given["values"]["services"].values()}
    assert not [image for image in images if image in json.dumps(prepared)]
