"""The engine's last reply to a request; and a real engine on a tiny pair."""

import json
import sys
import time
from pathlib import Path
from typing import Any, TypeVar

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
from mfnet.service.domain.map_outputs import QUALITY
from mfnet.service.engine.process import Engine
from mfnet.service.engine.protocol import (
    Done,
    Failed,
    JoinRequest,
    KeyRequest,
    MapRequest,
    PartRequest,
    Request,
)
from mfnet.service.engine.runner import Segmenter, answer
from mfnet.service.runtime.processor_name import processor_name

RUNNER = [sys.executable, "-m", "mfnet.service.engine.runner"]
Asked = TypeVar("Asked", MapRequest, PartRequest, JoinRequest)


class Raising(Segmenter):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def run(self, request: Any, send: Any) -> Any:
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
    error: Exception,
    code: str,
    input_fault: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reply = answer(_asked(tmp_path), Raising(error), lambda _: None)
    assert isinstance(reply, Failed)
    assert (reply.code, reply.input_fault) == (code, input_fault)
    assert "secret" not in reply.message
    assert ("secret" in capsys.readouterr().err) == (code == "internal")


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_a_real_engine_computes_refuses_and_computes_again(tmp_path: Path) -> None:
    request = _tiny_request(tmp_path)
    engine = Engine(RUNNER)
    try:
        assert isinstance(_last_reply(engine, request), Done)
        once = (tmp_path / "out" / "classes.tif").read_bytes()
        refused = _last_reply(engine, _with(request, height=tmp_path / "none.tif"))
        assert isinstance(refused, Failed)
        assert refused.code == "raster.missing"
        options = {**request.options, "precision": "bf16"}
        told = {"model_ref": "random@1", "model_sha256": "0" * 64, "options": options}
        altered = _last_reply(engine, _with(request, **told))
        assert isinstance(altered, Failed)
        assert (altered.code, altered.input_fault) == ("model.altered", False)
        pid = engine.pid
        (tmp_path / "out" / "classes.tif").unlink()
        named = _last_reply(engine, _with(request, names={"ortho.tif": 'Größe "1".tif'}))
        assert isinstance(named, Done)
        assert named.result["pair"]["ortho"]["file"] == 'Größe "1".tif'
        by_colour = _last_reply(engine, _with(request, height=None))
        assert isinstance(by_colour, Done)
        assert by_colour.result["pair"]["height"] is None
        assert isinstance(_last_reply(engine, request), Done)
        assert engine.pid == pid
    finally:
        engine.stop()
    assert (tmp_path / "out" / "classes.tif").read_bytes() == once
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"classes.tif", "classes.tif.aux.xml", "classes.qml", "statistics.json"}


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_tiles_make_the_map_of_one_file(tmp_path: Path) -> None:
    whole = _tiny_request(tmp_path)
    engine = Segmenter()
    assert isinstance(answer(whole, engine, lambda _: None), Done)
    tiles = {}
    for role in ("ortho", "height"):
        (tmp_path / f"{role}s").mkdir()
        with rasterio.open(tmp_path / f"{role}.tif") as raster:
            pixels = raster.read()
        for number, columns in enumerate((slice(0, 17), slice(17, 50))):
            tile = tmp_path / f"{role}s" / f"{role}s-{number}.tif"
            _write(tile, pixels[:, :, columns], left=columns.start)
        tiles[role] = tmp_path / f"{role}s"
    names = {"orthos.vrt": "dop.zip", "heights.vrt": "dom.zip"}
    out = tmp_path / "of_tiles"
    out.mkdir()
    done = answer(_with(whole, **tiles, names=names, out=out), engine, lambda _: None)
    assert isinstance(done, Done), done
    assert done.result["pair"]["ortho"]["file"] == "dop.zip"
    maps = [folder / "classes.tif" for folder in (whole.out, out)]
    pixels = []
    for path in maps:
        with rasterio.open(path) as raster:
            tags = {k: v for k, v in raster.tags().items() if k != "MFNET_INPUTS"}
            pixels.append((raster.read().tobytes(), raster.profile, raster.colormap(1), tags))
    assert pixels[0] == pixels[1]


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_a_real_engine_computes_parts_and_joins_them(tmp_path: Path) -> None:
    told = {"options": {"blend": "mean", "confidence": True}, "further": QUALITY}
    request = _with(_tiny_request(tmp_path), **told)
    common = request.model_dump(exclude={"step", "out"})
    parts, joined = tmp_path / "parts", tmp_path / "joined"
    cuts = ((0, 16), (16, 40))
    engine = Engine(RUNNER)
    try:
        assert isinstance(_last_reply(engine, request), Done)
        whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
        asked = _last_reply(engine, KeyRequest(**common))
        assert isinstance(asked, Done)
        for rows in cuts:
            part = PartRequest(**common, parts=parts, rows=rows, key=asked.result["key"])
            assert _last_reply(engine, part) == Done(result={"device": processor_name()})
        other = _last_reply(engine, _with(part, key="another"))
        assert isinstance(other, Failed)
        assert (other.code, other.input_fault) == ("part.other_kind", False)
        joined.mkdir()
        join = JoinRequest(**common, parts=parts, cuts=cuts, out=joined)
        missing = _last_reply(engine, _with(join, cuts=((0, 40),)))
        assert isinstance(missing, Failed)
        assert missing.code == "part.missing"
        assert isinstance(_last_reply(engine, join), Done)
    finally:
        engine.stop()
    assert {"confidence.tif", "least_sure.gpkg", *QUALITY} < set(whole)
    assert json.loads(whole["quality.json"])["unsure"]["pixels"] > 0
    assert {path.name: path.read_bytes() for path in joined.iterdir()} == whole


def _asked(folder: Path) -> MapRequest:
    return MapRequest(
        ortho=folder / "ortho.tif",
        height=folder / "height.tif",
        model="random",
        models_dir=folder,
        out=folder / "out",
        options={"blend": "mean", "confidence": False},
    )


def _with(request: Asked, **changes: Any) -> Asked:
    return request.model_copy(update=changes)


def _tiny_request(folder: Path) -> MapRequest:
    from mfnet.model.config import ENCODERS, ModelConfig
    from mfnet.model.network.mfnet import MFNet
    from mfnet.model.weights.checkpoint import save

    (folder / "out").mkdir()
    save(MFNet(ModelConfig(encoder=ENCODERS["small"])), folder / "random.safetensors")
    rng = np.random.default_rng(0)
    _write(folder / "ortho.tif", rng.integers(0, 255, (3, 40, 50), dtype=np.uint8))
    _write(folder / "height.tif", rng.uniform(0, 9, (1, 40, 50)).astype(np.float32))
    return _asked(folder)


def _write(path: Path, array: np.ndarray, left: int = 0) -> None:
    bands, height, width = array.shape
    profile = {"count": bands, "height": height, "width": width, "dtype": array.dtype}
    grid = {"crs": "EPSG:32631", "transform": from_origin(5e5 + 0.2 * left, 5e6, 0.2, 0.2)}
    with rasterio.open(path, "w", driver="GTiff", **profile, **grid) as file:
        file.write(array)


def _last_reply(engine: Engine, request: Request) -> Done | Failed:
    engine.send(request)
    deadline = time.monotonic() + 180
    while not isinstance(reply := engine.receive(1), Done | Failed):
        assert time.monotonic() < deadline
    return reply
