"""Needs: every kind arrives in core's words; what is wrong with one is a sentence with the fix; manifests are looked into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom import config
from greenroom.config import manifests
from greenroom.config.needs import nearest
from greenroom.core.model.catalog import Manifest, Need, Service, SharedNeed, Storage
from greenroom.core.model.kinds import KINDS, local
from greenroom.errors import FixConfiguration

SHOP: dict[str, Any] = {"repository": "acme/shop", "image": "registry.example.com/acme/shop", "port": 8080}
CHART = {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"}
MAILPIT = Path(__file__).parents[1] / "charts" / "everything" / "needs" / "mailpit.yaml"


def folder(path: Path, needs: object, engine: str = "argocd", manifest: str = "", **others: object) -> Path:
    (path / "services").mkdir(parents=True, exist_ok=True)
    (path / "needs").mkdir(exist_ok=True)
    platform = {"installation": "test", "domain": "preview.example.com", "engine": engine, "argocd": CHART}
    (path / "greenroom.yaml").write_text(yaml.safe_dump(platform))
    for name, service in ({"shop": {**SHOP, "needs": needs}} | others).items():
        (path / "services" / f"{name}.yaml").write_text(yaml.safe_dump(service, sort_keys=False))
    if manifest:
        (path / "needs" / "mailpit.yaml").write_text(manifest)
    return path


def loaded(path: Path, needs: object, **more: Any) -> Service:
    made = config.load(folder(path, needs, **more)).platform.repositories
    return next(s for r in made for s in r.services if s.name == "shop")


def mistakes(path: Path, needs: object, **more: Any) -> list[str]:
    with pytest.raises(FixConfiguration) as found:
        config.load(folder(path, needs, **more))
    return [str(m) for m in found.value.mistakes]


# --- kinds ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_is_enough(kind: str, tmp_path: Path) -> None:
    [need] = loaded(tmp_path, [kind]).needs
    assert need == Need(kind, kind, KINDS[kind].default, (("url", KINDS[kind].variable),))


def test_the_names_of_variables_are_herokus() -> None:
    assert {k: v.variable for k, v in KINDS.items()} == {
        "postgresql": "DATABASE_URL",
        "mysql": "DATABASE_URL",
        "mariadb": "DATABASE_URL",
        "redis": "REDIS_URL",
        "valkey": "REDIS_URL",
        "memcached": "MEMCACHE_SERVERS",  # Heroku's names belong to vendors; clients read this one by default
        "rabbitmq": "CLOUDAMQP_URL",
    }


def test_everything_that_a_need_can_say(tmp_path: Path) -> None:
    said = {
        "kind": "mysql",
        "version": "8.0",
        "name": "books",
        "as": {"host": "DB_HOST", "password": "DB_PASSWORD", "url": "DB"},
        "storage": "persistent",
        "memory": "2Gi",
        "size": "10Gi",
    }
    [need] = loaded(tmp_path, [said]).needs
    variables = (("url", "DB"), ("host", "DB_HOST"), ("password", "DB_PASSWORD"))
    assert need == Need("books", "mysql", "8.0", variables, Storage.PERSISTENT, memory="2Gi", size="10Gi")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("postgres", "postgresql"),
        ("Postgres", "postgresql"),
        ("pg", "postgresql"),
        ("postgressql", "postgresql"),
        ("amqp", "rabbitmq"),
        ("rabbit", "rabbitmq"),
        ("rabitmq", "rabbitmq"),
        ("maria", "mariadb"),
        ("mysq", "mysql"),
        ("reddis", "redis"),
        ("valkeys", "valkey"),
        ("carrier-pigeon", ""),
    ],
)
def test_nearest_kind_is_suggested(written: str, meant: str) -> None:
    assert nearest(written) == meant


WRONG: list[tuple[str, object, str]] = [
    (
        "an unknown kind",
        ["carrier-pigeon"],
        "needs.0: `carrier-pigeon` is not a known kind of need. Known kinds: postgresql, mysql, mariadb, redis, valkey, memcached,"
        " rabbitmq. For other needs, use `manifest:` (docs/needs.md).",
    ),
    (
        "a kind by its other name",
        ["amqp"],
        "needs.0: `amqp` is not a known kind of need. Did you mean `rabbitmq`?",
    ),
    (
        "a version that is not offered",
        [{"kind": "mysql", "version": "5.7"}],
        "needs.0.version: MySQL 5.7 is not supported. Use one of 8.0, 8.4.",
    ),
    (
        "a version without quotes",
        [{"kind": "mysql", "version": 8.4}],
        'needs.0.version: 8.4 is not a string. Quote it: "8.4".',
    ),
    (
        "no part",
        [{"kind": "redis", "as": {}}],
        "needs.0.as: must name at least one variable. Write `as: DATABASE_URL`, or `as: {host: PGHOST, port: PGPORT}`.",
    ),
    (
        "an unknown part",
        [{"kind": "redis", "as": {"pasword": "REDIS_PASSWORD"}}],
        "needs.0.as.pasword: unknown key `pasword`. Did you mean `password`?",
    ),
    (
        "a variable that is none",
        [{"kind": "redis", "as": "redis-url"}],
        "needs.0.as: 'redis-url' is not a valid variable name. Write `REDIS_URL`: letters, digits and `_`, not starting with a digit.",
    ),
    (
        "an unknown key",
        [{"kind": "redis", "vesion": "8"}],
        "needs.0.vesion: unknown key `vesion`. Did you mean `version`?",
    ),
    (
        "a size without a volume",
        [{"kind": "redis", "size": "1Gi"}],
        "needs.0: `size` needs a volume. Add `storage: persistent`, or remove `size`.",
    ),
    (
        "an image on a volume",
        [{"kind": "redis", "image": "r.example.com/x@sha256:1", "storage": "persistent"}],
        "needs.0: `image` contains its own data, which is not stored on a volume. Remove `storage: persistent` or `image`.",
    ),
    (
        "a quantity that is none",
        [{"kind": "redis", "memory": "1 GB"}],
        "needs.0.memory: '1 GB' is not a valid size. Write a size such as 512Mi or 2Gi.",
    ),
    (
        "a dump for another kind",
        [{"kind": "redis", "seed": "dump.rdb"}],
        "needs.0.seed: Redis does not start from a dump; PostgreSQL, MySQL, MariaDB do. Use an `image:` that contains"
        " the data.",
    ),
    (
        "a dump that the image cannot restore",
        [{"kind": "mariadb", "seed": {"path": "seed.sql", "mode": "restore"}}],
        "needs.0.seed.mode: the image of MariaDB does not restore dumps. Use `mode: layer`, or `mode: copy` for data on"
        " a volume.",
    ),
    (
        "extensions where there are none",
        [{"kind": "mysql", "seed": {"path": "seed.sql", "extensions": ["hstore"]}}],
        "needs.0.seed.extensions: MySQL has no extensions. Remove `extensions`.",
    ),
    (
        "a dump outside of the repository",
        [{"kind": "postgresql", "seed": {"path": "/seed.sql"}}],
        "needs.0.seed.path: '/seed.sql' is outside the repository. Write a path inside it, such as `seed/shop.sql`.",
    ),
    (
        "a branch of its own repository",
        [{"kind": "postgresql", "seed": {"path": "seed.sql", "branch": "main"}}],
        "needs.0.seed: `branch` needs `repository`. Without it, the dump is read from the service's own repository, at"
        " the preview's commit. Remove `branch`, or add `repository: owner/name`.",
    ),
    (
        "a layer on a volume",
        [{"kind": "postgresql", "seed": {"path": "seed.sql", "mode": "layer"}, "storage": "persistent"}],
        "needs.0: `mode: layer` keeps no data on a volume. Use `mode: copy`, or remove `storage: persistent`.",
    ),
    (
        "an extension that is none",
        [{"kind": "postgresql", "seed": {"path": "seed.sql", "extensions": ["pg crypto"]}}],
        "needs.0.seed.extensions.0: 'pg crypto' is not a valid extension name. Use lowercase letters, digits, `_` and `-`, starting with a letter or `_`.",
    ),
    (
        "a password that a kind does not have",
        [{"kind": "memcached", "as": {"host": "CACHE_HOST", "password": "CACHE_PASSWORD"}}],
        "needs.0.as.password: Memcached has no password. Use url, host, port.",
    ),
    (
        "data that a kind does not keep",
        [{"kind": "memcached", "storage": "persistent"}],
        "needs.0.storage: Memcached does not store data on disk. Remove `storage: persistent`.",
    ),
    (
        "two of one name",
        ["postgresql", {"kind": "postgresql", "as": "OTHER_URL"}],
        "needs.0: more than one need is called `postgresql`. Give each of them its own `name:`.",
    ),
    (
        "two of one variable",
        ["postgresql", "mysql"],
        "DATABASE_URL: the variable DATABASE_URL is set 2 times. Set the variable in only one place. Needs and links can use another name under `as:`.",
    ),
    (
        "one variable twice in one need",
        [{"kind": "redis", "as": {"host": "A", "port": "A"}}],
        "A: the variable A is set 2 times. Set the variable in only one place. Needs and links can use another name under `as:`.",
    ),
    ("no mapping", [7], "needs.0: 7 is not a mapping. Write `key: value` lines, indented."),
]


@pytest.mark.parametrize(("needs", "sentence"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_with_a_need_is_one_sentence(needs: object, sentence: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, needs) == [f"services/shop.yaml: {sentence}"]


def test_use_and_need_cannot_set_the_same_variable(tmp_path: Path) -> None:
    shop = {**SHOP, "needs": ["redis"], "uses": [{"service": "other", "as": "REDIS_URL"}], "env": {"A": "b"}}
    other = {**SHOP, "needs": [{"manifest": "needs/mailpit.yaml", "env": {"A": "b"}}], "env": {"A": "c"}}
    found = mistakes(tmp_path, [], shop=shop, other=other, manifest=MAILPIT.read_text())
    assert found == [
        "services/other.yaml: A: the variable A is set 2 times. Set the variable in only one place. Needs and links can use another name under `as:`.",
        "services/shop.yaml: REDIS_URL: the variable REDIS_URL is set 2 times. Set the variable in only one place. Needs and links can use another name under `as:`.",
    ]


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.local])
def test_kind_without_a_local_server_is_rejected_for_the_local_engine(kind: str, tmp_path: Path) -> None:
    [found] = mistakes(tmp_path, [kind], engine="local")
    assert f"needs.0: the local engine does not support {KINDS[kind].title}." in found


def test_the_local_engine_refuses_what_it_does_not_offer(tmp_path: Path) -> None:
    given = ["postgresql", "rabbitmq", {"manifest": "needs/mailpit.yaml"}]
    assert mistakes(tmp_path, given, engine="local", manifest=MAILPIT.read_text()) == [
        "services/shop.yaml: needs.1: the local engine does not support RabbitMQ."
        f" Supported kinds: {', '.join(local(KINDS))}. For other kinds, use `engine: argocd`.",
        "services/shop.yaml: needs.2.manifest: the local engine does not run Kubernetes objects. Remove the need, or use `engine: argocd`.",
    ]


def test_the_local_engine_reads_no_dump_of_another_repository(tmp_path: Path) -> None:
    need = {"kind": "postgresql", "seed": {"path": "shop.sql", "repository": "acme/seeds"}}
    assert mistakes(tmp_path, [need], engine="local") == [
        "services/shop.yaml: needs.0.seed.repository: the local engine reads only dumps in the service's own repository."
        " Remove `repository`, or use `engine: argocd`."
    ]


# --- shared ---

STOCK: dict[str, Any] = {**SHOP, "needs": [{"kind": "redis", "name": "cache"}]}


def test_a_need_of_another_service(tmp_path: Path) -> None:
    found = loaded(tmp_path, [{"of": "stock", "name": "cache", "as": "CACHE_URL"}], stock=STOCK)
    assert found.needs == ()
    assert found.shared_needs == (SharedNeed("stock", "cache", (("url", "CACHE_URL"),)),)


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        ({"of": "stok", "name": "cache"}, "of: the service `stok` does not exist. Did you mean `stock`?"),
        (
            {"of": "shop", "name": "cache"},
            "of: a service cannot share a need with itself. Name the service that has the need, or write `kind:` instead of `of:`.",
        ),
        ({"of": "stock", "name": "cashe"}, "name: `stock` has no need called `cashe`. Did you mean `cache`?"),
        (
            {"of": "plain", "name": "cache"},
            "name: `plain` has no need called `cache`. Needs that `plain` can share: none.",
        ),
        (
            {"of": "elsewhere", "name": "cache"},
            "of: `elsewhere` is in acme/elsewhere, so it never runs in the same preview as shop."
            " Needs can only be shared within one repository. Use `uses:` to call the other service.",
        ),
        ({"of": "chained", "name": "cache"}, "of: `chained` itself shares `cache` from `stock`. Write `of: stock`."),
    ],
)
def test_what_cannot_be_shared(share: dict[str, str], sentence: str, tmp_path: Path) -> None:
    others = {
        "stock": STOCK,
        "plain": SHOP,
        "elsewhere": {**STOCK, "repository": "acme/elsewhere"},
        "chained": {**SHOP, "needs": [{"of": "stock", "name": "cache", "as": "CACHE_URL"}]},
    }
    found = mistakes(tmp_path, [{**share, "as": "CACHE_URL"}], **others)
    assert found == [f"services/shop.yaml: needs.0.{sentence}"]


def test_a_file_with_mistakes_of_its_own_makes_no_second_one(tmp_path: Path) -> None:
    found = mistakes(tmp_path, [{"of": "stock", "name": "cache", "as": "CACHE_URL"}], stock={**STOCK, "port": "x"})
    assert len(found) == 1
    assert found[0].startswith("services/stock.yaml: port")


# --- manifests ---

NEED = [{"manifest": "needs/mailpit.yaml", "env": {"MAIL_URL": "smtp://mailpit:1025"}}]


def test_a_manifest_arrives_with_its_objects(tmp_path: Path) -> None:
    found = loaded(tmp_path, NEED, manifest=MAILPIT.read_text())
    [manifest] = found.manifests
    assert isinstance(manifest, Manifest)
    assert manifest.name == "mailpit"
    assert [json.loads(o)["kind"] for o in manifest.objects] == ["Service", "ConfigMap", "Deployment"]
    assert found.env == (("MAIL_URL", "smtp://mailpit:1025"),)


def test_a_change_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    before = config.digest(folder(tmp_path, NEED, manifest=MAILPIT.read_text()))
    after = config.digest(folder(tmp_path, NEED, manifest=MAILPIT.read_text().replace("200", "300")))
    assert before != after


@pytest.mark.parametrize(
    "path", ["../needs/x.yaml", "/etc/passwd", "needs/../services/shop.yaml", "needs/x.yml", "x.yaml", "needs/a/b.yaml"]
)
def test_a_manifest_is_in_the_folder_of_the_configuration(path: str, tmp_path: Path) -> None:
    [found] = mistakes(tmp_path, [{"manifest": path}])
    assert found.startswith(f"services/shop.yaml: needs.0.manifest: {path!r} is not a manifest in this folder.")


def altered(kind: str, *path: str | int, to: object) -> str:
    """Mailpit's manifest with one value in its object of that kind changed; None takes it out."""
    found = list(yaml.safe_load_all(MAILPIT.read_text()))
    at = next(o for o in found if o["kind"] == kind)
    *way, last = path
    for key in way:
        at = at[key]
    if to is None:
        del at[last]
    else:
        at[last] = to
    return yaml.safe_dump_all(found)


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
REFUSED: list[tuple[str, str, str]] = [
    (
        "a kind of another sort",
        altered("ConfigMap", "kind", to="Secret"),
        "v1 Secret is not allowed in a manifest.",
    ),
    ("an old API", altered("Deployment", "apiVersion", to="apps/v1beta1"), "apps/v1beta1 Deployment is not allowed"),
    ("a namespace", altered("Service", "metadata", "namespace", to="kube-system"), "metadata.namespace is set"),
    ("a namespace of pods", altered("Deployment", *POD[:2], "metadata", "namespace", to="a"), "namespace is set"),
    (
        "an owner",
        altered("Service", "metadata", "ownerReferences", to=[]),
        "ownerReferences is not allowed in a manifest",
    ),
    ("a name that is none", altered("Service", "metadata", "name", to="Mail_Pit"), "'Mail_Pit' is not a valid name"),
    (
        "a label of ours",
        altered("Service", "metadata", "labels", to={"greenroom.dev/role": "x"}),
        "is reserved in previews",
    ),
    (
        "a hook",
        altered("ConfigMap", "metadata", "annotations", to={"argocd.argoproj.io/hook": "PreSync"}),
        "argocd.argoproj.io/hook is reserved",
    ),
    ("a label that is no text", altered("Service", "metadata", "labels", to={"a": 1}), "labels.a: 1 is not a string"),
    ("a node port", altered("Service", "spec", "type", to="NodePort"), "reachable from outside"),
    ("no ports", altered("Service", "spec", "ports", to=[]), "has no ports"),
    ("the node's network", altered("Deployment", *POD, "hostNetwork", to=True), "hostNetwork is set"),
    ("the node's files", altered("Deployment", *POD, "volumes", to=[{"name": "a", "hostPath": {}}]), "type hostPath"),
    ("a port of the node", altered("Deployment", *CONTAINER, "ports", 0, "hostPort", to=25), "port on the node"),
    ("privileged", altered("Deployment", *CONTAINER, "securityContext", "privileged", to=True), "is privileged"),
    ("root", altered("Deployment", *POD, "securityContext", "runAsNonRoot", to=None), "may run as root"),
    ("the number of root", altered("Deployment", *POD, "securityContext", "runAsUser", to=0), "may run as root"),
    (
        "no seccomp",
        altered("Deployment", *POD, "securityContext", "seccompProfile", to=None),
        "does not have the seccomp profile",
    ),
    (
        "more rights",
        altered("Deployment", *CONTAINER, "securityContext", "allowPrivilegeEscalation", to=None),
        "may gain",
    ),
    (
        "capabilities",
        altered("Deployment", *CONTAINER, "securityContext", "capabilities", to=None),
        "keeps capabilities",
    ),
    (
        "more capabilities",
        altered("Deployment", *CONTAINER, "securityContext", "capabilities", "add", to=["SYS_ADMIN"]),
        "adds capabilities. Remove all except NET_BIND_SERVICE from `capabilities.add`",
    ),
    ("no containers", altered("Deployment", *POD, "containers", to=[]), "has no containers"),
    ("a date", altered("ConfigMap", "data", to={"a": "x"}).replace("a: x", "a: 2026-01-01"), "contains a date"),
    (
        "too much",
        altered("ConfigMap", "data", to={"a": "x" * 20_000}),
        "larger than 20000 bytes, the limit for a manifest",
    ),
    ("no object", "---\n", "contains no objects"),
    ("a list", "- a\n", "is not a Kubernetes object"),
    ("no YAML", "a: b: c", "is not valid YAML"),
    ("a service's own name", altered("Service", "metadata", "name", to="shop"), "the service shop already uses"),
    ("a process's name", altered("Deployment", "metadata", "name", to="shop-web"), "the service shop already uses"),
]


