"""MMHunan: 500 patches of 256 × 256 pixels of 10 m, from Sentinel-2 and SRTM."""

from collections.abc import Mapping
from pathlib import Path

from mfnet.model.classes import MMHUNAN, NODATA
from mfnet.model.errors import DataMismatch
from mfnet.training.config.data import HunanRecipe
from mfnet.training.datasets.readers.label_encoding import Numbers
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import (
    PlainRasters,
    Stretch,
    height_scale,
    value_range,
)
from mfnet.training.datasets.sources.paper_layout import PaperData, TilePaths
from mfnet.training.datasets.tiles.interface import Splits

PARTS = ("train", "val", "test", ".")
"""Folders of the owners' own split; the authors of MFNet made another, by id."""

RAW = (NODATA, 0, 1, 2, 1, 3, 4, 6, 6, 5, 6, 7, NODATA)
"""What the raw numbers 0 to 12 stand for, after the authors; 7 is none of the seven classes."""
OUTSIDE = tuple(raw for raw, value in enumerate(RAW) if len(MMHUNAN) <= value < NODATA)
VALUES: Mapping[int, int] = {
    **{raw: NODATA if raw in OUTSIDE else value for raw, value in enumerate(RAW)},
    NODATA: NODATA,
}

RGB = (4, 3, 2)
"""Red, green, blue among the bands of Sentinel-2."""


def open_mmhunan(data: HunanRecipe, window_px: int, threads: int) -> Splits:
    """Sentinel-2's bands, each brought to 8 bits by its own range; elevation; class numbers."""
    found = {kind: _by_id(data.folder, kind) for kind in ("s2", "topo", "lc")}

    def path(kind: str, name: str) -> Path:
        return found[kind].get(name, data.folder / "train" / kind / f"{kind}_{name}.tif")

    def paths(name: str) -> TilePaths:
        labels = path("lc", name)
        return TilePaths(f"patch {name}", path("s2", name), path("topo", name), labels, labels)

    opened = PaperData(
        MMHUNAN,
        data,
        bands=RGB,
        paths=paths,
        rasters=lambda paths, files: _rasters(paths, data, files),
        encoding=lambda paths: Numbers(VALUES, OUTSIDE),
        all_labelled=False,
    )
    return opened.open(window_px, threads)


def _rasters(paths: TilePaths, data: HunanRecipe, files: OpenFiles) -> PlainRasters:
    colours = tuple(
        Stretch.between(*value_range(paths.ortho, band, files), top=255) for band in RGB
    )
    scale, metre = height_scale(data.heights, paths.heights, files)
    return PlainRasters(paths.ortho, RGB, paths.heights, scale, metre, files, colours)


def _by_id(folder: Path, kind: str) -> dict[str, Path]:
    """The files of a kind, `s2_123.tif` or `123.tif`, by their id.

    Raises:
        DataMismatch: Two files have one id.
    """
    found: dict[str, Path] = {}
    for part in PARTS:
        for path in sorted((folder / part / kind).glob("*.tif")):
            name = path.stem.removeprefix(f"{kind}_")
            if name in found:
                raise DataMismatch(
                    f"{path} and {found[name]} have the same id; expected each id once",
                    file=str(path),
                )
            found[name] = path
    return found
