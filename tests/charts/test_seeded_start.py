"""The start of a database that is copied from a seed to a volume."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from greenroom.core.model.kinds import KINDS


class Volume:
    """The volume of a database, and an image with a seed. The server is a script that shows its data."""

    def __init__(self, folder: Path) -> None:
        self.place, self.image, programs = folder / "volume", folder / "image", folder / "programs"
        for each in (self.place, self.image, programs):
            each.mkdir()
        (self.image / "PG_VERSION").write_text("16\n")
        (self.image / "rows").write_text("of the seed")
        server = programs / "postgres"
        server.write_text('#!/bin/sh\n[ "$1" = --single ] && exec cat >/dev/null\nexec cat "$2/rows"\n')
        server.chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def start(self, resets: int) -> str:
        """Start the container, and return its rows."""
        script = KINDS["postgresql"].chart.seeded.replace("/var/lib/greenroom", str(self.place))
        env = {"PATH": self.path, "PGDATA": str(self.image), "POSTGRES_PASSWORD": "x"}
        command = ["sh", "-c", script, "start", "copy", str(resets)]
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    def write(self, resets: int, rows: str) -> None:
        (self.place / f"pgdata-{resets}" / "rows").write_text(rows)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_data_on_a_volume_survives_restarts_and_starts_over_with_a_reset(volume: Volume) -> None:
    assert volume.start(9) == "of the seed"
    volume.write(9, "of people")
    assert volume.start(9) == "of people"
    assert volume.start(10) == "of the seed"
    assert [p.name for p in volume.place.iterdir()] == ["pgdata-10"]


def test_copy_that_was_interrupted_starts_again(volume: Volume) -> None:
    (volume.place / "pgdata-0.new").mkdir()
    assert volume.start(0) == "of the seed"
    assert [p.name for p in volume.place.iterdir()] == ["pgdata-0"]


def test_spec_of_an_older_backup_deletes_no_data(volume: Volume) -> None:
    volume.start(10)
    volume.write(10, "of people")
    assert volume.start(9) == "of people"
    assert volume.start(0) == "of people"
