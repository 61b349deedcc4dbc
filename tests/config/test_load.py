"""Reading a folder: everything arrives in core's words, and whatever is wrong is a sentence, never a traceback."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom import config
from greenroom.cli import main
from greenroom.config import Secret, SecretSource
from greenroom.config.fields import command, duration
from greenroom.core.model.catalog import (
    Image,
    ImageFrom,
    Lifetime,
    Limits,
    Need,
    Policy,
    Process,
    ProcessKind,
    Resources,
    SeedMode,
    SeedOptions,
    Staging,
    Storage,
    Use,
)
from greenroom.errors import FixConfiguration

PLATFORM: dict[str, Any] = {
    "installation": "demo",
    "domain": "preview.example.com",
    "label": "review",
    "namePrefix": "pr",
    "scheme": "http",
    "engine": "local",
    "repositories": {"shop": "acme/monolith"},
    "staging": {"payments": "https://payments.staging.example.com"},
    "lifetime": {"inactiveAfter": "12h", "warnBefore": "30m", "maxAge": "never", "keepLabel": "stay"},
    "limits": {"total": 9, "perRepository": 8, "perAuthor": 7},
    "drafts": True,
    "bots": ["renovate[bot]"],
    "resync": "5m",
    "registry": {"insecure": ["localhost:5000"], "realms": ["auth.example.com"]},
    "listen": {"webhook": "0.0.0.0:9000"},
    "local": {"checkouts": {"acme/monolith": "../git"}, "proxyPort": 8123, "probeTimeout": "5s"},
}
CATALOG: dict[str, Any] = {
    "repository": "acme/monolith",
    "image": {"repository": "registry.example.com/shop/catalog", "tag": "pr-{number}-{sha}", "from": "merge"},
    "paths": ["catalog/**"],
    "processes": {
        "web": {"command": "python server.py", "port": 8080, "probe": "/healthz"},
        "nightly": {"kind": "cron", "command": ["python", "nightly.py"], "schedule": "0 3 * * *"},
    },
    "migrate": ["python", "migrate.py"],
    "migrateTimeout": "90s",
    "needs": [
        {"kind": "postgresql", "version": "17", "as": "DB", "storage": "persistent", "seed": "seed.sql", "name": "db"}
    ],
    "uses": [{"service": "payments", "as": "PAYMENTS_URL"}],
    "env": {"COLOUR": "green"},
    "envFrom": ["settings"],
    "resources": {"cpu": "100m", "memory": "128Mi", "memoryLimit": "256Mi"},
}
PAYMENTS = {"repository": "acme/payments", "image": "registry.example.com/shop/payments", "port": 80}


def folder(path: Path, platform: object = None, **services: object) -> Path:
    (path / "services").mkdir(parents=True, exist_ok=True)
    (path / "greenroom.yaml").write_text(yaml.safe_dump(platform or PLATFORM))
    for name, service in (services or {"catalog": CATALOG, "payments": PAYMENTS}).items():
        (path / "services" / f"{name}.yaml").write_text(yaml.safe_dump(service, sort_keys=False))
    return path


def test_every_field_arrives(tmp_path: Path) -> None:
    loaded = config.load(folder(tmp_path))
    platform, settings_ = loaded.platform, loaded.settings
    shop = platform.repository("shop")
    assert shop is not None
    [catalog] = shop.services
    assert shop.slug == "acme/monolith"
    assert (platform.label, platform.prefix, platform.scheme, platform.port) == ("review", "pr", "http", 8123)
    assert platform.lifetime == Lifetime(timedelta(hours=12), timedelta(minutes=30), None, "stay")
    assert platform.limits == Limits(9, 8, 7)
    assert platform.policy == Policy(True, frozenset({"renovate[bot]"}))
    assert platform.staging == (
        ("payments", Staging("https://payments.staging.example.com", "https://payments.staging.example.com")),
    )
    assert catalog.image == Image("registry.example.com/shop/catalog", "pr-{number}-{sha}", ImageFrom.MERGE)
    assert catalog.processes == (
        Process("web", ProcessKind.WEB, ("python", "server.py"), 8080, migrates=True, probe="/healthz"),
        Process("nightly", ProcessKind.CRON, ("python", "nightly.py"), schedule="0 3 * * *"),
    )
    assert (catalog.migrate, catalog.migrate_timeout) == (("python", "migrate.py"), timedelta(seconds=90))
    assert catalog.needs == (
        Need(
            "db",
            "postgresql",
            "17",
            (("url", "DB"),),
            Storage.PERSISTENT,
            "seed.sql",
            seed_options=SeedOptions(mode=SeedMode.COPY),
        ),
    )
    assert catalog.uses == (Use("payments", (("url", "PAYMENTS_URL"),)),)
    assert (catalog.env, catalog.env_from, catalog.paths) == ((("COLOUR", "green"),), ("settings",), ("catalog/**",))
    assert catalog.resources == Resources("100m", "128Mi", "256Mi")
    assert settings_.resync == timedelta(minutes=5)
    assert settings_.registry.insecure == ("localhost:5000",)
    assert settings_.listen.webhook == "0.0.0.0:9000"
    assert settings_.local.checkouts == {"acme/monolith": tmp_path / "../git"}
    assert settings_.local.probe_timeout == timedelta(seconds=5)


ARGO = {**PLATFORM, "engine": "argocd"}
CHART = {"argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"}}


@pytest.mark.parametrize("name", ["GITEA__database__HOST", "ConnectionStrings__Default", "_x", "a1"])
def test_variables_are_called_as_programs_call_them(name: str, tmp_path: Path) -> None:
    """Gitea's and .NET's are no upper case; Kubernetes and every shell take them."""
    ways: list[dict[str, Any]] = [
        {"uses": [{"service": "payments", "as": {"url": name}}]},
        {"needs": [{"kind": "redis", "as": name}]},
        {"address": {"public": name}},
        {"env": {name: "1"}},
    ]
    for number, way in enumerate(ways):
        made = folder(tmp_path / str(number), ARGO | CHART, catalog={**CATALOG, "uses": [], **way}, payments=PAYMENTS)
        assert f"'{name}'" in repr(config.load(made).platform.repositories)


CHARTS: list[tuple[dict[str, Any], str]] = [
    ({}, "argocd.chart: the preview chart is not set."),
    ({"chartVersion": "0.1.0"}, "argocd.chart: the preview chart is not set."),
    ({"chart": "oci://registry.example.com/charts/preview"}, "argocd.chartVersion: is missing."),
]


@pytest.mark.parametrize(("argocd", "sentence"), CHARTS)
def test_check_refuses_the_chart_that_serve_would_miss(argocd: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match="one mistake") as found:
        config.load(folder(tmp_path, {**ARGO, "argocd": argocd}))
    assert config.report(found.value).startswith(f"greenroom.yaml: {sentence} Write ")


def test_the_local_engine_needs_no_chart_but_to_render_for_argo_cd(tmp_path: Path) -> None:
    made = folder(tmp_path)
    assert config.load(made).platform.repositories
    rendered = CliRunner().invoke(main, ["render", str(made)])
    assert (rendered.exit_code, rendered.stdout) == (2, "")
    assert rendered.stderr.startswith("greenroom.yaml: argocd.chart: the preview chart is not set.")


KEYS = st.sampled_from(
    ["domain", "label", "limits", "lifetime", "github", "listen", "bots", "resync", "nonsense", "chart"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.dictionaries(st.sampled_from(sorted(CATALOG)), VALUES, max_size=4))
def test_no_yaml_is_a_traceback(tmp_path: Path, platform: dict[str, Any], service: dict[str, Any]) -> None:
    made = folder(tmp_path, {**PLATFORM, **platform}, catalog={**CATALOG, **service}, payments=PAYMENTS)
    try:
        config.load(made)
    except FixConfiguration as error:
        assert error.mistakes
        assert all(m.message and "\n" not in str(m) for m in error.mistakes)


@pytest.mark.parametrize("content", ["", "[]", "1", "a: *b", "\x00", "- a\n- b", "{{", "a: b: c", "\t x: 1"])
def test_no_text_is_a_traceback(tmp_path: Path, content: str) -> None:
    made = folder(tmp_path)
    (made / "greenroom.yaml").write_text(content)
    with pytest.raises(FixConfiguration):
        config.load(made)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3d", timedelta(days=3)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("30s", timedelta(0, 30)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("wrong", ["3", "d", "1.5h", "-1d", "3 days", 3, None, True, ""])
def test_invalid_duration_is_rejected(wrong: object) -> None:
    with pytest.raises(ValueError, match="Write"):
        duration(wrong)


def test_commands_are_split_as_a_shell_would_and_never_run_by_one() -> None:
    assert command("sh -c 'a b'") == ("sh", "-c", "a b")
    assert command(["a b", "$(c)"]) == ("a b", "$(c)")


def test_the_file_may_be_named_in_place_of_the_folder(tmp_path: Path) -> None:
    made = folder(tmp_path)
    by_file = config.load(made / "greenroom.yaml")
    assert by_file == config.load(made)
    assert config.digest(made / "greenroom.yaml") == by_file.digest


@pytest.mark.parametrize(
    ("file", "home"), [("services/catalog.yaml", "."), ("needs/mailpit.yaml", "."), ("values.yaml", ".")]
)
def test_another_file_is_none_that_can_be_named(
    file: str, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder(tmp_path))
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).touch()
    result = CliRunner().invoke(main, ["check", file])
    assert (result.exit_code, result.stderr) == (2, f"{file}: is a file, not a folder. Pass the folder: `{home}`.\n")


def test_a_change_of_any_file_is_noticed(tmp_path: Path) -> None:
    made = folder(tmp_path)
    before = config.digest(made)
    (made / "services" / "payments.yaml").write_text(yaml.safe_dump({**PAYMENTS, "port": 81}))
    assert config.digest(made) != before == config.load(folder(tmp_path)).digest


def test_a_secret_does_not_print_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THE_TOKEN", " s3cret ")
    found = SecretSource("The token", env="THE_TOKEN").read()
    assert found.reveal() == "s3cret"
    assert "s3cret" not in f"{found} {found!r} {[found]}"
    assert isinstance(found, Secret)
    (tmp_path / "token").write_text("from a file\n")
    assert SecretSource("The token", file=str(tmp_path / "token")).read().reveal() == "from a file"


@pytest.mark.parametrize("url", ["postgres://me:hunter2@db/x", "mysql://db/x", "nonsense", "postgresql+psycopg://h:x/"])
def test_a_secret_that_is_no_url_of_a_history_is_reported_without_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTORY_URL", url)
    found = config.load(folder(tmp_path, {**PLATFORM, "databaseFrom": {"env": "HISTORY_URL"}})).settings
    with pytest.raises(FixConfiguration) as wrong:
        _ = found.history
    assert config.report(wrong.value) == (
        "greenroom.yaml: databaseFrom: the value of HISTORY_URL is not a valid history URL."
        " Write `postgresql+psycopg://HOST/DATABASE`, or `sqlite+aiosqlite:///FILE`."
    )
    monkeypatch.setenv("HISTORY_URL", "postgresql+psycopg://me:hunter2@db/x")
    assert found.history == "postgresql+psycopg://me:hunter2@db/x"


@pytest.mark.parametrize(
    "source", [SecretSource("The token", env="UNSET_HERE"), SecretSource("The token", file="/none")]
)
def test_a_missing_secret_says_how_to_set_it(source: SecretSource) -> None:
    with pytest.raises(FixConfiguration) as found:
        source.read()
    [mistake] = found.value.mistakes
    assert (source.env or source.file) in mistake.fix


def test_check_names_the_short_name_that_people_have_to_type(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "greenroom.yaml").write_text(
        yaml.safe_dump({"installation": "test", "domain": "preview.example.com"} | CHART)
    )
    for service, repository in (("web", "Acme-Corp/Web.App"), ("shop", "acme/shop")):
        text = f"repository: {repository}\nimage: registry.example.com/{service}\nport: 8080\n"
        (tmp_path / "services" / f"{service}.yaml").write_text(text)
    told = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert told.exit_code == 0
    assert "Acme-Corp/Web.App is called web-app in commands: web-app#42" in told.stdout
    assert "acme/shop is called" not in told.stdout
    (tmp_path / "services" / "long.yaml").write_text(text.replace("shop", "a-name-that-is-much-longer-than-thirty"))
    told = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert "Set a short name: `repositories: { NAME: acme/a-name-that-is-much-longer-than-thirty }`" in told.stderr


@pytest.mark.parametrize(
    ("engine", "platform", "services", "prepares"),
    [
        ("argocd", {}, ({}, {}), True),
        ("argocd", {"prepare": False}, ({}, {}), False),
        ("argocd", {}, ({"prepare": False}, {}), False),
        ("argocd", {"prepare": False}, ({"prepare": True}, {}), False),
        ("argocd", {"prepare": False}, ({"prepare": True}, {"prepare": True}), True),
        ("local", {"prepare": True}, ({}, {}), False),
    ],
)
def test_previews_are_prepared_unless_the_platform_or_one_service_of_the_repository_says_no(
    engine: str, platform: dict[str, Any], services: tuple[dict[str, Any], ...], prepares: bool, tmp_path: Path
) -> None:
    chart = {"argocd": {"chart": "oci://registry.example.com/charts/preview", "chartVersion": "0.1.0"}}
    where = {"local": {"checkouts": {"acme/shop": "shop"}}} if engine == "local" else chart
    given = {"installation": "demo", "domain": "preview.example.com", "engine": engine, **where, **platform}
    (tmp_path / "greenroom.yaml").write_text(yaml.safe_dump(given))
    (tmp_path / "services").mkdir()
    web = {"web": {"port": 8080, "command": ["run"]}}
    for name, more in zip(("api", "web"), services, strict=True):
        made = {"repository": "acme/shop", "image": f"registry.example.com/{name}", "processes": web, **more}
        (tmp_path / "services" / f"{name}.yaml").write_text(yaml.safe_dump(made))
    [repository] = config.load(tmp_path).platform.repositories
    assert repository.prepare is prepares
