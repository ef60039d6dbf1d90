"""The engine's last word on an order; and a real engine on a tiny pair."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mfnet.model.errors import (
    BadCheckpoint,
    BaseMissing,
    DiskFull,
    InputChanged,
    NonFiniteLogits,
    NoOverlap,
    RasterMissing,
    UnknownModel,
)
from mfnet.service.engine.process import Engine
from mfnet.service.engine.runner import Segmenter, answer


class Raising(Segmenter):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def run(self, order: Any, say: Any) -> Any:
        raise self.error


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    ("error", "code", "input_fault"),
    [
        (NoOverlap("got 0 %", overlap_percent=0), "pair.no_overlap", True),
        (NonFiniteLogits("window 3"), "engine.non_finite", False),
        (MemoryError(), "engine.out_of_memory", False),
        (OutOfMemoryError("CUDA"), "engine.out_of_memory", False),
        (TypeError("/secret/path"), "internal", False),
        (InputChanged("ortho.tif"), "raster.changed", False),
        (RasterMissing("ortho.tif"), "raster.missing", False),
        (UnknownModel("town-small"), "model.unknown", False),
        (BadCheckpoint("town-small"), "model.bad_checkpoint", False),
        (BaseMissing("vit_b"), "model.base_missing", False),
        (DiskFull("12 bytes are free"), "output.disk_full", False),
    ],
)
def test_every_error_has_a_code_and_tells_nothing_of_the_inside(
    error: Exception, code: str, input_fault: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = answer({}, Raising(error), lambda _: None)["error"]
    assert (reply["code"], reply["input_fault"]) == (code, input_fault)
    assert set(reply) == {"code", "message", "params", "input_fault"}
    assert "secret" not in reply["message"]
    assert ("secret" in capsys.readouterr().err) == (code == "internal")


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_a_real_engine_computes_refuses_and_computes_again(tmp_path: Path) -> None:
    order = _tiny_order(tmp_path)
    engine = Engine([sys.executable, "-m", "mfnet.service.engine.runner"])
    try:
        first = _last_reply(engine, order)
        assert "done" in first, first
        once = (tmp_path / "out" / "classes.tif").read_bytes()
        refused = _last_reply(engine, {**order, "height": str(tmp_path / "none.tif")})
        assert refused["error"]["code"] == "raster.missing"
        options = {**order["options"], "precision": "bf16"}
        told = {"model_ref": "random@1", "model_sha256": "0" * 64, "options": options}
        altered = _last_reply(engine, {**order, **told})["error"]
        assert (altered["code"], altered["input_fault"]) == ("model.altered", False)
        pid = engine.pid
        (tmp_path / "out" / "classes.tif").unlink()
        named = _last_reply(engine, {**order, "names": {"ortho.tif": 'Größe "1".tif'}})
        assert named["done"]["pair"]["ortho"]["file"] == 'Größe "1".tif'
        assert "done" in _last_reply(engine, order)
        assert engine.pid == pid
    finally:
        engine.stop()
    assert (tmp_path / "out" / "classes.tif").read_bytes() == once
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"classes.tif", "classes.tif.aux.xml", "classes.qml", "statistics.json"}


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_a_real_engine_computes_parts_and_joins_them(tmp_path: Path) -> None:
    order = _tiny_order(tmp_path)
    order["options"] |= {"confidence": True}
    engine = Engine([sys.executable, "-m", "mfnet.service.engine.runner"])
    try:
        assert "done" in _last_reply(engine, order)
        whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        shared = {**order, "parts": str(tmp_path / "parts")}
        key = _last_reply(engine, {**order, "step": "key"})["done"]["key"]
        cuts = [[0, 16], [16, 40]]
        for rows in cuts:
            part = {**shared, "step": "part", "rows": rows, "key": key}
            assert _last_reply(engine, part) == {"done": {}}
        other = _last_reply(engine, {**part, "key": "another"})["error"]
        assert (other["code"], other["input_fault"]) == ("part.other_kind", False)
        (tmp_path / "joined").mkdir()
        join = {**shared, "step": "join", "cuts": cuts, "out": str(tmp_path / "joined")}
        missing = _last_reply(engine, {**join, "cuts": [[0, 40]]})["error"]
        assert missing["code"] == "part.missing"
        assert "done" in _last_reply(engine, join)
    finally:
        engine.stop()
    assert {"confidence.tif", "least_sure.gpkg"} < set(whole)
    assert {path.name: path.read_bytes() for path in (tmp_path / "joined").iterdir()} == whole


def _tiny_order(folder: Path) -> dict[str, Any]:
    from mfnet.model.config import ENCODERS, ModelConfig
    from mfnet.model.network.mfnet import MFNet
    from mfnet.model.weights.checkpoint import save

    (folder / "out").mkdir()
    save(MFNet(ModelConfig(encoder=ENCODERS["small"])), folder / "random.safetensors")
    rng = np.random.default_rng(0)
    _write(folder / "ortho.tif", rng.integers(0, 255, (3, 40, 50), dtype=np.uint8))
    _write(folder / "height.tif", rng.uniform(0, 9, (1, 40, 50)).astype(np.float32))
    return {
        "process": "segment",
        "step": "map",
        "ortho": str(folder / "ortho.tif"),
        "height": str(folder / "height.tif"),
        "model": "random",
        "models_dir": str(folder),
        "out": str(folder / "out"),
        "options": {"blend": "mean", "confidence": False},
    }


def _write(path: Path, array: np.ndarray) -> None:
    bands, height, width = array.shape
    profile = {"count": bands, "height": height, "width": width, "dtype": array.dtype}
    grid = {"crs": "EPSG:32631", "transform": from_origin(5e5, 5e6, 0.2, 0.2)}
    with rasterio.open(path, "w", driver="GTiff", **profile, **grid) as file:
        file.write(array)


def _last_reply(engine: Engine, order: dict[str, Any]) -> dict[str, Any]:
    engine.order(order)
    deadline = time.monotonic() + 180
    while True:
        assert time.monotonic() < deadline
        reply = engine.reply(1)
        if reply is not None and "progress" not in reply:
            return reply
