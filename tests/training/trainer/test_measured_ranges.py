"""What a training shows to a network is kept in its file, and held against its users' rasters."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window
from standins.folder import manifest, write_tile

from mfnet.model.config import ENCODERS, NDSM, ORTHO, ModelConfig
from mfnet.model.input_ranges import Range, Seen
from mfnet.model.raster.pairs.drift import drift
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.sources.labelled_folder import open_folder
from mfnet.training.datasets.sources.synthetic_towns import TownPool
from mfnet.training.synthetic.town import Town, draw_town, write_town
from mfnet.training.trainer.measured_ranges import TILES, seen_in

MODALITIES = (ORTHO, NDSM)


@pytest.fixture(scope="module")
def towns() -> list[Town]:
    return [draw_town(seed, 128) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def seen(towns: list[Town]) -> Seen:
    return seen_in(TownPool(towns), MODALITIES, 0.125)


def test_towns_are_seen_as_they_are(towns: list[Town], seen: Seen) -> None:
    ortho = np.concatenate([town.ortho.reshape(3, -1) for town in towns], axis=1) / 255
    for values, band in zip(ortho, seen.bands["ortho"], strict=True):
        expected = np.percentile(values, [1, 99])
        assert (band.most.low, band.most.high) == pytest.approx(expected, rel=1e-5)
    medians = [np.median(town.ortho[1] / 255) for town in towns]
    green = seen.bands["ortho"][1]
    assert (green.p50.low, green.p50.high) == pytest.approx((min(medians), max(medians)), rel=1e-5)
    heights = np.concatenate([town.ndsm.ravel() for town in towns])
    above = np.maximum(heights[np.isfinite(heights)].astype(np.float16), 0).astype(np.float64)
    (band,) = seen.bands["ndsm"]
    assert (band.most.low, band.most.high) == pytest.approx(np.percentile(above, [1, 99]), rel=1e-5)
    assert (seen.gsd_m, seen.tiles) == (Range(low=0.125, high=0.125), 3)


def test_what_was_learned_from_is_not_told(towns: list[Town], seen: Seen, tmp_path: Path) -> None:
    config = ModelConfig(encoder=ENCODERS["small"], modalities=MODALITIES, seen=seen)
    for town in towns:
        write_town(tmp_path, town)
        with RasterPair.open(tmp_path / "ortho.tif", tmp_path / "ndsm.tif") as pair:
            found = drift(pair, config)
        assert found.remarks == []
        for number, band in enumerate(found.inputs["ortho"]):
            assert band.p50 == pytest.approx(np.median(town.ortho[number] / 255), rel=1e-5)


def test_a_part_of_a_modality_is_seen_alone(towns: list[Town]) -> None:
    alone = seen_in(TownPool(towns), (ORTHO,), None)
    assert set(alone.bands) == {"ortho"}
    assert alone.gsd_m == Range(low=0.125, high=0.125)  # which the towns say themselves


def test_no_more_tiles_than_are_needed_are_looked_at(towns: list[Town]) -> None:
    pool = TownPool([towns[0]] * (2 * TILES + 1))
    assert seen_in(pool, (NDSM,), None).tiles <= TILES


def test_ones_own_files_say_their_pixels_size_and_black_rims_are_not_seen(tmp_path: Path) -> None:
    for name in "012":
        write_tile(tmp_path, name)
    (tmp_path / "manifest.toml").write_text(manifest("012"))
    data = FolderRecipe(kind="folder", folder=tmp_path)
    pool = open_folder(data, 32, 1).train
    seen = seen_in(pool, MODALITIES, 9.0)
    assert seen.gsd_m == Range(low=0.2, high=0.2)
    tile = pool.areas[0].tile
    sample = tile.read(Window(0, 0, tile.width, tile.height))
    assert seen.bands["ortho"][0].most.low == pytest.approx(
        np.percentile(sample.rasters["ortho"][0] / 255, 1), rel=1e-5
    )
