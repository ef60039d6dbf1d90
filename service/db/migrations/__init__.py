"""The tables' history, run by Alembic when a process of the service starts."""
