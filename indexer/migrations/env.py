"""Runs migrations on the connection that `indexer.database` hands over."""

from alembic import context

from indexer.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # a migration that is cut short leaves the old schema
)
with context.begin_transaction():
    context.run_migrations()
