"""Run by Alembic for each command, inside the transaction that `Database.upgrade` has opened."""

from alembic import context

from mfnet.service.db.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    # SQLite can alter little in place; Alembic copies the table instead.
    render_as_batch=True,
    # SQLite rolls back DDL as well, once the driver's own transactions are off (database.py).
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
