"""Rasters and maps as pictures for a screen, one a layer, and a map's numbers at the same pixels.

The service has a child process draw them of an upload or a job, and shows them on its page: it
opens no raster itself, and neither can a browser show any CRS at any size.
"""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from matplotlib import colormaps
from matplotlib.image import imsave
from PIL import Image
from rasterio.windows import Window

from mfnet.model.classes import NODATA
from mfnet.model.cli.panel import (
    View,
    displayed,
    palette,
    picture_size,
    read_legend,
    read_view,
    shaded,
    stretch_of,
)
from mfnet.model.errors import BadOption, OutputNotWritable
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.products.pictures.relief import relief
from mfnet.model.raster.products.pictures.row_preview import read_thinned
from mfnet.model.raster.values.reading_options import ReadingOptions

SIDE_PX = 1600
"""Longest side of a picture."""

UNKNOWN_DM = -32768
"""Of `values.bin`: a height that is not known."""

_VALUES = np.dtype([("class", "u1"), ("confidence", "u1"), ("height_dm", "<i2")])
_QUALITY = {"quality": 85}


def write_pictures(
    ortho: Path | None,
    height: Path | None,
    out: Path,
    *,
    dtm: Path | None = None,
    the_map: Path | None = None,
    options: ReadingOptions | None = None,
) -> dict[str, Any]:
    """Draw an orthophoto, a pair, its map, or pair and map.

    Writes `ortho.jpg`; of a pair `heights.jpg` (colours), `hillshade.jpg` (grey) and `known.png`
    (1 where the orthophoto has data, plus 2 where there is a height); and of a map `classes.png`,
    `confidence.png` where it has a confidence, and `values.bin`: for each pixel of a picture, row
    by row, four bytes: class (255: none), confidence in percent (255: none), height above ground in
    decimetres (little-endian, signed; -32768: none).

    Args:
        ortho: The orthophoto; None, like `height`, where only the map is left.
        height: The height raster; None where the orthophoto is all that there is.
        out: An existing folder.
        dtm: What to subtract from `height`.
        the_map: Folder with `classes.tif`, `statistics.json` and perhaps `confidence.tif`.
        options: How the pair is read.

    Returns:
        `rows` and `columns` of the pictures, `step` from a pixel of theirs to the next in pixels of
        the orthophoto, `top_m`: height of the last colour, `stretch`: the digital numbers that are
        shown as dark and as light, and the names of the `files`.

    Raises:
        InputError: A raster that is missing or unfit, or a folder that cannot be written to.
    """
    try:
        if ortho is not None and height is not None:
            told, height_HW = _draw_pair(read_view(ortho, height, dtm, options, SIDE_PX), out)
        elif ortho is not None:
            told, height_HW = _draw_ortho(ortho, options, out), None
        elif the_map is not None:
            told, height_HW = _size_of(the_map / "classes.tif"), None
        else:
            raise BadOption("nothing to draw: expected ORTHO, ORTHO and HEIGHT, or --map")
        if the_map is not None:
            _draw_map(the_map, told["step"], height_HW, out)
    except OSError as error:
        raise OutputNotWritable(
            f"{out}: cannot be written to ({error}); choose a folder that exists", path=str(out)
        ) from error
    return told | {"files": sorted(path.name for path in out.iterdir())}


def _draw_pair(view: View, out: Path) -> tuple[dict[str, Any], np.ndarray]:
    heights_HW3, top_m = shaded(view)
    imsave(out / "ortho.jpg", _bytes(view.ortho_HW3), pil_kwargs=_QUALITY)
    imsave(out / "heights.jpg", _bytes(heights_HW3), pil_kwargs=_QUALITY)
    known_HW = np.isfinite(view.height_HW)
    shade_HW = relief(view.height_HW, view.step * (view.gsd_m or 1.0))
    shown_HW = np.where(known_HW, shade_HW, np.float32(1))
    Image.fromarray(_bytes(shown_HW)).save(out / "hillshade.jpg", quality=_QUALITY["quality"])
    known = view.valid_HW.astype(np.uint8) | known_HW.astype(np.uint8) << 1
    Image.fromarray(known).save(out / "known.png", compress_level=1)
    rows, columns = view.height_HW.shape
    return _told(rows, columns, view.step, top_m, view.stretch), view.height_HW


def _draw_ortho(ortho: Path, options: ReadingOptions | None, out: Path) -> dict[str, Any]:
    """Memory does not grow with the raster's height."""
    with GeoTiff(ortho, Role.ORTHO, options) as raster:
        grid = raster.grid
        step, rows, columns = picture_size(grid.height, grid.width, SIDE_PX)
        pixels = np.empty((3, rows, columns), raster.dtype)
        valid = np.empty((rows, columns), bool)
        for row in range(rows):
            values, known = raster.read(Window(0, row * step, grid.width, 1))
            pixels[:, row], valid[row] = values[:, 0, ::step], known[0, ::step]
    stretch = stretch_of(pixels, valid)
    imsave(out / "ortho.jpg", _bytes(displayed(pixels, valid, stretch)), pil_kwargs=_QUALITY)
    return _told(rows, columns, step, 0.0, stretch)


def _size_of(classes: Path) -> dict[str, Any]:
    """As `_draw_pair` tells it, of a map without its pair."""
    with gdal(classes), rasterio.open(classes, driver="GTiff") as raster:
        step, rows, columns = picture_size(raster.height, raster.width, SIDE_PX)
    return _told(rows, columns, step, 0.0, (0.0, 255.0))


def _told(
    rows: int, columns: int, step: int, top_m: float, stretch: tuple[float, float]
) -> dict[str, Any]:
    size = {"rows": rows, "columns": columns, "step": step}
    return size | {"top_m": top_m, "stretch": list(stretch)}


def _draw_map(the_map: Path, step: int, height_HW: np.ndarray | None, out: Path) -> None:
    classes_HW = read_thinned(the_map / "classes.tif", step)
    colors = palette(read_legend(the_map / "statistics.json"))
    imsave(out / "classes.png", _clear_where_none(colors[classes_HW], classes_HW))
    values_HW = np.empty(classes_HW.shape, _VALUES)
    values_HW["class"] = classes_HW
    values_HW["confidence"] = NODATA
    values_HW["height_dm"] = UNKNOWN_DM if height_HW is None else _decimetres(height_HW)
    if (confidence := the_map / "confidence.tif").is_file():
        percent_HW = read_thinned(confidence, step)
        shown_HW3 = colormaps["magma"](np.minimum(percent_HW, 100) / 100, bytes=True)[..., :3]
        imsave(out / "confidence.png", _clear_where_none(shown_HW3, percent_HW))
        values_HW["confidence"] = percent_HW
    values_HW.tofile(out / "values.bin")


def _bytes(shown_HW3: np.ndarray) -> np.ndarray:
    """0 to 1 as 0 to 255, uint8."""
    return (shown_HW3 * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _clear_where_none(colors_HW3: np.ndarray, values_HW: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8, transparent where the value is nodata."""
    alpha_HW = np.where(values_HW == NODATA, 0, 255).astype(np.uint8)
    return np.dstack([colors_HW3, alpha_HW])


def _decimetres(height_HW: np.ndarray) -> np.ndarray:
    known_HW = np.isfinite(height_HW)
    rounded_HW = np.clip(np.rint(np.where(known_HW, height_HW, 0) * 10), -32767, 32767)
    return np.where(known_HW, rounded_HW, UNKNOWN_DM).astype(np.int16)
