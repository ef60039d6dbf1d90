"""How far heights lie beside an orthophoto, on towns whose heights are moved by known amounts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from typer.testing import CliRunner

from mfnet.model.cli.main import app
from mfnet.model.raster.pairs.alignment.measure_shift import Shift, measure_shift
from mfnet.model.raster.pairs.inspection import inspect_pair
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.synthetic.town import Town, draw_town, write_town

IGN = Path(__file__).parents[5].parent / "shared" / "data" / "pairs" / "ign"


def move(path: Path, columns: float, rows: float) -> None:
    """Says of a raster that it lies so many of its pixels to the right and down."""
    with rasterio.open(path, "r+") as raster:
        raster.transform = raster.transform * Affine.translation(columns, rows)


def measured(folder: Path, town: Town, columns: float, rows: float) -> Shift | None:
    write_town(folder, town)
    move(folder / "ndsm.tif", columns, rows)
    with RasterPair.open(folder / "ortho.tif", folder / "ndsm.tif") as pair:
        return measure_shift(pair)


def test_shifts_of_towns_are_found_to_half_a_pixel(tmp_path: Path) -> None:
    """Nine of ten; against where the same town's heights are found unmoved.

    A survey of a drawn town is itself up to a pixel off (`light_and_survey.survey`).
    """
    errors = []
    for seed in range(10):
        town = draw_town(510_000 + seed, 640)
        wanted = np.random.default_rng(seed).uniform(-14, 14, 2)
        own, found = measured(tmp_path, town, 0, 0), measured(tmp_path, town, *wanted)
        if own is not None and found is not None:
            by = np.array([found.columns - own.columns, found.rows - own.rows])
            errors.append(float(np.abs(by - wanted).max()))
            assert max(abs(own.columns), abs(own.rows)) < 1.6
    assert sum(error <= 0.5 for error in errors) >= 9
    assert max(errors) < 1.5


def test_of_what_does_not_belong_together_nobody_can_tell(tmp_path: Path) -> None:
    """A wrong answer would be worse: heights of another town, noise, a plain."""
    rng = np.random.default_rng(0)
    told = 0
    for seed in range(6):
        town, other = draw_town(510_000 + seed, 512), draw_town(520_000 + seed, 512)
        told += measured(tmp_path, replace(town, ndsm=other.ndsm), 0, 0) is not None
    noise = rng.integers(0, 255, (3, 512, 512), np.uint8)
    told += measured(tmp_path, replace(town, ortho=noise), 0, 0) is not None
    assert told == 0
    assert measured(tmp_path, replace(town, ndsm=np.zeros((512, 512), np.float32)), 0, 0) is None
    assert measured(tmp_path, draw_town(3, 128), 0, 0) is None


def test_inspection_tells_and_the_option_moves_the_heights_back(tmp_path: Path) -> None:
    town = draw_town(510_004, 640)
    write_town(tmp_path, town)
    with RasterPair.open(tmp_path / "ortho.tif", tmp_path / "ndsm.tif") as pair:
        right = pair.read(0, 640).arrays["ndsm"]
    move(tmp_path / "ndsm.tif", 7, -4)
    paths = tmp_path / "ortho.tif", tmp_path / "ndsm.tif"
    report = inspect_pair(*paths)
    (remark,) = [each for each in report.remarks if each.code == "pair.shifted"]
    # The drawn survey is a pixel off by itself.
    assert report.shift_px == pytest.approx((8, -4), abs=0.3)
    assert "8.9 pixels (1.1 m) beside" in remark.message
    assert f"--height-shift {report.shift_px[0]:.2f},{report.shift_px[1]:.2f}" in remark.message
    with RasterPair.open(*paths, options=ReadingOptions(height_shift=(7, -4))) as pair:
        back = pair.read(0, 640).arrays["ndsm"]
    np.testing.assert_allclose(back[:, 20:-20, 20:-20], right[:, 20:-20, 20:-20], atol=1e-3)


def test_align_measures_and_moves(tmp_path: Path) -> None:
    write_town(tmp_path, draw_town(510_004, 640))
    move(tmp_path / "ndsm.tif", 7, -4)
    pair = [str(tmp_path / "ortho.tif"), str(tmp_path / "ndsm.tif")]
    done = CliRunner().invoke(app, ["inspect", *pair, "--align", "--json"])
    assert done.exit_code == 0, done.output
    codes = [remark["code"] for remark in json.loads(done.stdout)["remarks"]]
    assert "pair.moved" in codes
    assert "pair.shifted" not in done.stdout


@pytest.mark.skipif(not IGN.is_dir(), reason="shared/data/pairs/ign is not there")
def test_a_real_pair_that_fits_is_not_told_otherwise() -> None:
    for name in ("ortho_rgb.tif", "ortho_irrg.tif"):
        with RasterPair.open(IGN / name, IGN / "ndsm.tif") as pair:
            shift = measure_shift(pair)
        assert shift is None or not shift.far
