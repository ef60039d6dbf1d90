"""All rows of a database as lines of JSON, and back: the same for SQLite and PostgreSQL."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, func, insert, inspect, select, text
from sqlalchemy.orm import Session

from mfnet.service.db.tables import Table as Base

_AT_ONCE = 500


def names() -> list[str]:
    """The tables, each behind those that its rows refer to."""
    return [table.name for table in Base.metadata.sorted_tables]


def dump(session: Session, name: str) -> Iterator[bytes]:
    """The rows of a table, a line each."""
    rows = session.execute(select(Base.metadata.tables[name])).yield_per(_AT_ONCE)
    for row in rows.mappings():
        yield json.dumps(dict(row), ensure_ascii=False).encode() + b"\n"


def rows_there_are(connection: Connection) -> dict[str, int]:
    """Tables of this database that are not empty, with how many rows each has."""
    there = inspect(connection)
    counts = {
        name: connection.scalar(select(func.count()).select_from(Base.metadata.tables[name])) or 0
        for name in names()
        if there.has_table(name)
    }
    return {name: count for name, count in counts.items() if count}


def load(connection: Connection, name: str, lines: Iterable[bytes]) -> int:
    """Enter the rows of a table, which may be of an older version of it; returns how many."""
    table, count, rest = _as_it_is(connection, name), 0, iter(lines)
    while rows := [json.loads(line) for line in islice(rest, _AT_ONCE)]:
        connection.execute(insert(table), rows)
        count += len(rows)
    _advance_sequences(connection, table)
    return count


def _as_it_is(connection: Connection, name: str) -> Table:
    """The table of this database, whatever the program's own is."""
    table = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
    for column in table.columns:
        if isinstance(column.type, JSON):
            column.type = JSON(none_as_null=True)
    return table


def _advance_sequences(connection: Connection, table: Table) -> None:
    """PostgreSQL numbers rows by a counter that entering them with their numbers leaves alone."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key:
        told: dict[str, Any] = {"table": table.name, "column": column.name}
        query = text("SELECT pg_get_serial_sequence(:table, :column)")
        if (sequence := connection.scalar(query, told)) is None:
            continue
        newest = connection.scalar(select(func.max(column)))
        if newest is not None:
            connection.execute(text("SELECT setval(:name, :to)"), {"name": sequence, "to": newest})
