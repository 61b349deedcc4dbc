"""Events and deployments, append-only: the database itself rejects changes and deletions of rows."""

from alembic import op

from greenroom.store.tables import metadata

revision = "0001"
down_revision = None

SQLITE = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END
"""
POSTGRESQL = """
CREATE FUNCTION greenroom_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'history is append-only'; END $$
"""


def upgrade() -> None:
    """Create both tables and their guards."""
    connection = op.get_bind()
    metadata.create_all(connection)
    if connection.dialect.name == "postgresql":
        op.execute(POSTGRESQL)
        for table in ("events", "deployments"):
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION greenroom_append_only()"
            )
        return
    for table in ("events", "deployments"):
        for verb in ("UPDATE", "DELETE"):
            op.execute(SQLITE.format(table=table, verb=verb))
