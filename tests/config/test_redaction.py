"""Whatever is written where a secret's place should be, no secret gets into a sentence: CI's logs are read by everybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.cli import main
from greenroom.config import redaction

PLATFORM = """
installation: demo
domain: preview.example.com
argocd: { chart: oci://registry.example.com/charts/preview, chartVersion: 0.1.0 }
"""
SERVICE = "repository: acme/web\nimage: registry.example.com/acme/web\nport: 8080\n"
SECRET = "hunter2correct"
TOKEN = "ghp_" + "a1B2" * 9
REPLACED = ". Keep the secret itself out of this file. If the secret was written here, rotate it."
TOKEN_FROM = "must be a source, not a value. Write `tokenFrom: { env: GREENROOM_GITHUB_TOKEN }`" + REPLACED
PASSWORD_FROM = "must be a source, not a value. Write `passwordFrom: { env: REGISTRY_PASSWORD }`" + REPLACED
DATABASE_FROM = "must be a source, not a value. Write `databaseFrom: { env: GREENROOM_DATABASE }`" + REPLACED

CASES: list[tuple[str, str | None]] = [
    (f"github: {{ tokenFrom: {TOKEN} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {SECRET} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {{ env: {TOKEN} }} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {{ env: {SECRET} }} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    ("github: { tokenFrom: { env: AKIAIOSFODNN7EXAMPLE } }", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {{ file: {TOKEN} }} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {{ env: [{SECRET}] }} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: [{SECRET}] }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {{ {SECRET}: x }} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ tokenFrom: {{ value: {SECRET} }} }}", f"github.tokenFrom: {TOKEN_FROM}"),
    ("github: { tokenFrom: 12345678901 }", f"github.tokenFrom: {TOKEN_FROM}"),
    (f"github: {{ token: {SECRET} }}", f"github.token: {TOKEN_FROM}"),
    (
        "github: { tokenFrom: { evn: GREENROOM_GITHUB_TOKEN } }",
        "github.tokenFrom.evn: unknown key `evn`. Did you mean `env`?",
    ),
    (
        "github: { tokenFrom: [{ env: GREENROOM_GITHUB_TOKEN }] }",
        "github.tokenFrom: must be one source, not a list. Write `tokenFrom: { env: GREENROOM_GITHUB_TOKEN }`.",
    ),
    ("github: { tokenFrom: }", "github.tokenFrom: has no value. Write `tokenFrom: { env: GREENROOM_GITHUB_TOKEN }`."),
    (
        "github: { tokenFrom: {} }",
        "github.tokenFrom: needs exactly one of `env:` and `file:`. Keep the secret itself out of this file.",
    ),
    (
        f"github: {{ webhookSecretsFrom: [{SECRET}] }}",
        "github.webhookSecretsFrom.0: must be a source, not a value."
        f" Write `webhookSecretsFrom: [{{ env: GREENROOM_WEBHOOK_SECRET }}]`{REPLACED}",
    ),
    (
        f"github: {{ webhookSecretsFrom: {SECRET} }}",
        "github.webhookSecretsFrom: must be a source, not a value."
        f" Write `webhookSecretsFrom: [{{ env: GREENROOM_WEBHOOK_SECRET }}]`{REPLACED}",
    ),
    (
        f"github: {{ webhookSecret: {SECRET} }}",
        "github.webhookSecret: must be a source, not a value."
        f" Write `webhookSecretsFrom: [{{ env: GREENROOM_WEBHOOK_SECRET }}]`{REPLACED}",
    ),
    (
        "github: { webhookSecretsFrom: { env: A } }",
        "github.webhookSecretsFrom: must be a list of one or two sources."
        " Write `webhookSecretsFrom: [{ env: GREENROOM_WEBHOOK_SECRET }]`.",
    ),
    (
        "github: { webhookSecretsFrom: [] }",
        "github.webhookSecretsFrom: must be a list of one or two sources."
        " Write `webhookSecretsFrom: [{ env: GREENROOM_WEBHOOK_SECRET }]`.",
    ),
    (f"github: {SECRET}", "github: is not a mapping. Write `key: value` lines, indented."),
    (
        f"github: [{{ tokenFrom: {SECRET} }}]",
        "github: must be a mapping, not a list. Write `key: value` lines, indented.",
    ),
    (
        f"registry: {{ credentials: {{ ghcr.io: {{ user: me, passwordFrom: {SECRET} }} }} }}",
        f"registry.credentials.ghcr.io.passwordFrom: {PASSWORD_FROM}",
    ),
    (
        f"registry: {{ credentials: {{ ghcr.io: {{ user: me, password: {SECRET} }} }} }}",
        f"registry.credentials.ghcr.io.password: {PASSWORD_FROM}",
    ),
    (
        f"registry: {{ credentials: {{ ghcr.io: 'me:{SECRET}' }} }}",
        "registry.credentials.ghcr.io: is not a mapping."
        " Write `ghcr.io: { user: NAME, passwordFrom: { env: REGISTRY_PASSWORD } }`.",
    ),
    (
        f"registry: {{ credentials: {SECRET} }}",
        "registry.credentials: is not a mapping. Write `key: value` lines, indented.",
    ),
    (
        f"registry: {{ credentials: {{ ghcr.io: {{ user: [{SECRET}], passwordFrom: {{ env: A }} }} }} }}",
        'registry.credentials.ghcr.io.user: must be a string, not a list. Write `user: "..."`.',
    ),
    (f"pluginTokenFrom: {SECRET}", None),
    (f"databaseFrom: postgresql+psycopg://me:{SECRET}@db/shop", f"databaseFrom: {DATABASE_FROM}"),
    (f"database: postgresql+psycopg://me:{SECRET}@db/shop", f"database: {DATABASE_FROM}"),
    (
        f"database: {{ url: 'postgresql://me:{SECRET}@db/shop' }}",
        "database: must be a string, not a mapping. Write one string instead.",
    ),
    (f"label: [{TOKEN}]", 'label: must be a string, not a list. Write `label: "..."`.'),
    (f"label: {{ {TOKEN}: 1 }}", "label: must be a string, not a mapping. Write one string instead."),
    (f"limits: {TOKEN}", "limits: is not a mapping. Write `key: value` lines, indented."),
    (f"engine: {TOKEN}", "engine: is not valid. Expected 'argocd' or 'local'. Write 'argocd' or 'local'."),
    (f"staging: {{ web: 'ftp://me:{SECRET}@staging.example.com' }}", None),
    (f"{TOKEN}: x", None),
    (f"argocd: {{ chart: 'https://me:{SECRET}@git.example.com/a.git', chartVersion: v1 }}", None),
]


def checked(path: Path, text: str, *more: str) -> tuple[int, str, str]:
    keys = yaml.safe_load(text) or {}
    lines = [line for line in PLATFORM.splitlines() if line.partition(":")[0] not in keys]
    (path / "services").mkdir(exist_ok=True)
    (path / "greenroom.yaml").write_text("\n".join([*lines, text]))
    (path / "services" / "web.yaml").write_text(SERVICE)
    result = CliRunner().invoke(main, ["check", str(path), *more])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(("text", "sentence"), CASES, ids=[c[0][:50] for c in CASES])
def test_a_value_in_place_of_a_place_is_refused_and_not_repeated(
    text: str, sentence: str | None, tmp_path: Path
) -> None:
    code, out, err = checked(tmp_path, text)
    assert (code, out) == (2, "")
    assert SECRET not in err
    assert TOKEN not in err
    if sentence:
        assert err == f"greenroom.yaml: {sentence}\n"


def test_a_password_in_place_of_its_variable_is_not_repeated(tmp_path: Path) -> None:
    text = f"needs: [{{ kind: redis, as: {{ password: {SECRET}-! }} }}]"
    (tmp_path / "services").mkdir()
    (tmp_path / "greenroom.yaml").write_text(PLATFORM)
    (tmp_path / "services" / "web.yaml").write_text(SERVICE + text)
    err = CliRunner().invoke(main, ["check", str(tmp_path)]).stderr
    assert err == (
        "services/web.yaml: needs.0.as.password: is not a valid variable name."
        " Use letters, digits and `_`, not starting with a digit.\n"
    )


@pytest.mark.parametrize("text", [c[0] for c in CASES], ids=[c[0][:50] for c in CASES])
def test_check_does_not_print_secrets_as_json(text: str, tmp_path: Path) -> None:
    _, out, err = checked(tmp_path, text, "--json")
    assert json.loads(out)["mistakes"]
    assert SECRET not in out + err
    assert TOKEN not in out + err


@pytest.mark.parametrize("url", ["", "sqlite+aiosqlite:////var/lib/x.db", "postgresql+psycopg://me@db:5432/shop"])
def test_a_history_without_a_password(url: str, tmp_path: Path) -> None:
    assert checked(tmp_path, f"database: '{url}'")[0] == 0


@pytest.mark.parametrize(
    "place", ["env: GREENROOM_GITHUB_TOKEN", "env: GH_TOKEN_2", "file: /run/secrets/token", "file: token"]
)
def test_source_of_a_secret_is_accepted(place: str, tmp_path: Path) -> None:
    assert checked(tmp_path, f"github: {{ tokenFrom: {{ {place} }} }}") == (0, "ok: 1 service in 1 repository\n", "")


ANYWHERE = st.recursive(
    st.just(SECRET),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2)
        | st.dictionaries(st.sampled_from(["env", "file", "value", "user", "passwordFrom", "a"]), inner, min_size=1)
    ),
    max_leaves=3,
)


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    where=st.sampled_from(
        [
            ("github", "tokenFrom"),
            ("github", "webhookSecretsFrom"),
            ("github", "signingKeyFrom"),
            ("github", "olderSigningKeysFrom"),
            ("pluginTokenFrom",),
            ("databaseFrom",),
            ("database",),
            ("registry", "credentials"),
            ("registry", "credentials", "ghcr.io"),
            ("registry", "credentials", "ghcr.io", "passwordFrom"),
        ]
    ),
    value=ANYWHERE,
)
def test_no_shape_of_a_value_brings_it_to_light(where: tuple[str, ...], value: object, tmp_path: Path) -> None:
    for key in reversed(where):
        value = {key: value}
    _, out, err = checked(tmp_path, yaml.safe_dump(value))
    assert SECRET not in out + err


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (TOKEN, True),
        ("github_pat_11AAA_bbb", True),
        ("sk_live_51Habc", True),
        ("xoxb-12-abc", True),
        ("AKIAIOSFODNN7EXAMPLE", True),
        ("eyJhbGciOiJIUzI1NiJ9.e30.abc", True),
        ("postgresql://me:pw@db/shop", True),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", True),
        ("Zm9vYmFyMTIzNDU2Nzg5QUJD", True),
        ("GREENROOM_GITHUB_TOKEN", False),
        ("registry.example.com/Acme/Web", False),
        ("https://github.com/acme/web", False),
        ("ssh://git@github.com/acme/web", False),
        ("4f2c1a94f2c1a94f2c1a94f2c1a94f2c1a94f2c1", False),
        ("ConnectionStrings__Default", False),
        ("production", False),
    ],
)
def test_what_looks_like_a_secret(text: str, secret: bool) -> None:
    assert redaction.looks_secret(text) == secret


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("STRIPE_SECRET_KEY", True),
        ("SECRET_KEY_BASE", True),
        ("DB_PASSWORD", True),
        ("GITEA__database__PASSWD", True),
        ("GH_TOKEN", True),
        ("apiKey", True),
        ("TOKEN_URL", False),
        ("PASSWORD_MIN_LENGTH", False),
        ("STRIPE_PUBLISHABLE_KEY", False),
        ("KEY", False),
        ("CACHE_KEY", False),
    ],
)
def test_name_of_a_secret_is_recognized(name: str, secret: bool) -> None:
    assert redaction.names_secret(name) == secret
