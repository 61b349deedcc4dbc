"""Whatever a Compose file or an app.json holds, its drafts pass `greenroom check` and hold no secret."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from greenroom.errors import FixConfiguration
from greenroom.importer import Draft, written
from importer.drafted import load, read

SECRET = "hunter2"
NAMES = ["web", "worker", "my_app", "my-app", "My.App", "db", "pg", "redis", "postgresql", "42", "a" * 70, "日本"]
HOST = st.sampled_from(NAMES)
VARIABLES = st.sampled_from(
    [
        "DATABASE_URL",
        "REDIS_URL",
        "PG_URL",
        "DB_HOST",
        "DB_PORT",
        "DB_USER",
        "DB_NAME",
        "HOST",
        "PORT",
        "VERSION",
        "PATH",
        "GREENROOM_PREVIEW",
        "WEB_URL",
        "WEB_HOST",
        "WEB_PORT",
        "lower",
        "a.b",
        "MODE",
        "DB_PASS",
        "API_KEY",
        "REDIS_HOST",
        "CELERY_BROKER_URL",
    ]
)
VALUES = st.one_of(
    st.sampled_from(["", "info", "${X}", "${X:-5}", "${API_KEY:-hunter2}", "ghp_hunter2", "\0\x85\u2028", "no", "on"]),
    HOST,
    st.builds("{}://u:hunter2@{}:5432/x?a=b".format, st.sampled_from(["postgres", "redis", "http", "jdbc:x"]), HOST),
    st.builds("{}://{}/".format, st.sampled_from(["http", "redis", "amqp"]), HOST),
    st.builds("{}:9092,{}:1".format, HOST, HOST),
    st.just("https://$HEROKU_APP_NAME.herokuapp.com/"),
)
IMAGES = st.sampled_from(
    [
        "postgres",
        "postgres:15",
        "pgvector/pgvector:pg15",
        "mysql:5",
        "mariadb:11",
        "redis:${V:-7}",
        "valkey/valkey",
        "rabbitmq:3-management",
        "elasticsearch:8",
        "acme/shop:1",
    ]
)
COMMANDS = st.one_of(
    st.sampled_from(
        ["run", "run --jobs=${JOBS}", "a && b", "it's", "run --password hunter2", "wait db:5432 -- run", ""]
    ),
    st.lists(st.sampled_from(["run", "-x", "$$HOME", "--token=hunter2"]), max_size=3),
)
CONDITIONS = st.sampled_from(["service_started", "service_completed_successfully"])


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with some of these keys."""
    return st.fixed_dictionaries({}, optional=keys)


SERVICE = some(
    build=st.sampled_from([".", "./", "api", {"context": ".", "target": "x"}]),
    image=IMAGES,
    command=COMMANDS,
    entrypoint=COMMANDS,
    environment=st.one_of(
        st.dictionaries(VARIABLES, st.none() | VALUES, max_size=6),
        st.lists(st.one_of(VARIABLES, st.builds("{}={}".format, VARIABLES, VALUES), st.just("A: hunter2")), max_size=4),
    ),
    depends_on=st.one_of(
        st.lists(HOST, max_size=4, unique=True),
        st.dictionaries(HOST, CONDITIONS.map(lambda c: {"condition": c}), max_size=4),
    ),
    links=st.lists(st.builds("{}:{}".format, HOST, HOST), max_size=2),
    ports=st.lists(
        st.sampled_from([80, 70000, "0:0", "8080:3000", "${P}:${Q}", "53:53/udp", {"target": 81}, {"published": 1}]),
        max_size=3,
    ),
    expose=st.lists(st.sampled_from([9000, "x"]), max_size=1),
    healthcheck=st.sampled_from([{"test": "curl http://localhost/up?token=hunter2"}, {"test": ["CMD", "localhost/"]}]),
    deploy=st.sampled_from([{"replicas": 0}, {"replicas": 12}, {"replicas": "${N:-3}"}, {"replicas": []}]),
    extends=st.one_of(HOST, st.builds(lambda s: {"service": s}, HOST), st.just({"service": "x", "file": "y.yml"})),
    restart=st.sampled_from(["no", "always"]),
    networks=st.just({"default": {"aliases": ["database", "db"]}}),
)
FILES = st.dictionaries(HOST, SERVICE, min_size=1, max_size=7)
QUIET = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


def loads(made: list[Draft], folder: Path) -> None:
    load(folder, made)
    assert len({draft.name for draft in made}) == len(made)
    text = "".join(map(written, made))
    assert SECRET not in text, text
    assert "left out. It was left out" not in text


@QUIET
@given(FILES)
@example(
    {
        "web": {"build": ".", "environment": {"PORT": "postgres://u:hunter2@db:5432/x?a=b"}},
        "db": {"image": "postgres"},
    }
)
def test_drafts_of_any_compose_file_load(services: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = read(Path(folder), "compose.yml", yaml.safe_dump({"services": services}))
        except FixConfiguration as refused:
            assert "no long-running service that runs your own code" in str(refused)
            return
        loads(made, Path(folder))


ADDONS = st.sampled_from(
    ["heroku-postgresql:mini", "heroku-redis", "heroku-key-value-store", "cleardb", "jawsdb", "papertrail"]
)
APP = some(
    name=st.text(max_size=80),
    addons=st.lists(ADDONS | st.builds(lambda p, a: {"plan": p, "as": a}, ADDONS, st.text(max_size=10)), max_size=4),
    env=st.dictionaries(
        VARIABLES,
        st.one_of(VALUES, st.none(), some(value=VALUES, generator=st.just("secret"), required=st.booleans())),
        max_size=5,
    ),
    formation=st.dictionaries(HOST, some(quantity=st.integers(-1, 99), size=st.text(max_size=3)), max_size=3),
    scripts=some(postdeploy=st.just("seed --password hunter2"), other=st.just("x --token=hunter2")),
)
PROCFILES = st.dictionaries(
    st.sampled_from(["web", "Web", "release", "worker", "my_w", "my-w", "42"]), COMMANDS, max_size=5
)


@QUIET
@given(APP, APP, PROCFILES)
@example({"env": {"VERSION": "https://$HEROKU_APP_NAME.herokuapp.com/"}}, {}, {})
def test_a_draft_of_any_files_of_herokus_loads(app: dict[str, Any], review: dict[str, Any], processes: Any) -> None:
    lines = "".join(f"{name}: {command}\n" for name, command in processes.items() if isinstance(command, str))
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({**app, "environments": {"review": review}})
        loads(read(Path(folder), "app.json", text, Procfile=lines), Path(folder))
