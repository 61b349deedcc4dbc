"""Databases that die: each time a new life of the data, with the services started and migrated again."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from e2e.scene import REGISTRY, ROOT, Pull, Scene, kubectl, objects, processes, thing, until


def data_generation(pull: Pull) -> str:
    """What all its web pods say; during a rolling update there are two."""
    pods = pull.pods("app.kubernetes.io/component=web")
    return ",".join(sorted({str(p["metadata"]["annotations"]["greenroom.dev/data-generation"]) for p in pods}))


def test_a_database_whose_pod_is_deleted_begins_again_and_is_migrated(scene: Scene) -> None:
    pull = scene.catalog.pull_request("dbpod", "2")
    pull.ready("2")
    pull.post("/", {"name": "Lost", "cents": 5})
    kubectl("delete", "pod", "-n", pull.namespace, "-l", "app.kubernetes.io/name=catalog-postgresql", "--wait=false")
    pull.says("its data was reset", 60)
    found = pull.answers("2", 60)
    assert "Lost" not in [p["name"] for p in found["products"]]
    assert all(p["stock"] is not None for p in found["products"]), "migrated again"
    assert until(lambda: data_generation(pull) == "2", 30)


def test_a_database_killed_inside_its_container_begins_again_too(scene: Scene) -> None:
    pull = scene.catalog.pull_request("dbkill", "2")
    pull.ready("2")
    pull.post("/", {"name": "Lost", "cents": 5})
    [pod] = pull.pods("app.kubernetes.io/name=catalog-postgresql")
    for pid in processes(pod["metadata"]["uid"], "postgres"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    pull.says("its data was reset", 60)
    found = pull.answers("2", 60)
    assert "Lost" not in [p["name"] for p in found["products"]]
    assert all(p["stock"] is not None for p in found["products"]), "migrated again"
    assert until(lambda: data_generation(pull) == "2", 30)
    [after] = pull.pods("app.kubernetes.io/name=catalog-postgresql")
    assert after["metadata"]["uid"] == pod["metadata"]["uid"], "the same pod, another container"


def test_five_databases_at_once_are_five_resets_and_no_breaker(scene: Scene) -> None:
    pulls = [scene.catalog.pull_request(f"spot-{n}", "2") for n in range(5)]
    for pull in pulls:
        pull.ready("2", 120)
    names = [
        (p.namespace, pod["metadata"]["name"])
        for p in pulls
        for pod in p.pods("app.kubernetes.io/name=catalog-postgresql")
    ]
    deleting = [
        subprocess.Popen(["kubectl", "delete", "pod", "-n", namespace, name, "--grace-period=1", "--wait=false"])
        for namespace, name in names
    ]
    assert [d.wait(30) for d in deleting] == [0] * 5
    for pull in pulls:
        pull.says("its data was reset", 120)
        pull.answers("2", 120)
        assert until(lambda p=pull: data_generation(p) == "2", 30)  # type: ignore[misc]
    assert "held" not in scene.greenroom("list")


def test_the_password_stays_over_hard_refreshes_and_a_push(scene: Scene) -> None:
    pull = scene.catalog.pull_request("password", "2")
    pull.ready("2")

    def secret() -> str:
        return kubectl("get", "secret", "catalog-postgresql", "-n", pull.namespace, "-o", "jsonpath={.data.password}")

    before = secret()
    assert before
    for _ in range(20):
        kubectl(
            "annotate", "application", pull.namespace, "-n", "argocd", "argocd.argoproj.io/refresh=hard", "--overwrite"
        )
        until(lambda: "argocd.argoproj.io/refresh" not in str((pull.application or {}).get("metadata")), 15)
    assert secret() == before
    pull.push("3")
    pull.answers("3")
    assert secret() == before
    text = kubectl("get", "application", pull.namespace, "-n", "argocd", "-o", "yaml")
    assert base64.b64decode(before).decode() not in text


def orders(pull: Pull) -> dict[str, int]:
    found: dict[str, int] = pull.page("/orders").raise_for_status().json()
    return found


@pytest.mark.usefixtures("stores")
def test_a_backend_has_its_own_database_queue_and_cache_with_a_worker_and_a_cron(scene: Scene) -> None:
    pull = scene.catalog.pull_request("stores", "2")
    pull.ready("2")
    kinds = {"postgresql", "redis", "rabbitmq"}
    needs = {c["name"] for p in pull.pods("greenroom.dev/role=need") for c in p["spec"]["containers"]}
    assert needs == kinds
    assert until(lambda: pull.page("/products").json()["cache"] == "hit", 20)
    pull.post("/", {"name": "New", "cents": 5})
    assert "New" in [p["name"] for p in pull.page("/products").json()["products"]], "the cache was emptied"
    for product in (1, 2, 3):
        pull.post("/orders", {"product": product})
    until(lambda: orders(pull)["orders"] == 3, 30, "three orders that went through the queue and the worker")
    kubectl("create", "job", "now", "-n", pull.namespace, "--from=cronjob/catalog-report")
    until(lambda: orders(pull)["reports"] == 1, 60, "the cron's report")
    secrets = [s for s in objects("secret", pull.namespace) if "password" in s.get("data", {})]
    assert len(secrets) == len(kinds)
    application = json.dumps(pull.application) + pull.comment + scene.log()
    for secret in secrets:
        password = base64.b64decode(secret["data"]["password"]).decode()
        assert password not in application, "no password in an Application's field, the comment or the log"


@pytest.mark.usefixtures("stores")
def test_restart_of_a_cache_is_ignored_and_of_a_queue_is_a_data_reset(scene: Scene) -> None:
    pull = scene.catalog.pull_request("store-dies", "2")
    pull.ready("2")
    cache, queue = ("app.kubernetes.io/name=catalog-redis", "app.kubernetes.io/name=catalog-rabbitmq")
    until(lambda: pull.page("/products").json()["cache"] == "hit", 20)
    kubectl("delete", "pod", "-n", pull.namespace, "-l", cache, "--wait=false")
    until(lambda: pull.page("/products").json()["cache"] == "miss", 60)
    assert data_generation(pull) == "1"
    kubectl("delete", "pod", "-n", pull.namespace, "-l", queue, "--wait=false")
    pull.says("its data was reset", 90)
    until(lambda: data_generation(pull) == "2", 60)

    def ordered() -> bool:  # the pods of before may serve until those of now do, and their queue is gone
        pull.post("/orders", {"product": 1})
        return True

    until(ordered, 60, "an order that the new queue takes")
    until(lambda: orders(pull)["orders"] >= 1, 60)


def test_mariadb_belongs_to_a_preview_as_well(scene: Scene) -> None:
    with scene.serving(payments={**scene.services["payments"], "needs": [{"kind": "mariadb", "version": "10.11"}]}):
        pull = scene.payments.pull_request("maria", "2")
        pull.ready("2", 120)
        [pod] = pull.pods("greenroom.dev/role=need")
        ask = 'MYSQL_PWD="$MARIADB_PASSWORD" mariadb --skip-ssl -h payments-mariadb -u app -D app -e "SELECT 40+2"'
        assert "42" in kubectl("exec", "-n", pull.namespace, pod["metadata"]["name"], "--", "sh", "-c", ask)
        [web] = pull.pods("app.kubernetes.io/component=web")
        given = {e["name"]: e for e in web["spec"]["containers"][0]["env"]}["DATABASE_URL"]
        assert given["valueFrom"]["secretKeyRef"] == {"name": "payments-mariadb", "key": "url"}


@contextlib.contextmanager
def disks() -> Iterator[str]:
    """A volume that the default storage class gives to whoever claims it, deleted with its claim. Yields its name."""
    folder = tempfile.mkdtemp(prefix="greenroom-disk-", dir="/tmp")  # of folders, Kubernetes deletes only such
    os.chown(folder, 999, 999)
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    named = {"name": "e2e-disk"}
    made: list[dict[str, object]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {**named, "annotations": default},
            "provisioner": "kubernetes.io/no-provisioner",
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": named,
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": "e2e-disk",
                "hostPath": {"path": folder},
            },
        },
    ]
    kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
    try:
        yield "e2e-disk"
    finally:
        kubectl("delete", "storageclass,persistentvolume", "e2e-disk", "--ignore-not-found", "--wait=false")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_persistent_database_outlives_its_pod_and_ends_with_the_preview(scene: Scene) -> None:
    need = {"kind": "postgresql", "version": "15", "storage": "persistent", "size": "1Gi"}
    with disks() as disk, scene.serving(payments={**scene.services["payments"], "needs": [need]}):
        pull = scene.payments.pull_request("disk", "2")
        pull.ready("2", 120)

        def asked(sql: str) -> str:
            ask = f'PGPASSWORD="$POSTGRES_PASSWORD" psql -XqAt -h payments-postgresql -U app -d app -c "{sql}"'
            return kubectl("exec", "-n", pull.namespace, "payments-postgresql-0", "--", "sh", "-c", ask)

        asked("CREATE TABLE kept AS SELECT 42 AS answer")
        [before] = pull.pods("greenroom.dev/role=need")
        [web] = pull.pods("app.kubernetes.io/component=web")
        kubectl("delete", "pod", "-n", pull.namespace, "payments-postgresql-0", "--wait=false")

        def another() -> bool:
            [after] = pull.pods("greenroom.dev/role=need")
            return bool(after["metadata"]["uid"] != before["metadata"]["uid"])

        until(another, 60, "another pod")
        until(lambda: asked("SELECT answer FROM kept").strip() == "42", 60, "the same data")
        pull.push("3")
        pull.answers("3")
        assert asked("SELECT answer FROM kept").strip() == "42"
        assert data_generation(pull) == web["metadata"]["annotations"]["greenroom.dev/data-generation"] == "1"
        assert "its data was reset" not in pull.comment
        pull.close()
        pull.says("All of the preview's resources have been deleted", 90)
        assert thing("persistentvolume", disk) is None


def test_a_mail_catcher_of_the_teams_own_manifest(scene: Scene) -> None:
    manifest = (ROOT / "tests/charts/everything/needs/mailpit.yaml").read_text()
    manifests = {"mailpit": manifest.replace("docker.io/axllent", REGISTRY)}
    need = {"manifest": "needs/mailpit.yaml", "env": {"MAIL_HOST": "mailpit", "MAIL_API": "http://mailpit/api/v1"}}
    with scene.serving(manifests, payments={**scene.services["payments"], "needs": [need]}):
        pull = scene.payments.pull_request("mail", "2")
        pull.ready("2")
        [web] = pull.pods("app.kubernetes.io/component=web")

        def python(text: str) -> str:
            return kubectl("exec", "-n", pull.namespace, web["metadata"]["name"], "--", "python", "-c", text)

        sent = "s.sendmail('shop@example.com', ['ada@example.com'], 'To: ada@example.com\\nSubject: Your order\\n\\nThank you')"
        send = f"import os, smtplib; s = smtplib.SMTP(os.environ['MAIL_HOST'], 1025); {sent}"
        read = "import os, urllib.request as r; print(r.urlopen(os.environ['MAIL_API'] + '/messages').read().decode())"
        until(lambda: python(send) == "", 30, "a mail that Mailpit takes")
        [mail] = json.loads(python(read))["messages"]
        assert (mail["Subject"], mail["To"][0]["Address"]) == ("Your order", "ada@example.com")
        pull.close()
        pull.says("All of the preview's resources have been deleted", 60)
