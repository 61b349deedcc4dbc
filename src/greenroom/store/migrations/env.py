"""Alembic's environment. `greenroom.store.migrate` provides the connection, inside its transaction."""

from alembic import context

from greenroom.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
