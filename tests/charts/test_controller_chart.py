"""The controller's chart: what Kubernetes takes, what Greenroom may do, and that `greenroom render` says the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from charts.rendering import EVERYTHING, KUBERNETES, ROOT, Object, Values
from greenroom import config
from greenroom.argocd.applicationset import InstallationSpec
from greenroom.argocd.render import app_project, namespace_policy, project_policy, rendered
from greenroom.config import manifests

CUSTOM = {"AppProject", "ServiceMonitor"}
SHOP = ROOT / "examples" / "shop" / "platform"
FRAME = InstallationSpec(
    "shop", "preview", "argocd", "greenroom-previews", "in-cluster", "oci://r.example.com/charts/preview", "p"
)
MINIMAL: Values = {
    "configuration": {
        "greenroom": {
            "installation": "shop",
            "domain": "preview.example.com",
            "argocd": {"chart": FRAME.chart, "chartVersion": "0.1.0"},
        },
        "services": {"shop": {"repository": "acme/shop", "image": "r.example.com/shop", "port": 8080}},
    }
}
FULL: Values = {
    **MINIMAL,
    "persistence": {"enabled": True, "storageClass": "fast"},
    "database": {"existingSecret": "history"},
    "serviceMonitor": {"create": True},
    "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": [{"name": "pull"}]},
    "nodeSelector": {"pool": "tools"},
    "tolerations": [{"key": "tools", "operator": "Exists"}],
    "argocd": {"namespaceNames": False},
    "extraEnv": [{"name": "REGISTRY_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "registry", "key": "password"}}}],
    "extraVolumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
    "extraVolumeMounts": [{"name": "keys", "mountPath": "/keys", "readOnly": True}],
}
BUILDS: Values = json.loads(json.dumps(MINIMAL))
BUILDS["configuration"]["greenroom"]["seeds"] = {"image": "r.example.com/seeds", "build": "cluster"}
Render = Callable[..., list[Object]]


def helm_template(
    helm: str, values: Values, folder: Path, namespace: str = "greenroom"
) -> subprocess.CompletedProcess[str]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    command = [helm, "template", "greenroom", str(ROOT / "charts" / "greenroom"), "-n", namespace, "-f", str(file)]
    return subprocess.run([*command, "--kube-version", KUBERNETES], capture_output=True, text=True, check=False)


@pytest.fixture
def controller(helm: str, tmp_path: Path) -> Render:
    def made(values: Values, namespace: str = "greenroom") -> list[Object]:
        done = helm_template(helm, values, tmp_path, namespace)
        assert done.returncode == 0, done.stderr
        return [o for o in yaml.safe_load_all(done.stdout) if o]

    return made


def one(found: list[Object], kind: str, end: str = "") -> Object:
    [only] = [o for o in found if o["kind"] == kind and o["metadata"]["name"].endswith(end)]
    return only


@pytest.mark.parametrize("version", ["1.31", "1.32", "1.33", "1.34"])
@pytest.mark.parametrize("values", [MINIMAL, FULL, BUILDS], ids=["minimal", "full", "builds"])
def test_every_supported_kubernetes_takes_it(controller: Render, values: Values, version: str) -> None:
    found = [o for o in controller(values) if o["kind"] not in CUSTOM]
    assert {kubernetes_validate.validate(o, version, strict=True) for o in found} == {version}


def test_controller_role_has_no_secrets_no_workloads_and_no_wildcards(controller: Render) -> None:
    rules = [(o["kind"], rule) for o in controller(FULL) if o["kind"] in ("Role", "ClusterRole") for rule in o["rules"]]
    for kind, rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"secrets", "pods/log", "pods/exec"} & set(rule["resources"])
        if kind == "ClusterRole":
            assert set(rule["verbs"]) == {"get", "list", "watch"}
    writes = {(r, v) for _, rule in rules for r in rule["resources"] for v in rule["verbs"]} - {
        (r, v) for _, rule in rules for r in rule["resources"] for v in ("get", "list", "watch")
    }
    assert writes == {
        ("applicationsets", "create"),
        ("applicationsets", "patch"),
        ("applications", "delete"),
        ("applications", "patch"),
        ("events", "create"),
        ("leases", "create"),
        ("leases", "update"),
        ("previewconfigs", "create"),
        ("previewconfigs", "delete"),
        ("previewconfigs", "patch"),
        ("previews", "create"),
        ("previews", "delete"),
        ("previews", "update"),
        ("previews/status", "patch"),
    }


def test_where_dumps_are_restored_no_pod_has_credentials_or_connections(controller: Render) -> None:
    found = [o for o in controller(BUILDS) if o["metadata"].get("namespace") == "greenroom-seeds"]
    bake, courier = one(found, "NetworkPolicy", "bake")["spec"], one(found, "NetworkPolicy", "courier")["spec"]
    assert bake["podSelector"] == {}, "no pod of this namespace is without a policy"
    assert bake["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in bake
    assert bake["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": {"greenroom.dev/seed-role": "courier"}}}],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }
    ]
    assert courier["podSelector"] == {"matchLabels": {"greenroom.dev/seed-role": "courier"}}
    namespace = one(controller(BUILDS), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    [rules] = [o["rules"] for o in found if o["kind"] == "Role"]
    assert {(r, v) for rule in rules for r in rule["resources"] for v in rule["verbs"]} == {
        *(("jobs", v) for v in ("get", "list", "watch", "create")),
        *(("services", v) for v in ("get", "create")),
    }


def test_controller_knows_its_own_image_where_it_builds_seeds(controller: Render) -> None:
    for values, given in ((BUILDS, True), (MINIMAL, False)):
        [container] = one(controller(values), "Deployment")["spec"]["template"]["spec"]["containers"]
        own = [e["value"] for e in container["env"] if e["name"] == "GREENROOM_IMAGE"]
        assert own == ([container["image"]] if given else [])


def test_the_lease_is_beside_the_sets_and_no_other_lease_is_ours(controller: Render) -> None:
    """Argo CD's own controllers have Leases there too."""
    other: Any = json.loads(json.dumps(MINIMAL))
    other["configuration"]["greenroom"]["argocd"]["namespace"] = "gitops"
    for values, namespace in ((MINIMAL, "argocd"), (other, "gitops")):
        roles = [o for o in controller(values) if o["kind"] == "Role"]
        rules = [(o["metadata"]["namespace"], r) for o in roles for r in o["rules"] if r["resources"] == ["leases"]]
        assert [where for where, _ in rules] == [namespace] * 2
        [named, new] = [rule for _, rule in rules]
        assert (named["resourceNames"], named["verbs"]) == (["greenroom-shop"], ["get", "update"])
        assert (new.get("resourceNames"), new["verbs"]) == (None, ["create"])


