"""Tiles, or blocks of them, that show the same ground and are for different ends."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from rasterio.windows import Window

from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.training.datasets.splitting.spatial_blocks import End


@dataclass(frozen=True)
class Ground:
    """What a tile, or a block of one, is for, and where it lies.

    Attributes:
        tile: A number of the tile that no other has.
        name: The tile's, for people.
        end: What it is for.
        grid: The tile's.
        window: The block; all of the tile where it is not cut.
    """

    tile: int
    name: str
    end: End
    grid: Grid
    window: Window


_PAIRS_TOLD = 3


def overlaps(grounds: Sequence[Ground]) -> list[str]:
    """Remarks on tiles of which parts for different ends show the same ground.

    One a pair, or one of all where there are many. Tiles in different CRSs are not compared.
    """
    pairs = defaultdict(list)
    for one, other in _sharing(grounds):
        if one.tile != other.tile and one.end != other.end and one.grid.crs == other.grid.crs:
            pairs[one.tile, other.tile].append((one, other))
    told = [
        f"{_named([one for one, _ in found])} and {_named([other for _, other in found])}"
        for found in pairs.values()
    ]
    if len(told) > _PAIRS_TOLD:
        more = len(told) - _PAIRS_TOLD
        told = [f"{', '.join(told[:_PAIRS_TOLD])}, and {more} more pair{'s' * (more > 1)}"]
    return [
        f"tiles {tiles} overlap: what is learned from one is known of the other, and accuracy "
        "looks too good"
        for tiles in told
    ]


def _sharing(grounds: Sequence[Ground]) -> list[tuple[Ground, Ground]]:
    """Each two that have a pixel in common; less is what rounding leaves of a common border."""
    shapes = np.array([_outline(ground) for ground in grounds], object)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    pixels = np.array([abs(ground.grid.transform.determinant) for ground in grounds])
    kept = (first < second) & (shared >= np.minimum(pixels[first], pixels[second]) / 2)
    ordered = sorted(zip(first[kept].tolist(), second[kept].tolist(), strict=True))
    return [(grounds[one], grounds[other]) for one, other in ordered]


def _outline(ground: Ground) -> shapely.Polygon:
    (top, bottom), (left, right) = ground.window.toranges()
    corners = np.array([[left, right, right, left], [top, top, bottom, bottom]], np.float64)
    return shapely.Polygon(ground.grid.to_ground(corners).T)


def _named(grounds: Sequence[Ground]) -> str:
    """A tile, and what those parts of it are for."""
    return f"{grounds[0].name} ({', '.join(sorted({ground.end for ground in grounds}))})"
