"""Files on their way from and to a store of objects, while the job that they are of stays ours."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from mfnet.service.engine.outcomes import Heartbeat, ShuttingDown
from mfnet.service.errors import StoreAway
from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

_LISTEN_S = 0.25
_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class Transfers:
    """Carries files of one worker.

    Args:
        settings: How often a lease is renewed.
        storage: Where files are kept.
        shutdown: Set when this process is to end.
    """

    def __init__(self, settings: Settings, storage: Storage, shutdown: threading.Event) -> None:
        self._settings = settings
        self._storage = storage
        self._shutdown = shutdown
        self._sent: set[tuple[Path, int]] = set()
        self._sending = threading.Lock()

    def run(self, carry: Callable[[], _Answer], heartbeat: Heartbeat) -> _Answer:
        """Returns what `carry` returns, however long the store is away; may call it again.

        Where the data folder itself keeps the files, nothing is carried far, and this is all.

        Args:
            carry: Fetches or sends files; whole ones are not carried again.
            heartbeat: Renews the lease meanwhile.

        Raises:
            ShuttingDown: This process is to end.

        And whatever the two raise.
        """
        if not self._storage.is_remote:
            return carry()
        while True:
            try:
                return self._wait(_started(carry), heartbeat)
            except StoreAway as error:
                _log.warning("will go on later: %s", error)
            if self._shutdown.wait(self._settings.heartbeat_s):
                raise ShuttingDown
            heartbeat(0, 0, "waiting for the store of files")

    def aside(self, folder: Path) -> None:
        """Sends what is new in a folder, and waits for nothing: pictures, states of a run.

        What does not go now goes another time; what is in the middle of another such call, too.
        """
        if self._storage.is_remote and self._sending.acquire(blocking=False):
            threading.Thread(target=self._send_new, args=(folder,), daemon=True).start()

    def _send_new(self, folder: Path) -> None:
        try:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            for path in files:
                if (now := (path, path.stat().st_mtime_ns)) not in self._sent:
                    self._storage.share(path)
                    self._sent.add(now)
                    self._sent.add((path, path.stat().st_mtime_ns))  # which the store has set
        except (StoreAway, OSError) as error:
            _log.warning("will send it later: %s", error)
        finally:
            self._sending.release()

    def _wait(self, carried: "Future[_Answer]", heartbeat: Heartbeat) -> _Answer:
        waited = 0.0
        while True:
            try:
                return carried.result(_LISTEN_S)
            except TimeoutError:
                if carried.done():
                    raise
            if self._shutdown.is_set():
                raise ShuttingDown
            waited += _LISTEN_S
            if waited >= self._settings.heartbeat_s:
                heartbeat(0, 0, "files on their way")
                waited = 0.0


def _started(carry: Callable[[], _Answer]) -> "Future[_Answer]":
    """In a thread that is left to itself where nobody waits any more."""
    carried: Future[_Answer] = Future()

    def run() -> None:
        try:
            carried.set_result(carry())
        except BaseException as error:
            carried.set_exception(error)

    threading.Thread(target=run, name="transfer", daemon=True).start()
    return carried
