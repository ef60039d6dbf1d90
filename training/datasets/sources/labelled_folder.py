"""A folder of one's own labelled tiles, as its manifest says."""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.transform import array_bounds
from rasterio.windows import Window

from mfnet.model.classes import ClassScheme
from mfnet.model.config import halvings_to
from mfnet.model.errors import (
    BadLabels,
    BadManifest,
    BadPolygons,
    DataMismatch,
    DataMissing,
    InputError,
)
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.vectors.polygon_formats import SUFFIXES, is_polygons
from mfnet.model.weights.file_hash import sha256_of
from mfnet.training.config.data import FolderRecipe
from mfnet.training.datasets.readers.georeferenced import PairRasters
from mfnet.training.datasets.readers.georeferenced_labels import PlacedLabels
from mfnet.training.datasets.readers.label_encoding import Numbers
from mfnet.training.datasets.readers.label_polygons import PolygonLabels, Polygons, read_polygons
from mfnet.training.datasets.readers.label_rasters import (
    Labels,
    Place,
    absent_classes,
    require_two_classes,
    survey,
)
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import FileTile
from mfnet.training.datasets.sources.folder_manifest import (
    NAME,
    Kind,
    Manifest,
    TileEntry,
    read_manifest,
)
from mfnet.training.datasets.splitting.leakage import Ground, overlaps
from mfnet.training.datasets.splitting.spatial_blocks import (
    ENDS,
    FEWEST,
    End,
    blocks,
    draw_ends,
    ends_by_key,
)
from mfnet.training.datasets.splitting.subset import share_of
from mfnet.training.datasets.tiles.class_census import Census
from mfnet.training.datasets.tiles.interface import Area, Pool, Splits

OPEN_TILES = 16
"""Tiles that stay open a thread; each has up to four files."""


@dataclass(frozen=True)
class PlacedTile:
    """A tile, and where it lies.

    Attributes:
        tile: The tile.
        grid: The orthophoto's.
        pinned: What the manifest says that it is for.
        ground: The orthophoto's sha256 where the manifest says it, else its path: the same for
            tiles that show the same.
        remarks: On how its rasters are read.
    """

    tile: FileTile
    grid: Grid
    pinned: End | None
    ground: str
    remarks: Sequence[Remark] = ()


@dataclass(frozen=True)
class Part:
    """A tile or a block of one, and what it is for.

    Attributes:
        end: What it is for.
        tile: The tile.
        grid: The tile's.
        window: The block; all of the tile where it is not cut.
        cells: Where its labels are, as `count_cells` returns them.
    """

    end: End
    tile: FileTile
    grid: Grid
    window: Window
    cells: NDArray[np.uint16]


def open_folder(
    data: FolderRecipe, window_px: int, threads: int, seen_at_m: float | None = None
) -> Splits:
    """Opens each tile, looks through all labels, and draws what is for what."""
    folders = [Folder(path) for path in (data.folder, *data.also)]
    scheme = _one_scheme(folders)
    parts: list[Part] = []
    remarks: list[str] = []
    for folder in folders:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            tiles = list(pool.map(folder.tile, folder.manifest.tiles))
        _require_polygons_on_tiles(tiles)
        remarks += [*folder.remarks, *_reading_remarks(tiles)]
        drawn, more = draw_parts(tiles, folder.manifest, window_px, threads)
        remarks += more
        parts += drawn
    if not parts:
        raise BadLabels(
            f"not one pixel of the tiles is labelled; expected some of {', '.join(scheme.names)}"
        )
    remarks += _shared_ground(parts)
    pools = {
        end: _pool([part for part in parts if part.end == end], scheme, data, seen_at_m)
        for end in ENDS
    }
    if not pools["validation"].areas:
        remarks.append(
            f"nothing is kept for validation, which takes {FEWEST} blocks with labels: no model is "
            "chosen, and no temperature fitted"
        )
    assert pools["train"].census is not None
    require_two_classes(pools["train"].census, scheme)
    remarks += absent_classes(pools["train"].census, scheme)
    test = pools["test"].areas
    return Splits(
        scheme,
        pools["train"],
        pools["validation"],
        test=lambda: test,
        remarks=tuple(remarks),
    )


