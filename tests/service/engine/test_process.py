"""The engine child: warm between orders, replaced after a crash, never left behind."""

import io
import os
import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mfnet.service.engine.process import Engine, EngineDied, _pump

STUB = (sys.executable, str(Path(__file__).parents[2] / "support" / "engine_stub.py"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(STUB)
    yield engine
    engine.stop()


def run(engine: Engine, model: str, folder: Path) -> dict[str, Any]:
    """All replies of one order, merged."""
    ortho = folder / "ortho"
    ortho.write_bytes(b"pixels")
    engine.order({"step": "map", "model": model, "ortho": str(ortho), "out": str(folder)})
    deadline = time.monotonic() + 30
    merged: dict[str, Any] = {}
    while not merged.keys() & {"done", "error"}:
        assert time.monotonic() < deadline
        merged |= engine.reply(0.5) or {}
    return merged


def test_one_child_answers_many_orders(engine: Engine, tmp_path: Path) -> None:
    first = run(engine, "quick", tmp_path)
    assert first["progress"] == [20, 20]
    assert first["done"]["pid"] == engine.pid
    assert run(engine, "refuse", tmp_path)["error"]["code"] == "stub.refuse"
    assert run(engine, "quick", tmp_path)["done"] == first["done"]


def test_a_crash_is_told_by_its_signal_and_the_next_order_has_a_new_child(
    engine: Engine, tmp_path: Path
) -> None:
    first = run(engine, "quick", tmp_path)["done"]["pid"]
    with pytest.raises(EngineDied, match="signal 9"):
        run(engine, "crash", tmp_path)
    assert run(engine, "quick", tmp_path)["done"]["pid"] != first


def test_a_child_that_died_while_idle_is_replaced(engine: Engine, tmp_path: Path) -> None:
    first = run(engine, "quick", tmp_path)["done"]["pid"]
    psutil.Process(first).kill()
    # Until the kernel would let us reap it: its threads may outlive its first one for a moment.
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert run(engine, "quick", tmp_path)["done"]["pid"] != first


def test_what_is_no_reply_ends_the_child(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineDied, match="no reply"):
        run(engine, "babble", tmp_path)
    assert engine.pid is None


def test_bytes_that_are_no_text_are_no_reply_either() -> None:
    loud = Engine([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff\\n')"])
    loud.order({})
    with pytest.raises(EngineDied, match="no reply"):
        loud.reply(30)


def test_output_that_cannot_be_read_has_an_end() -> None:
    class Torn(io.StringIO):
        def __next__(self) -> str:
            raise OSError("torn")

    replies: queue.SimpleQueue[str] = queue.SimpleQueue()
    with pytest.raises(OSError, match="torn"):
        _pump(Torn(), replies)
    assert replies.get_nowait() == ""


def test_a_program_that_does_not_start_is_a_died_engine(tmp_path: Path) -> None:
    broken = Engine([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EngineDied, match="status 3"):
        run(broken, "quick", tmp_path)


def test_the_child_knows_no_secret_and_no_driver_but_geotiffs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for prefix in ("", "MFNET_"):
        monkeypatch.setenv(f"{prefix}DATABASE_URL", "s3cret")
        monkeypatch.setenv(f"{prefix}REDIS_URL", "s3cret")
    monkeypatch.setenv("POSTGRES_PASSWORD", "s3cret")
    monkeypatch.setenv("KEPT", "here")
    told = "dict(drivers=sorted(gdal.drivers()), environment=dict(os.environ))"
    code = f"import json, os, rasterio\nwith rasterio.Env() as gdal: print(json.dumps({told}))"
    child = Engine([sys.executable, "-c", code])
    child.order({})
    reply = child.reply(30)
    child.stop()
    assert reply is not None
    assert reply["drivers"] == ["COG", "GTiff", "MEM"]
    assert reply["environment"]["KEPT"] == "here"
    assert "s3cret" not in reply["environment"].values()


def test_stop_leaves_no_process(engine: Engine, tmp_path: Path) -> None:
    engine.order({"model": "silent", "ortho": "", "out": str(tmp_path)})
    assert engine.reply(0.01) is None
    child = psutil.Process(engine.pid)
    engine.stop()
    engine.stop()
    assert not child.is_running()


def test_a_real_runner_ends_with_its_standard_input() -> None:
    """Without any order it imports neither model nor torch, so this is quick."""
    child = psutil.Popen([sys.executable, "-m", "mfnet.service.engine.runner"], stdin=-1, stdout=-1)
    child.communicate(b"", timeout=30)
    assert child.returncode == 0


def _gone(process: psutil.Process) -> bool:
    deadline = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
