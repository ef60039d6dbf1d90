"""Tiles of one raster, joined into one: checked one by one, and laid on one grid by a VRT."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import MaskFlags

from mfnet.model.errors import (
    RasterForbidden,
    RasterTooLarge,
    TilesDiffer,
    WrongBands,
    WrongType,
)
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.mosaic import Mosaic, forget, is_tiled, remember, tile_paths
from mfnet.model.raster.files.screening import Layout, Limits
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.values.reading_options import ReadingOptions

_SHIFT_PX = 0.01
"""How far a tile may lie beside the pixels of the others."""

_GDAL_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


@dataclass(frozen=True)
class TileFacts:
    """What tiles of one raster agree in, and where one lies.

    Attributes:
        path: The file.
        grid: Its own.
        layout: How it is stored.
        facts: By what they are called in messages.
        masked: It has a mask of its own.
    """

    path: Path
    grid: Grid
    layout: Layout
    facts: Mapping[str, Any]
    masked: bool


@contextmanager
def joined(
    paths: Mapping[str, Path], options: ReadingOptions | None = None
) -> Iterator[dict[str, Path]]:
    """Rasters as single files, whatever they are kept as.

    Args:
        paths: By role, `ortho`, `height` and `dtm`: a GeoTIFF; or a folder, a pattern or a VRT of
            tiles. One alone may be of any role.
        options: How they are to be read.

    Yields:
        The same paths; in the place of tiles a VRT, which is there as long as this lasts.

    Raises:
        TilesDiffer: A tile differs from the others in CRS, pixel size, bands, type or nodata.
        InputError: What a tile by itself is refused for.
    """
    roles = {"ortho": Role.ORTHO, "height": Role.HEIGHT, "dtm": Role.DTM}
    reading = options or ReadingOptions()
    with ExitStack() as stack:
        ready = dict(paths)
        for name, path in paths.items():
            if is_tiled(path):
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="mfnet-tiles-")))
                role = roles[name] if len(paths) > 1 else _suited(path, reading)
                ready[name] = join_tiles(path, role, folder, reading)
                stack.callback(forget, ready[name])
        yield ready


def _suited(path: Path, options: ReadingOptions) -> Role:
    """What tiles by themselves may be, by the first of them."""
    first = tile_paths(path)[0]
    for role in (Role.ORTHO, Role.HEIGHT, Role.LABELS):
        with suppress(WrongBands, WrongType), GeoTiff(first, role, options):
            return role
    return Role.ORTHO


def join_tiles(path: Path, role: Role, folder: Path, options: ReadingOptions) -> Path:
    """Writes a VRT of the tiles that a path names, into a folder; see `joined`."""
    tiles = [_facts(each, role, options) for each in tile_paths(path)]
    _require_same(tiles)
    name = path.stem if path.is_file() else (path.name if path.is_dir() else path.parent.name)
    vrt = folder / f"{name or 'tiles'}.vrt"
    grid, places = _laid(tiles)
    layout = _together(tiles, grid, vrt.name)
    with GeoTiff(tiles[0].path, role, options) as first:
        document = _document(first, grid, tiles, places)
    ET.ElementTree(document).write(vrt, encoding="utf-8")
    remember(vrt, Mosaic(tuple(tile.path for tile in tiles), layout))
    return vrt


def _facts(path: Path, role: Role, options: ReadingOptions) -> TileFacts:
    with GeoTiff(path.resolve(), role, options) as tile:
        if tile.sidecars.mask_file is not None:
            raise RasterForbidden(
                f"{path.name} has its mask in a file of its own, {tile.sidecars.mask_file.name}; "
                "expected it inside the tile: gdal_translate -mask mask IN.tif OUT.tif",
                file=path.name,
            )
        raster, grid = tile.dataset, tile.grid
        a, b, _, d, e, _ = tuple(grid.transform)[:6]
        flags = raster.mask_flag_enums[0]
        facts = {
            "the CRS": tile.crs,
            "the size of a pixel": tuple(float(f"{side:.9g}") for side in (a, b, d, e)),
            "the number of bands": raster.count,
            "the type": raster.dtypes[0],
            "the nodata value": _plain(_nodata(tile)),
            "the colours of bands": tuple(each.name for each in raster.colorinterp),
            "scale and offset": (raster.scales, raster.offsets),
            "the unit": raster.units,
        }
        masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        return TileFacts(tile.path, grid, tile.layout, facts, masked)


def _nodata(tile: GeoTiff) -> tuple[float | None, ...]:
    """Of every band, those of a .aux.xml among them."""
    used = dict(zip(tile.bands, tile.nodata, strict=True))
    declared = tile.dataset.nodatavals
    return tuple(used.get(band, declared[band - 1]) for band in tile.dataset.indexes)


def _plain(values: Sequence[float | None]) -> tuple[str, ...]:
    """Numbers that compare as people mean it: NaN is NaN."""
    return tuple("none" if value is None else f"{value:g}" for value in values)


def _require_same(tiles: Sequence[TileFacts]) -> None:
    """Names the first tile that differs from what most have."""
    for name in tiles[0].facts:
        counts = Counter(_said(tile.facts[name]) for tile in tiles)
        if len(counts) == 1:
            continue
        expected = counts.most_common(1)[0][0]
        odd = next(tile for tile in tiles if _said(tile.facts[name]) != expected)
        raise TilesDiffer(
            f"{odd.path.name}: {name} is {_said(odd.facts[name])}; expected {expected}, as in "
            f"{counts[expected]:,} of the {len(tiles):,} tiles: gdalwarp or gdal_translate makes "
            "it the same, or leave the tile out",
            file=odd.path.name,
            found=_said(odd.facts[name]),
            expected=expected,
        )


def _said(fact: Any) -> str:
    if isinstance(fact, CRS):
        return str(fact.to_string())
    if isinstance(fact, tuple):
        return " ".join(map(str, dict.fromkeys(fact))) if fact else "none"
    return str(fact)


def _laid(tiles: Sequence[TileFacts]) -> tuple[Grid, list[tuple[int, int]]]:
    """The grid of all tiles, and each one's first row and column in it."""
    first = tiles[0].grid
    corners = np.array([first.to_pixels(np.array([[t.grid.transform.c], [t.grid.transform.f]]))
                        for t in tiles])[:, :, 0]  # fmt: skip
    whole = np.rint(corners)
    beside = np.abs(corners - whole).max(axis=1)
    if beside.max() > _SHIFT_PX:
        odd = tiles[int(beside.argmax())].path.name
        raise TilesDiffer(
            f"{odd}: its pixels lie {beside.max():.2f} pixels beside those of {tiles[0].path.name}"
            "; expected tiles of one grid: gdalwarp -tap brings them onto one",
            file=odd,
            found=float(beside.max()),
        )
    columns, rows = whole.astype(int).T
    top, left = int(rows.min()), int(columns.min())
    bottom = max(int(row) + tile.grid.height for row, tile in zip(rows, tiles, strict=True))
    right = max(int(column) + tile.grid.width for column, tile in zip(columns, tiles, strict=True))
    transform = first.transform * first.transform.translation(left, top)
    grid = replace(first, height=bottom - top, width=right - left, transform=transform)
    return grid, [(int(r) - top, int(c) - left) for r, c in zip(rows, columns, strict=True)]


