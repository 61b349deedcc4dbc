"""What a Compose file says in a way that service files cannot: carried over in ours, or left out and told; always loadable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenroom.errors import FixConfiguration
from greenroom.importer import Draft
from importer.drafted import load, read

WEB = "web: { build: ., ports: ['3000:3000'] }"


def drafted(tmp_path: Path, *services: str) -> dict[str, Draft]:
    """The drafts of a file with these services, one line each; they load."""
    made = read(tmp_path, "compose.yml", "services:\n" + "".join(f"  {line}\n" for line in services))
    load(tmp_path, made)
    assert len({draft.name for draft in made}) == len(made)
    for note in (note for draft in made for note in draft.notes):
        assert note.count("left out") <= 1, note
    return {draft.name: draft for draft in made}


def notes_of(*drafts: Draft) -> str:
    return "\n".join(note for draft in drafts for note in draft.notes)


# Names, ports, numbers


def test_services_whose_names_come_out_alike_have_names_of_their_own(tmp_path: Path) -> None:
    made = drafted(tmp_path, "my_app: { build: a, ports: [80] }", "my-app: { build: b, ports: [81] }")
    assert {name: d.data["processes"]["web"]["port"] for name, d in made.items()} == {"my-app": 80, "my-app-2": 81}
    assert "my-app was renamed to my-app-2" in notes_of(made["my-app-2"])


def test_processes_whose_names_come_out_alike_have_names_of_their_own(tmp_path: Path) -> None:
    made = drafted(tmp_path, WEB, "a_b: { build: ., command: one }", "a-b: { build: ., command: two }")
    assert {n: p.get("command") for n, p in made["web"].data["processes"].items()} == {
        "web": None,
        "a-b": ["one"],
        "a-b-2": ["two"],
    }
    assert "The process a-b was renamed to a-b-2" in notes_of(made["web"])


def test_a_name_that_is_too_long_is_cut_and_reported(tmp_path: Path) -> None:
    made = drafted(tmp_path, f"{'a' * 70}: {{ build: ., ports: [80] }}", f"{'b' * 70}: {{ build: . }}")
    assert [*made] == ["a" * 40]
    assert [*made["a" * 40].data["processes"]] == ["a" * 40, "b" * 40]
    assert f"{'a' * 70} was renamed to {'a' * 40}" in notes_of(*made.values())


@pytest.mark.parametrize(
    ("spec", "process", "note"),
    [
        (
            "ports: ['70000:70000', '80:3000']",
            {"port": 3000},
            "70000 was left out, because a web process cannot use such a port",
        ),
        ("ports: ['70000:70000']", {"kind": "worker"}, "70000 was left out"),
        ("ports: ['${PORT}']", {"kind": "worker"}, "a value that is not a number was left out"),
        ("ports: ['53:53/udp', { target: 80, protocol: tcp }]", {"port": 80}, "53/udp was left out"),
        (
            "ports: ['[::1]:8080:80/tcp', '9090:9090', '222:22']",
            {"port": 80},
            "9090 was left out, because a process has only one port",
        ),
        ("ports: [21:42]", {"port": 42}, ""),  # YAML 1.1 would read minutes and seconds
        ("expose: [3000-3005]", {"port": 3000}, ""),
        ("ports: [80], deploy: { replicas: 12 }", {"port": 80, "replicas": 10}, "web has 12 replicas"),
        ("ports: [80], deploy: { replicas: '${N:-2}' }", {"port": 80, "replicas": 2}, ""),
        ("ports: [80], deploy: { replicas: '${N}' }", {"port": 80}, "The number of replicas of web could not be read"),
        ("ports: [80], scale: 0", {"port": 80}, "The file sets 0 replicas for web"),
        ("restart: no", {"kind": "worker"}, "Compose does not restart web"),
        (
            "entrypoint: [/entry, -x], command: serve --all",
            {"kind": "worker", "command": ["/entry", "-x", "serve", "--all"]},
            "",
        ),
        ("entrypoint: '', command: [serve]", {"kind": "worker", "command": ["serve"]}, ""),
        ("command: sh -c 'a && b'", {"kind": "worker", "command": ["sh", "-c", "a && b"]}, ""),
        (
            "command: wait-for db:5432 -- serve, depends_on: [db]",
            {"kind": "worker", "command": ["wait-for", "db:5432", "--", "serve"]},
            "The command of web contains the host db",
        ),
        ("working_dir: /app, tmpfs: [/tmp], x-note: 1", {"kind": "worker"}, "`working_dir`, `tmpfs` were left out"),
    ],
)
def test_a_process_that_loads_and_what_was_changed(
    spec: str, process: dict[str, Any], note: str, tmp_path: Path
) -> None:
    made = drafted(tmp_path, f"web: {{ build: ., {spec} }}", "db: { image: 'postgres:16' }")["web"]
    [only] = made.data["processes"].values()
    assert only == process
    notes = [
        n
        for n in made.notes
        if not n.startswith(("db (", "Add the command that migrates", "The file declares no port"))
    ]
    assert note in "\n".join(notes)
    assert bool(notes) == bool(note)


def test_a_command_in_place_of_an_entrypoint_is_reported_once_where_the_image_is_not_built_here(tmp_path: Path) -> None:
    image = "image: gitea/gitea, depends_on: [db]"
    made = drafted(
        tmp_path,
        f"web: {{ {image}, ports: [80], command: serve }}",
        f"worker: {{ {image}, command: work }}",
        f"clock: {{ {image}, entrypoint: tick, command: tock }}",
        "db: { image: postgres:16 }",
    )
    assert [n for n in made["web"].notes if "ENTRYPOINT" in n] == [
        "`command` of web, worker replaces the image's ENTRYPOINT in a preview, but its CMD in Compose. "
        "If gitea/gitea has an entrypoint, write it before the command."
    ]
    assert "ENTRYPOINT" not in notes_of(
        *drafted(tmp_path, "web: { build: ., command: bin/serve, ports: [80] }").values()
    )


# What is one code, what extends another, what is a job


def test_what_runs_the_image_that_another_builds_is_a_process_of_it(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "web: { build: ./, image: acme/shop, ports: [80] }",
        "worker: { image: acme/shop, command: work }",
        "clock: { build: { context: . }, command: tick }",
    )
    assert [*made["web"].data["processes"]] == ["web", "worker", "clock"]


def test_a_service_is_what_it_extends_and_its_own(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "base: { build: ., environment: { A: '1', B: '1' }, command: base }",
        "web: { extends: base, environment: [B=2, C=3], ports: [80], command: serve }",
        "worker: { extends: { service: web }, command: work, ports: [81] }",
    )
    processes = made["web"].data["processes"]
    assert processes["web"] == {"port": 80, "command": ["serve"]}
    assert processes["worker"] == {"port": 80, "command": ["work"]}
    assert made["web"].data["env"] == {"A": "1", "B": "2", "C": "3"}


@pytest.mark.parametrize(
    "extends", ["{ service: base, file: common.yml }", "nobody", "reports", "{ service: reports, file: common.yml }"]
)
def test_a_service_that_extends_what_is_not_here_is_reported(extends: str, tmp_path: Path) -> None:
    made = drafted(tmp_path, WEB, f"reports: {{ extends: {extends}, command: report }}")
    assert "reports was left out, because it extends" in notes_of(made["web"])
    made = drafted(tmp_path, f"web: {{ build: ., ports: [80], extends: {extends} }}")
    assert "`extends` of web was left out. The extended service is not in this file" in notes_of(made["web"])


def test_where_everything_extends_another_file_the_refusal_says_so(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration) as found:
        read(tmp_path, "compose.yml", "services: { web: { extends: { service: web, file: common.yml } } }")
    assert "docker compose config" in str(found.value)


def test_services_that_extend_each_other_are_reported(tmp_path: Path) -> None:
    made = drafted(tmp_path, WEB, "a: { extends: b, build: a }", "b: { extends: a, build: b }")
    assert "`extends` of a was left out" in notes_of(*made.values())


JOB = "build: ., command: rake db:migrate"
WAITS = "depends_on: { job: { condition: service_completed_successfully } }"


def test_a_job_that_others_of_its_code_wait_for_is_the_migration(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        f"job: {{ {JOB}, restart: 'no', environment: {{ ONCE: '1' }} }}",
        f"web: {{ build: ., ports: [80], {WAITS} }}",
        f"api: {{ build: api, ports: [80], {WAITS} }}",
    )
    assert [*made["web"].data["processes"]] == ["web"]
    assert made["web"].data["migrate"] == ["rake", "db:migrate"]
    assert "safe to run more than once" in notes_of(made["web"])
    assert "ONCE: not set for web in the file" in notes_of(made["web"])
    assert "api waits for job" in notes_of(made["api"])


@pytest.mark.parametrize(
    ("services", "note"),
    [
        (
            ["job: { build: job, command: go }", f"web: {{ build: ., ports: [80], {WAITS} }}"],
            "job was left out, because it is a job that other services wait for",
        ),
        (["job: { image: minio/mc, command: go }", f"web: {{ build: ., ports: [80], {WAITS} }}"], "job (minio/mc)"),
        (["job: { build: . }", f"web: {{ build: ., ports: [80], {WAITS} }}"], "Write its command under `migrate:`"),
        (
            [
                f"job: {{ {JOB} }}",
                "seed: { build: ., command: rake db:seed }",
                "web: { build: ., ports: [80], depends_on: { job: { condition: service_completed_successfully }, "
                "seed: { condition: service_completed_successfully } } }",
            ],
            "seed was left out, because `migrate:` already runs job",
        ),
    ],
)
def test_a_job_that_cannot_be_the_migration_is_reported(services: list[str], note: str, tmp_path: Path) -> None:
    made = drafted(tmp_path, *services)
    assert [*made] == ["web"]
    assert [*made["web"].data["processes"]] == ["web"]
    assert note in notes_of(made["web"])


# One `env:` for all processes


@pytest.mark.parametrize("order", [("web", "worker"), ("worker", "web")])
def test_where_processes_have_other_values_the_web_process_has_its_own_and_it_is_reported(
    order: tuple[str, str], tmp_path: Path
) -> None:
    lines = {
        "web": "web: { build: ., ports: [80], environment: { MODE: web, SAME: '1' } }",
        "worker": "worker: { build: ., environment: { MODE: worker, SAME: '1', JOBS: '5' } }",
    }
    made = drafted(tmp_path, *(lines[name] for name in order))["web"]
    assert made.data["env"] == {"MODE": "web", "SAME": "1", "JOBS": "5"}
    assert [n.partition(":")[0] for n in made.notes if "process" in n] == ["MODE", "JOBS"]


# Databases, and variables that name hosts of the file


STORES = ("pg: { image: 'postgres:16' }", "reports: { image: 'postgres:15' }", "mysql: { image: 'mysql:8.4' }")


def test_stores_that_no_variable_names_have_distinct_variables(tmp_path: Path) -> None:
    made = drafted(
        tmp_path, *STORES, "web: { build: ., ports: [80], env_file: .env, depends_on: [pg, reports, mysql] }"
    )
    assert made["web"].data["needs"] == [
        {"kind": "postgresql", "version": "16"},
        {"kind": "postgresql", "version": "15", "name": "reports", "as": "REPORTS_URL"},
        {"kind": "mysql", "version": "8.4", "as": "MYSQL_URL"},
    ]
    assert "reports provides its address in REPORTS_URL, because DATABASE_URL is taken" in notes_of(made["web"])


def test_a_store_takes_no_name_that_the_file_uses_otherwise(tmp_path: Path) -> None:
    env = "environment: { DATABASE_URL: 'sqlite:///x', PG_URL: '1', REDIS_URL: '${REDIS_URL}' }"
    made = drafted(
        tmp_path,
        *STORES,
        "redis: { image: 'redis:7' }",
        f"web: {{ build: ., ports: [80], {env}, depends_on: [pg, redis] }}",
    )
    assert [n.get("as") for n in made["web"].data["needs"]] == ["PG_URL_2", None]
    assert made["web"].data["env"] == {"DATABASE_URL": "sqlite:///x", "PG_URL": "1"}


def test_drafts_that_share_a_store_have_distinct_variables_too(tmp_path: Path) -> None:
    depends = "ports: [80], depends_on: [pg, reports]"
    made = drafted(tmp_path, *STORES, f"web: {{ build: ., {depends} }}", f"api: {{ build: api, {depends} }}")
    assert made["api"].data["needs"] == [
        {"of": "web", "name": "postgresql", "as": "DATABASE_URL"},
        {"of": "web", "name": "reports", "as": "REPORTS_URL"},
    ]


FILE = (
    "redis: { image: 'redis:7' }",
    "db: { image: 'postgres:16', container_name: shop_db }",
    "search: { image: 'elasticsearch:8' }",
    "api: { build: api, ports: [9000] }",
    "admin: { build: api, ports: [9001] }",
    "quiet: { build: quiet }",
    "worker: { build: . }",
)


@pytest.mark.parametrize(
    ("env", "expected", "note"),
    [
        ("REDIS_URL: redis://redis:6379/0", {"needs": [{"kind": "redis", "version": "7", "as": "REDIS_URL"}]}, ""),
        (
            "CELERY_BROKER_URL: redis://redis:6379/2, REDIS_URL: redis://redis:6379/0",
            {"needs": [{"kind": "redis", "version": "7", "as": "REDIS_URL"}], "env": None},
            "CELERY_BROKER_URL was left out, because the need redis already provides its address in REDIS_URL.",
        ),
        (
            "A_URL: 'postgresql+asyncpg://u:p@db/x', DB_HOST: db, DB_USERNAME: u, DB_PASS: p, DB_NAME: x",
            {
                "needs": [
                    {
                        "kind": "postgresql",
                        "version": "16",
                        "as": {
                            "url": "A_URL",
                            "host": "DB_HOST",
                            "user": "DB_USERNAME",
                            "password": "DB_PASS",
                            "database": "DB_NAME",
                        },
                    }
                ]
            },
            "Unlike in the file, A_URL starts with `postgresql://` in a preview.",
        ),
        ("DATABASE_URL: 'postgres://u:p@shop_db/x?sslmode=disable'", {"env": None}, "has no query string"),
        (
            "JDBC: 'jdbc:postgresql://db:5432/x'",
            {"needs": [{"kind": "postgresql", "version": "16"}], "env": None},
            "JDBC was left out, because the need db already",
        ),
        (
            "CACHE_STORE: redis, REDIS_HOST: redis",
            {
                "env": {"CACHE_STORE": "redis"},
                "needs": [{"kind": "redis", "version": "7", "as": {"host": "REDIS_HOST"}}],
            },
            "CACHE_STORE: the value is also a service's name",
        ),
        ("HOST: redis, PORT: '3000'", {"env": {"PORT": "3000"}}, ""),
        (
            "SEARCH: 'http://search:9200'",
            {"env": None},
            "SEARCH was left out: the host search has no draft",
        ),
        ("A: 'search:9200', B: 'x;search:1'", {"env": None}, "A, B were left out: the host search has no draft"),
        ("API_URL: 'http://api:9000'", {"uses": [{"service": "api", "as": "API_URL"}], "env": None}, ""),
        ("API_URL: 'http://api:9000/v1'", {"uses": [{"service": "api", "as": "API_URL"}]}, "Add the path in the code"),
        (
            "API_HOST: api, API_PORT: '9000'",
            {"uses": [{"service": "api", "as": {"host": "API_HOST", "port": "API_PORT"}}], "env": None},
            "",
        ),
        (
            "API_URL: 'http://api:9000', OTHER_URL: 'http://api:9000'",
            {"uses": [{"service": "api", "as": "API_URL"}], "env": None},
            "OTHER_URL was left out: the host api occurs a second time, or in a form that a link does not provide",
        ),
        (
            "API: 'grpc://api:9000'",
            {"uses": None, "env": None},
            "API was left out: the host api occurs a second time, or in a form",
        ),
        (
            "ADMIN: 'http://admin:9001'",
            {"uses": None, "env": None},
            "a link to api points to its first web process, and not to the host admin",
        ),
        (
            "QUIET: 'http://quiet:1'",
            {"uses": None, "env": None},
            "the host quiet does not listen on a port in the draft",
        ),
        ("SELF: 'http://web:80'", {"uses": None, "env": None}, "the host web is a process of this service"),
        ("MODE: worker", {"env": {"MODE": "worker"}}, ""),
        ("ROLE: api", {"env": {"ROLE": "api"}, "uses": None}, "ROLE: the value is also a service's name"),
        ("PUBLIC: 'http://localhost:3000'", {"env": {"PUBLIC": "http://localhost:3000"}}, "points to `localhost`"),
        (
            "PORT: 'postgres://u:p@db:5432/x'",
            {"needs": [{"kind": "postgresql", "version": "16"}], "env": None},
            "PORT was left out, because the need db already provides its address in DATABASE_URL.",
        ),
        (
            "VERSION: 'redis://redis:6379/0', REDIS_HOST: redis",
            {"needs": [{"kind": "redis", "version": "7", "as": {"host": "REDIS_HOST"}}], "env": None},
            "VERSION was left out, because the need redis already",
        ),
        (
            "PATH: 'http://api:9000'",
            {"uses": None, "env": None},
            "PATH was left out: a link cannot set the host api, because it has a fixed meaning for every program.",
        ),
        (
            "PORT: 'http://api:9000', API_URL: 'http://api:9000'",
            {"uses": [{"service": "api", "as": "API_URL"}], "env": None},
            "PORT was left out: a link cannot set the host api,"
            " because it is reserved: Greenroom sets it to the port that a web process listens on.",
        ),
        ("GREENROOM_PREVIEW: mine", {"env": None}, "`greenroom check` does not accept its name"),
    ],
)
def test_a_value_that_names_a_host_of_the_file_is_given_or_left_out_and_reported(
    env: str, expected: dict[str, Any], note: str, tmp_path: Path
) -> None:
    web = drafted(tmp_path, f"web: {{ build: ., ports: [80], environment: {{ {env} }} }}", *FILE)["web"]
    assert {key: web.data.get(key) for key in expected} == expected
    about = ("Add the command that migrates", "All drafts", *(f"{name} (" for name in ("redis", "db", "search")))
    notes = [n for n in web.notes if not n.startswith(about) and "not set for web" not in n]
    assert note in "\n".join(notes)
    assert bool(notes) == bool(note)
