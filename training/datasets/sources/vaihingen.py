"""ISPRS 2D Semantic Labeling, Vaihingen: 16 tiles of about 2,500 × 2,000 pixels of 9 cm."""

from mfnet.model.classes import ISPRS
from mfnet.training.config.data import VaihingenRecipe
from mfnet.training.datasets.readers.label_encoding import Colours
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import PlainRasters, height_scale
from mfnet.training.datasets.sources.paper_layout import PaperData, TilePaths
from mfnet.training.datasets.tiles.interface import Splits

BANDS = (1, 2, 3)


def open_vaihingen(data: VaihingenRecipe, window_px: int, threads: int) -> Splits:
    """Near infrared, red, green; a surface model in metres above the sea; labels in colours."""

    def paths(name: str) -> TilePaths:
        picture = f"top_mosaic_09cm_area{name}"
        return TilePaths(
            name=f"area {name}",
            ortho=data.folder / "top" / f"{picture}.tif",
            heights=data.folder / "dsm" / f"dsm_09cm_matching_area{name}.tif",
            labels=data.folder / "gts_for_participants" / f"{picture}.tif",
            scored=data.folder / "gts_eroded_for_participants" / f"{picture}_noBoundary.tif",
        )

    def rasters(paths: TilePaths, files: OpenFiles) -> PlainRasters:
        scale, metre = height_scale(data.heights, paths.heights, files)
        return PlainRasters(paths.ortho, BANDS, paths.heights, scale, metre, files)

    opened = PaperData(
        ISPRS,
        data,
        bands=BANDS,
        paths=paths,
        rasters=rasters,
        encoding=lambda paths: Colours(ISPRS),
    )
    return opened.open(window_px, threads)