@pytest.mark.parametrize(("manifest", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_no_manifest_may_hold(manifest: str, words: str, tmp_path: Path) -> None:
    [found] = mistakes(tmp_path, NEED, manifest=manifest)
    assert found.startswith("needs/mailpit.yaml: ")
    assert words in found


def test_missing_manifest_is_reported(tmp_path: Path) -> None:
    assert mistakes(tmp_path, NEED) == [
        "needs/mailpit.yaml: the file does not exist. Create the file, or name another file under `manifest:`."
    ]


def test_two_manifests_cannot_have_one_object(tmp_path: Path) -> None:
    made = folder(tmp_path, [*NEED, {"manifest": "needs/other.yaml"}], manifest=MAILPIT.read_text())
    (made / "needs" / "other.yaml").write_text(MAILPIT.read_text())
    with pytest.raises(FixConfiguration) as found:
        config.load(made)
    assert {m.file for m in found.value.mistakes} == {"needs/other.yaml"}
    assert {m.path for m in found.value.mistakes} == {"Service/mailpit", "ConfigMap/mailpit", "Deployment/mailpit"}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "v1", "Service", "a", "ALL"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "a"]), inner, max_size=2),
    max_leaves=5,
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    where=st.sampled_from(
        [
            ("Deployment", "spec"),
            ("Deployment", "spec", "template"),
            ("Deployment", *POD),
            ("Deployment", *POD, "containers"),
            ("Deployment", *POD, "volumes"),
            ("Deployment", *POD, "securityContext"),
            ("Deployment", *CONTAINER),
            ("Deployment", *CONTAINER, "ports"),
            ("Deployment", *CONTAINER, "securityContext"),
            ("Deployment", *CONTAINER, "securityContext", "capabilities"),
            ("Service", "spec"),
            ("Service", "spec", "ports"),
            ("Service", "metadata"),
            ("Service", "metadata", "labels"),
            ("ConfigMap", "metadata", "name"),
            ("ConfigMap", "kind"),
        ]
    ),
    value=ANYTHING,
)
def test_no_manifest_is_a_traceback(where: tuple[Any, ...], value: object, tmp_path: Path) -> None:
    kind, *path = where
    (tmp_path / "x.yaml").write_text(altered(kind, *path, to=value if value is not None else ""))
    objects, wrong = manifests.read(tmp_path, "x.yaml")
    assert objects or wrong
    assert list(manifests.names(objects))[:1] == ([("Service", "mailpit")] if objects else [])


