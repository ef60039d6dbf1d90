"""A data folder of an older program is brought up to date, with what is in it."""

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from mfnet import service
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Part, Table
from mfnet.service.domain.job import State

MIGRATIONS = Path(service.__file__).parent / "db/migrations"
# An edit of a migration that data folders have been through leaves those without it.
FIRST = {
    "keys": {"id", "name", "role", "sha256", "prefix", "created", "revoked"},
    "uploads": {"id", "owner", "name", "bytes", "sha256", "report", "created"},
    "jobs": {
        *("id", "owner", "process", "state", "inputs", "idempotency_key", "request_sha256"),
        *("epoch", "attempts", "worker", "lease_until", "result_epoch", "progress", "message"),
        *("error", "created", "started", "updated", "finished"),
    },
}
KEY = """INSERT INTO keys (id, name, role, sha256, prefix, created)
    VALUES ('k', 'Ada', 'admin', 'none', 'mfn_abcd', 1.0)"""
JOB = """INSERT INTO jobs (id, owner, process, state, inputs, epoch, attempts, progress, message,
    created, updated) VALUES ('j', 'k', 'segment', 'accepted', '{"model": "town-small"}',
    0, 0, 0, '', 1.0, 1.0)"""


def upgrade_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, Table.metadata)


@pytest.mark.parametrize("edited", [False, True])
def test_the_first_databases_open_with_todays_program(empty_url: str, edited: bool) -> None:
    """As 0001 is, and as it was edited for a time, when it made the parts itself."""
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        upgrade_to(connection, "0002" if edited else "0001")
        if edited:
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        else:
            found = inspect(connection)
            tables = set(found.get_table_names()) - {"alembic_version"}
            assert {t: {c["name"] for c in found.get_columns(t)} for t in tables} == FIRST
        connection.execute(text(KEY))
        connection.execute(text(JOB))
    database = Database(empty_url)
    database.upgrade()
    with engine.connect() as connection:
        assert differences(connection) == []
    with database.writing() as session:
        assert [key.name for key in KeyRepository(session).all()] == ["Ada"]
        job = JobRepository(session).claim("j", "me", 60, 3)
        assert job is not None
        assert (job.state, job.inputs["model"]) == (State.RUNNING, "town-small")
        session.add(Part(job_id="j", first_row=0, stop_row=512))
    database.close()
    engine.dispose()


def test_all_migrations_can_be_undone(empty_url: str) -> None:
    engine = create_engine(empty_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        command.downgrade(config, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    engine.dispose()
