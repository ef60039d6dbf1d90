"""Databases for the service's tests: every test that takes one runs on SQLite and PostgreSQL."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from databases import copy_migrated, emptied, migrated_template
from faulty_relay import FaultyRelay
from s3_server import make_bucket, moto_server

from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.session import Database

_START_S = 30


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of this run alone, without a database's name."""
    programs = _postgres_programs()
    # PostgreSQL refuses to run as root, and pytest's own folders are closed to others.
    user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="mfnet-postgres-"))
    if user:
        shutil.chown(folder, user)
    port = _free_port()
    server = None
    try:
        data = folder / "data"
        init = [programs / "initdb", "-D", data, "-U", "mfnet", "-A", "trust", "--no-sync"]
        subprocess.run(init, user=user, check=True, capture_output=True, cwd=folder)
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-F"]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options], user=user, stderr=log, cwd=folder
            )
        url = f"postgresql://mfnet@127.0.0.1:{port}"
        _wait_for_postgres(url)
        yield url
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # "fast" shutdown
            server.wait(_START_S)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a store of this run alone that speaks S3, with a bucket named `bucket`."""
    with moto_server() as address:
        make_bucket(address, "bucket")
        yield address


@pytest.fixture
def relay(s3: str) -> Iterator[FaultyRelay]:
    """A way to that store on which a test may have things go wrong."""
    port = urlsplit(s3).port
    assert port is not None
    relay = FaultyRelay(port)
    yield relay
    relay.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.sqlite3'}"
        return
    with _created(request.getfixturevalue("postgres"), "template1") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with the newest tables, for `MFNET_DATABASE_URL`."""
    if request.param == "sqlite":
        copy_migrated(tmp_path / "test.sqlite3")
        yield f"sqlite:///{tmp_path / 'test.sqlite3'}"
        return
    yield emptied(request.getfixturevalue("migrated_url"))


@pytest.fixture(scope="session")
def migrated_url(postgres: str) -> Iterator[str]:
    """The address of the PostgreSQL database that one test uses after the other."""
    with _created(postgres, migrated_template(postgres)) as url:
        yield url


@contextmanager
def _created(server: str, template: str) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield f"{server}/{name}".replace("postgresql:", "postgresql+psycopg:")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the newest tables."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def owner(database: Database) -> str:
    """The id of a user's key."""
    with database.writing() as session:
        return KeyRepository(session).create("somebody", "user")[0].id


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's place
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("no PostgreSQL programs (initdb, postgres) on this machine")


def _unprivileged() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_postgres(url: str) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            psycopg.connect(f"{url}/postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
