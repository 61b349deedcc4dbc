"""What a preview has of its own: every kind in every version, its address, its check, and manifests of the team's own."""

from __future__ import annotations

import os
import runpy
import shutil
import socket
import string
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from charts.rendering import CHART, ROOT, Object, Render, Values, named, objects, pods, template
from greenroom.core.model.kinds import KINDS, Chart, Restart

TABLE: dict[str, Any] = yaml.safe_load((CHART / "kinds.yaml").read_text())
VERSIONS = [(kind, version) for kind, found in KINDS.items() for version in found.versions]
MEANINGS = {"data-reset": "pod", "nothing": "cache"}
PRINTABLE = "".join(c for c in string.printable if c.isprintable())
CONNECTION_START = b"\1\0\0\0\0\0\x10" + b"\0\x0a\0\x0a\0\x09"  # https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf


def needs(**changes: str) -> dict[str, Any]:
    """One need of each kind in each version, every part of each in a variable of its own."""
    return {
        f"n{index}": {
            "kind": kind,
            "version": version,
            "variables": {f"N{index}_{part.upper()}": part for part in KINDS[kind].parts},
            **changes,
        }
        for index, (kind, version) in enumerate(VERSIONS)
    }


def having(found: dict[str, Any], **more: Any) -> Values:
    """A preview of one service with these needs."""
    service = {"image": "registry.example.com/web:1", "processes": {"web": {"kind": "web", "port": 80}}, **more}
    shop = {"repository": "shop", "repositoryId": "7", "slug": "acme/shop", "number": 1, "installation": "test"}
    values = {"preview": shop, "services": {"web": {**service, "needs": found}}}
    return {"name": "preview-shop-1", "namespace": "preview-shop-1", "values": values}


def need(rendered: list[Object], name: str) -> Object:
    """The pod template of a need of the service `web`."""
    (pod,) = [pod for o, pod in pods(rendered) if o["metadata"]["name"] == f"web-{name}"]
    return pod


def env(container: Object) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom", {}).get("secretKeyRef")) for e in container.get("env", [])}


def test_chart_and_page_match_the_table_of_kinds() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "kinds.py", "--check"], check=False)
    assert done.returncode == 0, "run: python docs/kinds.py"
    assert TABLE.keys() == KINDS.keys()


@pytest.mark.parametrize("storage", ["ephemeral", "persistent"])
def test_new_kind_needs_one_entry(storage: str, helm: str, tmp_path: Path) -> None:
    """The chart's table and the page follow from the entry. What the entry leaves out is not in the cluster."""
    entry = replace(
        KINDS["memcached"],
        title="Gearman",
        variable="GEARMAN_URL",
        chart=Chart(
            image="r.example.com/gearman",
            port=4730,
            memory="64Mi",
            scheme="gearman",
            check="true",
            restart=Restart.NOTHING,
        ),
    )
    follows = runpy.run_path(str(ROOT / "docs" / "kinds.py"))
    kinds = {**KINDS, "gearman": entry}
    assert "| `gearman` | **1.6** | `r.example.com/gearman` | `GEARMAN_URL` `gearman://HOST:4730` |" in follows[
        "table"
    ](kinds)
    chart = shutil.copytree(CHART, tmp_path / "preview")
    (chart / "kinds.yaml").write_text(follows["chart"](kinds))
    variables = {part.upper(): part for part in entry.parts}
    one = {"jobs": {"kind": "gearman", "version": "1.6", "variables": variables, "storage": storage}}
    rendered = objects(template(helm, having(one), chart=chart))
    assert {kubernetes_validate.validate(o, "1.34", strict=True) for o in rendered} == {"1.34"}
    assert [o for o in rendered if o["kind"] == "Secret"] == []
    (web,) = named(rendered, "Deployment", "web-web")["spec"]["template"]["spec"]["containers"]
    given = {name: value for name, value in env(web).items() if name in variables}
    assert given == {"URL": "gearman://web-jobs:4730", "HOST": "web-jobs", "PORT": "4730"}
    pod = need(rendered, "jobs")
    assert "volumes" not in pod["spec"]
    assert pod["spec"]["containers"][0].keys().isdisjoint({"env", "volumeMounts", "command"})
    assert pod["metadata"]["annotations"]["greenroom.dev/storage"] == "cache"


