"""Which files of a folder are orthophotos, heights, terrain and labels, and which belong together.

Names decide: a word like `ortho`, `ndsm` or `labels` in a file's name, or in that of a folder above
it, says what the file is; the words that are left say which tile it is of.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mfnet.model.errors import DataMissing
from mfnet.model.raster.vectors.polygon_formats import SUFFIXES
from mfnet.training.datasets.sources.folder_manifest import Kind

_LABELS = (
    "label labels truth gt groundtruth mask masks msk lbl class classes classification annotation "
    "annotations landcover reference"
)
_HEIGHT = "ndsm dsm dom ndom ndhm chm agl height heights elevation elev surface"
_ORTHO = (
    "ortho orthophoto orthophotos orthomosaic mosaic rgb rgbi irrg cir image images img imgs dop "
    "tdop top aerial photo"
)
WORDS: dict[Kind, frozenset[str]] = {
    "labels": frozenset(_LABELS.split()),
    "dtm": frozenset({"dtm", "dgm", "terrain"}),
    "height": frozenset(_HEIGHT.split()),
    "ortho": frozenset(_ORTHO.split()),
}
"""Words that say what a file is; the first kind that one of them names counts."""

RASTERS = (".tif", ".tiff")
_PLAIN_VECTORS = (".gpkg", ".geojson", ".shp", ".fgb")
_TOLD_EVERY = 1000

Progress = Callable[[int], None]
"""Called with the number of files looked at."""


@dataclass(frozen=True)
class FoundTile:
    """The files of a tile, relative to the folder.

    Attributes:
        name: What the names of its files have in common.
        files: By kind; orthophoto, height and labels at least.
    """

    name: str
    files: dict[Kind, Path]


@dataclass(frozen=True)
class FoundTiles:
    """What a folder holds.

    Attributes:
        tiles: Those that are whole, by name.
        incomplete: Of each other tile, what it lacks.
        unknown: Rasters whose names say nothing.
    """

    tiles: tuple[FoundTile, ...]
    incomplete: dict[str, tuple[Kind, ...]]
    unknown: tuple[Path, ...]


def find_tiles(folder: Path, progress: Progress = lambda count: None) -> FoundTiles:
    """Looks through a folder and the folders in it.

    Args:
        folder: Where.
        progress: Hears of the files looked at, every thousand.

    Raises:
        DataMissing: There is no tile with an orthophoto, heights and labels.
    """
    groups: dict[str, dict[Kind, Path]] = {}
    unknown = []
    shared: Path | None = None
    for path in sorted(_files(folder, progress)):
        kind, name = kind_and_name(path)
        if path.suffix.lower() in SUFFIXES:
            if kind != "labels" and path.suffix.lower() not in _PLAIN_VECTORS:
                continue  # of the many things that JSON and archives hold
            if kind in (None, "labels") and not name:
                shared = path  # one file with the polygons of all tiles
                continue
            kind = "labels"
        if kind is None:
            unknown.append(path)
        else:
            groups.setdefault(name, {}).setdefault(kind, path)
    if shared is not None:
        for files in groups.values():
            files.setdefault("labels", shared)
    needed: tuple[Kind, ...] = ("ortho", "height", "labels")
    lacking = {
        name: tuple(kind for kind in needed if kind not in files) for name, files in groups.items()
    }
    tiles = [FoundTile(name or "tile", groups[name]) for name in groups if not lacking[name]]
    incomplete = {name: kinds for name, kinds in lacking.items() if kinds}
    if not tiles:
        raise DataMissing(_nothing(folder, incomplete, unknown), folder=str(folder))
    return FoundTiles(tuple(tiles), incomplete, tuple(unknown))


def kind_and_name(path: Path) -> tuple[Kind | None, str]:
    """What a file is by its name, or by its folders' from the nearest on; and of which tile."""
    parts = [*path.parent.parts, path.stem]
    words = [[word for word in re.split(r"[^0-9a-zA-Z]+", part) if word] for part in parts]
    kind: Kind | None = None
    for place in reversed(range(len(words))):
        found = _kind(words[place])
        if kind is None and found is not None:
            kind = found
        # Words that say the kind, here or above, say nothing of the tile.
        words[place] = [word for word in words[place] if not _kind([word])]
    return kind, "_".join("-".join(part) for part in words if part)


def _kind(words: list[str]) -> Kind | None:
    folded = {word.casefold() for word in words}
    return next((kind for kind, known in WORDS.items() if folded & known), None)


def _files(folder: Path, progress: Progress) -> Iterator[Path]:
    """Rasters and vector files, relative to the folder; a hundred thousand take a second or two."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            count += 1
            if count % _TOLD_EVERY == 0:
                progress(count)
            if Path(name).suffix.lower() in (*RASTERS, *SUFFIXES) and not name.startswith("."):
                yield Path(place, name).relative_to(folder)


def _nothing(folder: Path, incomplete: dict[str, tuple[Kind, ...]], unknown: list[Path]) -> str:
    said = f"{folder} holds no tile with an orthophoto, heights and labels"
    if incomplete:
        name, kinds = next(iter(incomplete.items()))
        said += f"; tile {name or 'tile'!r} lacks {' and '.join(kinds)}"
    if unknown:
        said += f"; the name of {unknown[0]} does not say what it is"
    return (
        f"{said}. Call the files, or their folders, so: a_ortho.tif, a_ndsm.tif, a_labels.tif; or "
        f"list them in {folder / 'tiles.csv'} with the columns name, ortho, height, dtm, labels"
    )
