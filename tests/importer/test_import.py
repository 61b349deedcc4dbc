"""Drafts from Compose files, Procfiles and app.json: what is carried over loads; what is not is said."""

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
from greenroom.importer import Options, drafts, written
from importer.drafted import OPTIONS, load, read

COMPOSE = """
x-shared: &code { build: ., environment: { DATABASE_URL: "postgres://u:p@db:5432/shop", RAILS_ENV: production } }
services:
  db: { image: "postgres:15-alpine", environment: { POSTGRES_PASSWORD: secret } }
  cache: { image: "bitnami/redis:7.2" }
  broker: { image: "rabbitmq:3.13-management" }
  search: { image: "elasticsearch:8.1" }
  web:
    <<: *code
    environment:
      DATABASE_URL: "postgres://u:p@db:5432/shop"
      REDIS_HOST: cache
      REDIS_PORT: "6379"
      API_URL: http://api:9000/v1
      SECRET_KEY_BASE: ${SECRET:-abc}
      LOG_LEVEL: ${LEVEL:-info}
      REGION: ${REGION}
      no.name: x
    command: bundle exec puma -p 3000
    ports: ["127.0.0.1:3000:3000"]
    depends_on: { db: { condition: service_healthy }, broker: {} }
    healthcheck: { test: [CMD, curl, "http://localhost:3000/up"] }
    deploy: { replicas: 2 }
    volumes: [./files:/files]
  worker: { <<: *code, command: "bundle exec sidekiq && true", depends_on: [db] }
  api:
    build: ./api
    expose: ["9000"]
    environment: ["DB_HOST=db", "DB_USER=u", "DB_PASSWORD=p", "DB_NAME=shop"]
"""


def test_a_compose_file_becomes_services_with_needs_and_uses(tmp_path: Path) -> None:
    web, api = read(tmp_path, "docker-compose.yml", COMPOSE)
    assert web.data == {
        "repository": "acme/shop",
        "image": "registry.example.com/acme/shop",
        "processes": {
            "web": {
                "port": 3000,
                "command": ["bundle", "exec", "puma", "-p", "3000"],
                "probe": "/up",
                "replicas": 2,
            },
            "worker": {"kind": "worker", "command": ["sh", "-c", "bundle exec sidekiq && true"]},
        },
        "needs": [
            {"kind": "postgresql", "version": "15", "as": "DATABASE_URL"},
            {"kind": "redis", "version": "7", "as": {"host": "REDIS_HOST", "port": "REDIS_PORT"}},
            {"kind": "rabbitmq", "version": "3.13"},
        ],
        "uses": [{"service": "api", "as": "API_URL"}],
        "env": {"LOG_LEVEL": "info", "RAILS_ENV": "production"},
    }
    assert api.data["needs"] == [
        {
            "of": "web",
            "name": "postgresql",
            "as": {"host": "DB_HOST", "user": "DB_USER", "password": "DB_PASSWORD", "database": "DB_NAME"},
        }
    ]
    load(tmp_path, [web, api])


def test_everything_that_was_left_out_is_reported(tmp_path: Path) -> None:
    web, _ = read(tmp_path, "docker-compose.yml", COMPOSE)
    said = " ".join(web.notes)
    for words in ("SECRET_KEY_BASE", "REGION", "no.name", "`volumes` of web", "search (elasticsearch:8.1)", "migrate"):
        assert words in said
    assert "abc" not in written(web), "no secret's value, not even a default"


def test_a_store_that_nobody_names_and_a_variable_from_outside_are_reported(tmp_path: Path) -> None:
    stores = 'db: { image: "postgres:16" }\n  queue: { image: "rabbitmq:3" }'
    web = "web: { build: ., depends_on: [db], environment: [KEY, DEBUG=1] }"
    worker = "worker: { build: ., environment: { TOKEN: , SINCE: 2026-01-31 } }"
    [draft] = read(tmp_path, "compose.yaml", f"services:\n  {stores}\n  {web}\n  {worker}\n")
    assert [n["kind"] for n in draft.data["needs"]] == ["postgresql"]
    assert any("queue (rabbitmq:3)" in note and "no other service refers to it" in note for note in draft.notes)
    assert {note.partition(" ")[0] for note in draft.notes if "has no value in the file" in note} == {"KEY", "TOKEN"}
    assert draft.data["env"] == {"DEBUG": "1", "SINCE": "2026-01-31"}


