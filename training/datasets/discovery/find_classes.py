"""What the labels of tiles say: their numbers or colours, and the names that a legend gives them.

A legend is `classes.txt` or `classes.csv` in the folder: a line a class, with the number or colour
that the labels have, its name, and perhaps the colour to show it in:

    1, Gebäude, #ff0000
    2, Straße
    #00ff00, Wald
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from mfnet.model.classes import ISPRS, NODATA, ClassScheme, scheme_of
from mfnet.model.errors import BadLabels
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.geopackage_reader import GeoPackage

LEGENDS = ("classes.csv", "classes.txt", "legend.csv", "legend.txt")
MOST = 60
"""Classes that are believed; more values are no classes."""

_COLOR = re.compile(r"#?[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class FoundClasses:
    """The classes of some labels.

    Attributes:
        scheme: Names, titles and colours.
        values: What stored numbers mean; None where labels are colours or polygons.
        pixels: How often each class is there, by its name; polygons where labels are these.
        named: Whether a legend, the labels themselves or a known scheme gave the names.
    """

    scheme: ClassScheme
    values: dict[int, str] | None
    pixels: dict[str, int]
    named: bool


def find_classes(folder: Path, labels: Sequence[Path]) -> FoundClasses:
    """Looks through the labels of all tiles.

    Args:
        folder: Of the tiles, where a legend may be.
        labels: Their files, relative to it.

    Raises:
        BadLabels: Too many values to be classes; or fewer than two.
    """
    legend = _read_legend(folder)
    if labels[0].suffix.lower() == ".gpkg":
        return _of_polygons(folder, sorted({*labels}))
    counts: Counter[int] = Counter()
    colours = False
    for path in labels:
        colours |= _count(folder / path, counts)
    found = sorted(value for value in counts if colours or value != NODATA)
    if colours:
        found = [value for value in found if value != 0]  # black: not labelled
    if len(found) > MOST:
        raise BadLabels(
            f"the labels have {len(found):,} different {'colours' if colours else 'numbers'}; "
            f"expected {MOST} classes at most: are these labels, not compressed with loss?"
        )
    if len(found) < 2:
        raise BadLabels(f"the labels have {len(found)} class; expected two at least")
    return _of_colours(found, counts, legend) if colours else _of_numbers(found, counts, legend)


def _of_numbers(
    found: list[int], counts: Counter[int], legend: dict[str, tuple[str, str | None]]
) -> FoundClasses:
    titles = [legend.get(str(value), (f"class {value}", None)) for value in found]
    scheme = scheme_of([title for title, _ in titles], "own", [color for _, color in titles])
    values = dict(zip(found, scheme.names, strict=True))
    pixels = {name: counts[value] for value, name in values.items()}
    return FoundClasses(scheme, values, pixels, named=bool(legend))


def _of_colours(
    found: list[int], counts: Counter[int], legend: dict[str, tuple[str, str | None]]
) -> FoundClasses:
    colours = [f"#{value:06x}" for value in found]
    known = {each.color: each for each in ISPRS.classes}
    if not legend and {*colours} <= {*known}:
        pixels = {known[color].name: counts[int(color[1:], 16)] for color in colours}
        return FoundClasses(ISPRS, None, pixels, named=True)
    titles = [legend.get(color, (f"colour {color[1:]}", None))[0] for color in colours]
    scheme = scheme_of(titles, "own", colours)
    pixels = {name: counts[value] for value, name in zip(found, scheme.names, strict=True)}
    return FoundClasses(scheme, None, pixels, named=bool(legend))


def _of_polygons(folder: Path, files: Sequence[Path]) -> FoundClasses:
    counts: Counter[str] = Counter()
    for path in files:
        with GeoPackage(folder / path) as package:
            _, named = package.read(package.layer(None), "class")
        counts.update(str(each) for each in named)
    titles = sorted(counts)
    if len(titles) < 2:
        raise BadLabels(f"the polygons have {len(titles)} class; expected two at least")
    scheme = scheme_of(titles, "own")
    pixels = {name: counts[title] for name, title in zip(scheme.names, titles, strict=True)}
    return FoundClasses(scheme, None, pixels, named=True)


def _count(path: Path, counts: Counter[int]) -> bool:
    """Adds the pixels of a raster by value, or by packed colour; whether they are colours."""
    with gdal(path), rasterio.open(path, driver="GTiff") as raster:
        colours = raster.count >= 3
        nodata = raster.nodata if not colours else None
        for _, window in raster.block_windows(1):
            values = raster.read((1, 2, 3) if colours else 1, window=window)
            if colours:
                red, green, blue = values.astype(np.int64)
                values = red << 16 | green << 8 | blue
            numbers, pixels = np.unique(values, return_counts=True)
            counts.update(
                {
                    int(number): int(count)
                    for number, count in zip(numbers, pixels, strict=True)
                    if number != nodata
                }
            )
    return bool(colours)


def _read_legend(folder: Path) -> dict[str, tuple[str, str | None]]:
    """Title and colour by stored number or colour; empty without a legend."""
    path = next((folder / name for name in LEGENDS if (folder / name).is_file()), None)
    if path is None:
        return {}
    legend: dict[str, tuple[str, str | None]] = {}
    text = path.read_text(encoding="utf-8-sig")
    delimiter = next((mark for mark in "\t;," if mark in text), ",")
    lines = [line for line in csv.reader(text.splitlines(), delimiter=delimiter) if any(line)]
    for number, cells in enumerate(lines):
        cells = [cell.strip() for cell in cells]
        key, *others = cells if _is_key(cells[0]) and len(cells) > 1 else [str(number), *cells]
        if number == 0 and not _is_key(cells[0]) and len(cells) > 1:
            continue  # the head of a table
        key = f"#{key.lstrip('#').lower()}" if _COLOR.fullmatch(key) and len(key) > 3 else key
        color = others[1].lower() if len(others) > 1 and _COLOR.fullmatch(others[1]) else None
        legend[key] = (others[0], color)
    return legend


def _is_key(cell: str) -> bool:
    return cell.isdigit() or _COLOR.fullmatch(cell) is not None
