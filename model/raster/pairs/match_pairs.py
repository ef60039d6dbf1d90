"""Which height raster belongs to which orthophoto, of two folders: by name, else by place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from mfnet.model.errors import InputError
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.mosaic import is_tiled, tile_paths
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.values.reading_options import ReadingOptions

_LEAST_OVERLAP = 0.5
"""Share of an orthophoto that its height raster covers."""


@dataclass(frozen=True)
class Match:
    """An orthophoto and what belongs to it.

    Attributes:
        name: The orthophoto's, for the names of results.
        files: By role: `ortho`, and `height` and `dtm` where they were found.
        lacking: The roles that nothing was found for.
    """

    name: str
    files: Mapping[str, Path]
    lacking: tuple[str, ...]


def match_pairs(given: Mapping[str, Path], options: ReadingOptions | None = None) -> list[Match]:
    """Finds the pairs of folders.

    Names decide where an orthophoto's, without the words that all files of the folder share, is
    also that of one height raster. For the others it is the height raster that covers most of the
    orthophoto, and half of it at least.

    Args:
        given: Folders or patterns by role: `ortho`, `height`, perhaps `dtm`. Where `height` or
            `dtm` is a single file, it belongs to every orthophoto.
        options: How the files are to be read.

    Raises:
        RasterMissing: A folder holds no GeoTIFF.
    """
    files = {role: tile_paths(path) if is_tiled(path) else [path] for role, path in given.items()}
    orthos = files.pop("ortho")
    found = {role: _beside(orthos, paths, options) for role, paths in files.items()}
    return [
        Match(
            name=ortho.stem,
            files={"ortho": ortho} | {r: each[ortho] for r, each in found.items() if ortho in each},
            lacking=tuple(role for role, each in found.items() if ortho not in each),
        )
        for ortho in orthos
    ]


def _beside(
    orthos: Sequence[Path], others: Sequence[Path], options: ReadingOptions | None
) -> dict[Path, Path]:
    if len(others) == 1:
        return dict.fromkeys(orthos, others[0])
    found = _by_name(orthos, others)
    left = [path for path in others if path not in found.values()]
    places = {path: _grid(path, Role.HEIGHT, options) for path in left} if left else {}
    for ortho in orthos if places else ():
        if ortho in found:
            continue
        grid = _grid(ortho, Role.ORTHO, options)
        shares = {path: _overlap(grid, place) for path, place in places.items()}
        best = max(shares, key=lambda path: shares[path])
        if shares[best] >= _LEAST_OVERLAP:
            found[ortho] = best
    return found


def _by_name(orthos: Sequence[Path], others: Sequence[Path]) -> dict[Path, Path]:
    """Pairs of names that nobody else has; none where names of one folder are alike."""
    of_orthos, of_others = _keys(orthos), _keys(others)
    if len(set(of_orthos)) < len(orthos) or len(set(of_others)) < len(others):
        return {}
    named = dict(zip(of_others, others, strict=True))
    pairs = zip(orthos, of_orthos, strict=True)
    return {ortho: named[key] for ortho, key in pairs if key and key in named}


def _keys(paths: Sequence[Path]) -> list[str]:
    """Of each name the words that not all of them have, as they are joined there."""
    words = [re.findall(r"[0-9a-zA-Z]+", path.stem.casefold()) for path in paths]
    common = set.intersection(*map(set, words)) if len(paths) > 1 else set()
    return ["_".join(word for word in each if word not in common) for each in words]


def _grid(path: Path, role: Role, options: ReadingOptions | None) -> Grid | None:
    """None of a file that cannot play the role; what is wrong with it is told when it is mapped."""
    try:
        with GeoTiff(path, role, options) as raster:
            return raster.grid
    except InputError:
        return None


def _overlap(ortho: Grid | None, other: Grid | None) -> float:
    """Share of the orthophoto's extent that the other one's covers."""
    if ortho is None or other is None:
        return 0.0
    west, south, east, north = _bounds(ortho)
    box = _bounds(other)
    if ortho.crs is not None and other.crs is not None and ortho.crs != other.crs:
        try:
            box = transform_bounds(other.crs, ortho.crs, *box)
        except RasterioError:
            return 0.0
    width, height = min(east, box[2]) - max(west, box[0]), min(north, box[3]) - max(south, box[1])
    area = (east - west) * (north - south)
    return max(0.0, width) * max(0.0, height) / area if area else 0.0


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    corners = [grid.transform * (x, y) for x in (0, grid.width) for y in (0, grid.height)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
