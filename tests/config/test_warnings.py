"""What is allowed and probably not meant is told on stderr, and the configuration is right all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from greenroom import config
from greenroom.cli import main
from greenroom.errors import FixConfiguration

PLATFORM: dict[str, Any] = {
    "installation": "demo",
    "domain": "preview.example.com",
    "argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"},
}
WEB: dict[str, Any] = {"repository": "acme/web", "image": "registry.example.com/acme/web", "port": 8080}
SEED = {"kind": "postgresql", "seed": "seed/shop.sql"}
IMAGE = "registry.example.com/acme/seed@sha256:0123"
SECRET = "looks like a secret, but values under `env:` are plain text. Move the value to a Secret, and list that Secret under `envFrom:`. If the value is a real secret, rotate it."


def folder(path: Path, service: dict[str, Any] | None = None, **platform: Any) -> Path:
    (path / "services").mkdir(exist_ok=True)
    (path / "greenroom.yaml").write_text(yaml.safe_dump({**PLATFORM, **platform}))
    (path / "services" / "web.yaml").write_text(yaml.safe_dump({**WEB, **(service or {})}))
    return path


def warnings_of(path: Path) -> list[str]:
    return [str(w) for w in config.load(path).warnings]


SERVICES: list[tuple[dict[str, Any], str]] = [
    (
        {"needs": [SEED]},
        "needs.0.seed: has no effect: greenroom.yaml does not say where seed images are stored."
        " Add `seeds: { image: registry.example.com/previews/seeds }` to greenroom.yaml. See docs/seeds.md.",
    ),
    ({"env": {"STRIPE_SECRET_KEY": "sk_live_51Hxyz"}}, f"env.STRIPE_SECRET_KEY: {SECRET}"),
    ({"env": {"STRIPE": "sk_live_51Hxyz"}}, f"env.STRIPE: {SECRET}"),
    ({"env": {"DB_PASSWORD": "hunter2"}}, f"env.DB_PASSWORD: {SECRET}"),
    ({"env": {"DATABASE_URL": "postgres://me:hunter2@db/shop"}}, f"env.DATABASE_URL: {SECRET}"),
    (
        {"needs": [{"kind": "redis", "image": "registry.example.com/redis:latest"}]},
        "needs.0.image: `registry.example.com/redis:latest` can change at any time."
        " Pin a version or, better, a digest: `@sha256:...`.",
    ),
    (
        {"needs": [{"kind": "redis", "image": "registry.example.com:5000/redis"}]},
        "needs.0.image: `registry.example.com:5000/redis` can change at any time."
        " Pin a version or, better, a digest: `@sha256:...`.",
    ),
    (
        {"env": {"PORT": "3000"}},
        "env.PORT: is 3000, but the service receives requests on port 8080. Remove `PORT` from the file. Greenroom sets it for each web process.",
    ),
]
QUIET: list[dict[str, Any]] = [
    {"needs": [{**SEED, "image": IMAGE}]},
    {"needs": [{"kind": "redis", "image": "registry.example.com/redis:8.2"}]},
    {"env": {"PORT": "8080"}},
    {"env": {"TOKEN_URL": "https://id.example.com/token", "PASSWORD_MIN_LENGTH": "8", "SECRET_KEY": ""}},
    {"env": {"SIGNING_KEY": "/run/keys/signing", "API_TOKEN": "0", "GITHUB_SHA": "4f2c1a94f2c1a94f2c1a94f2c1a94f2c"}},
]


@pytest.mark.parametrize(("service", "sentence"), SERVICES, ids=[s[1][:30] for s in SERVICES])
def test_what_is_probably_not_meant_is_reported_and_let_through(
    service: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(main, ["check", str(folder(tmp_path, service))])
    assert result.stderr == f"warning: services/web.yaml: {sentence}\n"
    assert (result.exit_code, result.stdout) == (0, "ok: 1 service in 1 repository\n")


@pytest.mark.parametrize("service", QUIET, ids=[json.dumps(q)[:40] for q in QUIET])
def test_what_is_meant_is_not_remarked_on(service: dict[str, Any], tmp_path: Path) -> None:
    assert warnings_of(folder(tmp_path, service)) == []


def test_the_local_engine_reads_seeds(tmp_path: Path) -> None:
    assert warnings_of(folder(tmp_path, {"needs": [SEED]}, engine="local")) == []


def test_the_local_engine_sets_no_secrets(tmp_path: Path) -> None:
    assert warnings_of(folder(tmp_path, {"envFrom": ["keys"]})) == []
    [said] = warnings_of(folder(tmp_path, {"envFrom": ["keys"]}, engine="local"))
    assert "envFrom: refers to Secrets in a cluster, so it has no effect with the local engine." in said


def opened(*allowed: dict[str, Any]) -> dict[str, Any]:
    return {"network": {"allowed": [*allowed]}}


def of_namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("http://web.staging:8080", "staging"),
        ("http://web.staging.svc", "staging"),
        ("https://web.staging.svc.cluster.local", "staging"),
        ("http://web:8080", "NAMESPACE"),
        ("http://10.1.2.3", "10.1.2.3/32"),
        ("http://[fd00::1]:80", "fd00::1/128"),
    ],
)
def test_staging_where_previews_are_not_let(url: str, fix: str, tmp_path: Path) -> None:
    [found] = warnings_of(folder(tmp_path, staging={"web": url}))
    what = "a private address" if "/" in fix else "a name inside the cluster"
    assert found.startswith(f"greenroom.yaml: staging.web: `{url}` is {what}, which previews cannot reach by default.")
    opens = yaml.safe_load(found.partition("`network: ")[2].removesuffix("`."))
    assert fix in repr(opens)
    assert warnings_of(folder(tmp_path, staging={"web": url}, network=opens)) == [], "what it says mends it"


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("https://web.staging.example.com", {}),
        ("https://acme.dev", {}),
        ("http://140.82.121.4", {}),
        ("http://web.staging:8080", opened(of_namespace("staging"))),
        ("http://web.staging:8080", opened({"namespaceSelector": {}})),
        ("http://web.staging:8080", opened({"namespaceSelector": {"matchLabels": {"team": "web"}}})),
        ("http://web.staging:8080", opened({"ipBlock": {"cidr": "10.96.0.0/12"}})),
        ("http://web.staging:8080", opened({"ipBlock": {"cidr": "0.0.0.0/0"}})),
        ("http://10.1.2.3", opened({"ipBlock": {"cidr": "10.0.0.0/8"}})),
        ("http://web.staging:8080", {"engine": "local"}),
    ],
)
def test_staging_that_previews_reach(url: str, more: dict[str, Any], tmp_path: Path) -> None:
    assert warnings_of(folder(tmp_path, staging={"web": url}, **more)) == []


@pytest.mark.parametrize(
    "more",
    [
        opened(of_namespace("production")),
        opened({"podSelector": {}}),
        opened({"ipBlock": {"cidr": "140.82.121.0/24"}}),
    ],
)
def test_unrelated_allowed_peer_does_not_silence_the_warning(more: dict[str, Any], tmp_path: Path) -> None:
    assert len(warnings_of(folder(tmp_path, staging={"web": "http://web.staging:8080"}, **more))) == 1


CROWDED = "because old and new pods briefly run together."
KEEPS = "Otherwise, the new version cannot start after a push."


@pytest.mark.parametrize(
    ("quota", "sentences"),
    [
        ({}, []),
        ({"pods": 7, "cpu": "350m", "memory": "3328Mi"}, []),
        ({"pods": 6}, [f"quota.pods: is less than the 7 that a push to acme/web needs, {CROWDED} Write at least 7."]),
        ({"cpu": "0.3"}, [f"quota.cpu: is less than the 350m that a push to acme/web needs, {CROWDED}"]),
        (
            {"memory": "2Gi"},
            [f"quota.memory: is less than the 3328Mi that a push to acme/web needs, {CROWDED}"],
        ),
    ],
)
def test_quota_without_room_for_the_pods_that_a_push_starts(
    quota: dict[str, Any], sentences: list[str], tmp_path: Path
) -> None:
    """A web process of two replicas, a worker, a job of a cron, a cache: 2 + 1, 1 + 1, 1, 1."""
    processes = {
        "web": {"port": 8080, "replicas": 2},
        "worker": {"kind": "worker"},
        "nightly": {"kind": "cron", "schedule": "0 3 * * *"},
    }
    service = {"port": None, "processes": processes, "needs": ["redis"]}
    found = warnings_of(folder(tmp_path, service, quota=quota))
    assert len(found) == len(sentences)
    for warning, sentence in zip(found, sentences, strict=True):
        assert warning.startswith(f"greenroom.yaml: {sentence}")
        assert warning.endswith(KEEPS)


def test_quota_of_a_repository_counts_all_of_its_services(tmp_path: Path) -> None:
    made = folder(tmp_path, quota={"pods": 3})
    assert warnings_of(made) == []
    (made / "services" / "api.yaml").write_text(yaml.safe_dump({**WEB, "image": f"{WEB['image']}-api"}))
    [warning] = warnings_of(made)
    assert "less than the 4 that a push to acme/web needs" in warning


def test_the_local_engine_has_no_quota(tmp_path: Path) -> None:
    assert warnings_of(folder(tmp_path, engine="local", quota={"pods": 1})) == []


def test_the_example_of_the_shop_is_for_both_engines_and_says_so() -> None:
    shop = Path(__file__).parents[2] / "examples" / "shop" / "platform"
    assert [w.path for w in config.load(shop).warnings] == ["needs.0.seed"]


def test_warnings_come_with_mistakes_too_and_as_json(tmp_path: Path) -> None:
    service = {"env": {"API_TOKEN": "hunter2"}, "needs": ["carrier-pigeon"]}
    made = str(folder(tmp_path, service))
    plain = CliRunner().invoke(main, ["check", made])
    first, second = plain.stderr.splitlines()
    assert (plain.exit_code, first.partition(" `")[0]) == (2, "services/web.yaml: needs.0:")
    assert second == f"warning: services/web.yaml: env.API_TOKEN: {SECRET}"
    answer = json.loads(CliRunner().invoke(main, ["check", "--json", made]).stdout)
    assert [len(answer[key]) for key in ("mistakes", "warnings")] == [1, 1]
    assert answer["warnings"][0]["path"] == "env.API_TOKEN"
    right = json.loads(CliRunner().invoke(main, ["check", "--json", str(folder(tmp_path))]).stdout)
    names = {"version": 1, "short_names": {"acme/web": "web"}}
    assert right == {"ok": True, "repositories": 1, "services": 1, "mistakes": [], "warnings": [], **names}


def test_service_without_paths_beside_one_with_paths_is_warned_of(tmp_path: Path) -> None:
    path = folder(tmp_path, {"paths": ["web"]})
    other = {**WEB, "image": "registry.example.com/acme/api"}
    (path / "services" / "api.yaml").write_text(yaml.safe_dump(other))
    [warning] = warnings_of(path)
    assert warning.startswith(
        "services/api.yaml: paths: is missing, although other services of this repository set it."
    )
    (path / "services" / "api.yaml").write_text(yaml.safe_dump({**other, "repository": "acme/api"}))
    assert warnings_of(path) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("/back/**", "'/back/**' matches no file. Write it relative to the repository's root: `back/**`."),
        ("./back", "'./back' matches no file. Write it relative to the repository's root: `back`."),
        ("!back/docs", "'!back/docs' matches no file: patterns cannot be negated. List the paths to include instead."),
        ("", "'' matches no file. Write it relative to the repository's root: `back`."),
        (".", "'.' matches no file. Write it relative to the repository's root: `back`."),
        ("../x", "'../x' matches no file. Write it relative to the repository's root: `back`."),
        (".//back", "'.//back' matches no file. Write it relative to the repository's root: `back`."),
        (" /back", "' /back' matches no file. Write it relative to the repository's root: `back`."),
    ],
)
def test_path_that_can_match_no_file_is_refused(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(FixConfiguration) as refused:
        config.load(folder(tmp_path, {"paths": [given]}))
    assert said in config.report(refused.value)
