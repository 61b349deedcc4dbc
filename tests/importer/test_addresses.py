"""Values that name hosts of a Compose file: what is one, and what becomes of it."""

from __future__ import annotations

import pytest

from greenroom.importer.addresses import Form, Hosts, local, siblings

HOSTS = Hosts({"db": "db", "api": "api", "snuba-api": "snuba-api", "es01": "es01", "es02": "es02", "Kafka": "kafka"})


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("DATABASE_URL", "postgres://u:p@db:5432/shop", {"db": Form.URL}),
        ("DATABASE_URL", "postgres://u:p@DB/shop", {"db": Form.URL}),
        ("SNUBA", "http://snuba-api:1218", {"snuba-api": Form.URL}),
        ("DB_HOST", "db", {"db": Form.HOST}),
        ("PGHOST", "db", {"db": Form.HOST}),
        ("DB_CONNECTION", "db", {"db": Form.WORD}),
        ("MODE", "api", {"api": Form.WORD}),
        ("ALLOWED", "api,example.com", {"api": Form.WORD}),
        ("BROKERS", "kafka:9092", {"kafka": Form.INSIDE}),
        ("NODES", "http://es01:9200,http://es02:9200", {"es01": Form.INSIDE, "es02": Form.INSIDE}),
        ("MONGO", "mongodb://es01:1,es02:1/x", {"es01": Form.INSIDE, "es02": Form.INSIDE}),
        ("JDBC", "jdbc:postgresql://db:5432/shop", {"db": Form.INSIDE}),
        ("DSN", "root:x@tcp(db:3306)/shop", {"db": Form.INSIDE}),
        ("CONNECTION", "Host=db;Port=5432", {"db": Form.INSIDE}),
        ("API_URL", "https://api.example.com", {}),
        ("OTHER", "http://my-api:80", {}),
        ("LOG", "debug", {}),
        ("BROKEN", "http://[db", {}),
    ],
)
def test_a_value_names_hosts_of_the_file(variable: str, value: str, named: dict[str, Form]) -> None:
    assert HOSTS.named(variable, value) == named


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("wait-for-it db:5432 -- serve", ["db"]),
        ("dockerize -wait tcp://db:5432 -wait http://api", ["db", "api"]),
        ("pg_isready -h db", ["db"]),
        ("serve api", []),
    ],
)
def test_a_command_names_hosts_of_the_file(line: str, named: list[str]) -> None:
    assert HOSTS.in_command(line.split()) == named


def test_parts_of_an_address_stand_in_variables_that_begin_alike() -> None:
    names = ["DB_USER", "DB_PASSWD", "DB_NAME", "PORT", "USER"]
    assert siblings("DB_HOST", names, ("port", "user", "password", "database")) == {
        "user": "DB_USER",
        "password": "DB_PASSWD",
        "database": "DB_NAME",
    }
    assert siblings("HOST", names, ("port", "user")) == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://localhost:3000", True),
        ("127.0.0.1", True),
        ("0.0.0.0", False),
        ("http://localhost.example.com", False),
        ("http://vroom:80", True),
        ("http://[::1]:80", False),
        ("info", False),
    ],
)
def test_loopback_address_is_recognized(value: str, expected: bool) -> None:
    assert local(value) == expected
