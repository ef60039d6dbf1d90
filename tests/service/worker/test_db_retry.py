"""The database as a worker sees it."""

import threading
from pathlib import Path

from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.session import Database
from mfnet.service.settings import Settings
from mfnet.service.worker.db_retry import Transactions


def test_who_reads_does_not_wait_for_who_writes(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    database.upgrade()
    transactions = Transactions(Settings(), database, threading.Event())
    found: list[int] = []
    reader = threading.Thread(
        target=lambda: found.append(len(transactions.read(lambda s: KeyRepository(s).all())))
    )
    with database.writing() as session:
        KeyRepository(session).create("a", "user")
        session.flush()
        reader.start()
        reader.join(10)
        assert found == [0]
    assert transactions.read(lambda s: len(KeyRepository(s).all())) == 1
    database.close()