def test_kind_without_a_password_provides_no_password(helm: str) -> None:
    one = {"cache": {"kind": "memcached", "version": "1.6", "variables": {"WORD": "password"}}}
    with pytest.raises(
        AssertionError, match=r"WORD refers to the password of web-cache, which does not have one\. Use host, port, url"
    ):
        template(helm, having(one))


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_is_whole(kind: str) -> None:
    found = TABLE[kind]
    assert KINDS[kind].default in KINDS[kind].versions
    assert found["user"] > 0
    assert bool(KINDS[kind].local) == bool(KINDS[kind].programs)
    assert bool(found.get("password")) == bool(found.get("login")) == bool(found.get("database"))
    for script in (found["check"], found.get("start", "")):
        assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("changes", [{}, {"storage": "persistent"}, {"image": "registry.example.com/seed:1"}])
@pytest.mark.parametrize("version", ["1.31", "1.32", "1.33", "1.34"])
def test_every_version_of_every_kind_is_taken(changes: dict[str, str], version: str, render: Render) -> None:
    rendered = render(having(needs(**changes)))
    assert {kubernetes_validate.validate(o, version, strict=True) for o in rendered} == {version}
    for index, (kind, tag) in enumerate(VERSIONS):
        pod = need(rendered, f"n{index}")
        (container,) = pod["spec"]["containers"]
        assert container["image"] == changes.get("image", f"{TABLE[kind]['image']}:{tag}")
        assert container["name"] == kind, "lives are told by it"
        keeps = changes.get("storage") == "persistent" and "data" in TABLE[kind]
        storage = "persistent" if keeps else MEANINGS[TABLE[kind]["restart"]]
        storage = "ephemeral" if storage == "pod" and "image" in changes else storage
        assert pod["metadata"]["annotations"]["greenroom.dev/storage"] == storage
        stays = "karpenter.sh/do-not-disrupt" in pod["metadata"]["annotations"]
        assert stays == (storage in ("pod", "ephemeral")), "a node is not kept for a cache, nor for data on a volume"
        user = TABLE[kind]["user"]
        assert pod["spec"]["securityContext"]["runAsUser"] == pod["spec"]["securityContext"]["fsGroup"] == user
        mounted = {m["mountPath"] for m in container.get("volumeMounts", [])} - {"/dev/shm"}
        data = TABLE[kind].get("data")
        assert mounted == ({data} if data and "image" not in changes else set())


def test_postgresql_keeps_its_data_where_all_versions_may(render: Render) -> None:
    """18 keeps it in another folder of /var/lib/postgresql than 14 to 17, and refuses a volume at the old one."""
    rendered = render(having(needs()))
    for index, (kind, _) in enumerate(VERSIONS):
        if kind == "postgresql":
            (container,) = need(rendered, f"n{index}")["spec"]["containers"]
            (mount,) = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "data"]
            assert env(container)["PGDATA"].startswith(f"{mount}/")
            assert not mount.startswith("/var/lib/postgresql")


def test_a_service_gets_the_parts_that_it_asks_for(render: Render) -> None:
    rendered = render(having(needs()))
    (web,) = named(rendered, "Deployment", "web-web")["spec"]["template"]["spec"]["containers"]
    given = env(web)
    for index, (kind, _) in enumerate(VERSIONS):
        found, name = TABLE[kind], f"web-n{index}"
        got = {part: given[f"N{index}_{part.upper()}"] for part in KINDS[kind].parts}
        if not found.get("password"):
            assert got == {"url": f"{name}:{found['port']}", "host": name, "port": str(found["port"])}
            continue
        assert got == {
            "url": {"name": name, "key": "url"},
            "password": {"name": name, "key": "password"},
            "host": name,
            "port": str(found["port"]),
            "user": found["login"],
            "database": found["database"],
        }
        secret = named(rendered, "Secret", name)["stringData"]
        url = urlsplit(secret["url"])
        assert (url.scheme, url.username, url.password) == (found["scheme"], found["login"], secret["password"])
        assert (url.hostname, url.port, url.path) == (name, found["port"], f"/{found['database']}")


