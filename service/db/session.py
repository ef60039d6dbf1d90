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
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Double, create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolEmpty
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.functions import FunctionElement

from mfnet.service.errors import TablesTooNew

AWAY = (OperationalError, InterfaceError, PoolEmpty)
"""What says that the database cannot be asked now, but perhaps later."""

_MIGRATIONS = Path(__file__).parent / "migrations"
# A server that is gone without a word is noticed in seconds: a heartbeat must not hang for minutes.
_PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
# One for each of the 40 threads that serve requests, and some for what runs beside them; those over
# the first ten are closed again.
_POOL = {"pool_size": 10, "max_overflow": 40}
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
        self._url = url
        self._closed = False
        event.listen(self._engine, "checkin", self._came_back)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that writes nothing."""
        with self._session() as session, session.begin():
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A transaction that sees what was committed when it first read, and nothing later."""
        with self.reading() as session:
            if self._engine.dialect.name == "postgresql":  # SQLite's transactions are so anyway
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is committed when the block ends normally, else rolled back.

        Keep it short: on SQLite nobody else writes meanwhile.
        """
        with self._session(write=True) as session, session.begin():
            yield session

    def ping(self) -> None:
        """Raises one of `AWAY` where the database does not answer.

        On a connection of its own: that all others are in use says nothing against the database.
        """
        engine = _engine(self._url, poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def is_newest(self) -> bool:
        """Whether the tables are there, in the version that this program knows."""
        with self._engine.connect() as connection:
            return revision_of(connection) == Migration(connection).newest

    def upgrade(self) -> None:
        """Bring the tables to the newest version; safe when several processes start at once.

        Raises:
            TablesTooNew: They are of a version that this program does not know.
        """
        with self.migrating() as migration:
            there = revision_of(migration.connection)
            if there is not None and not migration.knows(there):
                raise TablesTooNew(
                    f"the database has tables of version {there}, expected {migration.newest} or "
                    "an older one: a newer program has brought them up to date; update this one, "
                    "too, or restore a backup of before"
                )
            migration.to("head")

    @contextmanager
    def migrating(self) -> Iterator["Migration"]:
        """A transaction in which the tables themselves are changed, by nobody else meanwhile."""
        if self._engine.dialect.name == "sqlite":
            _enter_wal(self._engine)
        with self._engine.execution_options(write=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            yield Migration(connection)

    def close(self) -> None:
        """Close all connections; those in use as soon as they come back."""
        self._closed = True
        self._engine.dispose()

    def _came_back(self, _connection: Any, record: Any) -> None:
        if self._closed:
            record.invalidate()

    def _session(self, *, write: bool = False) -> Session:
        # Rows stay readable after the commit: what was read then is what the caller decides on.
        return Session(self._engine.execution_options(write=write), expire_on_commit=False)


class Migration:
    """Changes tables, in one transaction with whatever else is done on its connection.

    Args:
        connection: In a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._config = Config()
        self._config.set_main_option("script_location", str(_MIGRATIONS))
        self._config.attributes["connection"] = connection

    @property
    def newest(self) -> str | None:
        """The version of the tables that this program works with."""
        return ScriptDirectory.from_config(self._config).get_current_head()

    def knows(self, revision: str) -> bool:
        """Whether this program knows a version of the tables."""
        scripts = ScriptDirectory.from_config(self._config).walk_revisions()
        return revision in {script.revision for script in scripts}

    def to(self, revision: str) -> None:
        """Bring the tables up to a version."""
        command.upgrade(self._config, revision)

    def remove_tables(self) -> None:
        """Take all tables back, with what is in them."""
        command.downgrade(self._config, "base")


def revision_of(connection: Connection) -> str | None:
    """The version of the tables that are there; None where there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def _engine(url: str, **pool: Any) -> Engine:
    pool = pool or _POOL
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, connect_args=_PATIENCE, **pool)
    engine = create_engine(url, connect_args={"timeout": 30}, **pool)
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
