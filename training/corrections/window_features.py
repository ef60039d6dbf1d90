"""What each window of a survey is like: how unsure its map is, and simple features of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.errors import BadOption, DataMismatch
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions

LEAST_VALID = 0.25
"""Of a whole window's pixels with data: a sliver at the rim is no place to label."""


@dataclass(frozen=True)
class Survey:
    """A map, and what it was made of.

    Attributes:
        classes: The map, as `segment` wrote it.
        confidence: Its confidence, percent, on the same grid.
        ortho: The orthophoto; None leaves colours and heights out of the features.
        height: The heights above ground.
        reading: How these two are to be read.
    """

    classes: Path
    confidence: Path
    ortho: Path | None = None
    height: Path | None = None
    reading: ReadingOptions | None = None


@dataclass(frozen=True)
class Place:
    """A window of a map.

    Attributes:
        survey: Whose map it is.
        grid: The map's.
        window: In pixels of the map.
        pixels: With a class.
        unsure: Mean of 1 - confidence, 0 to 1.
        classes: (K,) shares.
        heights: (2,) mean and standard deviation, metres; none without the rasters.
        colours: (6,) means, then standard deviations, of red, green and blue, 0 to 1; likewise.
    """

    survey: Survey
    grid: Grid
    window: Window
    pixels: int
    unsure: float
    classes: NDArray[np.float64]
    heights: NDArray[np.float64]
    colours: NDArray[np.float64]


def places(survey: Survey, classes: int, side_px: int) -> list[Place]:
    """The windows of a map that have data, side by side from the upper left.

    Args:
        survey: The map.
        classes: Number of its classes.
        side_px: Side of a window; what is left at the right and lower rim makes smaller ones.

    Raises:
        DataMismatch: Map, confidence and orthophoto do not lie on the same grid.
        BadOption: The map is smaller than a window.
        InputError: A file cannot be read.
    """
    with ExitStack() as stack:
        the_map = stack.enter_context(GeoTiff(survey.classes, Role.LABELS))
        confidence = stack.enter_context(GeoTiff(survey.confidence, Role.LABELS))
        pair = None
        if survey.ortho is not None and survey.height is not None:
            opened = RasterPair.open(survey.ortho, survey.height, options=survey.reading)
            pair = stack.enter_context(opened)
        others = [confidence.grid, *([] if pair is None else [pair.grid])]
        for other in others:
            _require_same_size(the_map.grid, other, survey)
        grid = the_map.grid
        if side_px > min(grid.height, grid.width):
            raise BadOption(
                f"windows have {side_px} pixels a side, {survey.classes.name} has {grid.height} × "
                f"{grid.width}; expected smaller windows: --side {min(grid.height, grid.width)}",
                option="side",
            )
        found = []
        for window in _windows(grid, side_px):
            values, valid = the_map.read(window)
            if valid.sum() < LEAST_VALID * side_px**2:
                continue
            percent = confidence.read(window)[0][0]
            shares = np.bincount(values[0][valid], minlength=classes)[:classes] / valid.sum()
            heights, colours = _measured(pair, window)
            unsure = float(1 - percent[valid & (percent <= 100)].mean() / 100)
            found.append(
                Place(survey, grid, window, int(valid.sum()), unsure, shares, heights, colours)
            )
        return found


def features(found: list[Place]) -> NDArray[np.float64]:
    """(N, F) features, in which classes, heights and colours count the same.

    Shares of classes enter by their root (distances are Hellinger's), heights by their logarithm,
    so that 2 m and 4 m are as unlike as 10 m and 20 m. Each group is scaled to a variance of 1.
    """
    groups = [np.sqrt(np.stack([place.classes for place in found]))]
    if all(place.heights.size for place in found):
        groups.append(np.log1p(np.stack([place.heights for place in found])))
        groups.append(np.stack([place.colours for place in found]))
    return np.hstack([_scaled(group) for group in groups])


def _scaled(group: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = group - group.mean(0)
    variance = float((apart**2).sum(1).mean())
    scaled: NDArray[np.float64] = apart / variance**0.5 if variance else apart
    return scaled


def _measured(
    pair: RasterPair | None, window: Window
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights and colours of a window; zeros where nothing is known, empty without a pair."""
    if pair is None:
        return np.zeros(0), np.zeros(0)
    ortho, valid, metres = pair.read_window(window)
    known = metres[np.isfinite(metres)].clip(min=0)
    shown = ortho[:, valid] / pair.white
    heights = np.array([known.mean(), known.std()]) if known.size else np.zeros(2)
    colours = np.hstack([shown.mean(1), shown.std(1)]) if shown.size else np.zeros(6)
    return heights.astype(np.float64), colours.astype(np.float64)


def _windows(grid: Grid, side_px: int) -> Iterator[Window]:
    for row in range(0, grid.height, side_px):
        for column in range(0, grid.width, side_px):
            size = min(side_px, grid.width - column), min(side_px, grid.height - row)
            yield Window(column, row, *size)


def _require_same_size(the_map: Grid, other: Grid, survey: Survey) -> None:
    if (the_map.height, the_map.width) != (other.height, other.width):
        raise DataMismatch(
            f"{survey.classes.name} has {the_map.height} × {the_map.width} pixels, its confidence "
            f"or orthophoto {other.height} × {other.width}; expected those that it was made with",
            file=str(survey.classes),
        )
