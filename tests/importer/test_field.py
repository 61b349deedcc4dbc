"""What real Compose and Heroku files taught: nothing that a file says is silently read as something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenroom.errors import FixConfiguration
from greenroom.importer import Draft
from importer.drafted import load, read


def compose(tmp_path: Path, text: str) -> dict[str, Draft]:
    made = read(tmp_path, "docker-compose.yml", text)
    load(tmp_path, made)
    return {draft.name: draft for draft in made}


def has_note(draft: Draft, words: str) -> bool:
    return any(words in note for note in draft.notes)


APP = """
services:
  app: { build: ./app, ports: ["5678:5678"] }
  site: { build: ./site, ports: ["8080:8080"], environment: { APP_URL: "http://app:%s" } }
"""


def test_address_with_another_port_than_the_web_process_is_no_link(tmp_path: Path) -> None:
    site = compose(tmp_path, APP % 5679)["site"]
    assert "uses" not in site.data
    assert has_note(site, "APP_URL was left out")
    assert has_note(site, "port 5679 of app")


def test_address_with_the_port_of_the_web_process_is_a_link(tmp_path: Path) -> None:
    assert compose(tmp_path, APP % 5678)["site"].data["uses"] == [{"service": "app", "as": "APP_URL"}]


def test_host_and_port_that_lead_to_another_port_are_no_link(tmp_path: Path) -> None:
    text = APP.replace('APP_URL: "http://app:%s"', "APP_HOST: app, APP_PORT: 5679")
    site = compose(tmp_path, text)["site"]
    assert "uses" not in site.data
    assert has_note(site, "port 5679 of app")


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ('expose: ["9000"], ports: ["80:8080"]', 8080),
        ('ports: ["2222:22", "8080:8080"]', 8080),
        ('ports: ["25:25", "53:53", "3000:3000"]', 3000),
        ("ports: [{ target: 9090, published: 9090 }, { target: 8080, published: 80, app_protocol: http }]", 8080),
        ("ports: [{ target: 9090, name: metrics }, { target: 8080, name: http }]", 8080),
        ('expose: ["9000"]', 9000),
    ],
)
def test_port_of_the_web_process_is_the_published_http_one(ports: str, port: int, tmp_path: Path) -> None:
    web = compose(tmp_path, f"services: {{ web: {{ build: ., {ports} }} }}\n")["web"]
    assert web.data["processes"]["web"]["port"] == port


def test_ports_of_ssh_mail_and_dns_make_no_web_process(tmp_path: Path) -> None:
    web = compose(tmp_path, 'services: { web: { build: ., ports: ["22:22", "25:25", "53:53"] } }\n')["web"]
    assert web.data["processes"] == {"worker": {"kind": "worker"}}
    assert has_note(web, "22, 25, 53 were left out")


STORE = """
services:
  web: { build: ., ports: ["8080:8080"], depends_on: [db], environment: { DATABASE_URL: "postgres://u:p@db/app" } }
  db:
    image: postgres:16
    command: postgres -c max_connections=500
    environment: { POSTGRES_PASSWORD: p, POSTGRES_DB: app, POSTGRES_INITDB_ARGS: "--locale=C", TZ: Europe/Berlin }
    volumes:
      - data:/var/lib/postgresql/data
      - ./init.sql:/docker-entrypoint-initdb.d/init.sql:ro
      - { type: bind, source: ./more.sql, target: /docker-entrypoint-initdb.d/more.sql }
      - ./postgresql.conf:/etc/postgresql/postgresql.conf
