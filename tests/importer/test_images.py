"""Images of databases, caches and queues: their kind, and the version that the tag says."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.importer import images
from importer.drafted import load, read


@pytest.mark.parametrize(
    ("image", "kind", "version"),
    [
        ("postgres:15-alpine", "postgresql", "15"),
        ("docker.io/library/postgres:16.4", "postgresql", "16.4"),
        ("registry.example.com:5000/mirror/postgres:15@sha256:0123", "postgresql", "15"),
        ("postgres", "postgresql", ""),
        ("postgres:alpine", "postgresql", ""),
        ("pgvector/pgvector:pg15", "postgresql", "15"),
        ("pgvector/pgvector:0.8.0-pg17-trixie", "postgresql", "17"),
        ("ankane/pgvector:v0.5.1", "postgresql", ""),
        ("timescale/timescaledb:2.17.2-pg16", "postgresql", "16"),
        ("timescale/timescaledb-ha:pg15.4-ts2.11", "postgresql", "15"),
        ("postgis/postgis:15-3.4", "postgresql", "15"),
        ("bitnami/redis:7.2", "redis", "7.2"),
        ("rabbitmq:3.13-management", "rabbitmq", "3.13"),
        ("mariadb:10.11.6-jammy", "mariadb", "10.11"),
        ("valkey/valkey:8-alpine", "valkey", "8"),
        ("elasticsearch:8.1", "", "8.1"),
        ("acme/postgres-exporter:1", "", "1"),
    ],
)
def test_an_image_is_of_a_kind_and_a_version(image: str, kind: str, version: str) -> None:
    assert (images.kind(image), images.version(image)) == (kind, version)


@pytest.mark.parametrize(
    ("image", "version", "note"),
    [
        ("pgvector/pgvector:pg15", "15", "If you need its extensions"),
        ("pgvector/pgvector:0.8.0", "16", "db (pgvector/pgvector:0.8.0) has no version. The draft has PostgreSQL 16."),
        ("postgres", "16", "has no version"),
        ("postgres:${PG}", "16", "has no version"),
        ("postgres:11", "14", "PostgreSQL 11 is not supported. The draft has 14."),
        ("rabbitmq:3-management", "3.13", "RabbitMQ 3 is not supported. The draft has 3.13."),
        ("redis:7.2.4", "7", ""),
    ],
)
def test_a_need_has_the_major_of_the_tag_where_it_is_offered_and_a_note_where_not(
    image: str, version: str, note: str, tmp_path: Path
) -> None:
    web = "web: { build: ., ports: [80], depends_on: [db] }"
    [made] = read(tmp_path, "compose.yml", f'services:\n  db: {{ image: "{image}" }}\n  {web}\n')
    load(tmp_path, [made])
    assert made.data["needs"][0]["version"] == version
    said = [n for n in made.notes if "supported" in n or "has no version" in n or "extensions" in n]
    assert note in " ".join(said)
    assert bool(said) == bool(note)
