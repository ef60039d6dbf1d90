"""The worker's end of the engine: sends a request and follows it to its last reply."""

import threading
import time
from typing import Any

from mfnet.service.domain.job import Failure
from mfnet.service.engine.outcomes import AttemptFailed, Heartbeat, ShuttingDown
from mfnet.service.engine.process import Engine, EngineDied
from mfnet.service.engine.protocol import Done, Failed, Progress, Request
from mfnet.service.settings import Settings

_LISTEN_S = 0.25  # how long a shutdown may stay unnoticed
_PROGRESS_S = 1.0  # how often progress is written while it changes


class EngineClient:
    """Sends requests to the engine, one at a time.

    Args:
        settings: Heartbeat, and how long an engine may be silent.
        engine: What computes.
        shutdown: Set when this process is to end.
    """

    def __init__(self, settings: Settings, engine: Engine, shutdown: threading.Event) -> None:
        self._settings = settings
        self._engine = engine
        self._shutdown = shutdown

    def run(self, request: Request, heartbeat: Heartbeat) -> dict[str, Any]:
        """Has a request carried out; returns the engine's result.

        Raises:
            AttemptFailed: By the engine, or with it.
            ShuttingDown: This process is to end.

        With these, and with whatever `heartbeat` raises, an engine that is still computing is
        ended: its later reply would be taken for the answer to the next request.
        """
        try:
            self._engine.send(request)
            last = self._follow(heartbeat)
        except EngineDied as died:
            self.stop()
            failure = Failure("engine.died", f"{died}; expected it to finish the job.", {})
            raise AttemptFailed(failure) from died
        except BaseException:
            self.stop()
            raise
        if isinstance(last, Failed):
            raise AttemptFailed(Failure(**last.model_dump(exclude={"kind"})))
        return last.result

    def pause(self) -> None:
        """Waits a moment for others.

        Raises:
            ShuttingDown: This process is to end.
        """
        if self._shutdown.wait(_LISTEN_S):
            raise ShuttingDown

    def stop(self) -> None:
        """Ends the engine, in the middle of a request or not."""
        self._engine.stop()

    def _follow(self, heartbeat: Heartbeat) -> Done | Failed:
        """Listens to the engine and keeps the lease alive until the last reply."""
        heard = renewed = time.monotonic()
        progress = written = Progress(done=0, total=0)
        while True:
            reply = self._engine.receive(_LISTEN_S)
            now = time.monotonic()
            if reply is not None:
                heard = now
                if not isinstance(reply, Progress):
                    return reply
                progress = reply
            elif now - heard > self._settings.stall_s:
                raise EngineDied(f"the engine was silent for {now - heard:.0f} s")
            if self._shutdown.is_set():
                raise ShuttingDown
            pause = self._settings.heartbeat_s
            if now - renewed >= (pause if progress == written else min(pause, _PROGRESS_S)):
                heartbeat(progress.done, progress.total, progress.what)
                renewed, written = now, progress
