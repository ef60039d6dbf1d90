"""From files to files: real pairs, and what is left behind when a run does not end well."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from rio_cogeo.cogeo import cog_validate

from mfnet.model.classes import NODATA
from mfnet.model.config import NDSM, ORTHO, EncoderConfig, ModelConfig
from mfnet.model.errors import BadOption, Cancelled, InputError, NotAboveGround, OutputNotWritable
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.network.mfnet import MFNet

PAIRS = {
    "ign rgb": ("ign/ortho_rgb.tif", "ign/ndsm.tif", None),
    "ign irrg": ("ign/ortho_irrg.tif", "ign/ndsm.tif", None),
    "ign dsm, dtm": ("ign/ortho_rgb.tif", "ign/dsm.tif", "ign/dtm.tif"),
    "neon JERC": ("neon/JERC_049.tif", "neon/JERC_049_CHM.tif", None),
    "neon SJER": ("neon/SJER_052.tif", "neon/SJER_052_CHM.tif", None),
}


@pytest.fixture(scope="module")
def net() -> TorchRuntime:
    """Random weights: what is tested here is the way, not the map."""
    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    config = ModelConfig(name="random", encoder=encoder, modalities=(ORTHO, NDSM))
    return TorchRuntime(MFNet(config))


def run(folder: Path, pair: str, net: TorchRuntime, out: Path, **options: Any) -> dict[str, Any]:
    ortho, height, dtm = PAIRS[pair]
    return segment(folder / ortho, folder / height, net, out, dtm=dtm and folder / dtm, **options)


@pytest.mark.parametrize("pair", PAIRS)
def test_real_pairs_give_a_cog_on_the_orthophotos_grid(
    pair: str, net: TorchRuntime, shared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "classes.tif"
    summary = run(shared / "data/pairs", pair, net, out, confidence=tmp_path / "confidence.tif")
    valid, errors, warnings = cog_validate(out, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with (
        rasterio.open(shared / "data/pairs" / PAIRS[pair][0]) as ortho,
        rasterio.open(out) as classes,
        rasterio.open(tmp_path / "confidence.tif") as confidence,
    ):
        assert classes.shape == ortho.shape == confidence.shape
        assert classes.transform == ortho.transform
        assert classes.crs == ortho.crs
        assert classes.nodata == NODATA
        assert classes.colormap(1)[1] == (0, 0, 255, 255)
        values = classes.read(1)
        assert set(np.unique(values)) <= {*range(6), NODATA}
        assert np.array_equal(confidence.read(1) == NODATA, values == NODATA)
    counted = {c["name"]: c["pixels"] for c in summary["classes"]}
    assert counted["building"] == (values == 1).sum()


def test_a_surface_and_a_terrain_model_give_the_map_of_their_difference(
    net: TorchRuntime, shared: Path, tmp_path: Path
) -> None:
    for name, pair in (("a", "ign rgb"), ("b", "ign dsm, dtm")):
        run(shared / "data/pairs", pair, net, tmp_path / f"{name}.tif")
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())


def test_absolute_heights_are_refused_with_a_word_about_dtm(
    net: TorchRuntime, shared: Path, tmp_path: Path
) -> None:
    folder = shared / "data/pairs/nodeodm"
    out = tmp_path / "classes.tif"
    with pytest.raises(NotAboveGround, match="--dtm"):
        segment(folder / "odm_orthophoto.tif", folder / "dsm.tif", net, out)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """300 × 500 pixels of noise, half a metre each."""
    random = np.random.default_rng(0)
    ortho, height = tmp_path / "ortho.tif", tmp_path / "height.tif"
    grid = {
        "driver": "GTiff", "height": 300, "width": 500,
        "crs": "EPSG:25832", "transform": from_origin(500000, 5700000, 0.5, 0.5),
    }  # fmt: skip
    with rasterio.open(ortho, "w", count=3, dtype="uint8", **grid) as file:
        file.write(random.integers(1, 255, (3, 300, 500), dtype=np.uint8))
    with rasterio.open(height, "w", count=1, dtype="float32", **grid) as file:
        file.write(20 * random.random((1, 300, 500), dtype=np.float32))
    return ortho, height


def test_a_crop_gives_the_classes_of_the_whole_where_windows_coincide(
    net: TorchRuntime, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Normalisation is the model's: nothing of the raster at hand enters it."""
    crops = []
    for path in pair:
        crop = tmp_path / f"crop_{path.name}"
        with rasterio.open(path) as whole:
            window = rasterio.windows.Window(64, 0, 500 - 64, 300)
            profile = whole.profile | {
                "height": window.height,
                "width": window.width,
                "transform": whole.window_transform(window),
            }
            with rasterio.open(crop, "w", **profile) as part:
                part.write(whole.read(window=window))
        crops.append(crop)
    segment(*pair, net, tmp_path / "whole.tif", options=SegmentOptions(stride=64))
    segment(*crops, net, tmp_path / "part.tif", options=SegmentOptions(stride=64))
    with rasterio.open(tmp_path / "whole.tif") as w, rasterio.open(tmp_path / "part.tif") as p:
        whole, part = w.read(1), p.read(1)
    # The whole has one column of windows more, at 0, which ends before column 256.
    np.testing.assert_array_equal(whole[:, 256:], part[:, 192:])


