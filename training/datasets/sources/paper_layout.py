"""What published data sets have in common: tiles by id in files of one size, a fixed split."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from rasterio.io import DatasetReader

from mfnet.model.classes import ClassScheme
from mfnet.model.errors import DataMismatch, DataMissing
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.training.config.data import PaperRecipe
from mfnet.training.datasets.readers.label_encoding import Encoding
from mfnet.training.datasets.readers.label_rasters import (
    LabelRaster,
    Place,
    absent_classes,
    require_two_classes,
    survey,
)
from mfnet.training.datasets.readers.open_files import OpenFiles, open_raster
from mfnet.training.datasets.readers.tile_files import FileTile, PlainRasters
from mfnet.training.datasets.splitting.subset import share_of
from mfnet.training.datasets.tiles.class_census import Census
from mfnet.training.datasets.tiles.interface import Area, Pool, Splits

SAME_PLACE_PX = 0.5
"""How far the corners of files that name their place may lie apart."""


@dataclass(frozen=True)
class TilePaths:
    """The files of a tile.

    Attributes:
        name: Of the tile, for people.
        ortho: The orthophoto.
        heights: One band.
        labels: To learn from.
        scored: To be measured by: labels with eroded borders, where a data set has them.
    """

    name: str
    ortho: Path
    heights: Path
    labels: Path
    scored: Path

    def all(self) -> tuple[Path, ...]:
        """Each file once."""
        return tuple(dict.fromkeys((self.ortho, self.heights, self.labels, self.scored)))


@dataclass(frozen=True)
class PaperSplit:
    """Ids of tiles: the authors' for training and testing, ours for validation.

    Attributes:
        train: In the authors' order.
        validation: Some of them.
        test: The authors' others.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def read_split(name: str) -> PaperSplit:
    """The split of a data set, from `training/datasets/splits`."""
    text = (package_files("mfnet.training.datasets") / "splits" / f"{name}.json").read_text()
    found = json.loads(text)
    return PaperSplit(*(tuple(found[part]) for part in ("train", "validation", "test")))


class PaperData:
    """How a published data set lies on the disk.

    Args:
        scheme: Its classes.
        data: The recipe's table.
        bands: Three of the orthophotos' bands, counted from 1.
        paths: The files of an id.
        rasters: How the orthophoto and heights of a tile are read.
        encoding: How the labels of a tile say classes.
        all_labelled: A tile without any label is an error, and not merely worth a remark.
        split: Which tiles are for what; left out, what `training/datasets/splits` says.
    """

    def __init__(
        self,
        scheme: ClassScheme,
        data: PaperRecipe,
        *,
        bands: tuple[int, ...],
        paths: Callable[[str], TilePaths],
        rasters: Callable[[TilePaths, OpenFiles], PlainRasters],
        encoding: Callable[[TilePaths], Encoding],
        all_labelled: bool = True,
        split: PaperSplit | None = None,
    ) -> None:
        self.scheme = scheme
        self._data = data
        self._bands = bands
        self._all_labelled = all_labelled
        self._paths = paths
        self._rasters = rasters
        self._encoding = encoding
        self._files = OpenFiles()
        self._split = split or read_split(data.kind)

    def open(self, window_px: int, threads: int) -> Splits:
        """Checks all files and all labels; see `open_data`."""
        split = self._split
        ids = split.train
        if self._data.validation == "apart":
            ids = tuple(name for name in ids if name not in split.validation)
        ids = tuple(share_of(ids, self._data.share, self._data.share_seed))
        used = tuple(dict.fromkeys((*ids, *split.validation, *split.test)))
        require_files(path for name in used for path in self._paths(name).all())
        for name in used:
            paths = self._paths(name)
            check_tile(paths, self._bands, self._encoding(paths).bands, window_px)
        train, remarks = self._pool(self._tiles(ids, scored=False), threads)
        assert train.census is not None
        require_two_classes(train.census, self.scheme)
        remarks = [*remarks, *absent_classes(train.census, self.scheme)]
        validation, more = self._pool(self._tiles(split.validation, scored=True), threads)
        test, rest = self._pool(self._tiles(split.test, scored=True), threads)
        return Splits(
            self.scheme,
            train,
            validation,
            test=lambda: test.areas,
            remarks=(*remarks, *more, *rest),
        )

    def _tiles(self, ids: Iterable[str], *, scored: bool) -> list[FileTile]:
        tiles = []
        for name in ids:
            paths = self._paths(name)
            height, width = self._files.shape(paths.ortho)
            path = paths.scored if scored else paths.labels
            labels = LabelRaster(path, self._encoding(paths), self.scheme, self._files)
            rasters = self._rasters(paths, self._files)
            tiles.append(FileTile(paths.name, height, width, rasters, labels))
        return tiles

    def _pool(self, tiles: Sequence[FileTile], threads: int) -> tuple[Pool, list[str]]:
        areas = [Area.whole(tile) for tile in tiles]
        places = [Place(t.labels, a.window, t.valid) for t, a in zip(tiles, areas, strict=True)]
        found = survey(places, self.scheme, threads=threads, whole=self._all_labelled)
        pool = Pool(
            areas,
            self.scheme,
            augmentation=self._data.augmentation,
            sampling=self._data.sampling,
            census=Census(found.cells, [place.size for place in places]),
        )
        return pool, found.remarks


