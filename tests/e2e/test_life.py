"""The life of previews on a real cluster with a real Argo CD."""

from __future__ import annotations

import json
import time

from e2e.scene import ARGO, REGISTRY, Pull, Scene, kubectl, objects, thing, until

HANG = "CREATE TABLE IF NOT EXISTS hang (n int); SELECT pg_sleep(600);\n"


def migrating(pull: Pull) -> list[str]:
    """The web pods that migrate now."""
    return [
        str(p["metadata"]["name"])
        for p in pull.pods("app.kubernetes.io/component=web")
        for s in p["status"].get("initContainerStatuses", ())
        if s["name"] == "migrate" and "running" in s["state"]
    ]


def test_a_label_waits_for_the_image_and_becomes_a_page(scene: Scene) -> None:
    with scene.serving(catalog={**scene.services["catalog"], "prepare": False}):
        pull = scene.catalog.pull_request("life", "2", built=False)
        pull.says("Waiting for image")
        assert not pull.exists()
        head = scene.github.do(lambda w: w.pull_request("shop/catalog", pull.number).head_sha)
        scene.catalog.build(head)
        found = pull.ready("2")
    assert len(found["products"]) == 30, "seeded"
    assert all(p["stock"] is not None for p in found["products"]), "migrated"
    assert f"http://catalog-pr-{pull.number}." in pull.comment
    assert head[:7] in pull.comment


def needs_of(pull: Pull) -> dict[str, tuple[str, int]]:
    """The pods of the needs by name: their uid, and how often their containers started again."""
    return {
        str(p["metadata"]["labels"]["app.kubernetes.io/name"]): (
            str(p["metadata"]["uid"]),
            sum(s["restartCount"] for s in p["status"].get("containerStatuses", ())),
        )
        for p in pull.pods("greenroom.dev/role=need")
    }


def condition(pull: Pull, kind: str) -> tuple[str, str]:
    """One condition of the Preview object: its status and its reason."""
    shown = thing("preview", f"{pull.repository.name}-{pull.number}", ARGO) or {}
    return next((c["status"], c["reason"]) for c in shown["status"]["conditions"] if c["type"] == kind)


def test_a_preview_is_prepared_while_ci_builds_and_only_its_services_start_with_the_image(scene: Scene) -> None:
    pull = scene.catalog.pull_request("prepared", "2", built=False)
    pull.says("PostgreSQL is ready; waiting for image", 90)
    assert "Preview waiting" in pull.comment
    before, secrets = needs_of(pull), objects("secret", pull.namespace)
    assert "catalog-postgresql" in before
    assert pull.pods("greenroom.dev/role=service") == [], "nothing of a commit without an image"
    assert objects("cronjobs", pull.namespace) == []
    assert pull.page().status_code in (404, 502, 503)
    until(lambda: condition(pull, "Ready") == ("False", "Prepared"), 15, "the Preview object")
    assert condition(pull, "Serving")[0] == "False"
    waited = scene.greenroom("wait", pull.name, "--timeout", "2s", check=False)
    assert "PostgreSQL is ready; waiting for image" in waited
    second = pull.push("3", built=False)
    pull.says(f"waiting for image {REGISTRY}/shop/catalog:{second[:7]}", 30)
    scene.catalog.build(second)
    found = pull.ready("3")
    assert len(found["products"]) == 30, "seeded and migrated by the image"
    assert needs_of(pull) == before, "no pod of a need is made twice, and none restarts"
    passwords = [s.get("data") for s in objects("secret", pull.namespace)]
    assert passwords == [s.get("data") for s in secrets]
    assert "was reset" not in pull.comment


def test_a_prepared_preview_without_an_image_is_removed_and_verified(scene: Scene) -> None:
    pull = scene.catalog.pull_request("never", "2", built=False)
    pull.says("PostgreSQL is ready; waiting for image", 90)
    pull.close()
    pull.gone(30)
    pull.says("All of the preview's resources have been deleted", 30)


def test_a_push_becomes_a_new_version_and_the_old_one_serves_until_then(scene: Scene) -> None:
    pull = scene.catalog.pull_request("push", "2")
    pull.ready("2")
    pull.post("/", {"name": "New", "cents": 5})
    pull.push("3")
    seen, failures = set(), 0
    deadline = time.monotonic() + 60
    while "3" not in seen and time.monotonic() < deadline:
        answer = pull.page()
        failures += answer.status_code != 200
        if answer.status_code == 200:
            seen.add(answer.json()["release"])
    assert seen == {"2", "3"}
    assert failures == 0
    assert "New" in [p["name"] for p in pull.answers("3")["products"]], "the data was kept"
    pull.says("Preview ready")


def test_a_migration_that_hangs_is_replaced_by_the_next_push(scene: Scene) -> None:
    pull = scene.catalog.pull_request("hang", "2")
    pull.ready("2")
    pull.push("3", files={"migrations/002_hang.sql": HANG})
    until(lambda: migrating(pull), 60, "a migration that hangs")
    assert pull.answers("2"), "the old version serves"
    pull.push("4", files={"migrations/002_hang.sql": "SELECT 1;\n"})
    pull.answers("4", 15)


