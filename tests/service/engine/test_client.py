"""One order after another, whatever ends the first."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_stub
import pytest

from mfnet.service.engine.client import Foreman
from mfnet.service.engine.outcomes import AttemptFailed, LeaseLost, Leaving
from mfnet.service.engine.process import Engine
from mfnet.service.settings import Settings

STUB = Path(engine_stub.__file__)


class Desk:
    """A foreman, its engine, and orders for a small raster."""

    def __init__(self, folder: Path) -> None:
        self.leaving = threading.Event()
        self.engine = Engine([sys.executable, str(STUB)])
        settings = Settings(heartbeat_s=0.05, lease_s=1, stall_s=0.5)
        self.foreman = Foreman(settings, self.engine, self.leaving)
        self._ortho = folder / "ortho"
        self._ortho.write_bytes(b"pixels")

    def order(self, step: str, model: str) -> dict[str, Any]:
        ortho = str(self._ortho)
        return {"step": step, "model": model, "ortho": ortho, "out": str(self._ortho.parent)}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.engine.stop()


@pytest.mark.parametrize("end", [RuntimeError, LeaseLost, KeyboardInterrupt])
def test_an_order_that_a_beat_ends_is_not_answered_to_the_next(
    desk: Desk, end: type[BaseException]
) -> None:
    def beat(_done: int, _total: int) -> None:
        raise end

    with pytest.raises(end):
        desk.foreman.run(desk.order("map", "brisk"), beat)
    assert desk.engine.pid is None
    assert desk.foreman.run(desk.order("key", "quick"), lambda *_: None)["key"] == "quick"


def test_leaving_ends_the_engine(desk: Desk) -> None:
    with pytest.raises(Leaving):
        desk.foreman.run(desk.order("map", "slow"), lambda *_: desk.leaving.set())
    assert desk.engine.pid is None


def test_a_silent_engine_is_ended(desk: Desk) -> None:
    with pytest.raises(AttemptFailed, match="silent"):
        desk.foreman.run(desk.order("map", "silent"), lambda *_: None)
    assert desk.engine.pid is None