def require_files(paths: Iterable[Path]) -> None:
    """Refuses a data set with missing files, DataMissing: names the first, and how many more."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataMissing(
            f"{missing[0]}{more}: no such file; expected the files as their owners hand them out, "
            "as docs/reference/data-sets.md lists them: is data.folder the right one?",
            file=str(missing[0]),
            missing=len(missing),
        )


def check_tile(
    paths: TilePaths, bands: Sequence[int], label_bands: Sequence[int], window_px: int
) -> None:
    """Opens a tile's files and compares them.

    Args:
        paths: The files.
        bands: Of the orthophoto that are wanted.
        label_bands: Of the labels that are wanted.
        window_px: What no tile may be smaller than.

    Raises:
        RasterUnreadable: One cannot be opened.
        DataMismatch: They have different sizes or places, too few bands, or are too small.
    """
    with gdal(paths.ortho), open_raster(paths.ortho) as ortho:
        if min(ortho.shape) < window_px:
            raise DataMismatch(
                f"{paths.ortho.name} has {ortho.height} × {ortho.width} pixels; expected at least "
                f"network.window_px, {window_px}, a side",
                file=paths.ortho.name,
            )
        _check_bands(ortho, paths.ortho, bands)
        for path in paths.all()[1:]:
            with gdal(path), open_raster(path) as other:
                _check_like(other, ortho, path, paths.ortho)
                _check_bands(other, path, (1,) if path == paths.heights else label_bands)


def _check_bands(raster: DatasetReader, path: Path, bands: Sequence[int]) -> None:
    if raster.count < max(bands):
        raise DataMismatch(
            f"{path.name} has {raster.count} bands; expected {max(bands)} at least",
            file=path.name,
            bands=raster.count,
        )


def _check_like(other: DatasetReader, ortho: DatasetReader, path: Path, ortho_path: Path) -> None:
    if other.shape != ortho.shape:
        raise DataMismatch(
            f"{path.name} has {other.height} × {other.width} pixels, {ortho_path.name} "
            f"{ortho.height} × {ortho.width}; expected the same",
            file=path.name,
        )
    if not all(r.transform.determinant and not r.transform.is_identity for r in (other, ortho)):
        return  # one does not say where it lies
    for corner in ((0, 0), (ortho.width, ortho.height)):
        there = ~ortho.transform * (other.transform * corner)
        if max(abs(a - b) for a, b in zip(there, corner, strict=True)) > SAME_PLACE_PX:
            raise DataMismatch(
                f"{path.name} lies elsewhere than {ortho_path.name}; expected the same grid",
                file=path.name,
            )
