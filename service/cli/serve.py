"""`mfnet serve`: the API and, unless told otherwise, one worker, under one data folder; and a
second one from the first retraining on, so that no map waits for it."""

import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mfnet.service.api.local_requests import is_loopback
from mfnet.service.db.repositories.audit import COMMAND_LINE, AuditLog
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.session import AWAY, Database
from mfnet.service.domain.job import RETRAIN, SEGMENT
from mfnet.service.errors import KeysNeeded
from mfnet.service.files.storage import storage_of
from mfnet.service.runtime import logging_setup, tracing
from mfnet.service.settings import Settings

if TYPE_CHECKING:
    import uvicorn

_log = logging.getLogger(__name__)
_RESTART_S = 2.0  # a worker that cannot start must not be started a hundred times a second

Tell = Callable[[str], None]


def serve(settings: Settings, *, worker: bool, tell: Tell) -> None:
    """Run until SIGTERM or Ctrl-C; leaves nothing running.

    Args:
        settings: Where to listen and where the data is.
        worker: Run a worker beside the API.
        tell: Takes the lines for whoever started us: the address, and the first key.
    """
    import uvicorn

    from mfnet.service.app import create_app

    logging_setup.configure(settings.log_level, settings.log_format)
    tracing.send(settings.traces_url, "api")
    config = uvicorn.Config(
        partial(create_app, settings),
        factory=True,
        host=settings.host,
        port=settings.port,
        log_config=None,
        timeout_graceful_shutdown=math.ceil(settings.grace_s),  # of streams without an end, too
    )
    # Before anything is touched: a service that already runs here holds the port.
    listening = listening_socket(config)
    try:
        _require_loopback(settings, listening)
        secret = _prepare(settings)
    except BaseException:
        listening.close()
        raise
    server = uvicorn.Server(config)
    # uvicorn raises the signal again after its shutdown: by then it must not end us at once.
    signal.signal(signal.SIGTERM, _exit)
    listening.listen(config.backlog)  # who reads the address may connect at once, and waits
    host, port = listening.getsockname()[:2]
    tell(f"Listening on http://{host}:{port} with data in {settings.data_dir.resolve()}")
    if secret is not None:
        tell(f"Admin key, shown this once: {secret}")
    if not settings.keys:
        tell("Whoever is at this machine needs no key, and is the admin")
    keepers = [WorkerKeeper(settings, process) for process in (SEGMENT, RETRAIN) if worker]
    try:
        for keeper in keepers:
            keeper.start()
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        for keeper in keepers:
            keeper.ask_to_leave()
        for keeper in keepers:
            keeper.stop()
        tracing.end()


def listening_socket(config: "uvicorn.Config") -> socket.socket:
    """A bound socket whose connections answer at once.

    asyncio turns Nagle's algorithm off on sockets that it makes, not on one that it is given:
    without the option every second answer on a kept connection waits 40 ms for the first one's
    acknowledgement. Connections inherit it.
    """
    listening = config.bind_socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _require_loopback(settings: Settings, listening: socket.socket) -> None:
    address = listening.getsockname()[0]
    if not settings.keys and not is_loopback(address):
        raise KeysNeeded(
            f"a service without keys was to listen on {address}, where other machines reach it; "
            "expected a loopback address: leave out --host (MFNET_HOST), or --no-keys (MFNET_KEYS)"
        )


class WorkerKeeper:
    """Keeps one worker process alive.

    Args:
        settings: The worker gets the data folder from here, everything else from the environment.
        process: What it does. The one that maps is started at once, so that it is ready; one that
            retrains is started when the first retraining waits.
    """

    def __init__(self, settings: Settings, process: str) -> None:
        self._settings = settings
        self._process = process
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {process}")

    def start(self) -> None:
        """Start the worker, and start it again whenever it dies."""
        self._thread.start()

    def ask_to_leave(self) -> None:
        """Have the worker leave; returns at once."""
        self._stopping.set()

    def stop(self) -> None:
        """Have the worker leave, and end it where it does not."""
        self.ask_to_leave()
        self._thread.join()

    def _keep(self) -> None:
        if self._process == RETRAIN:
            self._wait_for_work()
        while not self._stopping.is_set():
            # Standard output is for our own lines.
            child = subprocess.Popen(self._command(), stdout=sys.stderr, start_new_session=True)
            while child.poll() is None and not self._stopping.wait(0.2):
                pass
            if self._stopping.is_set():
                _end(child, self._settings.grace_s + 5)
                return
            _log.error("the worker ended with status %s; starting it again", child.returncode)
            self._stopping.wait(_RESTART_S)

    def _wait_for_work(self) -> None:
        database = Database(self._settings.database)
        try:
            while not self._stopping.wait(self._settings.reconcile_s):
                try:
                    with database.reading() as session:
                        if Backlog(session).due(self._process, limit=1):
                            return
                except AWAY as error:
                    _log.warning("the database is away: %s", error)
        finally:
            database.close()

    def _command(self) -> list[str]:
        data_dir = str(self._settings.data_dir.resolve())
        return [
            *(
                sys.executable,
                "-P",
                "-m",
                "mfnet.service.cli.main",
                "worker",
                "--work",
                self._process,
            ),
            *("--data-dir", data_dir, "--parent", str(os.getpid())),
        ]


def _prepare(settings: Settings) -> str | None:
    """Bring the data folder up to date; returns a key that was made: the first one, or an admin's
    where nobody is asked for a key and no admin's is alive."""
    storage_of(settings)
    # The broker's file keeps every message that it ever had; the reconciler sends what is needed.
    for path in settings.data_dir.glob(f"{settings.broker_file.name}*"):
        path.unlink()
    database = Database(settings.database)
    database.upgrade()
    try:
        with database.writing() as session:
            keys = KeyRepository(session)
            if keys.all() and (settings.keys or keys.first_admin() is not None):
                return None
            key, secret = keys.create("first", "admin")
            AuditLog(session).note(COMMAND_LINE, "key created", key.id, role="admin", name="first")
            return secret
    finally:
        database.close()


def _end(child: subprocess.Popen[bytes], grace_s: float) -> None:
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _exit(_number: int, _frame: Any) -> None:
    raise SystemExit(0)
