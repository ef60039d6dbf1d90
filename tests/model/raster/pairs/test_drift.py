"""A pair against what its model has seen: the numbers by brute force, and who is told what."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from mfnet.model.config import ENCODERS, NDSM, ORTHO, ModelConfig
from mfnet.model.input_ranges import Range, Seen, SeenBand, quantiles, seen_band
from mfnet.model.raster.files.sample_windows import sample_windows
from mfnet.model.raster.pairs.drift import SHARE_LIMIT, drift
from mfnet.model.raster.pairs.inspection import inspect_pair
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.report import Drift
from mfnet.model.raster.values.reading_options import ReadingOptions

Make = Callable[..., Path]
SIDE = 48
GRID = {"crs": "EPSG:25832", "transform": Affine(0.125, 0, 500_000, 0, -0.125, 5_000_000)}
RNG = np.random.default_rng(11)
TILES = [RNG.beta(4, 4 + k / 4, (3, SIDE, SIDE)) for k in range(6)]
HEIGHTS = [np.minimum(RNG.exponential(2 + k / 4, (SIDE, SIDE)), 12) for k in range(6)]


def config(seen: Seen | None) -> ModelConfig:
    return ModelConfig(encoder=ENCODERS["small"], modalities=(ORTHO, NDSM), seen=seen)


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What a model has seen that learned from TILES and HEIGHTS."""
    ortho = tuple(seen_band([tile[band].ravel() for tile in TILES]) for band in range(3))
    heights = (seen_band(HEIGHTS),)
    bands = {"ortho": ortho, "ndsm": heights}
    return Seen(bands=bands, gsd_m=Range(low=0.1, high=0.15), tiles=len(TILES))


def judged(
    make: Make, seen: Seen | None, ortho: np.ndarray, heights: np.ndarray, **grid: object
) -> Drift:
    """Of rasters in fractions of white and in metres."""
    form = {**GRID, **grid}
    photo = make("o.tif", (ortho * 255).round().astype("uint8"), photometric="rgb", **form)
    ndsm = make("h.tif", heights.astype("float32"), **form)
    with RasterPair.open(photo, ndsm) as pair:
        return drift(pair, config(seen))


def codes(found: Drift) -> list[str]:
    return [remark.code for remark in found.remarks]


