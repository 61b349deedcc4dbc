"""No value that looks secret is copied or told, wherever it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from greenroom.cli import main
from greenroom.importer import secrets

NAMES = [
    "DB_PASS",
    "DBPASS",
    "SMTP_PWD",
    "SMTP_PASS",
    "PGPASSWORD",
    "AWS_ACCESS_KEY_ID",
    "APIKEY",
    "API_KEY_STRIPE",
    "apiKey",
    "GITHUB_PAT",
    "PASSPHRASE",
    "CONNECTION_STRING",
    "ConnectionStrings__Default",
    "STRIPE_SK",
    "SLACK_WEBHOOK_URL",
    "SENTRY_DSN",
    "BASIC_AUTH",
    "APP_KEYS",
    "API_KEY2",
    "GOOGLE_CREDENTIALS",
    "SESSION_SECRET",
    "AUTHTOKEN",
    "SECRETKEY",
    "PASSWORD_SALT",
    "TLS_PRIVATE",
    "JWT",
    "ERLANG_COOKIE",
]
PLAIN_NAMES = [
    "PATH",
    "PATHS",
    "KEYCLOAK_URL",
    "AUTH0_DOMAIN",
    "AUTHOR",
    "LOG_LEVEL",
    "PASSENGER_PORT",
    "COMPANY",
    "PATTERN",
    "DSNAME",
    "PORT",
    "SKU",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_shows_that_its_value_is_secret(name: str) -> None:
    assert secrets.name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_that_only_resembles_one_does_not(name: str) -> None:
    assert not secrets.name(name)


VALUES = (
    "postgres://prod:prodpw@db.example.com/shop",
    "mongodb://root:x@mongo",
    "postgres://u:p/w@db/shop",
    "https://0123abcd@sentry.example.com/2",
    "root:hunter2@tcp(db:3306)/shop",
    "ghp_16C7e42F292c6912E7",
    "github_pat_11AAAA",
    "glpat-abc",
    "sk_live_4eC39H",
    "sk_test_4eC39H",
    "xoxb-17653672481",
    "AKIAIOSFODNN7EXAMPLE",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    "Server=db;Database=shop;User Id=sa;Password=hunter2;",
    "host=db password=hunter2",
    '{"client_email": "a@b.c", "private_key": "abc"}',
    "https://example.com/hook?token=abc",
    "https://store.example.com/x?sig=abc&se=1",
    "https://hooks.slack.com/services/T0/B0/x",
    "Authorization: Bearer abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
)
PLAIN_VALUES = (
    "info",
    "http://api:9000/v1",
    "https://cdn.example.com/vue@3",
    "db:5432",
    "a.person@example.com",
    "mailto:a.person@example.com",
    "config.settings.production",
    "/app/config/environments/production.rb",
    "--max-old-space-size=4096",
    "a, b; c",
    "-XX:MaxRAMPercentage=75",
    "keyboard=us",
    "2026-01-31",
)


@pytest.mark.parametrize("value", VALUES)
def test_a_value_alone_shows_that_it_is_secret(value: str) -> None:
    assert secrets.value(value)


@pytest.mark.parametrize("value", PLAIN_VALUES)
def test_a_plain_value_is_none(value: str) -> None:
    assert not secrets.value(value)


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--db-password=hunter2"],
        ["serve", "--db-password", "hunter2"],
        ["serve", "ghp_16C7e42F292c6912E7"],
        ["redis-server", "--requirepass", "hunter2"],
        ["sh", "-c", "API_TOKEN=hunter2 exec serve"],
        ["sh", "-c", "serve --token 'hunter2' | cat"],
        ["sh", "-c", "it's broken TOKEN=hunter2"],
        ["celery", "-b", "redis://:hunter2@cache/0"],
        ["curl", "-u", "admin:hunter2", "http://api"],
        ["curl", "-H", "X-Api-Key: hunter2", "http://api"],
        ["sh", "-c", "mysql -uroot -phunter2 shop"],
    ],
)
def test_a_word_of_a_command_gives_something_away(words: list[str]) -> None:
    assert secrets.command(words)


@pytest.mark.parametrize(
    "words",
    [
        ["bundle", "exec", "puma", "-p", "3000"],
        ["sh", "-c", 'exec serve --token "$TOKEN" --db-password=$DB_PASSWORD'],
        ["serve", "--token"],
        ["serve", "--no-auth", "--verbose"],
        ["sh", "-c", "run --user 1000:1000"],
    ],
)
def test_a_command_without_secrets_stays(words: list[str]) -> None:
    assert not secrets.command(words)


HIDDEN = "hunter2"
COMPOSE = """
services:
  web:
    build: .
    ports: ["3000:3000"]
    command: serve --api-token hunter2
    environment:
      DB_PASS: hunter2
      EXTERNAL: postgres://prod:hunter2@db.example.com/shop
      LEVEL: ${STRIPE_SECRET:-hunter2}
      NESTED: ${A:-https://u:hunter2@example.com}
    healthcheck: { test: "curl http://localhost:3000/up?token=hunter2" }
  worker: { build: ., command: [work, --password=hunter2], environment: ["SMTP_PWD=hunter2", "MIS TAKE: hunter2"] }
  other: { image: "search:${TAG:-password=hunter2}" }
"""
APP = {
    "env": {"DB_PASS": "hunter2", "STRIPE_SK": {"value": "hunter2"}, "URL": {"value": "amqp://u:hunter2@mq"}},
    "scripts": {"postdeploy": "seed --password hunter2", "pr-predestroy": "bye --password hunter2"},
}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("compose.yml", COMPOSE, ("DB_PASS", "EXTERNAL", "LEVEL", "NESTED", "SMTP_PWD", "command of web", "worker")),
        ("app.json", json.dumps(APP), ("DB_PASS", "STRIPE_SK", "URL", "pr-predestroy", "`migrate`")),
        ("Procfile", "web: serve --password hunter2\n", ("command of web",)),
    ],
)
def test_neither_draft_nor_notes_hold_a_secret_and_what_was_left_out_is_reported(
    name: str, text: str, said: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    done = CliRunner().invoke(main, ["import", str(tmp_path / name)])
    assert done.exit_code == 0, done.output
    assert HIDDEN not in done.output
    assert [words for words in said if words not in done.stderr] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("compose.yml", "services: { web: { build: ., environment: hunter2 } }"),
        ("compose.yml", "services: { web: { build: ., environment: [[hunter2]] } }"),
        ("compose.yml", "services: { web: { build: ., environment: { A: [hunter2] } } }"),
        ("compose.yml", "services: { web: hunter2 }"),
        ("compose.yml", "services: { web: { build: ., environment: { A: *hunter2 } } }"),
        ("compose.yml", "services: { web: { build: ., environment: { A: !hunter2 } } }"),
        ("compose.yml", "services: { web: { build: ., environment: { A=hunter2, A=hunter2 } } }"),
        ("app.json", '{ "env": ["hunter2"] }'),
        ("app.json", '{ "env": { "A": { "value": ["hunter2"] } } }'),
        ("app.json", '{ "env": { "A": "hunter2" '),
    ],
)
def test_no_error_repeats_what_the_file_holds(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    done = CliRunner().invoke(main, ["import", str(tmp_path / name)])
    assert done.exit_code == 2
    assert HIDDEN not in done.output
    assert done.stderr.count("\n") == 1
