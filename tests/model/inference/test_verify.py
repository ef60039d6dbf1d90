"""A map computed again: the same where nothing has changed, and told where something has."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.errors import MapDiffers, NoMap, RasterMissing
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.verify import Provenance, Verification, verify
from mfnet.model.network.mfnet import MFNet
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions

Make = Callable[..., Path]


def network(seed: int = 0) -> TorchRuntime:
    torch.manual_seed(seed)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    return TorchRuntime(MFNet(ModelConfig(name="random", encoder=encoder)))


@pytest.fixture(scope="module")
def net() -> TorchRuntime:
    return network()


@pytest.fixture
def made(photo: Make, heights: Make, net: TorchRuntime, tmp_path: Path) -> Path:
    """A map beside its inputs, with options that are nobody's defaults."""
    how = SegmentOptions(stride=100, blend="mean", precision="fp32")
    read = ReadingOptions(height_offset=0.5)
    out = tmp_path / "classes.tif"
    segment(photo(), heights(), net, out, options=how, reading=read)
    return out


def again(path: Path, net: TorchRuntime, inputs: dict[str, Path], bands: int = 3) -> Verification:
    told = Provenance.of(path)
    told.check_inputs(inputs)
    with RasterPair.open(**inputs, options=told.reading) as pair:
        return verify(path, pair, net, told, bands=bands, seed=1)


def inputs_of(path: Path) -> dict[str, Path]:
    return {role: path.parent / name for role, name in Provenance.of(path).files.items()}


def test_the_tags_say_how_a_map_was_made(made: Path) -> None:
    told = Provenance.of(made)
    assert (told.model, told.options.stride, told.options.blend) == ("random", 100, "mean")
    assert told.reading == ReadingOptions(height_offset=0.5)
    assert sorted(told.sha256) == ["height", "ortho"]


@pytest.mark.parametrize("bands", [1, 3, 40])
def test_a_map_comes_out_the_same(made: Path, net: TorchRuntime, bands: int) -> None:
    found = again(made, net, inputs_of(made), bands)
    with rasterio.open(made) as raster:
        assert found.rows[0].start >= 0
        assert found.rows[-1].stop <= raster.height
        assert found.pixels == sum(len(rows) for rows in found.rows) * raster.width > 0
    assert found.differing == 0


def test_altered_pixels_are_counted(made: Path, net: TorchRuntime) -> None:
    with rasterio.open(made) as raster:
        profile, tags, classes = raster.profile, raster.tags(), raster.read(1)
    with rasterio.open(made, "w", **profile) as raster:
        raster.write((classes + 1) % 6, 1)
        raster.update_tags(**tags)
    found = again(made, net, inputs_of(made))
    assert found.differing == found.pixels > 0


def test_other_inputs_and_models_are_refused(
    made: Path, net: TorchRuntime, photo: Make, tmp_path: Path
) -> None:
    inputs = inputs_of(made)
    with pytest.raises(MapDiffers, match="not the one that made"):
        again(made, network(seed=1), inputs)
    with pytest.raises(RasterMissing, match="mfnet verify MAP ORTHO HEIGHT"):
        again(made, net, inputs | {"height": tmp_path / "gone.tif"})
    with rasterio.open(inputs["ortho"], "r+") as raster:
        raster.transform = raster.transform * Affine.translation(1, 0)
    with pytest.raises(MapDiffers, match="not the ortho that the map was made of"):
        again(made, net, inputs)


def test_a_map_by_the_rule_is_verified_by_the_rule(
    photo: Make, heights: Make, tmp_path: Path
) -> None:
    """Its runtime is none that anybody may choose."""
    out = tmp_path / "rule.tif"
    segment(photo(), heights(), open_runtime("rule"), out)
    told = Provenance.of(out)
    rule = open_runtime(told.model, None, told.options)
    assert again(out, rule, inputs_of(out)).differing == 0


def test_of_a_sieved_map_islands_are_not_compared(
    made: Path, net: TorchRuntime, tmp_path: Path
) -> None:
    inputs, out = inputs_of(made), tmp_path / "sieved.tif"
    told = Provenance.of(made)
    how = replace(told.options, sieve=20)
    summary = segment(
        inputs["ortho"], inputs["height"], net, out, options=how, reading=told.reading
    )
    assert summary["sieve"]["pixels"] > 0
    assert Provenance.of(out).options == how
    found = again(out, net, inputs, bands=1)
    assert found.differing == 0
    assert found.pixels > 0
    assert found.pixels + found.in_islands == 48 * 48
    assert found.in_islands >= summary["sieve"]["pixels"]


def test_a_raster_that_is_no_map_is_refused(photo: Make, tmp_path: Path) -> None:
    with pytest.raises(NoMap, match="does not say how it was made"):
        Provenance.of(photo())
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(NoMap):
        Provenance.of(tmp_path / "text.tif")


@pytest.mark.parametrize("rows", [range(48), range(30, 33)])
def test_of_an_area_what_lies_inside_is_compared(
    made: Path, net: TorchRuntime, rows: range
) -> None:
    keep_only(made, rows, range(20))
    found = again(made, net, inputs_of(made))
    assert found.pixels == 20 * len(rows)
    assert found.differing == 0


def test_a_map_without_a_class_is_not_called_the_same(made: Path, net: TorchRuntime) -> None:
    keep_only(made, range(0), range(0))
    with pytest.raises(NoMap, match="no pixel with a class"):
        again(made, net, inputs_of(made))


def keep_only(path: Path, rows: range, columns: range) -> None:
    """The map as one of an area of interest would be."""
    with rasterio.open(path) as raster:
        profile, tags, classes = raster.profile, raster.tags(), raster.read(1)
    left = np.full_like(classes, 255)
    inside = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
    left[inside] = classes[inside]
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(left, 1)
        raster.update_tags(**tags, MFNET_AREA="some")


def test_another_file_beside_an_input_is_told(made: Path, net: TorchRuntime) -> None:
    beside = made.parent / "ortho.prj"
    beside.write_text(CRS.from_epsg(25832).to_wkt())
    with pytest.raises(MapDiffers, match="what stands beside"):
        again(made, net, inputs_of(made))