class Folder:
    """A manifest, and what its tiles share."""

    def __init__(self, path: Path) -> None:
        """Reads the manifest; raises as `read_manifest` does."""
        self.path = path
        self.manifest: Manifest = read_manifest(path)
        self.scheme: ClassScheme = self.manifest.scheme()
        self._numbers = Numbers(
            self.manifest.values(), ignore=f"ignore = [{{}}] under [labels] of {NAME}"
        )
        self._files = OpenFiles(OPEN_TILES)
        self._background = self.manifest.background()
        self._polygons = self._read_polygons()
        self.remarks = [told for each in self._polygons.values() for told in each.remarks]

    def tile(self, entry: TileEntry) -> PlacedTile:
        """Opens and checks a tile.

        Raises:
            DataMissing: It has no heights or labels, or a file is not there.
            DataMismatch: Its files do not belong together.
            InputError: What `RasterPair.open` refuses.
        """
        ortho = self._file(entry, "ortho", entry.ortho)
        height = self._file(entry, "height", entry.height)
        labels = self._file(entry, "labels", entry.labels)
        dtm = None if entry.dtm is None else self._file(entry, "dtm", entry.dtm)
        options = self.manifest.options(entry)
        try:
            with RasterPair.open(ortho, height, dtm=dtm, options=options) as pair:
                grid, decisions = pair.grid, pair.decisions.without_sample()
                remarks = pair.report.remarks
        except InputError as error:
            raise _as_manifest_says(error, entry.name) from error
        truth = self._labels(labels, grid)
        truth.read(Window(0, 0, 1, 1))  # opens it, and so finds out where it lies
        rasters = PairRasters(ortho, height, dtm, options, decisions, self._files)
        tile = FileTile(entry.name, grid.height, grid.width, rasters, truth)
        ground = entry.sha256.get("ortho", entry.ortho.as_posix())
        return PlacedTile(tile, grid, entry.split, ground, remarks)

    def _file(self, entry: TileEntry, kind: Kind, path: Path | None) -> Path:
        if path is None:
            raise DataMissing(
                f"{NAME}: tile {entry.name!r} has no {kind}; expected {kind} = "
                '"PATH" in its table, relative to the manifest',
                tile=entry.name,
                lacking=kind,
            )
        whole = self.path / path
        if not whole.is_file():
            raise DataMissing(
                f"tile {entry.name!r}: its {kind} {whole} is no file; expected a path relative to "
                f"{self.path}",
                tile=entry.name,
                file=str(whole),
            )
        expected = entry.sha256.get(kind)
        if expected is not None and (found := sha256_of(whole)) != expected:
            raise DataMismatch(
                f"tile {entry.name!r}: its {kind} has sha256 {found}; expected {expected}: the "
                f"file was altered since the manifest was written; if that is right, say {kind} = "
                f'"{found}" in the tile\'s sha256 in {NAME}',
                tile=entry.name,
                file=str(whole),
            )
        return whole

    def _labels(self, path: Path, grid: Grid) -> Labels:
        polygons = self._polygons.get(path)
        if polygons is not None:
            return PolygonLabels(polygons, grid, self._background)
        return PlacedLabels(path, grid, self._numbers, self.scheme, self._files)

    def _read_polygons(self) -> dict[Path, Polygons]:
        """Each vector file once, however many tiles it serves."""
        rules = self.manifest.labels
        paths = {self.path / t.labels for t in self.manifest.tiles if t.labels is not None}
        try:
            return {
                path: read_polygons(path, rules.layer, rules.column, self.scheme)
                for path in sorted(paths)
                if path.is_file() and (path.suffix.lower() in SUFFIXES or is_polygons(path))
            }
        except BadPolygons as error:
            raise _as_rules_say(error) from error


