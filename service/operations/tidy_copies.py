"""What an API leaves on its own disk where files are kept in a store of objects.

Elsewhere workers tidy the data folder, which all share then.
"""

import logging
import threading

from mfnet.service.files.storage import Storage
from mfnet.service.settings import Settings

_EVERY_S = 600.0
_IDLE_S = 3600.0
_log = logging.getLogger(__name__)


class TidyCopies:
    """Removes copies that nobody has asked for lately, and uploads that nobody goes on with.

    Args:
        settings: How long an upload in pieces is waited for.
        storage: With a folder that is this process's own.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self._settings = settings
        self._storage = storage
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidy copies", daemon=True)

    def start(self) -> None:
        """Begin, beside whatever else this process does."""
        if self._storage.is_remote:
            self._thread.start()

    def stop(self) -> None:
        """End; do not wait for it."""
        self._ended.set()

    def tidy(self, idle_s: float = _IDLE_S) -> None:
        """Remove what nobody has asked for, or gone on with, for so many seconds."""
        self._storage.remove_parts(idle_s)
        self._storage.incoming.remove_idle(self._settings.incoming_hours * 3600)
        self._storage.forget_idle_copies(idle_s)

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            try:
                self.tidy()
            except Exception:
                _log.exception("fault while tidying; will try again")
