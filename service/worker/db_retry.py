"""The database as a worker sees it: sometimes away, and asked again."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from mfnet.service.db.session import AWAY, Database
from mfnet.service.engine.outcomes import LeaseLost, ShuttingDown
from mfnet.service.settings import Settings

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class Transactions:
    """Short transactions of one worker.

    Args:
        settings: How often to ask again.
        database: Where the rows are.
        shutdown: Set when this process is to end.
    """

    def __init__(self, settings: Settings, database: Database, shutdown: threading.Event) -> None:
        self._settings = settings
        self._database = database
        self._shutdown = shutdown

    def change(self, change: Callable[[Session], _Answer]) -> _Answer | None:
        """Change rows, however long the database is away; None where we must leave before."""
        try:
            return self._ask(change, write=True)
        except ShuttingDown:
            return None

    def read(self, query: Callable[[Session], _Answer]) -> _Answer:
        """Look at rows, however long the database is away.

        Raises:
            Leaving: We are to end before it is back.
        """
        return self._ask(query, write=False)

    def renew(self, renew: Callable[[Session], bool]) -> None:
        """Renew a lease, or go on without where the database is away.

        Raises:
            LeaseLost: `renew` found no row of ours.
        """
        try:
            with self._database.writing() as session:
                ours = renew(session)
        except AWAY as error:
            # Maybe it is away for us alone, and another worker claims the job once our lease has
            # run out. Then the epoch has risen: nothing that we write finds a row any more.
            _log.warning("no heartbeat, the database is away: %s", error)
            return
        if not ours:
            raise LeaseLost

    def _ask(self, question: Callable[[Session], _Answer], *, write: bool) -> _Answer:
        database = self._database
        while True:
            try:
                with database.writing() if write else database.reading() as session:
                    return question(session)
            except AWAY as error:
                _log.warning("the database is away: %s", error)
            if self._shutdown.wait(self._settings.heartbeat_s):
                raise ShuttingDown
