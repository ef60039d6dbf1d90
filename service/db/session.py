"""The connection to the database: SQLite in WAL mode, or PostgreSQL, by URL.

A transaction is either `reading` or `writing`. On SQLite the difference matters: a transaction
that reads first and writes later fails at once when another has written in between, whatever the
busy timeout, so a writing one takes the write lock when it begins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Double, create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolEmpty
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

AWAY = (OperationalError, InterfaceError, PoolEmpty)
"""What says that the database cannot be asked now, but perhaps later."""

_MIGRATIONS = Path(__file__).parent / "migrations"
# A server that is gone without a word is noticed in seconds: a heartbeat must not hang for minutes.
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
_MIGRATION_LOCK = 0x6D666E6574  # "mfnet"; any number that no other program uses in this database


class clock(FunctionElement[float]):  # noqa: N801 - an SQL function
    """The database's clock: seconds since 1970, UTC.

    Leases are compared by it alone, so the clocks of the workers' machines do not matter.
    """

    type = Double()
    inherit_cache = True


@compiles(clock, "sqlite")
def _clock_sqlite(_element: Any, _compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _clock_postgresql(_element: Any, _compiler: Any, **_: Any) -> str:
    # Not now(), which is the transaction's start: a claim may have waited for a row's lock.
    return "extract(epoch from clock_timestamp())::double precision"


class Database:
    """One database, many short transactions.

    Args:
        url: A SQLAlchemy URL, as `Settings.database` gives it.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that writes nothing."""
        with self._session() as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is committed when the block ends normally, else rolled back.

        Keep it short: on SQLite nobody else writes meanwhile.
        """
        with self._session(write=True) as session, session.begin():
            yield session

    def upgrade(self) -> None:
        """Bring the tables to the newest version; safe when several processes start at once."""
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        if self._engine.dialect.name == "sqlite":
            _enter_wal(self._engine)
        with self._engine.execution_options(write=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def _session(self, *, write: bool = False) -> Session:
        # Rows stay readable after the commit: what was read then is what the caller decides on.
        return Session(self._engine.execution_options(write=write), expire_on_commit=False)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, connect_args=_PATIENCE)
    engine = create_engine(url, connect_args={"timeout": 30})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late and cannot be IMMEDIATE: we send it ourselves.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # A commit that was answered survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _enter_wal(engine: Engine) -> None:
    """Readers do not wait for the writer. The mode is kept in the file, so once is enough."""
    raw = engine.raw_connection()
    try:
        # Two processes that switch at once would deadlock; SQLite tells one of them so at once,
        # without the busy timeout, and that one finds the mode already set when it asks again.
        for _ in range(100):
            try:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except engine.dialect.dbapi.OperationalError:  # type: ignore[union-attr]
                continue
    finally:
        raw.close()