def _as_rules_say(error: BadPolygons) -> BadPolygons:
    """The refusal of polygons; an option of `mfnet correct` is a key of the manifest."""
    option, value = error.params.get("option"), str(error.params.get("nearest"))
    key = f"{option} = {json.dumps(value, ensure_ascii=False)} under [labels] of {NAME}"
    message = error.message.replace(f"--{option} {quote(value)}", key)
    return type(error)(message, **error.params)


def _as_manifest_says(error: InputError, tile: str) -> InputError:
    """The refusal of a tile's rasters; an option of the command line is a key of the manifest."""

    def key(option: re.Match[str]) -> str:
        name = option.group(1).replace("-", "_")
        return name if name == "dtm" else f"reading.{name}"

    message = re.sub(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)", key, error.message)
    return type(error)(f"tile {tile!r}: {message}", **error.params, tile=tile)


def _require_polygons_on_tiles(tiles: Sequence[PlacedTile]) -> None:
    """Refuses a file whose polygons lie on not one of the tiles that it serves, DataMismatch."""
    served: dict[Path, list[PlacedTile]] = {}
    for placed in tiles:
        if isinstance(placed.tile.labels, PolygonLabels):
            served.setdefault(placed.tile.labels.path, []).append(placed)
    for path, group in served.items():
        labels = [each.tile.labels for each in group]
        if any(isinstance(each, PolygonLabels) and each.touching() for each in labels):
            continue
        first = labels[0]
        assert isinstance(first, PolygonLabels)
        shapes, grid = first.polygons.shapes, group[0].grid
        there = ", ".join(f"{edge:.6g}" for edge in shapely.total_bounds(shapes).tolist())
        tile = array_bounds(grid.height, grid.width, grid.transform)
        here = ", ".join(f"{edge:.6g}" for edge in tile)
        raise DataMismatch(
            f"{path.name}: its polygons lie on none of {len(group)} tiles: they lie between "
            f"{there} of {first.polygons.crs}, tile {group[0].tile.name!r} between {here} of "
            f"{grid.crs} (west, south, east, north); expected polygons on the tiles: is it the "
            "right file, and was it exported in the CRS that it says?",
            file=path.name,
        )


def _reading_remarks(tiles: Sequence[PlacedTile]) -> list[str]:
    """How the tiles' rasters are read: once a kind of remark, with the first tile as an example."""
    found: dict[str, dict[int, str]] = {}
    for number, placed in enumerate(tiles):
        for remark in placed.remarks:
            found.setdefault(remark.code, {}).setdefault(number, remark.message)
    return [_with_others(list(messages.values())) for messages in found.values()]


def _with_others(messages: Sequence[str]) -> str:
    """The first of the messages, and on how many more tiles there is one."""
    if len(messages) == 1:
        return messages[0]
    return f"{messages[0]} (and {len(messages) - 1} more tiles)"


def draw_parts(
    tiles: Sequence[PlacedTile], manifest: Manifest, window_px: int, threads: int
) -> tuple[list[Part], list[str]]:
    """Says what each tile, or each block of a tile, that has labels is for; and remarks.

    A tile that is pinned stays whole, and so do all where no block is kept from training.

    Raises:
        BadManifest: Nothing is left for one end, or blocks are smaller than a window.
        DataMismatch: A tile is smaller than a window.
        BadLabels: A file has unknown values, or a tile that is not to be cut no label.
    """
    parts, remarks = _drawn(_cut(tiles, manifest, window_px), manifest, threads)
    if manifest.split.by == "block" and all(part.end == "train" for part in parts):
        # Nothing lies beside it, so no margin is needed: it may hold the only labels.
        whole = [(placed, _whole(placed)) for placed in tiles]
        parts, remarks = _drawn(whole, manifest, threads)
    return parts, remarks


