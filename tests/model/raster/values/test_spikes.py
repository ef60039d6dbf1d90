"""Spikes among heights: what is no height, what is a thing, and that windows do not matter."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.raster.values.spikes import find_spikes, margin_px, widest_spike_px

Make = Callable[..., Path]
SIDE = 96
FINE = Affine(0.2, 0, 500_000, 0, -0.2, 5_700_000)
ROWS, COLUMNS = np.indices((SIDE, SIDE)) - SIDE // 2


def ground() -> np.ndarray:
    """Lawn, and a house of 9 m."""
    metres = np.random.default_rng(0).random((SIDE, SIDE)).astype("float32") * 0.2
    metres[10:40, 10:40] += 9
    return metres


def spiked() -> tuple[np.ndarray, np.ndarray]:
    """Birds above lawn and roof, a flock, and a wire; and where they are."""
    metres, where = ground(), np.zeros((SIDE, SIDE), bool)
    for row, column, side in ((60, 60, 1), (20, 20, 2), (70, 20, 5), (30, 74, 2), (33, 74, 1)):
        where[row : row + side, column : column + side] = True
    where[85, 20:80] = True
    metres[where] = 45 + 100 * np.random.default_rng(1).random(int(where.sum()))
    return metres, where


def test_spikes_are_missing_in_every_window_and_told(photo: Make, make_tiff: Make) -> None:
    metres, where = spiked()
    files = photo(side=SIDE, transform=FINE), make_tiff("h.tif", metres, transform=FINE)
    with RasterPair.open(*files) as pair:
        assert np.array_equal(~pair.read(0, SIDE).valid["ndsm"], where)
        parts = [pair.read(row, 7).valid["ndsm"] for row in range(0, SIDE, 7)]
        assert np.array_equal(~np.concatenate(parts), where)
        piece = pair.read_window(Window(58, 57, 9, 8))[2]
        assert np.array_equal(np.isnan(piece), where[57:65, 58:67])
        (told,) = [each for each in pair.report.remarks if each.code == "height.spikes"]
        assert told.message.startswith(f"h.tif: {where.sum()} of {SIDE * SIDE:,} sampled heights")
    with RasterPair.open(*files, options=ReadingOptions(spikes=False)) as pair:
        assert np.allclose(pair.read(0, SIDE).arrays["ndsm"][0], metres)


@pytest.mark.parametrize(
    "thing",
    [
        np.hypot(ROWS, COLUMNS) < 5,  # a chimney, 1.8 m across
        abs(ROWS) + abs(COLUMNS) < 14,  # a tower, seen over its corner
        abs(ROWS) + 2.5 * abs(COLUMNS) < 30,  # and one with sharp corners
        COLUMNS + ROWS > 3,  # a cliff
        (ROWS == 0) & (COLUMNS < 9) & (COLUMNS > 3) | (abs(ROWS) < 9) & (abs(COLUMNS - 18) < 9),
        COLUMNS == SIDE // 2 - 1,  # what the raster's rim cuts
    ],
)
def test_things_stay(photo: Make, make_tiff: Make, thing: np.ndarray) -> None:
    metres = ground() + np.where(thing, np.float32(60), np.float32(0))
    files = photo(side=SIDE, transform=FINE), make_tiff("h.tif", metres, transform=FINE)
    with RasterPair.open(*files, options=ReadingOptions(height_offset=0)) as pair:
        assert pair.read(0, SIDE).valid["ndsm"].all()
        assert "height.spikes" not in [each.code for each in pair.report.remarks]


def test_spikes_and_holes_of_a_terrain_model_are_missing(photo: Make, make_tiff: Make) -> None:
    terrain = np.full((SIDE, SIDE), 150, "float32")
    surface = terrain + ground()
    terrain[50, 50] -= 100
    terrain[60, 60] += 100
    surface[70, 70] += 100
    surface[80, 80] -= 100
    files = {"height": make_tiff("s.tif", surface), "dtm": make_tiff("t.tif", terrain)}
    with RasterPair.open(photo(side=SIDE), **files) as pair:
        missing = np.argwhere(~pair.read(0, SIDE).valid["ndsm"])
        assert [row for row, _ in missing.tolist()] == [50, 60, 70, 80]  # -100 m is no height


def test_a_gap_leaves_in_doubt_what_reaches_into_it() -> None:
    metres, _ = spiked()
    metres[60:70, 61:70] = metres[61:70, 60] = np.nan
    found = find_spikes(metres, 5)
    assert not found[60, 60]
    assert found[20, 20]


@pytest.mark.parametrize(
    ("pixel_m", "widest"), [(0.05, 20), (0.2, 5), (0.5, 2), (1.0, 1), (2.0, 1), (5, 0), (None, 0)]
)
def test_a_spike_is_narrower_than_a_metre(pixel_m: float | None, widest: int) -> None:
    assert widest_spike_px(pixel_m) == widest


def test_measured_heights_hold_no_spikes(shared: Path) -> None:
    files = [
        *(shared / "data/heights").glob("*/ndsm.tif"),
        *(shared / "data/pairs/ign").glob("d*m.tif"),
    ]
    assert len(files) == 10
    for path in files:
        with rasterio.open(path) as raster:
            metres = raster.read(1, masked=True).filled(np.nan)
            widest = widest_spike_px(raster.transform.a)
        around = np.pad(metres, margin_px(widest), constant_values=np.nan)
        assert not find_spikes(around, widest, below=True).any(), path