def test_only_a_sweep_that_deletes_may_delete_namespaces(controller: Render) -> None:
    values: Any = json.loads(json.dumps(MINIMAL))
    values["configuration"]["greenroom"]["argocd"]["sweep"] = "delete"
    rules = everywhere(controller(values))
    assert {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]} in rules
    assert not any("delete" in r["verbs"] for r in everywhere(controller(MINIMAL)))


def everywhere(found: list[Object]) -> list[Object]:
    """The rules of all ClusterRoles."""
    return [rule for o in found if o["kind"] == "ClusterRole" for rule in o["rules"]]


@pytest.mark.parametrize("sweep", ["report", "delete"])
def test_a_policy_lets_greenroom_delete_namespaces_of_its_own_previews_only(sweep: str, controller: Render) -> None:
    """Whatever RBAC says: a right that another release or a person adds does not widen it."""
    values: Any = json.loads(json.dumps(MINIMAL))
    values["configuration"]["greenroom"] |= {"namePrefix": "review", "installation": "ours"}
    values["configuration"]["greenroom"]["argocd"]["sweep"] = sweep
    found = controller(values)
    policy, binding = (one(found, f"ValidatingAdmissionPolicy{end}", "-sweep")["spec"] for end in ("", "Binding"))
    assert policy["failurePolicy"] == "Fail"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["namespaces"]}]
    assert policy["matchConstraints"] == {"resourceRules": rules}
    account = "system:serviceaccount:greenroom:greenroom"
    assert [c["expression"] for c in policy["matchConditions"]] == [f"request.userInfo.username == '{account}'"]
    [validation] = policy["validations"]
    assert validation["expression"].split(" && ") == [
        "oldObject.metadata.name.startsWith('review-')",
        "has(oldObject.metadata.labels)",
        "'greenroom.dev/installation' in oldObject.metadata.labels",
        "oldObject.metadata.labels['greenroom.dev/installation'] == 'ours'",
    ]
    name = one(found, "ValidatingAdmissionPolicy", "-sweep")["metadata"]["name"]
    assert binding == {"policyName": name, "validationActions": ["Deny"]}