def test_only_the_parts_that_are_asked_for(render: Render) -> None:
    one = {"db": {"kind": "mysql", "version": "8.4", "variables": {"H": "host", "P": "password"}}}
    rendered = render(having(one))
    (web,) = named(rendered, "Deployment", "web-web")["spec"]["template"]["spec"]["containers"]
    assert env(web).keys() == {"GREENROOM_PREVIEW", "PORT", "H", "P"}


def test_the_url_carries_every_printable_character_of_a_password(helm: str, tmp_path: Path) -> None:
    """The chart makes letters and digits; this is the chart with another password in its place."""
    chart = shutil.copytree(CHART, tmp_path / "preview")
    file = chart / "templates" / "needs.yaml"
    quoted = PRINTABLE.replace("`", "")
    assert "randAlphaNum 32" in file.read_text()
    file.write_text(file.read_text().replace("randAlphaNum 32", f'printf "%s%c" `{quoted}` 96'))
    rendered = objects(template(helm, having(needs()), chart=chart))
    secrets = [o["stringData"] for o in rendered if o["kind"] == "Secret"]
    assert len(secrets) == sum("password" in TABLE[kind] for kind, _ in VERSIONS)
    for secret in secrets:
        assert sorted(secret["password"]) == sorted(PRINTABLE)
        assert unquote(urlsplit(secret["url"]).password or "") == secret["password"]


