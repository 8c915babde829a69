"""Run by alembic: migrates the connection that it is given."""

from alembic import context

from collidekit.benchmark.store.migrate import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transaction_per_migration=False
)
context.run_migrations()
