"""A picture of a result for people: orthophoto, heights, map and legend side by side."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mfnet.model.classes import NODATA
from mfnet.model.errors import OutputNotWritable, RasterMissing
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.pairs.pair import RasterPair
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
        height_HW: float32, metres above ground; NaN where invalid.
        step: Pixels of the orthophoto from one of these to the next.
        gsd_m: Metres a pixel of the orthophoto, if known.
    """

    ortho_HW3: np.ndarray
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
    legend = _read_legend(statistics)
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
        axis.imshow(_colored(_read_bytes(path, view.step), legend), interpolation="nearest")
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
        percent_HW = _read_bytes(path, view.step).astype(np.float32)
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
    ortho: Path, height: Path, dtm: Path | None = None, options: ReadingOptions | None = None
) -> View:
    """Read every so-manyth pixel of a pair; memory does not grow with the rasters' height."""
    with RasterPair.open(ortho, height, dtm=dtm, options=options) as pair:
        step = _step(pair.grid.height, pair.grid.width)
        lines = [pair.read(row, 1) for row in range(0, pair.grid.height, step)]
        gsd_m = pair.grid.gsd_m
    pixels = np.concatenate([line.arrays["ortho"][:, :, ::step] for line in lines], axis=1)
    valid = np.concatenate([line.valid["ortho"][:, ::step] for line in lines])
    heights = np.concatenate([line.arrays["ndsm"][0, :, ::step] for line in lines])
    known = np.concatenate([line.valid["ndsm"][:, ::step] for line in lines])
    return View(_displayed(pixels, valid), np.where(known, heights, np.nan), step, gsd_m)


def _save(figure: Figure, out: Path) -> None:
    try:
        figure.savefig(out)
    except (OSError, ValueError) as error:
        raise OutputNotWritable(
            f"{out}: cannot be written ({error}); choose a .png in a folder that exists",
            path=str(out),
        ) from error


def _read_legend(statistics: Path) -> list[dict[str, Any]]:
    """Title, colour and share of each class, in the order of their values."""
    if not statistics.is_file():
        raise RasterMissing(f"no {statistics}; expected the map's statistics: see --statistics")
    legend: list[dict[str, Any]] = json.loads(statistics.read_text())["classes"]
    return legend


def _step(height: int, width: int) -> int:
    return -(-max(height, width) // _SIDE_PX)


def _displayed(pixels_3HW: np.ndarray, valid_HW: np.ndarray) -> np.ndarray:
    """Digital numbers to what a screen shows: (H, W, 3) float32, 0 to 1.

    8-bit pixels as they are; others stretched from their 2nd to their 98th percentile, for they
    seldom use their type's range. For the eye alone: the network never sees these.
    """
    low, high = 0.0, 255.0
    if pixels_3HW.dtype != np.uint8 and valid_HW.any():
        low, high = np.percentile(pixels_3HW[:, valid_HW], (2, 98))
    shown = np.clip((pixels_3HW - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    return np.where(valid_HW[..., None], np.moveaxis(shown, 0, -1), np.float32(_PAPER))


def _draw_heights(figure: Figure, axis: Any, view: View) -> None:
    """Colours for metres, shaded as if the sun stood in the north-west."""
    known = np.isfinite(view.height_HW)
    top = float(np.percentile(view.height_HW[known], 99.5)) if known.any() else 1.0
    image = axis.imshow(view.height_HW, cmap="viridis", vmin=0, vmax=max(top, 1.0))
    spacing = view.step * (view.gsd_m or 1.0)
    shade = LightSource(azdeg=315, altdeg=45).hillshade(
        np.where(known, view.height_HW, 0), dx=spacing, dy=spacing
    )
    colors = image.to_rgba(view.height_HW)[..., :3] * (0.45 + 0.55 * shade[..., None])
    axis.imshow(np.where(known[..., None], colors, _PAPER))
    axis.set_title("Height above ground")
    bar = figure.colorbar(image, cax=axis.inset_axes((1.015, 0, 0.03, 1)), format="{x:g} m")
    bar.ax.tick_params(labelsize=7)


def _read_bytes(path: Path, step: int) -> np.ndarray:
    """The pixels of classes or percents that `read_view` takes of the pair; (H, W) uint8."""
    with gdal(path), rasterio.open(path, driver="GTiff", OVERVIEW_LEVEL="NONE") as raster:
        lines = [
            raster.read(1, window=((row, row + 1), (0, raster.width)))[:, ::step]
            for row in range(0, raster.height, step)
        ]
    return np.concatenate(lines)


def _colored(classes_HW: np.ndarray, legend: list[dict[str, Any]]) -> np.ndarray:
    """Class values to (H, W, 3) uint8; white where there is none."""
    palette = np.full((NODATA + 1, 3), 255, np.uint8)
    for value, item in enumerate(legend):
        palette[value] = [int(item["color"][i : i + 2], 16) for i in (1, 3, 5)]
    return np.asarray(palette[classes_HW])


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