@pytest.mark.parametrize(
    ("command", "written", "missing"),
    [
        ('"celery --concurrency=${JOBS}"', ["celery", "--concurrency="], "JOBS"),
        ('[celery, "--concurrency=${JOBS:?set it}", "${MORE}"]', ["celery", "--concurrency=", ""], "JOBS, MORE"),
        ('"celery --concurrency=${JOBS:-2}"', ["celery", "--concurrency=2"], ""),
    ],
)
def test_what_a_command_takes_from_outside_the_file_is_reported(
    command: str, written: list[str], missing: str, tmp_path: Path
) -> None:
    [draft] = read(
        tmp_path,
        "compose.yml",
        f"services: {{ worker: {{ build: ., command: {command} }} }}",
    )
    assert draft.data["processes"]["worker"]["command"] == written
    assert [n for n in draft.notes if "does not define" in n] == (
        [f"The command of worker uses {missing}, which the file does not define. Write the value."] if missing else []
    )


def test_a_value_with_a_hole_is_left_out_and_reported_an_empty_one_is_carried_over(tmp_path: Path) -> None:
    env = '{ URL: "https://${HOST}/x", EMPTY: "", NONE: "${A:-}", REGION: "${REGION:?set it}" }'
    [draft] = read(tmp_path, "compose.yml", f"services: {{ web: {{ build: ., ports: [80], environment: {env} }} }}")
    assert draft.data["env"] == {"EMPTY": "", "NONE": ""}
    assert [n.partition(" has no value")[0] for n in draft.notes if "has no value" in n] == ["URL", "REGION"]


APP: dict[str, Any] = {
    "name": "My Shop",
    "addons": ["heroku-postgresql:mini", {"plan": "cloudamqp:lemur", "as": "amqp"}, "papertrail"],
    "env": {"RACK_ENV": "production", "KEY_BASE": {"generator": "secret"}, "DOMAIN": {"required": True}},
    "formation": {"web": {"quantity": 2}, "worker": {"quantity": 1}},
    "buildpacks": [{"url": "heroku/ruby"}],
    "environments": {"review": {"env": {"REVIEW": {"value": "1"}}, "addons": ["heroku-postgresql", "jawsdb"]}},
}
PROCFILE = "release: bin/rails db:migrate\nweb: bin/puma -p $PORT\nworker: bin/sidekiq\n"