def _together(tiles: Sequence[TileFacts], grid: Grid, name: str) -> Layout:
    limits, first = Limits(), tiles[0].layout
    if max(grid.height, grid.width) > limits.side_px or grid.height * grid.width > limits.pixels:
        raise RasterTooLarge(
            f"{name}: the tiles together have {grid.height:,} × {grid.width:,} pixels; expected "
            f"{limits.side_px:,} a side and {limits.pixels:,} in all at most",
            file=name,
        )
    return replace(
        first,
        height=grid.height,
        width=grid.width,
        declared_bytes=grid.height * grid.width * first.bands * first.bits // 8,
        stored_bytes=sum(tile.layout.stored_bytes for tile in tiles),
        has_transform=True,
    )


def _document(
    first: GeoTiff, grid: Grid, tiles: Sequence[TileFacts], places: Sequence[tuple[int, int]]
) -> ET.Element:
    """The VRT. What no tile covers is nodata, transparent, or masked."""
    raster, nodata = first.dataset, _nodata(first)
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if first.crs is not None:
        ET.SubElement(root, "SRS").text = first.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, grid.transform.to_gdal()))
    for band in raster.indexes:
        kind = _GDAL_TYPES[raster.dtypes[band - 1]]
        element = ET.SubElement(root, "VRTRasterBand", dataType=kind, band=str(band))
        for tag, text in {
            "NoDataValue": nodata[band - 1],
            "ColorInterp": raster.colorinterp[band - 1].name.capitalize(),
            "Scale": raster.scales[band - 1],
            "Offset": raster.offsets[band - 1],
            "UnitType": raster.units[band - 1],
        }.items():
            if text is not None:
                ET.SubElement(element, tag).text = str(text)
        _add_sources(element, str(band), tiles, places, nodata[band - 1])
    plain = first.alpha is None and all(value is None for value in nodata)
    if plain or any(tile.masked for tile in tiles):
        mask = ET.SubElement(root, "MaskBand")
        element = ET.SubElement(mask, "VRTRasterBand", dataType="Byte")
        _add_sources(element, "mask,1", tiles, places, None)
    return root


def _add_sources(
    element: ET.Element,
    band: str,
    tiles: Sequence[TileFacts],
    places: Sequence[tuple[int, int]],
    nodata: float | None,
) -> None:
    for tile, (row, column) in zip(tiles, places, strict=True):
        source = ET.SubElement(element, "SimpleSource" if nodata is None else "ComplexSource")
        ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(tile.path)
        ET.SubElement(source, "SourceBand").text = band
        size = {"xSize": str(tile.grid.width), "ySize": str(tile.grid.height)}
        ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
        ET.SubElement(source, "DstRect", {"xOff": str(column), "yOff": str(row), **size})
        if nodata is not None:  # what is missing in one of two that overlap is taken of the other
            ET.SubElement(source, "NODATA").text = str(nodata)
