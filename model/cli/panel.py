"""A picture of a result for people: orthophoto, heights, map and legend side by side."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mfnet.model.classes import NODATA
from mfnet.model.errors import OutputNotWritable, RasterMissing
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.pictures.row_preview import read_thinned
from mfnet.model.raster.values.reading_options import ReadingOptions

_SIDE_PX = 800
"""Longest side of a picture in the panel."""

_INCHES = 4.2
_PAPER = 1.0  # nothing is known there: white


@dataclass(frozen=True)
class View:
    """A raster pair at the size of a picture.

    Attributes:
        ortho_HW3: float32, 0 to 1; white where invalid.
        valid_HW: Where the orthophoto has data.
        stretch: Digital numbers that are shown as 0 and as 1.
        height_HW: float32, metres above ground; NaN where invalid.
        step: Pixels of the orthophoto from one of these to the next.
        gsd_m: Metres a pixel of the orthophoto, if known.
    """

    ortho_HW3: np.ndarray
    valid_HW: np.ndarray
    stretch: tuple[float, float]
    height_HW: np.ndarray
    step: int
    gsd_m: float | None


def write_panel(
    ortho: Path,
    height: Path,
    classes: Path,
    statistics: Path,
    out: Path,
    *,
    dtm: Path | None = None,
    truth: Path | None = None,
    options: ReadingOptions | None = None,
) -> None:
    """Draw a result as a PNG.

    Args:
        ortho: The orthophoto.
        height: The height raster.
        classes: The map.
        statistics: The map's, as `segment` writes them: titles, colours and shares of the legend.
        out: The PNG.
        dtm: What to subtract from `height`.
        truth: A class raster on the same grid to show beside the map.
        options: How the pair is read.

    Raises:
        InputError: A raster that is missing or unfit, or a picture that cannot be written.
    """
    legend = read_legend(statistics)
    view = read_view(ortho, height, dtm, options)
    maps = {"Land cover": classes} | ({"Truth": truth} if truth is not None else {})
    pictures = 2 + len(maps)
    figure = Figure(figsize=(_INCHES * pictures, _INCHES * 1.15), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, pictures)
    axes[0].imshow(view.ortho_HW3)
    axes[0].set_title("Orthophoto")
    _draw_heights(figure, axes[1], view)
    for axis, (title, path) in zip(axes[2:], maps.items(), strict=True):
        axis.imshow(palette(legend)[read_thinned(path, view.step)], interpolation="nearest")
        axis.set_title(title)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    _draw_legend(figure, legend, view)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.93, bottom=0.1, wspace=0.18)
    _save(figure, out)


def write_heat_panel(
    ortho: Path,
    height: Path,
    heat: dict[str, Path],
    out: Path,
    *,
    target: str,
    dtm: Path | None = None,
    options: ReadingOptions | None = None,
) -> None:
    """Draw the heat maps of a class over the orthophoto as a PNG.

    Args:
        ortho: The orthophoto.
        height: The height raster.
        heat: A heat map a modality, percent, as `explain` writes them.
        out: The PNG.
        target: The class's name.
        dtm: What to subtract from `height`.
        options: How the pair is read.
    """
    view = read_view(ortho, height, dtm, options)
    figure = Figure(figsize=(_INCHES * (2 + len(heat)), _INCHES * 1.1), dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 + len(heat))
    axes[0].imshow(view.ortho_HW3)
    axes[0].set_title("Orthophoto")
    _draw_heights(figure, axes[1], view)
    for axis, (name, path) in zip(axes[2:], heat.items(), strict=True):
        percent_HW = read_thinned(path, view.step).astype(np.float32)
        percent_HW[percent_HW == NODATA] = np.nan
        axis.imshow(view.ortho_HW3.mean(2), cmap="gray", vmin=0, vmax=1)
        shown = axis.imshow(percent_HW, cmap="inferno", vmin=0, vmax=100, alpha=0.65)
        axis.set_title(f"{target}: heat in {name}")
    bar = figure.colorbar(shown, cax=axes[-1].inset_axes((1.015, 0, 0.03, 1)), format="{x:g} %")
    bar.ax.tick_params(labelsize=7)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    figure.subplots_adjust(left=0.01, right=0.95, top=0.93, bottom=0.02, wspace=0.18)
    _save(figure, out)


def read_view(
    ortho: Path,
    height: Path,
    dtm: Path | None = None,
    options: ReadingOptions | None = None,
    side_px: int = _SIDE_PX,
) -> View:
    """Read every so-manyth pixel of a pair; memory does not grow with the rasters' height."""
    with RasterPair.open(ortho, height, dtm=dtm, options=options) as pair:
        step, rows, columns = picture_size(pair.grid.height, pair.grid.width, side_px)
        # Filled row by row: kept slices of rows would keep the whole rows in memory.
        pixels = np.empty((3, rows, columns), pair.ortho_dtype)
        heights = np.empty((rows, columns), np.float32)
        valid, known = np.empty((rows, columns), bool), np.empty((rows, columns), bool)
        for row in range(rows):
            line = pair.read(row * step, 1)
            pixels[:, row] = line.arrays["ortho"][:, 0, ::step]
            valid[row] = line.valid["ortho"][0, ::step]
            heights[row] = line.arrays["ndsm"][0, 0, ::step]
            known[row] = line.valid["ndsm"][0, ::step]
        gsd_m = pair.grid.gsd_m
    stretch = stretch_of(pixels, valid)
    heights[~known] = np.nan
    return View(displayed(pixels, valid, stretch), valid, stretch, heights, step, gsd_m)