def test_objects_that_previews_need_survive_uninstallation(controller: Render) -> None:
    kept = {
        o["kind"]
        for o in controller(MINIMAL)
        if (o["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"
    }
    # Not the AppProject: Helm adopts a custom resource that it finds again, but does not bring it up to date.
    assert kept == {"PriorityClass"}


def test_two_releases_of_one_name_in_two_namespaces_share_no_object(controller: Render) -> None:
    other: Any = json.loads(json.dumps(MINIMAL))
    other["configuration"]["greenroom"] |= {"installation": "other", "namePrefix": "other"}
    other["configuration"]["greenroom"]["argocd"] |= {"project": "other", "plugin": "other-plugin"}

    def keys(values: Values, namespace: str) -> set[tuple[str, str, str]]:
        found = controller(values, namespace)
        return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in found}

    assert not keys(MINIMAL, "greenroom") & keys(other, "greenroom-two")


def test_the_pod_is_restricted_and_its_root_read_only(controller: Render) -> None:
    pod = one(controller(MINIMAL), "Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    secret = [e for e in container["env"] if "TOKEN" in e["name"] or "SECRET" in e["name"] or "KEY" in e["name"]]
    assert all("secretKeyRef" in e["valueFrom"] for e in secret)


def test_liveness_is_asked_only_once_the_process_has_answered_for_which_it_has_a_minute(controller: Render) -> None:
    [container] = one(controller(MINIMAL), "Deployment")["spec"]["template"]["spec"]["containers"]
    starts = container["startupProbe"]
    assert starts["httpGet"] == container["livenessProbe"]["httpGet"]
    assert starts["periodSeconds"] * starts["failureThreshold"] == 60


def test_the_mounted_configuration_loads(controller: Render, tmp_path: Path) -> None:
    """What the ConfigMap holds, laid out as the volume lays it out, is a configuration without a mistake."""
    values: Any = json.loads(json.dumps(MINIMAL))
    values["configuration"]["services"]["shop"]["needs"] = ["redis", {"manifest": "needs/mailpit.yaml"}]
    values["configuration"]["needs"] = {"mailpit": (EVERYTHING / "needs" / "mailpit.yaml").read_text()}
    found = controller(values)
    data = one(found, "ConfigMap", "greenroom")["data"]
    [volume] = [
        v for v in one(found, "Deployment")["spec"]["template"]["spec"]["volumes"] if v["name"] == "configuration"
    ]
    for item in volume["configMap"]["items"]:
        path = tmp_path / "etc" / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data[item["key"]])
    assert {i["key"] for i in volume["configMap"]["items"]} == set(data)
    loaded = config.load(tmp_path / "etc")
    assert len(loaded.platform.repositories[0].services[0].manifests[0].objects) == 3
    assert loaded.settings.listen.webhook == "0.0.0.0:8080"
    assert loaded.settings.listen.dashboard == "127.0.0.1:8082"
    assert json.loads(loaded.platform.cluster.settings)["reader"] == {
        "namespace": "greenroom",
        "serviceAccount": "greenroom",
    }
    assert json.loads(loaded.platform.cluster.settings)["scheduling"]["priorityClass"] == "greenroom-preview-shop"


def test_both_secrets_of_the_plugin_hold_the_same_token(controller: Render) -> None:
    secrets = [o for o in controller(MINIMAL) if o["kind"] == "Secret"]
    assert {o["metadata"]["namespace"] for o in secrets} == {"greenroom", "argocd"}
    assert len({o["stringData"]["token"] for o in secrets}) == 1
    assert len(secrets[0]["stringData"]["token"]) == 48


def test_beside_argo_cd_one_secret_is_enough(controller: Render) -> None:
    [secret] = [o for o in controller(MINIMAL, "argocd") if o["kind"] == "Secret"]
    assert secret["metadata"]["labels"]["app.kubernetes.io/part-of"] == "argocd"
    keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in controller(MINIMAL, "argocd")]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("named", [True, False])
def test_render_says_of_the_project_and_of_names_what_the_chart_says(controller: Render, named: bool) -> None:
    found = controller({**MINIMAL, "argocd": {"namespaceNames": named}})
    mine, theirs = app_project(FRAME, namespace_names=named)["spec"], one(found, "AppProject")["spec"]
    for field in ("sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist"):
        assert mine[field] == theirs[field], field
    for end, policy in (("-namespaces", namespace_policy(FRAME)), ("-project", project_policy(FRAME))):
        ours, charts = policy[0]["spec"], one(found, "ValidatingAdmissionPolicy", end)["spec"]
        assert policy[1]["spec"]["policyName"] == policy[0]["metadata"]["name"]
        for spec in (ours, charts):
            for each in (*spec["matchConditions"], *spec["validations"]):
                each["expression"] = " ".join(each["expression"].split())
        assert ours == charts, end