# --- the schema for editors ---


@pytest.mark.parametrize(
    "needs",
    [
        ["redis"],
        [{"kind": "redis", "as": "A"}],
        [{"kind": "redis", "as": {"host": "A"}}],
        [{"of": "stock", "name": "cache", "as": "A"}],
        [{"of": "stock", "name": "cache", "as": {"url": "A"}}],
        [{"manifest": "needs/mailpit.yaml", "env": {"A": "b"}}],
    ],
)
def test_editors_take_all_shapes(needs: object) -> None:
    jsonschema.validate({**SHOP, "needs": needs}, config.json_schema()["service"])


@pytest.mark.parametrize(
    ("images", "wrong"),
    [
        ({"redis": "registry.example.com/mirror/redis"}, ""),
        ({"postgres": "registry.example.com/mirror/postgres"}, "Did you mean `postgresql`?"),
    ],
)
def test_images_may_come_from_a_mirror(images: dict[str, str], wrong: str, tmp_path: Path) -> None:
    path = folder(tmp_path, ["redis"])
    platform = {"installation": "test", "domain": "preview.example.com", "images": images, "argocd": CHART}
    (path / "greenroom.yaml").write_text(yaml.safe_dump(platform))
    if wrong:
        with pytest.raises(FixConfiguration) as found:
            config.load(path)
        assert wrong in config.report(found.value)
    else:
        assert json.loads(config.load(path).platform.cluster.settings)["images"] == images