# ---- numbers ---------------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 300))
def test_the_samples_windows_lie_in_the_raster_and_not_on_each_other(height: int, width: int):
    counts = np.zeros((height, width), int)
    for window in sample_windows(height, width):
        counts[window.toslices()] += 1
    assert counts.max() == 1
    if max(height, width) <= 256:
        assert counts.min() == 1
    assert counts.sum() == min(height, 256) * min(width, 256)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_what_was_seen_is_what_numpy_finds(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    tiles = [rng.normal(size=rng.integers(1, 60)).astype(np.float32) for _ in range(count)]
    band = seen_band(tiles)
    whole = np.concatenate(tiles).astype(np.float64)
    expected = np.percentile(whole, [1, 99])
    assert (band.most.low, band.most.high) == pytest.approx(expected, rel=1e-5)
    for percentile, known in ((1, band.p1), (50, band.p50), (99, band.p99)):
        each = [np.percentile(tile.astype(np.float64), percentile) for tile in tiles]
        assert (known.low, known.high) == pytest.approx((min(each), max(each)), rel=1e-5)


def test_a_small_raster_is_told_as_it_is(make_tiff: Make, seen: Seen) -> None:
    ortho, heights = TILES[2] * 1.2 % 1, HEIGHTS[3] - 1
    heights[:5] = np.nan
    found = judged(make_tiff, seen, ortho, heights)
    stored = (ortho * 255).round().astype("uint8").astype(np.float64) / 255
    above = np.maximum(heights[np.isfinite(heights)].astype("float32"), 0).astype(np.float64)
    bands = [*stored.reshape(3, -1), above]
    known = [*seen.bands["ortho"], *seen.bands["ndsm"]]
    for values, usual, told in zip(
        bands, known, [*found.inputs["ortho"], *found.inputs["ndsm"]], strict=True
    ):
        expected = np.percentile(values, [1, 50, 99])
        assert (told.p1, told.p50, told.p99) == pytest.approx(expected, rel=1e-5)
        edge = 1e-4 * (usual.most.high - usual.most.low)
        inside = (values >= usual.most.low - edge) & (values <= usual.most.high + edge)
        assert told.outside == pytest.approx(1 - inside.mean())


def test_nodata_counts_for_nothing(make_tiff: Make, seen: Seen) -> None:
    ortho = np.clip(TILES[0], 1 / 255, 1)
    ortho[:, 10:40] = 0
    form = {**GRID, "photometric": "rgb", "nodata": 0}
    photo = make_tiff("o.tif", (ortho * 255).round().astype("uint8"), **form)
    with RasterPair.open(photo, make_tiff("h.tif", HEIGHTS[0].astype("float32"), **GRID)) as pair:
        assert pair.sample()["ortho"].shape == (3, 18 * SIDE)
        assert drift(pair, config(seen)).remarks == []


def test_more_bits_are_no_difference(make_tiff: Make, seen: Seen) -> None:
    heights = make_tiff("h.tif", HEIGHTS[1].astype("float32"), **GRID)
    for white, dtype in ((65535, "uint16"), (1, "float32"), (4095, "uint16")):
        photo = make_tiff(f"o{white}.tif", (TILES[1] * white).astype(dtype), **GRID)
        with RasterPair.open(photo, heights) as pair:  # which finds white, of 12 bits too
            assert drift(pair, config(seen)).remarks == []
        options = ReadingOptions(white=65535 if white == 4095 else white)
        with RasterPair.open(photo, heights, options=options) as pair:
            told = drift(pair, config(seen))
        assert codes(told) == (["drift.ortho"] if white == 4095 else [])


# ---- who is told -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(6))
def test_what_was_seen_is_not_told(make_tiff: Make, seen: Seen, number: int) -> None:
    found = judged(make_tiff, seen, TILES[number], HEIGHTS[number])
    assert found.compared
    assert found.remarks == []
    assert found.gsd_m == pytest.approx(0.125)
    assert all(band.outside is not None and band.outside < 0.1 for band in found.inputs["ortho"])


def test_half_the_light_is_told(make_tiff: Make, seen: Seen) -> None:
    found = judged(make_tiff, seen, TILES[0] / 2, HEIGHTS[0])
    assert codes(found) == ["drift.ortho"]
    assert "the median of band 1 is 0.2" in found.remarks[0].message
    assert "--white" in found.remarks[0].message


def test_many_strange_pixels_are_told_though_all_quantiles_are_usual(
    make_tiff: Make, seen: Seen
) -> None:
    band = seen.bands["ndsm"][0]
    usual = Range(low=0, high=100)
    known = SeenBand(most=band.most, p1=usual, p50=usual, p99=usual)
    odd = seen.model_copy(update={"bands": {**seen.bands, "ndsm": (known,)}})
    heights = HEIGHTS[0].copy()
    flat = heights.ravel()
    strange = int(SHARE_LIMIT * flat.size) + 60
    flat[:strange] = np.linspace(50, 51, strange)
    found = judged(make_tiff, odd, TILES[0], heights)
    assert codes(found) == ["drift.ndsm"]
    assert "% of the pixels lie outside of" in found.remarks[0].message
    flat[60:strange] = np.linspace(0, band.most.high, strange - 60)
    flat[strange:] *= band.most.high / flat[strange:].max()
    assert judged(make_tiff, odd, TILES[0], heights).remarks == []


def test_feet_are_told(make_tiff: Make, seen: Seen) -> None:
    found = judged(make_tiff, seen, TILES[0], HEIGHTS[0] / 0.3048)
    assert codes(found) == ["drift.ndsm"]
    assert "are they metres above ground" in found.remarks[0].message


def test_heights_that_are_zero_everywhere_are_told(make_tiff: Make, seen: Seen) -> None:
    found = judged(make_tiff, seen, TILES[0], HEIGHTS[0] * 0)
    assert codes(found) == ["drift.ndsm"]
    assert "and 2 more" in found.remarks[0].message


@pytest.mark.parametrize(
    ("gsd_m", "told"), [(0.079, True), (0.081, False), (0.187, False), (0.19, True), (0.25, True)]
)
def test_pixels_of_another_size_are_told(
    make_tiff: Make, seen: Seen, gsd_m: float, told: bool
) -> None:
    transform = Affine(gsd_m, 0, 500_000, 0, -gsd_m, 5_000_000)
    found = judged(make_tiff, seen, TILES[0], HEIGHTS[0], transform=transform)
    assert codes(found) == (["drift.gsd"] if told else [])
    if told:
        assert f"pixels of {gsd_m:g} m; the model learned from pixels of 0.1 to 0.15 m" in (
            found.remarks[0].message
        )


def test_without_heights_nothing_is_said_of_them(make_tiff: Make, seen: Seen) -> None:
    found = judged(make_tiff, seen, TILES[0], HEIGHTS[0] * np.nan)
    assert found.remarks == []
    assert found.inputs["ndsm"][0].model_dump() == dict.fromkeys(("p1", "p50", "p99", "outside"))


def test_a_model_that_does_not_say_what_it_has_seen_is_not_compared(make_tiff: Make) -> None:
    found = judged(make_tiff, None, TILES[0] / 2, HEIGHTS[0] / 0.3048)
    assert (found.compared, found.remarks) == (False, [])
    assert found.inputs["ortho"][0].p50 == pytest.approx(np.median(TILES[0][0]) / 2, abs=0.01)
    assert found.inputs["ortho"][0].outside is None


def test_inspection_tells_it_too(make_tiff: Make, seen: Seen) -> None:
    photo = make_tiff("o.tif", (TILES[0] * 127).astype("uint8"), photometric="rgb", **GRID)
    heights = make_tiff("h.tif", HEIGHTS[0].astype("float32"), **GRID)
    report = inspect_pair(photo, heights, model=config(seen), quick=True)
    assert report.drift is not None
    assert codes(report.drift) == ["drift.ortho"]
    json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert inspect_pair(photo, heights, quick=True).drift is None


def test_the_estimate_is_for_the_models_window_in_the_rasters_pixels(
    make_tiff: Make, seen: Seen
) -> None:
    photo = make_tiff("o.tif", (TILES[0] * 127).astype("uint8"), photometric="rgb", **GRID)
    heights = make_tiff("h.tif", HEIGHTS[0].astype("float32"), **GRID)
    plain = config(seen)
    coarse = plain.model_copy(update={"rescale": True, "gsd_m": 0.5})
    with RasterPair.open(photo, heights) as pair:
        assert pair.grid.gsd_m == pytest.approx(0.125)
        by_window = [pair.estimate_for(each).memory_bytes for each in (plain, coarse)]
        more = (4 * 6 + 4 * 18) * (1024 - 256) * pair.grid.width
        assert by_window[1] - by_window[0] == more


# ---- in the checkpoint -----------------------------------------------------------------------


def test_a_configuration_of_before_says_nothing_and_a_new_one_keeps_it(seen: Seen) -> None:
    old = json.loads(config(None).model_dump_json())
    del old["seen"]
    assert ModelConfig.model_validate(old).seen is None
    again = ModelConfig.model_validate_json(config(seen).model_dump_json())
    assert again.seen == seen


def test_who_goes_on_learning_has_seen_both(seen: Seen) -> None:
    def one(low: float, high: float) -> SeenBand:
        known = Range(low=low, high=high)
        return SeenBand(most=known, p1=known, p50=known, p99=known)

    first = Seen(bands={"ortho": (one(0, 1),)}, gsd_m=Range(low=1, high=2), tiles=2)
    second = Seen(bands={"ortho": (one(0.5, 3),), "ndsm": (one(1, 2),)}, tiles=3)
    both = first.joined(second)
    assert both == Seen(
        bands={"ortho": (one(0, 3),), "ndsm": (one(1, 2),)}, gsd_m=Range(low=1, high=2), tiles=5
    )


def test_quantiles_are_those_of_double_precision() -> None:
    values = np.arange(101, dtype=np.float16)
    assert quantiles(values) == (1, 50, 99)


def test_a_window_is_a_window() -> None:
    assert next(sample_windows(5, 3)) == Window(0, 0, 3, 5)
