"""Files written for these tests in the shape of well known public ones, none of which is copied: their drafts load."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from greenroom.importer import drafts, written
from importer.drafted import OPTIONS, load, read

FILES = Path(__file__).with_name("files")


@pytest.mark.parametrize(
    ("file", "services", "data", "said"),
    [
        (
            "mastodon.yml",
            {"web": ["web", "sidekiq"], "streaming": ["web"]},
            {"needs": [{"kind": "postgresql", "version": "14"}, {"kind": "redis", "version": "7"}]},
            ["`env_file` of web, sidekiq", "ENTRYPOINT"],
        ),
        (
            "sentry.yml",
            {
                "clickhouse": ["worker"],
                "symbolicator-cleanup": ["worker"],
                "web": ["web", "cron", "worker", "events-consumer"],
                "sentry-cleanup": ["worker"],
            },
            {"public": False},
            [
                "snuba-api (an image)",
                "SNUBA was left out: the host snuba-api",
                "VROOM was left out",
                "Redis 6.2",
            ],
        ),
        (
            "directus.yml",
            {"directus": ["web"]},
            {
                "needs": [
                    {
                        "kind": "postgresql",
                        "version": "14",
                        "as": {
                            "host": "DB_HOST",
                            "port": "DB_PORT",
                            "user": "DB_USER",
                            "password": "DB_PASSWORD",
                            "database": "DB_DATABASE",
                        },
                    },
                    {"kind": "redis", "version": "7", "as": "REDIS"},
                ]
            },
            ["SECRET, ADMIN_PASSWORD", "PUBLIC_URL: the value points to `localhost`", "PostgreSQL 13 is not supported"],
        ),
        (
            "gitea.yml",
            {"server": ["web"]},
            {"processes": {"web": {"port": 3000}}},
            ["GITEA__database__HOST was left out", "22 was left out"],
        ),
        (
            "paperless.yml",
            {"webserver": ["web"]},
            {"processes": {"web": {"port": 8000}}},
            ["gotenberg (docker.io/gotenberg/gotenberg:8.21)", "PAPERLESS_TIKA_ENDPOINT was left out", "`env_file`"],
        ),
        (
            "chatwoot.yml",
            {"base": ["worker"], "rails": ["rails", "sidekiq"], "vite": ["web"]},
            {"uses": [{"service": "vite", "as": {"host": "VITE_DEV_SERVER_HOST"}}]},
            ["`command` of redis was left out", "pgvector/pgvector:pg16", "`env_file` of rails, sidekiq"],
        ),
        (
            "immich.yml",
            {"immich-server": ["web"]},
            {"processes": {"web": {"port": 2283}}},
            ["POSTGRES_INITDB_ARGS of database was left out", "If you need its extensions", "`env_file`"],
        ),
        (
            "node/app.json",
            {"start-on-heroku-node-js": ["web"]},
            {"processes": {"web": {"port": 8080, "command": ["npm", "start"]}}},
            ["$PORT"],
        ),
        (
            "rails/app.json",
            {"board": ["web", "worker"]},
            {"migrate": ["bundle", "exec", "rails", "db:migrate"]},
            ["postdeploy", "RAILS_MASTER_KEY", "SECRET_KEY_BASE", "SMTP_PASS"],
        ),
    ],
)
def test_the_drafts_load_and_say_what_is_left_to_do(
    file: str, services: dict[str, list[str]], data: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    made = drafts(FILES / file, OPTIONS)
    load(tmp_path, made)
    assert {draft.name: [*draft.data["processes"]] for draft in made} == services
    assert any(data.items() <= draft.data.items() for draft in made)
    text = "".join(map(written, made))
    assert [words for words in said if words not in text] == []
    assert "d1r3ctu5" not in text


def test_the_draft_on_the_page_about_services_is_what_its_file_becomes(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "services.md").read_text()
    _, _, rest = page.partition("For example, this file:\n\n")
    compose, _, rest = rest.partition("\n\nbecomes, with ")
    _, _, rest = rest.partition("```yaml\n")
    [made] = read(tmp_path, "docker-compose.yml", textwrap.dedent(compose))
    assert written(made) == rest.partition("```")[0]
