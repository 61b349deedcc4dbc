"""Planted migration faults and harmless migrations on real PostgreSQL servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.core import messages
from seeds import rehearsal
from seeds.rehearsal import FAULTS, HARMLESS, Migration, Server, rehearse

INSTALLED = rehearsal.installations()


@pytest.fixture(scope="module", params=sorted(INSTALLED) or [""])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if not request.param:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql, or pip install 'greenroom[demo]'")
    with rehearsal.seeded(INSTALLED[request.param]) as found:
        yield found


@pytest.mark.parametrize("path", FAULTS, ids=lambda p: p.stem)
def test_planted_fault_is_an_alarm_with_its_table_and_count(server: Server, path: Path) -> None:
    found = rehearse(server, server.clone("work"), path)
    kind, table, count = Migration(path).header("expect")
    alarms = [(str(f.kind), f.table, f.count) for f in found.report.alarms]
    assert (kind, table, int(count)) in alarms, (alarms, found.stderr)
    assert f"`{table}" in messages.migration_summary(found.report)


def test_no_harmless_migration_is_an_alarm(server: Server) -> None:
    database = server.clone("work")
    assert len(HARMLESS) >= 50
    for path in HARMLESS:
        found = rehearse(server, database, path)
        assert (path.stem, found.run.exit_code) == (path.stem, 0), found.stderr
        assert (path.stem, found.report.alarms) == (path.stem, ())
