"""Which pixels of a label raster are unlabelled: the rule, and that every reader follows it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window
from standins.folder import CRS, place
from standins.isprs import COLOURS
from standins.scenes import class_map, coloured, write

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.training.corrections.correction_files import CorrectedRaster
from mfnet.training.datasets.readers.georeferenced_labels import PlacedLabels
from mfnet.training.datasets.readers.label_encoding import UNKNOWN, Numbers
from mfnet.training.datasets.readers.label_rasters import LabelRaster, Labels
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.stored_labels import Stored, decode

HEIGHT, WIDTH = 64, 80
WHOLE = Window(0, 0, WIDTH, HEIGHT)
GRID = Grid(HEIGHT, WIDTH, place("0"), rasterio.CRS.from_string(CRS))
NUMBERS = Numbers.of(ISPRS)


@pytest.fixture
def truth() -> NDArray[np.uint8]:
    return class_map(0, HEIGHT, WIDTH, 6)


def readers(path: Path, grid: Grid = GRID) -> list[Labels]:
    """Those of training data; a correction has the same interface but for its end."""
    files = OpenFiles()
    return [
        PlacedLabels(path, grid, NUMBERS, ISPRS, files),
        LabelRaster(path, NUMBERS, ISPRS, files),
    ]


def corrected(path: Path) -> tuple[NDArray[np.uint8], list[str]]:
    correction = CorrectedRaster(path, GRID, ISPRS)
    try:
        return correction.read(WHOLE), correction.finish()
    finally:
        correction.close()


def write_labels(path: Path, values: NDArray[np.generic], **options: object) -> Path:
    bands = values if values.ndim == 3 else values[None]
    return write(path, bands, **{"crs": CRS, "transform": place("0"), **options})


# ---- the rule --------------------------------------------------------------------------------


@given(
    stored=st.lists(st.integers(-3, 12) | st.sampled_from([255, 254, 9999]), min_size=1),
    shown=st.integers(0, 2**16),
    nodata=st.none() | st.sampled_from([0.0, 1.0, 7.0, 255.0, -3.0, 9999.0, 1e30, 0.5, np.nan]),
    values=st.dictionaries(st.integers(0, 8), st.sampled_from([0, 1, 5, NODATA]), min_size=1),
    dtype=st.sampled_from(["int16", "int32", "float32", "float64"]),
    with_nan=st.booleans(),
)
def test_a_pixel_is_what_the_legend_says_then_what_the_file_says(
    stored: list[int],
    shown: int,
    nodata: float | None,
    values: dict[int, int],
    dtype: str,
    with_nan: bool,
) -> None:
    raw = np.array([stored]).astype(dtype)
    if with_nan and dtype.startswith("float"):
        raw[0, 0] = np.nan
    mask = np.array([[bool(shown >> (i % 16) & 1) for i in range(len(stored))]])
    found = decode(Stored(raw[None], mask, (nodata,)), Numbers(values))
    for at, value in enumerate(raw[0].tolist()):
        expected = UNKNOWN if value != nodata else NODATA
        if value in values:
            expected = values[int(value)]
        if not mask[0, at] or value != value:
            expected = NODATA
        assert found.truth[0, at] == expected
        assert found.declared[0, at] == (value == nodata and expected < UNKNOWN)


# ---- every reader ----------------------------------------------------------------------------


@pytest.mark.parametrize("nodata", [None, 0, 3, 9, 255])
def test_all_readers_agree(tmp_path: Path, truth: NDArray[np.uint8], nodata: int | None) -> None:
    raw = truth.copy()
    raw[:5] = NODATA if nodata is None else nodata
    named = nodata is not None and nodata < 6
    path = write_labels(tmp_path / "l.tif", raw, nodata=nodata)
    expected = raw if named else np.where(raw == nodata, NODATA, raw)
    pixels = int((raw == nodata).sum()) if named else 0
    for labels in readers(path):
        found = labels.examine(WHOLE)
        assert np.array_equal(labels.read(WHOLE), expected)
        assert np.array_equal(found.truth, expected)
        assert (found.unknown, found.odd.total()) == (Counter(), pixels)
    read, told = corrected(path)
    assert np.array_equal(read, expected)
    assert len(told) == named
    assert all(f"l.tif: {pixels:,} pixels have the value {nodata}, which" in one for one in told)


def alpha(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    write_labels(path, np.stack([truth, shown * np.uint8(255)]))
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = (ColorInterp.gray, ColorInterp.alpha)


def alpha_beside(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    write_labels(path, np.stack([truth, shown * np.uint8(255)]))
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = (ColorInterp.gray, ColorInterp.undefined)
    notes = "<PAMDataset><PAMRasterBand band='2'><ColorInterp>Alpha</ColorInterp></PAMRasterBand>"
    path.with_name("l.tif.aux.xml").write_text(f"{notes}</PAMDataset>")


def second_alpha(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    picture = np.random.default_rng(6).integers(0, 256, truth.shape, np.uint8)
    write_labels(path, np.stack([truth, picture, shown * np.uint8(255)]))
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = (ColorInterp.gray, ColorInterp.alpha, ColorInterp.alpha)


def mask(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    write_labels(path, truth)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster:
        raster.write_mask(shown)


def mask_file(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    write_labels(path, truth)
    write(path.with_name("l.tif.msk.tif"), (shown * np.uint8(255))[None])
    path.with_name("l.tif.msk.tif").rename(path.with_name("l.tif.msk"))


def nan(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    write_labels(path, np.where(shown, truth, np.nan).astype(np.float32))


def declared(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    values = np.where(shown, truth, -3.4028234663852886e38).astype(np.float32)
    write_labels(path, values, nodata=-3.4028234663852886e38)


def declared_beside(path: Path, truth: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    write_labels(path, np.where(shown, truth, 99).astype(np.int16))
    notes = "<PAMDataset><PAMRasterBand band='1'><NoDataValue>99</NoDataValue></PAMRasterBand>"
    path.with_name("l.tif.aux.xml").write_text(f"{notes}</PAMDataset>")


HIDE = [alpha, alpha_beside, second_alpha, mask, mask_file, nan, declared, declared_beside]


@pytest.mark.parametrize("hide", HIDE)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_a_file_hides_is_unlabelled(
    tmp_path: Path, truth: NDArray[np.uint8], hide: object
) -> None:
    shown = np.ones(truth.shape, bool)
    shown[10:30, 5:50] = False
    hide(tmp_path / "l.tif", truth, shown)  # type: ignore[operator]
    expected = np.where(shown, truth, NODATA)
    for labels in readers(tmp_path / "l.tif"):
        assert np.array_equal(labels.read(WHOLE), expected)
        assert labels.examine(WHOLE).odd.total() == 0
    assert np.array_equal(corrected(tmp_path / "l.tif")[0], expected)
    moved = Grid(HEIGHT, WIDTH, place("0", east=3.2), GRID.crs)  # 16 pixels
    read = readers(tmp_path / "l.tif", moved)[0].read(WHOLE)
    assert np.array_equal(read[:, :-16], expected[:, 16:])
    assert (read[:, -16:] == NODATA).all()


def test_colours_follow_it_too(tmp_path: Path, truth: NDArray[np.uint8]) -> None:
    labels = coloured(truth, COLOURS)
    labels[:, :4] = 0
    white = np.where(np.arange(HEIGHT)[:, None] < 4, NODATA, truth)
    path = write_labels(tmp_path / "l.tif", labels, nodata=255)  # white is a class
    read = readers(path)[0]
    assert np.array_equal(read.read(WHOLE), white)
    (told,) = read.examine(WHOLE).odd
    assert told.startswith("have the value 255,255,255, which the file declares as nodata and")
    path = write_labels(tmp_path / "m.tif", labels, nodata=0)
    assert np.array_equal(readers(path)[0].read(WHOLE), white)
    assert readers(path)[0].examine(WHOLE).odd.total() == 0


# ---- another grid ----------------------------------------------------------------------------


@pytest.mark.parametrize("finer", [1, 3])
def test_on_another_grid_class_0_stays_where_0_is_declared(
    tmp_path: Path, truth: NDArray[np.uint8], finer: int
) -> None:
    raw = np.kron(truth, np.ones((finer, finer), np.uint8)).astype(np.uint8)
    path = write_labels(
        tmp_path / "l.tif", raw, nodata=0, transform=place("0", east=-0.2, gsd=0.2 / finer)
    )
    labels = readers(path)[0]
    found = labels.examine(WHOLE)
    assert np.array_equal(found.truth[:, :-1], truth[:, 1:])
    assert np.array_equal(found.truth, labels.read(WHOLE))
    assert list(found.odd.values()) == [(truth[:, 1:] == 0).sum()]


def test_on_another_grid_unknown_values_are_named(tmp_path: Path, truth: NDArray[np.uint8]) -> None:
    raw = truth.astype(np.int32)
    raw[10:12, 20:30], raw[40, 40:43] = 77, 123_456_789
    path = write_labels(tmp_path / "l.tif", raw, transform=place("0", east=-0.2))
    assert readers(path)[0].examine(WHOLE).unknown == {"77": 20, "123456789": 3}
    labels = readers(path)[0]
    assert (labels.read(WHOLE)[10:12, 19:29] == NODATA).all()