def test_memory_and_size(render: Render) -> None:
    rendered = render(having(needs(storage="persistent", memory="3Gi", size="7Gi")))
    for index in (i for i, (kind, _) in enumerate(VERSIONS) if "data" in TABLE[kind]):
        spec = named(rendered, "StatefulSet", f"web-n{index}")["spec"]
        assert spec["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "3Gi"
        assert spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "7Gi"


def test_a_mirror_of_the_stock_images(render: Render) -> None:
    one = {"db": {"kind": "redis", "version": "8", "variables": {"U": "url"}}}
    mirror = {"settings": {"images": {"redis": "registry.example.com/mirror/redis"}}}
    (container,) = need(render(having(one), mirror), "db")["spec"]["containers"]
    assert container["image"] == "registry.example.com/mirror/redis:8"


# --- shared ---


def test_a_shared_need_is_the_same_one(render: Render, everything: Values) -> None:
    rendered = render(everything)
    [pod] = [
        pod["spec"]
        for o, pod in pods(rendered)
        if o["metadata"]["labels"].get("app.kubernetes.io/component") == "reports"
    ]
    given = env(pod["containers"][0])
    assert given["SHOP_DATABASE_URL"] == {"name": "shop-postgresql", "key": "url"}
    assert given["CACHE_HOST"] == "shop-redis"
    assert given["CACHE_PASSWORD"] == {"name": "shop-redis", "key": "password"}
    waits = {c["name"]: c for c in pod["initContainers"]}
    assert waits["wait-shop-redis"]["command"][-1] == "shop-redis"
    assert waits["wait-shop-redis"]["env"] == [
        {"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "shop-redis", "key": "password"}}}
    ]
    workloads = [o["metadata"]["name"] for o, _ in pods(rendered)]
    assert [name for name in workloads if "redis" in name] == ["shop-redis"]


@pytest.mark.parametrize("share", [{"service": "none", "name": "db"}, {"service": "web", "name": "none"}])
def test_what_is_not_there_cannot_be_shared(share: dict[str, str], helm: str) -> None:
    more = having({}, sharedNeeds=[{**share, "variables": {"U": "url"}}])
    with pytest.raises(
        AssertionError, match=f"shares the need {share['name']} of {share['service']}, which does not exist"
    ):
        template(helm, more)


def test_an_unknown_kind_is_refused_with_those_that_are_known(helm: str) -> None:
    one = {"db": {"kind": "carrier-pigeon", "version": "23", "variables": {"U": "url"}}}
    with pytest.raises(
        AssertionError, match=rf"no kind of need called carrier-pigeon\. Use one of {', '.join(sorted(KINDS))}"
    ):
        template(helm, having(one))


# --- what checks and starts do, with programs that only write down how they were called ---

SECRET = "s3 c\\r\"e't$(x)`%"
CLIENTS = {
    "postgresql": ("psql", "PGPASSWORD"),
    "mysql": ("mysql", "MYSQL_PWD"),
    "mariadb": ("mariadb", "MYSQL_PWD"),
    "redis": ("redis-cli", "REDISCLI_AUTH"),
    "valkey": ("valkey-cli", "VALKEYCLI_AUTH"),
}


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(script: str, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder}:{os.environ['PATH']}"
    command = ["sh", "-c", script, "script", *arguments]
    return subprocess.run(
        command, env={"PATH": path, **variables}, capture_output=True, text=True, check=False, timeout=10
    )


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_check_asks_with_the_password_and_does_not_print_it(kind: str, tmp_path: Path) -> None:
    client, variable = CLIENTS[kind]
    program(
        tmp_path, client, f'echo "$@" >{tmp_path}/arguments; printf %s "${variable}" >{tmp_path}/password; echo PONG'
    )
    password = TABLE[kind]["password"][0]
    assert run(TABLE[kind]["check"], tmp_path, "db.example", **{password: SECRET}).returncode == 0
    assert (tmp_path / "password").read_text() == SECRET
    arguments = (tmp_path / "arguments").read_text()
    assert "db.example" in arguments.split()
    assert "SELECT 1" in arguments or "ping" in arguments
    assert "s3" not in arguments


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_check_fails_where_the_question_has_no_answer(kind: str, tmp_path: Path) -> None:
    password = TABLE[kind]["password"][0]
    program(tmp_path, CLIENTS[kind][0], "echo 'NOAUTH Authentication required.'; exit 1")
    assert run(TABLE[kind]["check"], tmp_path, "db.example", **{password: SECRET}).returncode != 0


@pytest.mark.parametrize("said", ["LOADING Redis is loading the dataset in memory", "NOAUTH", ""])
def test_cache_that_does_not_return_pong_is_not_ready(said: str, tmp_path: Path) -> None:
    for kind in ("redis", "valkey"):
        program(tmp_path, CLIENTS[kind][0], f"echo '{said}'")
        assert run(TABLE[kind]["check"], tmp_path, "db.example").returncode != 0


@pytest.mark.parametrize(
    ("answer", "ready"), [(CONNECTION_START, True), (b"", False), (b"AMQP\0\0\x09\1", False), (b"HTTP/1.1 400", False)]
)
def test_a_broker_is_ready_when_it_answers_amqp(answer: bytes, ready: bool, tmp_path: Path) -> None:
    asked, found = answered("rabbitmq", 5672, answer, tmp_path)
    assert (asked, found) == (b"AMQP\0\0\x09\x01", ready)


def answered(kind: str, port: int, answer: bytes, tmp_path: Path) -> tuple[bytes, bool]:
    """Return what the check of a kind sends to a server that gives this response, and whether the check passes."""
    asked = b""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            nonlocal asked
            connection, _ = server.accept()
            with connection:
                asked = connection.recv(9)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        check = TABLE[kind]["check"].replace(f"/{port}", f"/{server.getsockname()[1]}")
        satisfied = run(check, tmp_path, "127.0.0.1").returncode == 0
        thread.join()
    return asked, satisfied


@pytest.mark.parametrize(
    ("answer", "ready"), [(b"VERSION 1.6.38\r\n", True), (b"ERROR\r\n", False), (b"", False), (b"HTTP/1.1 400", False)]
)
def test_memcached_is_ready_when_it_returns_its_version(answer: bytes, ready: bool, tmp_path: Path) -> None:
    asked, found = answered("memcached", 11211, answer, tmp_path)
    assert (asked, found) == (b"version\r\n", ready)


@pytest.mark.parametrize(("limit", "given"), [("134217728", "64"), ("1073741824", "512"), ("max", "64"), (None, "64")])
def test_memcached_uses_half_of_its_memory_limit(limit: str | None, given: str, tmp_path: Path) -> None:
    program(tmp_path, "memcached", 'echo "$@"')
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    start = TABLE["memcached"]["start"].replace("/sys/fs/cgroup", str(tmp_path))
    assert run(start, tmp_path, "cache").stdout.split() == ["-m", given]


@pytest.mark.parametrize("kind", ["redis", "valkey"])
@pytest.mark.parametrize(("storage", "appends"), [("cache", "no"), ("persistent", "yes")])
def test_a_cache_starts_with_its_password_in_no_list_of_processes(
    kind: str, storage: str, appends: str, tmp_path: Path
) -> None:
    program(tmp_path, f"{kind}-server", 'echo "$@"; cat')
    password = TABLE[kind]["password"][0]
    done = run(TABLE[kind]["start"], tmp_path, storage, **{password: SECRET})
    arguments, setting = done.stdout.splitlines()
    assert arguments.split() == ["-", "--dir", "/data", "--save", "--appendonly", appends]
    quoted = setting.removeprefix('requirepass "').removesuffix('"')
    assert quoted.replace('\\"', '"').replace("\\\\", "\\") == SECRET


def test_a_real_redis_takes_that_start_and_answers_that_check(tmp_path: Path) -> None:
    if not (server := shutil.which("redis-server")):
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start = TABLE["redis"]["start"].replace("--dir /data", f"--dir {tmp_path} --port {port}")
    path = {"PATH": f"{Path(server).parent}:{os.environ['PATH']}", "REDIS_PASSWORD": SECRET}
    check = TABLE["redis"]["check"].replace("redis-cli", f"redis-cli -p {port}")
    with subprocess.Popen(["sh", "-c", start, "start", "persistent"], env=path, stdout=subprocess.DEVNULL) as running:
        try:
            waiting = f"for i in $(seq 100); do if {check}; then exit 0; fi; sleep 0.05; done; exit 1"
            assert run(waiting, tmp_path, "127.0.0.1", REDIS_PASSWORD=SECRET).returncode == 0
            assert run(check, tmp_path, "127.0.0.1", REDIS_PASSWORD="another").returncode != 0
            assert b"s3" not in Path(f"/proc/{running.pid}/cmdline").read_bytes()
        finally:
            running.terminate()
        assert running.wait(10) == 0, "the server is the container's first process, which hears of the end"
    assert (tmp_path / "appendonlydir").is_dir()


# --- manifests ---


def test_a_manifest_arrives_as_it_was_written(render: Render, everything: Values) -> None:
    rendered = render(everything)
    assert named(rendered, "ConfigMap", "mailpit")["data"]["MP_LABEL"] == "{{ .Values }} and {{`raw`}}"
    spec = named(rendered, "Deployment", "mailpit")["spec"]
    assert spec["template"]["spec"]["securityContext"]["runAsUser"] == 10_000_000
    assert spec["selector"] == {"matchLabels": {"app": "mailpit"}}
    labels = spec["template"]["metadata"]["labels"]
    assert labels["app"] == "mailpit"
    assert labels["greenroom.dev/role"] == "need"
    assert labels["app.kubernetes.io/name"] == "mailpit", "troubles are told by it"
    assert named(rendered, "ConfigMap", "mailpit")["metadata"]["annotations"] == {"example.com/owner": "platform"}


def test_a_manifest_of_two_services_is_there_once(render: Render, everything: Values) -> None:
    assert [o["kind"] for o in render(everything) if o["metadata"]["name"] == "mailpit"] == [
        "ConfigMap",
        "Service",
        "Deployment",
    ]


def test_a_manifest_without_a_service_answers_nobody(render: Render, everything: Values) -> None:
    workload = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "alone"}, "data": {"a": "b"}}
    policy = named(render(everything, {"manifests": {"alone": [workload]}}), "NetworkPolicy", "manifest.alone")
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not policy["spec"].keys() & {"ingress", "egress"}
