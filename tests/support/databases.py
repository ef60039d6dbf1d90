"""Databases with the newest tables, without migrating each: copies of one that was migrated."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import psycopg

from mfnet.service.db.session import Database


def copy_migrated(path: Path) -> None:
    """Makes an SQLite file with the newest tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_migrated_file(), path)


@cache
def migrated_template(server: str) -> str:
    """The name of a PostgreSQL database with the newest tables, to be named as a template."""
    name = "migrated"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    _migrate(f"{server}/{name}".replace("postgresql:", "postgresql+psycopg:"))
    return name


def emptied(url: str) -> str:
    """Removes all rows of a PostgreSQL database, and whoever is still connected to it.

    That is quicker than making a database. Returns the address.
    """
    address = url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        # Of no use to rows that all go: the order that foreign keys ask for.
        connection.execute("SET session_replication_role = replica")
        tables = connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchall()
        deletions = (f"DELETE FROM {name}" for (name,) in tables)
        connection.execute(";".join(deletions).encode())
        connection.execute("SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence")
    return url


@cache
def _migrated_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mfnet-migrated-"))
    atexit.register(shutil.rmtree, folder)
    _migrate(f"sqlite:///{folder / 'migrated.sqlite3'}")
    return folder / "migrated.sqlite3"


def _migrate(url: str) -> None:
    database = Database(url)
    database.upgrade()
    database.close()
