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