def test_statistics_are_written_as_returned(
    net: TorchRuntime, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    statistics = tmp_path / "statistics.json"
    summary = segment(*pair, net, tmp_path / "classes.tif", statistics=statistics)
    assert json.loads(statistics.read_text()) == summary
    assert sum(c["pixels"] for c in summary["classes"]) == 300 * 500
    assert sum(c["area_m2"] for c in summary["classes"]) == pytest.approx(300 * 500 * 0.25)
    assert summary["parameters"]["MFNET_STRIDE"] == "128"


@pytest.mark.parametrize("blend", ["mean", "hann"])
def test_the_same_bytes_come_out_twice(
    blend: str, net: TorchRuntime, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        segment(*pair, net, tmp_path / f"{name}.tif", options=SegmentOptions(blend=blend))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_a_cancelled_run_leaves_nothing(
    net: TorchRuntime, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Cancelled):
        segment(*pair, net, out / "classes.tif", statistics=out / "s.json", cancelled=lambda: True)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [{"stride": 300}, {"blend": "max"}],
)
def test_options_outside_their_range_are_refused_before_the_work(
    option: dict[str, Any], net: TorchRuntime, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=str(next(iter(option.values())))):
        segment(*pair, net, tmp_path / "classes.tif", options=SegmentOptions(**option))
    assert not (tmp_path / "classes.tif").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"statistics": "missing/statistics.json"},
        {"confidence": "missing/confidence.tif"},
        {"confidence": "classes.tif"},
        {"statistics": "ortho.tif"},
        {"out": "dsm.tif"},
    ],
)
def test_what_could_not_be_written_is_refused_before_the_work(
    files: dict[str, str], net: TorchRuntime, tmp_path: Path
) -> None:
    paths = {name: tmp_path / file for name, file in ({"out": "classes.tif"} | files).items()}
    with pytest.raises(OutputNotWritable, match="cannot be written"):
        segment(tmp_path / "ortho.tif", tmp_path / "dsm.tif", net, **paths)


@pytest.mark.parametrize("option", [{"stride": 0}, {"batch_size": 0}])
def test_a_zero_is_refused_and_not_taken_for_the_default(
    option: dict[str, Any], net: TorchRuntime, shared: Path, tmp_path: Path
) -> None:
    options = SegmentOptions(**option)
    with pytest.raises(BadOption):
        run(shared / "data/pairs", "ign rgb", net, tmp_path / "classes.tif", options=options)
    assert list(tmp_path.iterdir()) == []
