"""An orthophoto and its heights as tiles: of the rasters from near, of their pictures from afar.

A tile of a low zoom shows millions of pixels. Rasters of strangers are read without overviews, so
such a tile is cut out of the pictures that `mfnet pictures` has drawn of the same pair.
"""

import io
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from PIL import Image
from rasterio.windows import Window

from mfnet.model.cli.panel import displayed
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.pictures.map_tiles import TILE_PX, onto_tile, tile_window
from mfnet.model.raster.products.pictures.relief import relief

Look = Literal["ortho", "hillshade"]

CLOSE_PX = 4096
"""Longest side of what is read of the rasters for a tile."""

_ROWS = 512
"""Read at a time, so that memory does not grow with it."""


class Drawn(NamedTuple):
    """What `mfnet pictures` has made of the pair.

    Attributes:
        folder: With the pictures.
        step: Pixels of the orthophoto from one of theirs to the next.
        stretch: Digital numbers that are shown as dark and as light.
    """

    folder: Path
    step: int
    stretch: tuple[float, float]


def draw_pair_tile(
    pair: RasterPair, drawn: Drawn, place: Path, look: Look, tile: tuple[int, int, int]
) -> bytes:
    """A tile of a pair, transparent where nothing is known.

    Args:
        pair: Open.
        drawn: Its pictures.
        place: The class raster of the pair, which lies where the orthophoto does.
        look: What to show.
        tile: Zoom, column and row.

    Returns:
        The PNG.
    """
    shown = np.zeros((4, TILE_PX, TILE_PX), np.uint8)
    with rasterio.open(place, driver="GTiff") as source:
        crs, transform = source.crs, source.transform
        size = source.height, source.width
        wanted = tile_window(source, *tile)
    if wanted is not None:
        if max(wanted.width, wanted.height) <= CLOSE_PX:
            rgba_4HW, first, step = _close(pair, look, drawn.stretch, wanted, size)
        else:
            rgba_4HW, first, step = _far(drawn, look, wanted)
        moved = transform * Affine.translation(*first) * Affine.scale(step)
        onto_tile(rgba_4HW, crs, moved, shown, tile, nodata=0)
    png = io.BytesIO()
    Image.fromarray(np.moveaxis(shown, 0, -1)).save(png, "PNG", compress_level=4)
    return png.getvalue()


def _close(
    pair: RasterPair,
    look: Look,
    stretch: tuple[float, float],
    wanted: Window,
    size: tuple[int, int],
) -> tuple[np.ndarray, tuple[int, int], int]:
    """Colours and alpha (4, h, w) from the rasters; the first column and row; the step."""
    step = max(1, round(max(wanted.width, wanted.height) / (2 * TILE_PX)))
    # A slope is known between neighbours.
    left, top = max(wanted.col_off - step, 0), max(wanted.row_off - step, 0)
    right = min(wanted.col_off + wanted.width + step, size[1])
    bottom = min(wanted.row_off + wanted.height + step, size[0])
    rows = max(_ROWS - _ROWS % step, step)
    pixels, valid, heights = zip(
        *(
            tuple(
                each[..., ::step, ::step]
                for each in pair.read_window(
                    Window(left, row, right - left, min(rows, bottom - row))
                )
            )
            for row in range(top, bottom, rows)
        ),
        strict=True,
    )
    if look == "ortho":
        known_HW = np.concatenate(valid)
        shown_HW3 = displayed(np.concatenate(pixels, axis=1), known_HW, stretch)
    else:
        height_HW = np.concatenate(heights)
        known_HW = np.isfinite(height_HW)
        lit_HW = relief(height_HW, step * (pair.grid.gsd_m or 1.0))
        shown_HW3 = np.repeat(lit_HW[..., None], 3, axis=2)
    return _with_alpha(np.rint(shown_HW3 * 255), known_HW), (left, top), step


def _far(drawn: Drawn, look: Look, wanted: Window) -> tuple[np.ndarray, tuple[int, int], int]:
    """As `_close`, from the pictures."""
    step = drawn.step
    left, top = wanted.col_off // step, wanted.row_off // step
    right = -(-(wanted.col_off + wanted.width) // step)
    bottom = -(-(wanted.row_off + wanted.height) // step)
    box = np.s_[top:bottom, left:right]
    with (
        Image.open(drawn.folder / f"{look}.jpg", formats=["JPEG"]) as picture,
        Image.open(drawn.folder / "known.png", formats=["PNG"]) as known,
    ):
        shown_HW3 = np.asarray(picture.convert("RGB"))[box]
        known_HW = np.asarray(known)[box] & (1 if look == "ortho" else 2) > 0
    return _with_alpha(shown_HW3, known_HW), (left * step, top * step), step


def _with_alpha(shown_HW3: np.ndarray[Any, Any], known_HW: np.ndarray) -> np.ndarray:
    alpha_HW = np.where(known_HW, 255, 0)
    rgba_HW4 = np.dstack([np.where(known_HW[..., None], shown_HW3, 0), alpha_HW])
    return np.ascontiguousarray(np.moveaxis(rgba_HW4.astype(np.uint8), -1, 0))
