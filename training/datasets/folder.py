"""A folder of one's own labelled tiles, as its manifest says."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rasterio.windows import Window
from shapely import STRtree, box

from model.classes import NODATA, ClassScheme
from model.download import sha256_of
from model.errors import BadManifest, DataMismatch, DataMissing
from model.raster.grid import Grid
from model.raster.pair import RasterPair
from training.datasets.base import Area, Pool, Splits
from training.datasets.blocks import ENDS, End, blocks, draw_ends
from training.datasets.census import Census
from training.datasets.encoding import Numbers
from training.datasets.files import OpenFiles
from training.datasets.labels import Labels, Place, require_two_classes, survey
from training.datasets.manifest import Kind, Manifest, TileEntry, class_value, read_manifest
from training.datasets.placed import PairRasters, PlacedLabels
from training.datasets.polygons import PolygonLabels, Polygons, read_polygons
from training.datasets.recipe import FolderRecipe
from training.datasets.share import share_of
from training.datasets.tile import FileTile

OPEN_TILES = 16
"""Tiles that stay open a thread; each has up to four files."""


@dataclass(frozen=True)
class PlacedTile:
    """A tile, and where it lies.

    Attributes:
        tile: The tile.
        grid: The orthophoto's.
        pinned: What the manifest says that it is for.
    """

    tile: FileTile
    grid: Grid
    pinned: End | None


@dataclass(frozen=True)
class Part:
    """A tile or a block of one, and what it is for."""

    end: End
    tile: FileTile
    window: Window


def open_folder(data: FolderRecipe, window_px: int, threads: int) -> Splits:
    """Opens each tile, draws what is for what, and looks through all labels."""
    folders = [Folder(path) for path in (data.folder, *data.also)]
    scheme = _one_scheme(folders)
    parts: list[Part] = []
    remarks: list[str] = []
    for folder in folders:
        with ThreadPoolExecutor(max(1, threads)) as pool:
            tiles = list(pool.map(folder.tile, folder.manifest.tiles))
        drawn = draw_parts(tiles, folder.manifest, window_px)
        remarks += [] if folder.manifest.split.by == "block" else neighbours(tiles, drawn)
        parts += drawn
    by_tile = all(folder.manifest.split.by == "tile" for folder in folders)
    pools = {}
    for end in ENDS:
        some = [part for part in parts if part.end == end]
        pools[end], more = _pool(some, scheme, data, threads, by_tile=by_tile)
        remarks += more
    assert pools["train"].census is not None
    require_two_classes(pools["train"].census, scheme)
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
        self._numbers = Numbers(self.manifest.values())
        self._files = OpenFiles(OPEN_TILES)
        rules = self.manifest.labels
        self._background = (
            NODATA if rules.background is None else class_value(self.scheme, rules.background)
        )
        self._polygons = self._read_polygons()

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
        with RasterPair.open(ortho, height, dtm=dtm) as pair:
            grid = pair.grid
        truth = self._labels(labels, grid)
        truth.read(Window(0, 0, 1, 1))  # opens it, and so finds out where it lies
        white = entry.white or self.manifest.white
        rasters = PairRasters(ortho, height, dtm, white, self._files)
        tile = FileTile(entry.name, grid.height, grid.width, rasters, truth)
        return PlacedTile(tile, grid, entry.split)

    def _file(self, entry: TileEntry, kind: Kind, path: Path | None) -> Path:
        if path is None:
            raise DataMissing(
                f"tile {entry.name!r} has no {kind}; expected the path of a file",
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
                "file was altered since the manifest was written",
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
        """Each GeoPackage once, however many tiles it serves."""
        rules = self.manifest.labels
        paths = {self.path / t.labels for t in self.manifest.tiles if t.labels is not None}
        return {
            path: read_polygons(path, rules.layer, rules.column, self.scheme)
            for path in sorted(paths)
            if path.suffix.lower() == ".gpkg" and path.is_file()
        }


def draw_parts(tiles: Sequence[PlacedTile], manifest: Manifest, window_px: int) -> list[Part]:
    """Says what each tile, or each block of a tile, is for.

    A block of a tile that is pinned is for what its tile is.

    Raises:
        BadManifest: Nothing is left for one end, or blocks are smaller than a window.
        DataMismatch: A tile is smaller than a window.
    """
    rules = manifest.split
    if rules.by == "block" and rules.block_px - rules.margin_px < window_px:
        raise BadManifest(
            f"split.block_px is {rules.block_px}, split.margin_px {rules.margin_px}; expected "
            f"blocks of at least network.window_px, {window_px}, without the margin"
        )
    cut: list[tuple[PlacedTile, Window]] = []
    for placed in tiles:
        height, width = placed.grid.height, placed.grid.width
        if min(height, width) < window_px:
            raise DataMismatch(
                f"tile {placed.tile.name!r} has {height} × {width} pixels; expected at least "
                f"network.window_px, {window_px}, a side",
                tile=placed.tile.name,
            )
        whole = [Window(0, 0, width, height)]
        by_block = rules.by == "block" and placed.pinned is None
        windows = blocks(height, width, rules.block_px, rules.margin_px) if by_block else whole
        cut += [(placed, window) for window in windows]
    pinned = [placed.pinned for placed, _ in cut]
    ends = draw_ends(len(cut), pinned, (rules.validation, rules.test), rules.seed)
    return [Part(end, p.tile, window) for end, (p, window) in zip(ends, cut, strict=True)]


def neighbours(tiles: Sequence[PlacedTile], parts: Sequence[Part]) -> list[str]:
    """Remarks on tiles that show the same ground and are for different ends."""
    shapes = [box(*_bounds(placed.grid)) for placed in tiles]
    first, second = STRtree(shapes).query(shapes, predicate="overlaps")
    ends = {part.tile.name: part.end for part in parts}
    remarks = []
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        a, b = tiles[one], tiles[other]
        names = a.tile.name, b.tile.name
        if one < other and a.grid.crs == b.grid.crs and ends[names[0]] != ends[names[1]]:
            remarks.append(
                f"tiles {names[0]} ({ends[names[0]]}) and {names[1]} ({ends[names[1]]}) overlap: "
                "what is learned from one is known of the other, and accuracy looks too good"
            )
    return remarks


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    corners = [
        grid.transform * corner
        for corner in ((0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height))
    ]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


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


def _pool(
    parts: Sequence[Part], scheme: ClassScheme, data: FolderRecipe, threads: int, *, by_tile: bool
) -> tuple[Pool, list[str]]:
    """The pool of some parts; blocks without a label are left out."""
    places = [Place(part.tile.labels, part.window, part.tile.valid) for part in parts]
    found = survey(places, scheme, threads=threads, whole=by_tile)
    kept = [index for index, cells in enumerate(found.cells) if cells.any()]
    if not kept:
        raise BadManifest(
            f"none of the {len(parts)} blocks for {parts[0].end} has a label; expected another "
            "split.seed, larger shares, or tiles that say what they are for (split = ...)"
        )
    if parts[0].end == "train":
        kept = share_of(kept, data.share, data.share_seed)
    pool = Pool(
        [Area(parts[index].tile, parts[index].window) for index in kept],
        scheme,
        augmentation=data.augmentation,
        sampling=data.sampling,
        census=Census([found.cells[index] for index in kept], [places[i].size for i in kept]),
    )
    return pool, found.remarks
