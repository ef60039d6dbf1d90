"""One order, from the engine's taking it to its last word."""

import threading
import time
from typing import Any

from mfnet.service.domain.job import Failure
from mfnet.service.engine.outcomes import AttemptFailed, Beat, Leaving
from mfnet.service.engine.process import Engine, EngineDied
from mfnet.service.settings import Settings

_LISTEN_S = 0.25  # how long a request to leave may stay unnoticed
_PROGRESS_S = 1.0  # how often progress is written while it changes


class Foreman:
    """Gives orders to the engine, one at a time.

    Args:
        settings: Heartbeat, and how long an engine may be silent.
        engine: What computes.
        leaving: Set when this process is to end.
    """

    def __init__(self, settings: Settings, engine: Engine, leaving: threading.Event) -> None:
        self._settings = settings
        self._engine = engine
        self._leaving = leaving

    def run(self, order: dict[str, Any], beat: Beat) -> dict[str, Any]:
        """Have an order carried out; returns what the engine says of it.

        Raises:
            AttemptFailed: By the engine, or with it.
            Leaving: We are to end.

        With these, and with whatever `beat` raises, an engine that is still at it is ended: what it
        says later would be taken for the answer to the next order.
        """
        try:
            self._engine.order(order)
            reply = self._follow(beat)
        except EngineDied as died:
            self.stop()
            failure = Failure("engine.died", f"{died}; expected it to finish the job.", {})
            raise AttemptFailed(failure) from died
        except BaseException:
            self.stop()
            raise
        if "error" in reply:
            raise AttemptFailed(Failure(**reply["error"]))
        done: dict[str, Any] = reply["done"]
        return done

    def pause(self) -> None:
        """Wait a moment for others.

        Raises:
            Leaving: We are to end.
        """
        if self._leaving.wait(_LISTEN_S):
            raise Leaving

    def stop(self) -> None:
        """End the engine, in the middle of an order or not."""
        self._engine.stop()

    def _follow(self, beat: Beat) -> dict[str, Any]:
        """Listen to the engine and keep the lease alive until the engine's last word."""
        heard = beaten = time.monotonic()
        progress, written = (0, 0), (0, 0)
        while True:
            reply = self._engine.reply(_LISTEN_S)
            now = time.monotonic()
            if reply is not None:
                heard = now
                if "progress" not in reply:
                    return reply
                progress = tuple(reply["progress"])
            elif now - heard > self._settings.stall_s:
                raise EngineDied(f"the engine was silent for {now - heard:.0f} s")
            if self._leaving.is_set():
                raise Leaving
            pause = self._settings.heartbeat_s
            if now - beaten >= (pause if progress == written else min(pause, _PROGRESS_S)):
                beat(*progress)
                beaten, written = now, progress