def _drawn(
    cut: Sequence[tuple[PlacedTile, Window]], manifest: Manifest, threads: int
) -> tuple[list[Part], list[str]]:
    """What of all this has labels, each for its end; and remarks."""
    rules = manifest.split
    places = [Place(placed.tile.labels, window, placed.tile.valid) for placed, window in cut]
    found = survey(places, manifest.scheme(), threads=threads, whole=rules.by == "tile")
    labelled = [
        (placed, window, cells)
        for (placed, window), cells in zip(cut, found.cells, strict=True)
        if cells.any()
    ]
    pinned = [placed.pinned for placed, _, _ in labelled]
    shares = rules.validation, rules.test
    if rules.by == "tile":
        ends = draw_ends(len(labelled), pinned, shares, rules.seed)
    else:
        keys = [f"{p.ground} {window.row_off} {window.col_off}" for p, window, _ in labelled]
        ends = ends_by_key(keys, pinned, shares, rules.seed)
    parts = [
        Part(end, placed.tile, placed.grid, window, cells)
        for end, (placed, window, cells) in zip(ends, labelled, strict=True)
    ]
    return parts, found.remarks


def _cut(
    tiles: Sequence[PlacedTile], manifest: Manifest, window_px: int
) -> list[tuple[PlacedTile, Window]]:
    """Each tile whole, or in blocks."""
    rules = manifest.split
    if rules.by == "block" and rules.block_px - rules.margin_px < window_px:
        raise BadManifest(
            f"split.block_px is {rules.block_px}, split.margin_px {rules.margin_px}; expected "
            f"blocks of at least network.window_px, {window_px}, without the margin: block_px = "
            f"{window_px + rules.margin_px} under [split] of {NAME}"
        )
    cut: list[tuple[PlacedTile, Window]] = []
    for placed in tiles:
        height, width = placed.grid.height, placed.grid.width
        if min(height, width) < window_px:
            raise DataMismatch(
                f"tile {placed.tile.name!r} has {height} × {width} pixels; expected at least "
                f"network.window_px, {window_px}, a side: leave it out of {NAME}, or join it to "
                "its neighbours with gdalwarp",
                tile=placed.tile.name,
            )
        by_block = rules.by == "block" and placed.pinned is None
        even = blocks(height, width, rules.block_px, rules.margin_px)
        cut += [(placed, window) for window in (even if by_block else [_whole(placed)])]
    return cut


def _whole(placed: PlacedTile) -> Window:
    return Window(0, 0, placed.grid.width, placed.grid.height)


def _one_scheme(folders: Sequence[Folder]) -> ClassScheme:
    """The classes of all folders; BadManifest where they differ."""
    first = folders[0]
    for folder in folders:
        if folder.scheme.names != first.scheme.names:
            raise BadManifest(
                f"{first.path} has the classes {', '.join(first.scheme.names)}, {folder.path} "
                f"{', '.join(folder.scheme.names)}; expected the same in the same order"
            )
    return first.scheme


def _shared_ground(parts: Sequence[Part]) -> list[str]:
    """Remarks on tiles of all folders that overlap and are for different ends."""
    return overlaps([Ground(id(p.tile), p.tile.name, p.end, p.grid, p.window) for p in parts])


def _halvings(grid: Grid, seen_at_m: float | None) -> int:
    """How often a tile's pixels are halved in number for the network."""
    return 0 if seen_at_m is None or grid.gsd_m is None else halvings_to(seen_at_m, grid.gsd_m)


def _pool(
    parts: Sequence[Part], scheme: ClassScheme, data: FolderRecipe, seen_at_m: float | None
) -> Pool:
    """The pool of all parts for one end; it may have none."""
    if parts and parts[0].end == "train":
        parts = share_of(parts, data.share, data.share_seed)
    sizes = [(part.window.height, part.window.width) for part in parts]
    return Pool(
        [Area(part.tile, part.window, _halvings(part.grid, seen_at_m)) for part in parts],
        scheme,
        augmentation=data.augmentation,
        sampling=data.sampling,
        census=Census([part.cells for part in parts], sizes) if parts else None,
    )
