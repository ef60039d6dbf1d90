"""Migrations, keys and uploads, on both databases."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Table
from mfnet.service.settings import Settings

UPGRADE = (
    "import sys; from mfnet.service.db.session import Database; Database(sys.argv[1]).upgrade()"
)


def test_migrations_lead_to_the_declared_tables(database: Database, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_several_processes_may_upgrade_at_once(empty_url: str) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, empty_url], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for starter in starters:
        _, errors = starter.communicate(timeout=60)
        assert starter.returncode == 0, errors.decode()
    engine = create_engine(empty_url)
    assert {"jobs", "keys", "uploads"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_sqlite_is_in_wal_mode_and_survives_a_power_cut(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    database.upgrade()
    with database.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    database.close()


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    try:
        with database.writing() as session:
            KeyRepository(session).create("a", "user")
            raise RuntimeError
    except RuntimeError:
        pass
    with database.reading() as session:
        assert KeyRepository(session).all() == []


def test_a_key_is_found_until_it_is_revoked_and_never_stored(database: Database) -> None:
    with database.writing() as session:
        key, secret = KeyRepository(session).create("Ada", "admin")
    assert secret not in repr(vars(key).values())
    assert secret.startswith(key.prefix)
    assert len(key.prefix) < 12
    with database.reading() as session:
        found = KeyRepository(session).find(secret)
        assert found is not None
        assert (found.key.id, found.is_admin) == (key.id, True)
        assert KeyRepository(session).find(secret + "x") is None
        assert KeyRepository(session).find("") is None
    with database.writing() as session:
        assert KeyRepository(session).revoke(key.id)
        assert KeyRepository(session).revoke(key.id) is None
        assert KeyRepository(session).find(secret) is None
        assert [k.id for k in KeyRepository(session).all()] == [key.id]


def test_an_upload_of_terabytes_fits_its_column(database: Database, owner: str) -> None:
    with database.writing() as session:
        added = {"size": 5 * 10**12, "sha256": "", "report": {"ok": True}}
        UploadRepository(session).add("u1", owner, "ortho.tif", **added)
    with database.reading() as session:
        uploads = UploadRepository(session)
        upload = uploads.named(owner, "ortho.tif")
        assert upload is not None
        assert (upload.bytes, upload.report) == (5 * 10**12, {"ok": True})
        assert uploads.get("u1", "another") is None
        assert [u.id for u in uploads.page(owner)] == ["u1"]
    with database.writing() as session:
        UploadRepository(session).remove("u1")
        assert UploadRepository(session).get("u1") is None


def test_the_database_of_the_settings(tmp_path: Path) -> None:
    here = Settings(data_dir=tmp_path)
    assert here.database == f"sqlite:///{tmp_path}/mfnet.sqlite3"
    assert here.broker == f"sqla+sqlite:///{tmp_path}/broker.sqlite3"
    for scheme in ("postgres", "postgresql"):
        there = Settings(database_url=f"{scheme}://u@h/d", redis_url="redis://h/0")
        assert there.database == "postgresql+psycopg://u@h/d"
        assert there.broker == "redis://h/0"


def test_a_connection_in_use_is_closed_when_it_comes_back(database: Database) -> None:
    with database.reading() as session:
        session.execute(text("SELECT 1"))
        connection = session.connection().connection.dbapi_connection
        database.close()
        session.execute(text("SELECT 1"))
    assert connection is not None
    with pytest.raises((psycopg.OperationalError, sqlite3.ProgrammingError), match="closed"):
        connection.cursor()