@pytest.mark.parametrize("file", ["app.json", "Procfile"])
def test_heroku_files_are_read_together_with_what_review_apps_change(file: str, tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(json.dumps(APP))
    (tmp_path / "Procfile").write_text(PROCFILE)
    [made] = drafts(tmp_path / file, OPTIONS)
    assert made.name == "my-shop"
    assert made.data["processes"] == {
        "web": {"port": 8080, "command": ["sh", "-c", "bin/puma -p $PORT"], "replicas": 2},
        "worker": {"kind": "worker", "command": ["bin/sidekiq"]},
    }
    assert made.data["migrate"] == ["bin/rails", "db:migrate"]
    assert made.data["needs"] == [
        {"kind": "postgresql", "version": "16", "as": "DATABASE_URL"},
        {"kind": "mysql", "version": "8.4", "as": "JAWSDB_URL"},
    ]
    assert made.data["env"] == {"RACK_ENV": "production", "REVIEW": "1"}
    said = " ".join(made.notes)
    assert all(
        words in said
        for words in (
            "Heroku generates the value of KEY_BASE",
            "DOMAIN has no value in app.json",
            "`buildpacks`",
            "$PORT",
        )
    )
    load(tmp_path, [made])


def test_addons_without_a_need_of_their_kind_are_reported(tmp_path: Path) -> None:
    [made] = read(tmp_path, "app.json", json.dumps({k: v for k, v in APP.items() if k != "environments"}))
    assert made.data["needs"][1] == {"kind": "rabbitmq", "version": "4", "as": "AMQP_URL"}
    assert any("papertrail" in note for note in made.notes)


def test_a_note_stays_a_comment_whatever_the_file_holds(tmp_path: Path) -> None:
    odd = json.dumps("elasticsearch\nimage: theirs # \0")
    [made] = read(tmp_path, "compose.yml", f"services:\n  web: {{ build: . }}\n  search: {{ image: {odd} }}\n")
    assert yaml.safe_load(written(made)) == made.data


def test_two_stores_of_a_kind_have_names_of_their_own(tmp_path: Path) -> None:
    addons = ["heroku-redis", "rediscloud", "rediscloud", "heroku-postgresql"]
    [app] = read(tmp_path, "app.json", json.dumps({"addons": addons, "env": {"ON": True}}))
    assert [(n["kind"], n.get("name"), n["as"]) for n in app.data["needs"]] == [
        ("redis", None, "REDIS_URL"),
        ("redis", "rediscloud", "REDISCLOUD_URL"),
        ("postgresql", None, "DATABASE_URL"),
    ]
    assert app.data["env"] == {"ON": "true"}
    stores = 'cache: { image: redis }\n  redis: { image: "redis:7" }'
    [web] = read(tmp_path, "compose.yml", f"services:\n  {stores}\n  web: {{ build: ., links: [cache, redis] }}")
    assert [n.get("name") for n in web.data["needs"]] == [None, "redis-2"]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("bin/clock 'a b'", ["bin/clock", "a b"]),
        ("FOO=1 bin/clock", ["sh", "-c", "FOO=1 bin/clock"]),
        ("echo it's", ["sh", "-c", "echo it's"]),
    ],
)
def test_a_command_has_a_shell_where_it_needs_one(line: str, command: list[str], tmp_path: Path) -> None:
    [made] = read(tmp_path, "Procfile", f"clock: {line}")
    assert made.data["processes"]["clock"]["command"] == command


