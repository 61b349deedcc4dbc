"""The snapshots of a database that are taken beside a migration.

`snapshot.sh` and `snapshot.sql` run in the database's own image, which has psql and no Python. core/migration_report
reads what they print.
"""

from __future__ import annotations

from pathlib import Path

SNAPSHOT = Path(__file__).with_name("snapshot.sh")
QUERIES = Path(__file__).with_name("snapshot.sql")
