"""What the bands of an orthophoto mean: red, green, blue, alpha, white, and a collar."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from mfnet.model.errors import UnclearWhite, WrongBands
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.collars import find_collars
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.datasets.tiles.gaps import draw_gaps

Make = Callable[..., Path]
SIDE = 96


def colours(side: int = SIDE, bands: int = 3, seed: int = 0) -> np.ndarray:
    """(bands, h, w) shares of white, from dark to a few bright pixels."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(2, 3, (bands, side, side)) + 0.02, 0, 1)


@pytest.fixture
def open_pair(make_tiff: Make, heights: Make) -> Callable[..., RasterPair]:
    def open_(values: np.ndarray, *, options: Any = None, **form: Any) -> RasterPair:
        interpretation = form.pop("colorinterp", None)
        scale = form.pop("scale", None)
        path = make_tiff("o.tif", values, **form)
        if interpretation or scale:
            with rasterio.open(path, "r+") as raster:
                if interpretation:
                    raster.colorinterp = interpretation
                if scale:
                    raster.scales = (scale,) * len(values)
        ndsm = heights(side=values.shape[-1])
        return RasterPair.open(path, ndsm, options=ReadingOptions(**(options or {})))

    return open_


def codes(pair: RasterPair) -> list[str]:
    return [remark.code for remark in pair.report.remarks]