def test_scripts_that_have_no_place_are_reported(tmp_path: Path) -> None:
    app = {"scripts": {"postdeploy": "rake seed", "pr-predestroy": "rake bye"}}
    [made] = read(tmp_path, "app.json", json.dumps(app), Procfile="web: run\nrelease: rake migrate")
    assert made.data["migrate"] == ["rake", "migrate"]
    assert [n.split()[2] for n in made.notes if n.startswith("The script")] == ["postdeploy", "pr-predestroy"]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("docker-compose.yml", "a: [", "is not valid YAML"),
        ("docker-compose.yml", "a: 1", "contains no `services:`"),
        ("docker-compose.yml", "a: 1\n---\nb: 2", "contains no `services:`"),
        (
            "docker-compose.yml",
            "services: { db: { image: postgres } }",
            "no long-running service that runs your own code",
        ),
        (
            "compose.yml",
            "services: { web: { build: ., environment: 5 } }",
            "services.web.environment: the value is not valid",
        ),
        ("compose.yml", "services: { web: { build: ., ports: 80 } }", "Write a list of ports."),
        ("compose.yml", "services: { web: { build: ., healthcheck: { test: { a: b } } } }", "services.web.healthcheck"),
        ("compose.yml", "services: { web: { build: ., entrypoint: { a: b } } }", "Write a string or a list."),
        ("compose.yml", "services: { web: { build: ., extends: { file: a.yml } } }", "Write a service, or `service:`"),
        ("compose.yml", "services: { web: }", "services.web: must be a mapping"),
        ("app.json", '{ "addons": "heroku-redis" }', "addons: the value is not valid here. Write a list of"),
        (
            "app.json",
            '{ "environments": { "review": { "scripts": { "postdeploy": 1 } } } }',
            "environments.review.scripts",
        ),
        ("app.json", "{", "is not valid JSON"),
        ("app.json", "[]", "must be a mapping"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(name: str, text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration) as found:
        read(tmp_path, name, text)
    assert sentence in config.report(found.value)


def test_what_cannot_be_read_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"services: { a: \xe4 }")
    (tmp_path / "deep.json").write_text("[" * 200_000)
    for name, words in (
        ("nothing.yml", "the file does not exist."),
        (".", "is a folder, not a file."),
        ("latin.yml", "is not UTF-8 text."),
        ("latin.yml/x", "cannot be read (not a directory)."),
    ):
        done = CliRunner().invoke(main, ["import", str(tmp_path / name)])
        assert done.exit_code == 2
        known = "Pass a Compose file (docker-compose.yml), Heroku's app.json, or a Procfile."
        assert done.stderr == f"{tmp_path / name}: {words} {known}\n"
    done = CliRunner().invoke(main, ["import", str(tmp_path / "deep.json")])
    assert (done.exit_code, done.stderr) == (2, "deep.json: is not valid JSON. Fix the file, or pass another one.\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--repository", "shop"], "--repository: is not a valid GitHub repository. Write `owner/name`."),
        (["--image", "acme/shop"], "--image: 'acme/shop' has no registry host. Write the host first"),
        (["--image", "registry.example.com/shop:1"], "includes a tag"),
    ],
)
def test_an_option_that_check_would_refuse_in_the_draft_is_refused(
    options: list[str], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "Procfile").write_text("web: run\n")
    done = CliRunner().invoke(main, ["import", str(tmp_path / "Procfile"), *options])
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_other_files_that_a_compose_file_includes_are_reported(tmp_path: Path) -> None:
    [made] = read(tmp_path, "compose.yml", "include: [other.yml]\nservices: { web: { build: ., ports: [80] } }")
    assert (
        "`include` was left out, because only this file is read. Import the output of `docker compose config` instead."
        in made.notes
    )


def test_one_name_and_one_image_for_several_services_are_reported(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: { web: { build: . }, api: { build: api } }")
    made = drafts(tmp_path / "compose.yml", Options("shop", "acme/shop", "registry.example.com/acme/shop"))
    assert [draft.name for draft in made] == ["web", "api"]
    assert all(
        "`--name` was not used" in " ".join(d.notes) and "image from `--image`" in " ".join(d.notes) for d in made
    )


def test_a_draft_without_names_is_refused_by_check_until_they_are_filled(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: run\n")
    with pytest.raises(FixConfiguration) as found:
        load(tmp_path, drafts(tmp_path / "Procfile", Options()))
    assert [str(m).partition("CHANGE-ME")[1] for m in found.value.mistakes] == ["CHANGE-ME"] * 2


def test_written_files_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text(
        "services: { web: { build: ., ports: [80] }, api: { build: api, expose: [81] } }"
    )
    into = tmp_path / "services"
    first = CliRunner().invoke(main, ["import", str(tmp_path / "compose.yml"), "--write", str(into)])
    assert first.exit_code == 0
    assert yaml.safe_load((into / "web.yaml").read_text())["processes"] == {"web": {"port": 80}}
    (into / "web.yaml").unlink()
    again = CliRunner().invoke(main, ["import", str(tmp_path / "compose.yml"), "--write", str(into)])
    assert again.exit_code == 1
    assert "already exists" in again.output
    assert not (into / "web.yaml").exists(), "all or nothing"


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: run\n")
    done = CliRunner().invoke(main, ["import", str(tmp_path / "Procfile"), "--write", str(tmp_path / "Procfile" / "x")])
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith(
        "(not a directory). Fix the cause, or pass another folder to `--write`."
    )