def test_the_project_allows_exactly_what_the_preview_chart_renders() -> None:
    texts = [p.read_text() for p in (ROOT / "charts" / "preview" / "templates").glob("*.yaml")]
    lines = [line for text in texts for line in text.splitlines()]  # of whole objects: what is within is indented
    kinds = {line.removeprefix("kind: ") for line in lines if line.startswith("kind: ") and "{{" not in line}
    allowed = {k["kind"] for k in app_project(FRAME)["spec"]["namespaceResourceWhitelist"]} | {"Namespace"}
    assert kinds | manifests.KINDS.keys() <= allowed
    assert allowed - kinds <= manifests.KINDS.keys(), "allowed, but never rendered"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"configuration": {"greenroom": {"domain": "x.test"}}}, "installation is empty"),
        ({**MINIMAL, "replica": 1}, "replica"),
        ({**MINIMAL, "replicas": 3}, "replicas"),
        ({**MINIMAL, "replicas": 2}, "a history of its own"),
        ({**MINIMAL, "image": {"digest": "abc"}}, "digest"),
    ],
)
def test_wrong_values_are_refused_by_name(helm: str, tmp_path: Path, values: Values, words: str) -> None:
    done = helm_template(helm, values, tmp_path)
    assert done.returncode != 0
    assert words in done.stderr


def test_rendered_sets_have_the_same_names_hosts_and_values_as_the_controllers() -> None:
    platform = config.load(SHOP).platform
    found = rendered(FRAME, platform, "https://api.github.com")
    sets = {o["metadata"]["name"]: o for o in found if o["kind"] == "ApplicationSet"}
    assert set(sets) == {"preview-catalog", "preview-payments", "preview-storefront"}
    catalog = sets["preview-catalog"]["spec"]
    assert catalog["template"]["metadata"]["name"] == "preview-catalog-{{ .number }}"
    assert catalog["generators"][0]["pullRequest"]["github"]["labels"] == ["preview"]
    text = catalog["template"]["spec"]["source"]["helm"]["values"]
    values = json.loads(text.replace("{{ .number }}", "42").replace("{{ .head_sha }}", "a" * 40))
    assert values["preview"]["number"] == 42
    assert values["services"]["catalog"]["image"] == f"registry.example.com/shop/catalog:{'a' * 40}"
    assert values["services"]["catalog"]["host"] == "catalog-pr-42.preview.example.com"


def test_the_policies_pin_the_chart_and_the_names(controller: Render) -> None:
    def sets(chart: str) -> str:
        given = json.loads(json.dumps(MINIMAL))
        given["configuration"]["greenroom"]["argocd"]["chart"] = chart
        found = {o["metadata"]["name"]: o for o in controller(given) if o["kind"] == "ValidatingAdmissionPolicy"}
        assert "startsWith('preview-')" in str(found["greenroom-greenroom-project"]["spec"]["validations"])
        return str(found["greenroom-greenroom-sets"]["spec"]["validations"])

    def pins(key: str, value: str) -> str:
        return f"(has(variables.source.{key}) ? variables.source.{key} : '') == '{value}'"

    oci, git = sets("oci://r.example.com/charts/preview"), sets("https://g.example.com/p.git//charts/preview")
    assert (pins("chart", "preview") in oci, pins("path", "") in oci) == (True, True)
    assert (pins("chart", "") in git, pins("path", "charts/preview") in git) == (True, True)


def test_previews_of_another_cluster_name_nothing_that_is_only_in_this_one(controller: Render) -> None:
    def scheduling(destination: str) -> object:
        given = json.loads(json.dumps(MINIMAL))
        given["configuration"]["greenroom"]["argocd"]["destination"] = destination
        [mounted] = [o for o in controller(given) if o["kind"] == "ConfigMap" and "greenroom.yaml" in o["data"]]
        return yaml.safe_load(mounted["data"]["greenroom.yaml"]).get("scheduling")

    assert scheduling("in-cluster") == {"priorityClass": "greenroom-preview-shop"}
    assert scheduling("previews-eu") is None


def test_notes_name_the_next_steps_in_commands_of_this_release(helm: str, tmp_path: Path) -> None:
    """`helm template` leaves out NOTES.txt, so a copy of the chart renders it as a manifest."""
    chart = tmp_path / "greenroom"
    shutil.copytree(ROOT / "charts" / "greenroom", chart)
    notes = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "shown.yaml").write_text(f"notes: |\n{textwrap.indent(notes, '  ')}")
    values: Any = json.loads(json.dumps(MINIMAL))
    values["configuration"]["greenroom"] |= {"label": "try", "resync": "1m"}
    (tmp_path / "values.json").write_text(json.dumps(values))
    command = [helm, "template", "gr", str(chart), "-n", "tools", "-f", str(tmp_path / "values.json")]
    command += ["--kube-version", KUBERNETES, "-s", "templates/shown.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = yaml.safe_load(done.stdout)["notes"]
    assert re.findall(r"^ +(kubectl .*)$", said, re.MULTILINE) == [
        "kubectl rollout status -n tools deploy/gr",
        "kubectl logs -n tools deploy/gr",
        "kubectl exec -n tools deploy/gr -- greenroom list",
        "kubectl port-forward -n tools deploy/gr 8082",
    ]
    for words in ("Secret\n   greenroom exists in the namespace tools", "gr-webhook, port 8080", "every 1m.", "`try`"):
        assert words in said