# ---- white -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("white", "dtype", "found"),
    [
        (255, "uint8", 255),
        (1023, "uint16", 1023),
        (2047, "uint16", 2047),
        (4095, "uint16", 4095),
        (4080, "uint16", 4095),  # 8 bits moved up by 4
        (16383, "uint16", 16383),
        (65535, "uint16", 65535),
        (255, "uint16", 255),
        (1, "float32", 1),
        (255, "float32", 255),
        (4095, "float32", 4095),
    ],
)
def test_white_is_found(open_pair: Any, white: float, dtype: str, found: float) -> None:
    values = (colours() * white).round(6 if white == 1 else 0)
    values[:, :8, :8] = white  # something bright
    with open_pair(values.astype(dtype)) as pair:
        assert pair.white == found
        plain = found == {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
        assert codes(pair) == ([] if plain else ["ortho.white"])


@pytest.mark.parametrize("hot", [65535, 60000])
def test_a_hot_pixel_is_not_white(open_pair: Any, hot: int) -> None:
    values = (colours() * 4095).astype("uint16")
    values[:, :8, :8] = 4095
    values[:, 50, 50] = hot
    with open_pair(values) as pair:
        assert pair.white == 4095


@pytest.mark.parametrize(
    ("values", "choose"),
    [
        ((colours() * 9000).astype("uint16"), "--white 10000"),  # reflectance, or 14 bits
        ((colours() * 30).astype("float32"), "--white 255"),
        ((colours() * 2e5).astype("float32"), "--white"),
    ],
)
def test_doubtful_white_is_asked_for(open_pair: Any, values: np.ndarray, choose: str) -> None:
    with pytest.raises(UnclearWhite, match=choose):
        open_pair(values)
    with open_pair(values, options={"white": 12345}) as pair:
        assert pair.white == 12345


def test_a_scale_of_reflectance_says_which_number_is_white(open_pair: Any) -> None:
    with open_pair((colours() * 9000).astype("uint16"), scale=1e-4) as pair:
        assert pair.white == pytest.approx(10_000)


def test_a_number_of_no_colour_is_missing(open_pair: Any) -> None:
    values = colours().astype("float32")
    values[1, 3, 4] = 3.4e38
    with open_pair(values) as pair:
        rows = pair.read(0, SIDE)
        assert np.argwhere(~rows.valid["ortho"]).tolist() == [[3, 4]]
        assert pair.white == 1


# ---- bands -------------------------------------------------------------------------------------


def numbered(bands: int) -> np.ndarray:
    """Band b holds about 10 b."""
    noise = np.random.default_rng(1).integers(0, 3, (bands, SIDE, SIDE))
    return (noise + 10 * np.arange(1, bands + 1)[:, None, None]).astype("uint8")


def used(pair: RasterPair) -> list[int]:
    return [round(float(band.mean()) // 10) for band in pair.read(0, SIDE).arrays["ortho"]]


R, G, B, A, N = (
    *(ColorInterp.red, ColorInterp.green, ColorInterp.blue),
    *(ColorInterp.alpha, ColorInterp.undefined),
)


@pytest.mark.parametrize(
    ("interpretation", "bands", "told"),
    [
        ((R, G, B), [1, 2, 3], []),
        ((B, G, R), [3, 2, 1], ["ortho.bands"]),
        ((N, B, G, R), [4, 3, 2], ["ortho.bands", "ortho.extra_bands"]),
        ((R, G, B, N), [1, 2, 3], ["ortho.extra_bands"]),
        ((N, N, N, N), [1, 2, 3], ["ortho.extra_bands"]),
    ],
)
def test_colour_interpretation_is_honoured(
    open_pair: Any, interpretation: tuple[ColorInterp, ...], bands: list[int], told: list[str]
) -> None:
    values = numbered(len(interpretation))
    with open_pair(values, photometric="minisblack", colorinterp=interpretation) as pair:
        assert used(pair) == bands
        assert sorted(codes(pair)) == told
    options = {"bands": (2, 2, 1)}
    with open_pair(
        values, photometric="minisblack", colorinterp=interpretation, options=options
    ) as pair:
        assert used(pair) == [2, 2, 1]


def test_infrared_flagged_as_alpha_hides_nothing(open_pair: Any) -> None:
    values = numbered(4)
    values[3] = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE))
    with open_pair(values, photometric="rgb", alpha="yes") as pair:
        assert pair.read(0, SIDE).valid["ortho"].all()
        assert "ortho.alpha" in codes(pair)
    values[3] = np.where(values[3] < 40, 0, 255)
    with open_pair(values, photometric="rgb", alpha="yes") as pair:
        assert np.array_equal(pair.read(0, SIDE).valid["ortho"], values[3] > 0)
        assert codes(pair) == []


def test_a_grey_picture_is_asked_for(open_pair: Any) -> None:
    with pytest.raises(WrongBands, match="--bands 1,1,1"):
        open_pair(numbered(1), photometric="minisblack")
    options = {"bands": (1, 1, 1)}
    with open_pair(numbered(1), photometric="minisblack", options=options) as pair:
        assert used(pair) == [1, 1, 1]


def test_two_bands_of_heights_are_asked_for(photo: Make, make_tiff: Make) -> None:
    rng = np.random.default_rng(3)
    metres = 20 * rng.random((SIDE, SIDE)) ** 3
    path = make_tiff("two.tif", np.stack([rng.random((SIDE, SIDE)), metres]).astype("float32"))
    ortho = photo(side=SIDE)
    with pytest.raises(WrongBands, match="--height-band 1"):
        RasterPair.open(ortho, path)
    with RasterPair.open(ortho, path, options=ReadingOptions(height_band=2)) as pair:
        assert np.allclose(pair.read(0, SIDE).arrays["ndsm"][0], metres, atol=1e-5)


# ---- collars -----------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("tiled", [True, False])
def test_a_collar_without_mask_holds_no_data(open_pair: Any, colour: int, tiled: bool) -> None:
    side = 300
    values = (colours(side) * 200 + 20).astype("uint8")
    outside = draw_gaps(np.random.default_rng(4), side, side, 0.3, "outline")
    values[:, outside] = colour
    values[:, 150:170, 150:170] = colour  # a shadow, or a bright roof
    form = {"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {"blockysize": 16}
    with open_pair(values, photometric="rgb", **form) as pair:
        valid = pair.read(0, side).valid["ortho"]
        assert np.array_equal(valid, ~outside)
        assert codes(pair) == ["ortho.collar"]
        parts = [pair.read(row, 7).valid["ortho"] for row in range(0, side, 7)]
        assert np.array_equal(np.concatenate(parts), valid)
        assert np.array_equal(pair.valid(Window(40, 30, 90, 80)), valid[30:110, 40:130])
    with open_pair(values, photometric="rgb", options={"collar": False}, **form) as pair:
        assert pair.read(0, side).valid["ortho"].all()


def test_dark_and_bright_things_at_the_rim_stay(open_pair: Any) -> None:
    values = (colours(300) * 200 + 20).astype("uint8")
    values[:, 100:130, :5] = 2  # a shadow: dark, and not to the last digit
    values[:, :12, 60:75] = 255  # a bright roof
    with open_pair(values, photometric="rgb") as pair:
        assert pair.read(0, 300).valid["ortho"].all()
        assert codes(pair) == []


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.5))
def test_collars_are_the_plain_pieces_joined_to_the_rim(seed: int, share: float) -> None:
    """Against a flood fill, one pixel after the other."""
    rng = np.random.default_rng(seed)
    side = 64
    plain = draw_gaps(rng, side, side, share)
    values = np.where(plain, 0, 99).astype("uint8")[None].repeat(3, axis=0)

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = window.toslices()
        return values[:, rows, columns], np.ones((window.height, window.width), bool)

    expected = flood(plain, seeds(plain))
    if expected.sum() < 256:
        expected[:] = False
    found = np.zeros((side, side), bool)
    for collar in find_collars(read, side, side, 255.0, columns_are_cheap=True):
        valid = np.ones((side, side), bool)
        collar.clear(valid, Window(0, 0, side, side))
        assert collar.pixels == (~valid).sum()
        found |= ~valid
    assert np.array_equal(found, expected)


def seeds(plain: np.ndarray) -> list[tuple[int, int]]:
    """Plain pixels of the rim that lie in a run of 16 or more along it, or of one from a corner."""
    last = len(plain) - 1
    sides = [
        [(0, i) for i in range(last + 1)],
        [(last, i) for i in range(last + 1)],
        [(i, 0) for i in range(last + 1)],
        [(i, last) for i in range(last + 1)],
    ]
    found = []
    for line in sides:
        run: list[tuple[int, int]] = []
        for pixel in [*line, None]:
            if pixel is not None and plain[pixel]:
                run.append(pixel)
                continue
            in_corner = run and (run[0] == line[0] or run[-1] == line[-1])
            if len(run) >= 16 or (in_corner and line in sides[:2]):
                found += run
            run = []
    return found


def flood(plain: np.ndarray, queue: list[tuple[int, int]]) -> np.ndarray:
    """Plain pixels that are joined to some, side by side."""
    reached = np.zeros(plain.shape, bool)
    while queue:
        row, column = queue.pop()
        inside = 0 <= row < len(plain) and 0 <= column < len(plain)
        if inside and plain[row, column] and not reached[row, column]:
            reached[row, column] = True
            queue += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return reached