def test_a_migration_that_takes_too_long_is_ended_and_reported(scene: Scene) -> None:
    with scene.serving(catalog={**scene.services["catalog"], "migrateTimeout": "5s"}):
        pull = scene.catalog.pull_request("slow", "2", files={"migrations/002_hang.sql": HANG})
        pull.says("The migration of catalog-web took longer than 5 s and was stopped.", 90)
        pull.push("3", files={"migrations/002_hang.sql": "SELECT 1;\n"})
        pull.ready("3")


def test_a_migration_whose_pod_is_evicted_is_tried_again(scene: Scene) -> None:
    pull = scene.catalog.pull_request("evicted", "2", files={"migrations/003_slow.sql": "SELECT pg_sleep(10);\n"})
    [name] = until(lambda: migrating(pull), 90, "a slow migration")
    path = f"/api/v1/namespaces/{pull.namespace}/pods/{name}/eviction"
    metadata = {"name": name, "namespace": pull.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    kubectl("create", "--raw", path, "-f", "-", given=json.dumps(eviction))
    until(lambda: name not in migrating(pull), 30, "the eviction")
    assert len(pull.ready("2", 120)["products"]) == 30
    applied = "SELECT count(*) FROM schema_migrations WHERE name = '003_slow.sql'"
    [pod] = pull.pods("app.kubernetes.io/name=catalog-postgresql")
    ask = f'PGPASSWORD="$POSTGRES_PASSWORD" psql -XqAt -h 127.0.0.1 -U app -d app -c "{applied}"'
    assert kubectl("exec", "-n", pull.namespace, pod["metadata"]["name"], "--", "sh", "-c", ask).strip() == "1"


def test_a_push_while_the_one_before_is_not_served_yet_is_the_new_version_soon(scene: Scene) -> None:
    """Whether Argo CD's sync of the first push still runs then, or has ended while its pods start."""
    pull = scene.catalog.pull_request("twice", "2")
    pull.ready("2")
    shas = [scene.catalog.commit("twice", release) for release in ("3", "4")]
    for sha in shas:
        scene.catalog.build(sha)

    def syncing() -> bool:
        status = (pull.application or {}).get("status", {})
        return bool(status.get("operationState", {}).get("phase") == "Running")

    def rolling() -> bool:
        """The first push is in the Application, and its pods do not serve yet."""
        values = str((pull.application or {}).get("spec", {}).get("source", {}).get("helm", {}).get("values", ""))
        return shas[0] in values and pull.page().json()["release"] == "2"

    scene.github.do(lambda w: w.push("shop/catalog", pull.number, shas[0], "ada"))
    until(lambda: syncing() or rolling(), 15, "the first push on its way")
    scene.github.do(lambda w: w.push("shop/catalog", pull.number, shas[1], "ada"))
    pull.answers("4", 15)


def test_unlabeled_preview_is_deleted_completely_and_the_receipt_says_so(scene: Scene) -> None:
    pull = scene.catalog.pull_request("unlabel", "2")
    pull.ready("2")
    begun = time.monotonic()
    pull.unlabel()
    pull.gone(15)
    pull.says("All of the preview's resources have been deleted", 15 - (time.monotonic() - begun))
    assert "removed by ada" in pull.comment


def test_merged_pull_request_is_deleted_completely(scene: Scene) -> None:
    pull = scene.payments.pull_request("merge", "2")
    pull.ready("2")
    begun = time.monotonic()
    pull.close(merge=True)
    pull.gone(15)
    pull.says("All of the preview's resources have been deleted", 15 - (time.monotonic() - begun))


def test_a_label_that_comes_back_within_two_seconds_is_never_stuck(scene: Scene) -> None:
    pull = scene.payments.pull_request("again", "2")
    pull.ready("2")
    pull.unlabel()
    time.sleep(1.5)
    pull.label()
    time.sleep(10)  # longer than a removal takes: what answers now answers for good
    pull.ready("2", 50)
    assert pull.uid
    assert "All of the preview's resources have been deleted" not in pull.comment


def test_two_repositories_with_two_pull_requests_each(scene: Scene) -> None:
    pulls = [
        repository.pull_request(f"many-{number}", f"{number}")
        for repository in (scene.catalog, scene.payments)
        for number in (2, 3)
    ]
    for pull, release in zip(pulls, ("2", "3", "2", "3"), strict=True):
        pull.ready(release)
    namespaces = {n["metadata"]["name"] for n in objects("namespaces", selector="greenroom.dev/installation=e2e")}
    assert namespaces == {p.namespace for p in pulls}
    sets = {s["metadata"]["name"] for s in objects("applicationsets", "argocd", "greenroom.dev/repository")}
    assert {"preview-catalog", "preview-payments"} <= sets


def test_asleep_preview_runs_only_its_data_and_wakes_up_again(scene: Scene) -> None:
    pull = scene.catalog.pull_request("sleep", "2")
    pull.ready("2")
    pull.label("preview-sleep")
    until(lambda: not pull.pods("greenroom.dev/role=service"), 30, "no service pod")
    pull.says("Preview asleep")
    assert pull.pods("greenroom.dev/role=need"), "the database stays"
    kubectl("annotate", "application", pull.namespace, "-n", "argocd", "argocd.argoproj.io/refresh=hard")
    time.sleep(4)
    assert not pull.pods("greenroom.dev/role=service"), "self-heal does not wake it"
    pull.unlabel("preview-sleep")
    pull.ready("2")