"""


def test_settings_of_a_store_that_a_need_lacks_are_reported(tmp_path: Path) -> None:
    web = compose(tmp_path, STORE)["web"]
    assert has_note(web, "`command` of db was left out")
    assert has_note(web, "POSTGRES_INITDB_ARGS, TZ of db were left out")
    for dump in ("./init.sql", "./more.sql"):
        assert has_note(
            web,
            f"{dump} of db was left out, because init scripts do not run in a preview. Put the data into a plain SQL dump",
        )
    assert has_note(web, "./postgresql.conf of db was left out, because needs cannot mount files")
    assert not has_note(web, "data of db")
    assert not has_note(web, "POSTGRES_DB")


def test_dependency_on_an_own_service_without_a_variable_is_reported(tmp_path: Path) -> None:
    made = compose(
        tmp_path,
        """
services:
  api: { build: ./api, ports: ["9000:9000"] }
  site: { build: ./site, ports: ["8080:8080"], depends_on: [api] }
""",
    )
    assert has_note(made["site"], "site depends on api in the file, but no variable contains its address")


@pytest.mark.parametrize("tag", ["!override", "!reset"])
def test_tags_of_compose_point_to_its_own_command(tag: str, tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match="docker compose config"):
        read(tmp_path, "docker-compose.yml", f"services: {{ web: {{ build: ., ports: {tag} [] }} }}\n")


@pytest.mark.parametrize(
    "value",
    [
        "https://HEROKU_APP_NAME.herokuapp.com",
        "https://$HEROKU_APP_NAME.herokuapp.com/",
        "https://${HEROKU_APP_NAME}.herokuapp.com",
    ],
)
def test_herokus_own_address_becomes_the_address_of_the_preview(value: str, tmp_path: Path) -> None:
    app = {"env": {"PUBLIC_URL": value, "CALLBACK": "https://HEROKU_APP_NAME.herokuapp.com/callback"}}
    made = read(tmp_path, "app.json", json.dumps(app), Procfile="web: run")
    load(tmp_path, made)
    assert made[0].data["address"] == {"public": "PUBLIC_URL"}
    assert "PUBLIC_URL" not in made[0].data.get("env", {})
    assert "CALLBACK" not in made[0].data.get("env", {})
    assert has_note(made[0], "CALLBACK was left out")


def test_note_on_a_mounted_mysql_seed_does_not_suggest_a_dump_that_check_rejects(tmp_path: Path) -> None:
    web = compose(tmp_path, STORE.replace("postgres:16", "mysql:8.4"))["web"]
    assert has_note(
        web, "./init.sql of db was left out, because init scripts do not run in a preview. Put the data into an image"
    )


JOB = """
services:
  web:
    build: .
    ports: ["8080:8080"]
    depends_on: { migrate: { condition: service_completed_successfully } }
  migrate: { build: ., command: %s }
"""


def test_note_on_a_job_called_migrate_does_not_repeat_its_name(tmp_path: Path) -> None:
    web = compose(tmp_path, JOB % "[rake, db:migrate]")["web"]
    assert not has_note(web, "`migrate` is migrate")
    assert has_note(web, "`migrate:` is the command of migrate, because other services wait for it.")


def test_command_of_only_options_is_not_used_as_a_program(tmp_path: Path) -> None:
    """Compose passes them to the image's ENTRYPOINT, which is not in the file."""
    web = compose(tmp_path, JOB % "[--queue, mail]")["web"]
    assert web.data["migrate"] == ["--queue", "mail"]
    assert has_note(web, "The command of migrate is `--queue mail`, which starts with an option. Write")


@pytest.mark.parametrize(
    ("command", "doubtful"),
    [("migrate", True), ("[migrate]", True), ("bin/migrate", False), ("migrate up", False)],
)
def test_a_command_of_one_word_may_be_an_argument(command: str, doubtful: bool, tmp_path: Path) -> None:
    web = compose(tmp_path, JOB % command)["web"]
    assert has_note(web, "runs as a program. If it is an argument of the image's ENTRYPOINT") == doubtful
    with_entrypoint = compose(tmp_path, JOB % f"{command}, entrypoint: [/entry]")["web"]
    assert with_entrypoint.data["migrate"][0] == "/entry"
    assert not has_note(with_entrypoint, "as a program")
