"""One request after another, whatever ends the first."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import engine_stub
import pytest

from mfnet.service.engine.client import EngineClient
from mfnet.service.engine.outcomes import AttemptFailed, LeaseLost, ShuttingDown
from mfnet.service.engine.process import Engine
from mfnet.service.engine.protocol import KeyRequest, MapRequest
from mfnet.service.settings import Settings

STUB = Path(engine_stub.__file__)


def _ignored(done: int, total: int, what: str | None = None) -> None:
    """A heartbeat that renews nothing."""


class EngineSetup:
    """A client, its engine, and requests about a small raster."""

    def __init__(self, folder: Path, stall_s: float = 60) -> None:
        self.shutdown = threading.Event()
        self.engine = Engine([sys.executable, str(STUB)])
        settings = Settings(heartbeat_s=0.05, lease_s=1, stall_s=stall_s)
        self.client = EngineClient(settings, self.engine, self.shutdown)
        self._ortho = folder / "ortho"
        self._ortho.write_bytes(b"pixels")

    def map(self, model: str) -> MapRequest:
        folder = self._ortho.parent
        return MapRequest(
            ortho=self._ortho, height=self._ortho, model=model, models_dir=folder, out=folder
        )

    def key(self) -> KeyRequest:
        folder = self._ortho.parent
        return KeyRequest(ortho=self._ortho, height=self._ortho, model="quick", models_dir=folder)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[EngineSetup]:
    setup = EngineSetup(tmp_path)
    yield setup
    setup.engine.stop()


@pytest.mark.parametrize("end", [RuntimeError, LeaseLost, KeyboardInterrupt])
def test_a_request_that_a_heartbeat_ends_is_not_answered_to_the_next(
    setup: EngineSetup, end: type[BaseException]
) -> None:
    def heartbeat(done: int, total: int, what: str | None = None) -> None:
        raise end

    with pytest.raises(end):
        setup.client.run(setup.map("brisk"), heartbeat)
    assert setup.engine.pid is None
    assert setup.client.run(setup.key(), _ignored)["key"] == "quick"


def test_a_shutdown_ends_the_engine(setup: EngineSetup) -> None:
    with pytest.raises(ShuttingDown):
        setup.client.run(setup.map("slow"), lambda done, total, what=None: setup.shutdown.set())
    assert setup.engine.pid is None


def test_a_silent_engine_is_ended(tmp_path: Path) -> None:
    setup = EngineSetup(tmp_path, stall_s=0.5)
    with pytest.raises(AttemptFailed, match="silent"):
        setup.client.run(setup.map("silent"), _ignored)
    assert setup.engine.pid is None
