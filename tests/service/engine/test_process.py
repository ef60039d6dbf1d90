"""The engine child: warm between requests, replaced after a crash, never left behind."""

import io
import os
import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mfnet.service.engine.process import Engine, EngineDied, _pump
from mfnet.service.engine.protocol import Done, Failed, MapRequest, Progress

STUB = (sys.executable, str(Path(__file__).parents[2] / "support" / "engine_stub.py"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(STUB)
    yield engine
    engine.stop()


def asked(model: str, folder: Path) -> MapRequest:
    """A request for a map, of a model that says how the stub behaves."""
    return MapRequest(
        ortho=folder / "ortho", height=folder / "ortho", model=model, models_dir=folder, out=folder
    )


def run(engine: Engine, model: str, folder: Path) -> tuple[Progress | None, Done | Failed]:
    """The last progress, and the last reply."""
    (folder / "ortho").write_bytes(b"pixels")
    engine.send(asked(model, folder))
    deadline, progress = time.monotonic() + 30, None
    while not isinstance(reply := engine.receive(0.5), Done | Failed):
        assert time.monotonic() < deadline
        progress = reply or progress
    return progress, reply


def pid(engine: Engine, folder: Path) -> int:
    """Of the child that answers."""
    _, reply = run(engine, "quick", folder)
    assert isinstance(reply, Done)
    return int(reply.result["pid"])


def test_one_child_answers_many_requests(engine: Engine, tmp_path: Path) -> None:
    progress, first = run(engine, "quick", tmp_path)
    assert progress == Progress(done=20, total=20)
    assert isinstance(first, Done)
    assert first.result["pid"] == engine.pid
    _, refused = run(engine, "refuse", tmp_path)
    assert isinstance(refused, Failed)
    assert (refused.code, refused.input_fault) == ("stub.refuse", True)
    assert run(engine, "quick", tmp_path)[1] == first


def test_a_crash_is_told_by_its_signal_and_the_next_request_has_a_new_child(
    engine: Engine, tmp_path: Path
) -> None:
    first = pid(engine, tmp_path)
    with pytest.raises(EngineDied, match="signal 9"):
        run(engine, "crash", tmp_path)
    assert pid(engine, tmp_path) != first


def test_a_child_that_died_while_idle_is_replaced(engine: Engine, tmp_path: Path) -> None:
    first = pid(engine, tmp_path)
    psutil.Process(first).kill()
    # Until the kernel would let us reap it: its threads may outlive its first one for a moment.
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert pid(engine, tmp_path) != first


def test_what_is_no_reply_ends_the_child(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineDied, match="no reply"):
        run(engine, "babble", tmp_path)
    assert engine.pid is None


def test_bytes_that_are_no_text_are_no_reply_either(tmp_path: Path) -> None:
    code = "import sys; sys.stdin.readline(); sys.stdout.buffer.write(b'\\xff\\n')"
    loud = Engine([sys.executable, "-c", code])
    loud.send(asked("quick", tmp_path))
    with pytest.raises(EngineDied, match="no reply"):
        loud.receive(30)


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


def test_the_child_knows_no_secret_and_no_driver_that_follows_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for prefix in ("", "MFNET_"):
        monkeypatch.setenv(f"{prefix}DATABASE_URL", "s3cret")
        monkeypatch.setenv(f"{prefix}REDIS_URL", "s3cret")
    monkeypatch.setenv("POSTGRES_PASSWORD", "s3cret")
    monkeypatch.setenv("KEPT", "here")
    told = "dict(drivers=sorted(gdal.drivers()), environment=dict(os.environ))"
    reply = f"dict(kind='done', result={told})"
    code = "import json, os, rasterio\ninput()\n"
    code += f"with rasterio.Env() as gdal: print(json.dumps({reply}))"
    child = Engine([sys.executable, "-c", code])
    child.send(asked("quick", tmp_path))
    done = child.receive(30)
    child.stop()
    assert isinstance(done, Done)
    drivers = ["COG", "ESRI Shapefile", "GTiff", "MEM", "Memory", "VRT"]  # VRT: of tiles
    assert done.result["drivers"] == drivers
    assert done.result["environment"]["KEPT"] == "here"
    assert "s3cret" not in done.result["environment"].values()


def test_stop_leaves_no_process(engine: Engine, tmp_path: Path) -> None:
    engine.send(asked("silent", tmp_path))
    assert engine.receive(0.01) is None
    child = psutil.Process(engine.pid)
    engine.stop()
    engine.stop()
    assert not child.is_running()


def test_a_real_runner_ends_with_its_standard_input() -> None:
    """Without any request it imports neither model nor torch, so this is quick."""
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
