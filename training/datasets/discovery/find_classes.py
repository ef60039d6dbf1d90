"""What the labels of tiles say: their numbers or colours, and the names that a legend gives them.

A legend is `classes.txt` or `classes.csv` in the folder: see `mfnet.model.class_legend`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.class_legend import LegendLine, read_legend
from mfnet.model.classes import ISPRS, NODATA, ClassScheme, scheme_of
from mfnet.model.errors import BadLabels, BadOption
from mfnet.model.raster.values.height_values import is_value
from mfnet.model.raster.vectors.polygon_file import Layer
from mfnet.model.raster.vectors.polygon_formats import SUFFIXES, open_polygons
from mfnet.training.datasets.readers.stored_labels import LabelFile

LEGENDS = ("classes.csv", "classes.txt", "legend.csv", "legend.txt")
COLUMNS = (
    *("class", "classname", "class_name", "klasse", "classe", "clase", "landcover", "land_cover"),
    *("label", "category", "kategorie", "type", "typ", "name", "code", "value"),
)
"""Names of a column that holds classes, the likeliest first."""
MOST = 60
"""Classes that are believed; more values are no classes."""

_ROWS = 1024

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FoundClasses:
    """The classes of some labels.

    Attributes:
        scheme: Names, titles and colours.
        values: What stored numbers mean; None where labels are colours or polygons.
        pixels: How often each class is there, by its name; polygons where labels are these.
        named: Whether a legend, the labels themselves or a known scheme gave the names.
        column: Of polygons, the one that holds the class.
    """

    scheme: ClassScheme
    values: dict[int, str] | None
    pixels: dict[str, int]
    named: bool
    column: str | None = None


def find_classes(
    folder: Path, labels: Sequence[Path], progress: Progress = lambda done, total: None
) -> FoundClasses:
    """Looks through the labels of all tiles.

    Args:
        folder: Of the tiles, where a legend may be.
        labels: Their files, relative to it.
        progress: Hears of the label rasters that were read, and of how many there are.

    Raises:
        BadLabels: Too many values to be classes; or fewer than two.
    """
    legend = _legend_of(folder)
    drawn = {path.suffix.lower() in SUFFIXES for path in labels}
    if len(drawn) > 1:
        raise BadLabels("some of the labels are rasters, some polygons; expected one kind")
    if drawn.pop():
        return _of_polygons(folder, sorted({*labels}))
    counts, declared = Counter[int](), Counter[int]()
    colours = set[bool]()
    for done, path in enumerate(labels, start=1):
        colours.add(_count(folder / path, counts, declared))
        progress(done, len(labels))
    if len(colours) > 1:
        raise BadLabels("some of the labels have numbers and some have colours; expected one kind")
    in_colours = colours.pop()
    named = {line.key for line in legend}
    unlabelled = 0 if in_colours else NODATA  # black
    found = sorted(value for value in counts if value != unlabelled)
    if not in_colours:
        # A class only if the legend says so: see `stored_labels`.
        found = sorted({*found} | {value for value in declared if str(value) in named})
    if len(found) > MOST:
        raise BadLabels(
            f"the labels have {len(found):,} different {'colours' if in_colours else 'numbers'}; "
            f"expected {MOST} classes at most: are these labels, not compressed with loss?"
        )
    if len(found) < 2:
        raise BadLabels(f"the labels have {len(found)} class; expected two at least")
    counts += declared
    return _of_colours(found, counts, legend) if in_colours else _of_numbers(found, counts, legend)


def _of_numbers(
    found: list[int], counts: Counter[int], legend: Sequence[LegendLine]
) -> FoundClasses:
    lines = {int(line.key): line for line in legend if line.key and line.key.isdecimal()}
    if legend and not lines:  # titles alone, counted from 0, or from 1 where 0 cannot be meant
        lines = dict(enumerate(legend, start=int(found[-1] == len(legend))))
    titles = {value: lines[value].title if value in lines else f"class {value}" for value in found}
    order = list(dict.fromkeys(titles.values()))  # two numbers may be one class
    colors = {lines[value].title: lines[value].color for value in found if value in lines}
    scheme = scheme_of(order, "own", [colors.get(title) for title in order])
    values = {value: scheme.names[order.index(title)] for value, title in titles.items()}
    pixels = Counter[str]()
    for value, name in values.items():
        pixels[name] += counts[value]
    return FoundClasses(scheme, values, pixels, named=bool(legend))


def _of_colours(
    found: list[int], counts: Counter[int], legend: Sequence[LegendLine]
) -> FoundClasses:
    colours = [f"#{value:06x}" for value in found]
    known = {each.color: each for each in ISPRS.classes}
    if not legend and {*colours} <= {*known}:
        pixels = {known[color].name: counts[int(color[1:], 16)] for color in colours}
        return FoundClasses(ISPRS, None, pixels, named=True)
    # A list of titles, each with a colour, means the colours of the labels.
    titles = {line.key or line.color: line.title for line in legend}
    scheme = scheme_of([titles.get(each, f"colour {each[1:]}") for each in colours], "own", colours)
    pixels = {name: counts[value] for value, name in zip(found, scheme.names, strict=True)}
    return FoundClasses(scheme, None, pixels, named=bool(legend))


def _of_polygons(folder: Path, files: Sequence[Path]) -> FoundClasses:
    counts: Counter[str] = Counter()
    column = ""
    for path in files:
        with open_polygons(folder / path) as opened:
            layer = opened.layer(None)
            column = column or _class_column(layer)
            _, named = opened.read(layer, column)
        counts.update(str(each) for each in named if each not in (None, ""))
    if len(counts) > 100 * MOST:
        raise BadLabels(
            f"the column {column!r} of the polygons has {len(counts):,} different values; expected "
            f"{MOST} classes at most: labels.column in the manifest names another column"
        )
    scheme = _scheme_of_titles(counts)
    pixels = dict.fromkeys(scheme.names, 0)
    for title, count in counts.items():
        pixels[scheme.names[scheme.find(title)]] += count
    return FoundClasses(scheme, None, pixels, named=True, column=column)


def _scheme_of_titles(counts: Counter[str]) -> ClassScheme:
    """A known scheme if all titles are its classes; else one of them, one class for all cases."""
    if not any(title.isdecimal() for title in counts):
        with suppress(BadOption):
            if len({ISPRS.find(title) for title in counts}) > 1:
                return ISPRS
    titles = sorted({title.strip().casefold(): title.strip() for title in sorted(counts)}.values())
    if not 2 <= len(titles) <= MOST:
        some = ", ".join(titles[:5])
        raise BadLabels(f"the polygons have {len(titles)} classes ({some}); expected 2 to {MOST}")
    return scheme_of(titles, "own")


def _class_column(layer: Layer) -> str:
    """The column that holds the class by its name, `class` before others."""
    names = {name.casefold(): name for name in layer.columns}
    return next((names[name] for name in COLUMNS if name in names), COLUMNS[0])


def _count(path: Path, counts: Counter[int], declared: Counter[int]) -> bool:
    """Adds the pixels of a raster by number or packed colour; whether they are colours.

    Args:
        path: Of the raster.
        counts: What labels a pixel.
        declared: What the file says is nodata.
    """
    file = LabelFile(path)
    try:
        wanted = (1, 2, 3) if len(file.bands) >= 3 else (1,)
        rows, columns = file.shape
        for row in range(0, rows, _ROWS):
            stored = file.read(Window(0, row, columns, min(_ROWS, rows - row)), wanted)
            bands = zip(stored.values, stored.nodata, strict=True)
            empty = np.logical_and.reduce([is_value(band, nodata) for band, nodata in bands])
            packed = _packed(stored.values)
            shown = stored.shown & np.isfinite(packed)
            _add(counts, packed[shown & ~empty], path.name)
            _add(declared, packed[shown & empty & (packed >= 0)], path.name)
        return len(wanted) == 3
    finally:
        file.close()


def _packed(values: NDArray[Any]) -> NDArray[Any]:
    """One number a pixel, (h, w): the only band, or red, green and blue."""
    if len(values) == 1:
        only: NDArray[Any] = values[0]
        return only
    red, green, blue = values.astype(np.int64)
    packed: NDArray[np.int64] = red << 16 | green << 8 | blue
    return packed


def _add(counts: Counter[int], values: NDArray[Any], name: str) -> None:
    numbers, pixels = np.unique(values, return_counts=True)
    odd = next((number for number in numbers if number != round(number) or number < 0), None)
    if odd is not None:
        raise BadLabels(f"{name} has the number {odd:g}; expected whole numbers from 0 upwards")
    if len(numbers) > 100 * MOST:
        raise BadLabels(
            f"{name} has {len(numbers):,} different values; expected {MOST} classes at most: are "
            "these labels, not compressed with loss?"
        )
    counts.update({int(n): int(count) for n, count in zip(numbers, pixels, strict=True)})


def _legend_of(folder: Path) -> tuple[LegendLine, ...]:
    path = next((folder / name for name in LEGENDS if (folder / name).is_file()), None)
    return () if path is None else read_legend(path)
