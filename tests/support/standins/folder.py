"""A folder of somebody's own tiles: orthophoto, heights and labels, each on a grid of its own."""

import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from standins.isprs import HEIGHTS_M
from standins.scenes import class_map, write

CRS = "EPSG:25832"
EAST, NORTH = 512_000.0, 5_403_000.0
GSD_M = 0.2


@dataclass(frozen=True)
class OwnTile:
    """What was written: the class of each pixel of the orthophoto."""

    name: str
    truth: NDArray[np.uint8]
    transform: Affine


def place(name: str, east: float = 0.0, gsd: float = GSD_M) -> Affine:
    """Tiles "0", "1", … lie side by side, 100 m apart."""
    return Affine(gsd, 0, EAST + 100 * int(name) + east, 0, -gsd, NORTH)


def write_tile(folder: Path, name: str, height: int = 64, width: int = 80) -> OwnTile:
    """Writes NAME_ortho.tif, NAME_height.tif (twice as coarse) and NAME_labels.tif."""
    truth = class_map(int(name), height, width, 6)
    ortho = np.stack([truth * 40 + 5, truth * 20, 255 - truth * 30]).astype(np.uint8)
    write(folder / f"{name}_ortho.tif", ortho, crs=CRS, transform=place(name))
    heights = HEIGHTS_M[truth][::2, ::2]
    coarse = place(name, gsd=2 * GSD_M)
    write(folder / f"{name}_height.tif", heights[None], crs=CRS, transform=coarse)
    write(folder / f"{name}_labels.tif", truth[None], crs=CRS, transform=place(name))
    return OwnTile(name, truth, place(name))


def manifest(tiles: Sequence[str], *, head: str = 'classes = "isprs"', tail: str = "") -> str:
    """The manifest of tiles that `write_tile` wrote."""
    entries = [
        f'[[tiles]]\nname = "{name}"\northo = "{name}_ortho.tif"\nheight = "{name}_height.tif"\n'
        f'labels = "{name}_labels.tif"\n'
        for name in tiles
    ]
    return "\n".join([head, *entries, tail])


def squares(tile: OwnTile) -> tuple[list[shapely.Polygon], list[int]]:
    """The squares of 16 pixels that a class map is made of, on the ground, and their classes."""
    shapes, values = [], []
    height, width = tile.truth.shape
    for row in range(0, height, 16):
        for col in range(0, width, 16):
            left, top = tile.transform * (col, row)
            right, bottom = tile.transform * (col + 16, row + 16)
            shapes.append(shapely.box(left, bottom, right, top))
            values.append(int(tile.truth[row, col]))
    return shapes, values


def write_geopackage(
    path: Path, shapes: Sequence[shapely.Geometry], classes: Sequence[object], srs: int = 25832
) -> None:
    """Writes a layer `labels` with the column `class`; headers with and without an envelope."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT, srs_id INTEGER PRIMARY KEY, "
            "organization TEXT, organization_coordsys_id INTEGER, definition TEXT);"
            "CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT, "
            "srs_id INTEGER);"
            "CREATE TABLE gpkg_geometry_columns (table_name TEXT, column_name TEXT);"
            "CREATE TABLE labels (fid INTEGER PRIMARY KEY, shape BLOB, class);"
            f"INSERT INTO gpkg_spatial_ref_sys VALUES ('', {srs}, 'EPSG', {srs}, '');"
            f"INSERT INTO gpkg_contents VALUES ('labels', 'features', {srs});"
            "INSERT INTO gpkg_geometry_columns VALUES ('labels', 'shape');"
        )
        rows = [
            (_blob(shape, srs, with_envelope=number % 2 == 0), name)
            for number, (shape, name) in enumerate(zip(shapes, classes, strict=True))
        ]
        database.executemany("INSERT INTO labels (shape, class) VALUES (?, ?)", rows)
        database.commit()


def _blob(shape: shapely.Geometry, srs: int, with_envelope: bool) -> bytes:
    left, bottom, right, top = shape.bounds
    envelope = struct.pack("<4d", left, right, bottom, top) if with_envelope else b""
    flags = 1 | (1 << 1 if with_envelope else 0)  # little-endian; an envelope of x and y
    return b"GP" + struct.pack("<BBi", 0, flags, srs) + envelope + bytes(shapely.to_wkb(shape))
