"""ISPRS 2D Semantic Labeling, Potsdam: 24 tiles of 6,000 × 6,000 pixels of 5 cm."""

from pathlib import Path

from mfnet.model.classes import ISPRS
from mfnet.training.config.data import PotsdamRecipe
from mfnet.training.datasets.readers.jpeg_cache import unpacked
from mfnet.training.datasets.readers.label_encoding import Colours
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import PlainRasters, height_scale
from mfnet.training.datasets.sources.paper_layout import PaperData, TilePaths
from mfnet.training.datasets.tiles.interface import Splits

BANDS = {"rgb": (1, 2, 3), "irrg": (4, 1, 2)}
"""Of the files with red, green, blue, near infrared."""

BLURRED = frozenset({"tile 4_12", "tile 6_7"})
"""Label files with colours that are none of the scheme's: 4_12 was compressed with loss, 6_7 has
its cars in 252,255,0. Both are learned from, by their full labels. The authors' code reads what it
does not know as impervious surface."""


def open_potsdam(data: PotsdamRecipe, window_px: int, threads: int) -> Splits:
    """Four bands; heights above ground as JPEG; labels in colours."""
    cache = data.cache or data.folder / "tiled_heights"

    def paths(name: str) -> TilePaths:
        labels = data.folder / "5_Labels_for_participants"
        eroded = data.folder / "5_Labels_for_participants_no_Boundary"
        return TilePaths(
            name=f"tile {name}",
            ortho=data.folder / "4_Ortho_RGBIR" / f"top_potsdam_{name}_RGBIR.tif",
            heights=_heights(data.folder / "1_DSM_normalisation", name),
            labels=labels / f"top_potsdam_{name}_label.tif",
            scored=eroded / f"top_potsdam_{name}_label_noBoundary.tif",
        )

    def rasters(paths: TilePaths, files: OpenFiles) -> PlainRasters:
        heights = unpacked(paths.heights, cache)
        scale, metre = height_scale(data.heights, heights, files, step_m=data.height_step_m)
        return PlainRasters(paths.ortho, BANDS[data.bands], heights, scale, metre, files)

    opened = PaperData(
        ISPRS,
        data,
        bands=BANDS[data.bands],
        paths=paths,
        rasters=rasters,
        encoding=lambda paths: Colours(ISPRS, blurred=paths.name in BLURRED),
    )
    return opened.open(window_px, threads)


def _heights(folder: Path, name: str) -> Path:
    """`02_10` as the owners name the file; `2_10`, as the authors' code does, if it is that."""
    owners, authors = (
        folder / f"dsm_potsdam_{number}_normalized_lastools.jpg"
        for number in ("_".join(part.zfill(2) for part in name.split("_")), name)
    )
    return authors if authors.is_file() and not owners.is_file() else owners