def picture_size(height: int, width: int, side_px: int) -> tuple[int, int, int]:
    """Step between the pixels that a picture takes of a raster, and the picture's rows and columns.

    Args:
        height: Of the raster, pixels.
        width: Likewise.
        side_px: Longest side of the picture.
    """
    step = -(-max(height, width) // side_px)
    return step, -(-height // step), -(-width // step)


def shaded(view: View) -> tuple[np.ndarray, float]:
    """Heights in colours, shaded as if the sun stood in the north-west.

    Returns:
        (H, W, 3), 0 to 1, white where nothing is known; and the height of the last colour, metres.
    """
    known_HW = np.isfinite(view.height_HW)
    top = float(np.percentile(view.height_HW[known_HW], 99.5)) if known_HW.any() else 1.0
    top_m = max(top, 1.0)
    shown_HW = np.clip(view.height_HW / np.float32(top_m), 0, 1)
    colors_HW3 = colormaps["viridis"](shown_HW, bytes=True)[..., :3].astype(np.float32) / 255
    spacing_m = view.step * (view.gsd_m or 1.0)
    shade_HW = LightSource(azdeg=315, altdeg=45).hillshade(
        np.where(known_HW, view.height_HW, 0), dx=spacing_m, dy=spacing_m
    )
    colors_HW3 *= (0.45 + 0.55 * shade_HW[..., None]).astype(np.float32)
    return np.where(known_HW[..., None], colors_HW3, np.float32(_PAPER)), top_m


def palette(legend: list[dict[str, Any]]) -> np.ndarray:
    """A colour for each value of a byte, (256, 3) uint8; white where there is no class."""
    colors = np.full((NODATA + 1, 3), 255, np.uint8)
    for value, item in enumerate(legend):
        colors[value] = [int(item["color"][i : i + 2], 16) for i in (1, 3, 5)]
    return colors


def _save(figure: Figure, out: Path) -> None:
    try:
        figure.savefig(out)
    except (OSError, ValueError) as error:
        raise OutputNotWritable(
            f"{out}: cannot be written ({error}); choose a .png in a folder that exists",
            path=str(out),
        ) from error


def read_legend(statistics: Path) -> list[dict[str, Any]]:
    """Title, colour and share of each class, in the order of their values."""
    if not statistics.is_file():
        raise RasterMissing(f"no {statistics}; expected the map's statistics: see --statistics")
    legend: list[dict[str, Any]] = json.loads(statistics.read_text())["classes"]
    return legend


def stretch_of(pixels_3HW: np.ndarray, valid_HW: np.ndarray) -> tuple[float, float]:
    """Which digital numbers a screen shows as dark and as light.

    8-bit pixels are shown as they are; others from their 2nd to their 98th percentile, for they
    seldom use their type's range. For the eye alone: the network never sees these.
    """
    if pixels_3HW.dtype == np.uint8 or not valid_HW.any():
        return 0.0, 255.0
    low, high = np.percentile(pixels_3HW[:, valid_HW], (2, 98))
    return float(low), float(high)


def displayed(
    pixels_3HW: np.ndarray, valid_HW: np.ndarray, stretch: tuple[float, float]
) -> np.ndarray:
    """Digital numbers to what a screen shows: (H, W, 3) float32, 0 to 1."""
    low, high = stretch
    shown = pixels_3HW.astype(np.float32)
    shown -= np.float32(low)
    shown /= np.float32(max(high - low, 1e-9))
    np.clip(shown, 0, 1, out=shown)
    return np.where(valid_HW[..., None], np.moveaxis(shown, 0, -1), np.float32(_PAPER))


def _draw_heights(figure: Figure, axis: Any, view: View) -> None:
    """Colours for metres, shaded as if the sun stood in the north-west."""
    colors_HW3, top_m = shaded(view)
    image = axis.imshow(view.height_HW, cmap="viridis", vmin=0, vmax=top_m)
    axis.imshow(colors_HW3)
    axis.set_title("Height above ground")
    bar = figure.colorbar(image, cax=axis.inset_axes((1.015, 0, 0.03, 1)), format="{x:g} m")
    bar.ax.tick_params(labelsize=7)


def _draw_legend(figure: Figure, legend: list[dict[str, Any]], view: View) -> None:
    patches = [
        Patch(
            facecolor=item["color"], edgecolor="gray", label=f"{item['title']} {item['share']:.0%}"
        )
        for item in legend
    ]
    size = "×".join(str(length) for length in view.height_HW.shape[::-1])
    ground = "" if view.gsd_m is None else f", {view.gsd_m * view.step:.3g} m a pixel"
    figure.legend(
        handles=patches, loc="lower center", ncols=len(patches), frameon=False, fontsize=9
    )
    figure.text(0.995, 0.005, size + ground, ha="right", va="bottom", fontsize=6, color="gray")
