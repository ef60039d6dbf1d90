"""GeoNRW: 7,783 patches of 1,000 × 1,000 pixels of 1 m, of 43 places of North Rhine-Westphalia.

Sources, none of which was tried on the data themselves:

- folders, names, numbers and titles of the classes, places for training and test, colours (which
  are TorchGeo's): `torchgeo/datasets/geonrw.py` of github.com/microsoft/torchgeo at 09d7e81;
- owner and licence: huggingface.co/datasets/torchgeo/geonrw.

The elevation is a lidar's, in metres above the sea; whether it shows roofs and trees, or the ground
alone, is not said in any of them. So `metres` are above a patch's lowest point, not above ground.
"""

from pathlib import Path

from mfnet.model.classes import NODATA
from mfnet.model.errors import DataMissing
from mfnet.training.config.data import GeoNrwRecipe
from mfnet.training.config.published_schemes import GEONRW
from mfnet.training.datasets.readers.label_encoding import Numbers
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import PlainRasters, height_scale
from mfnet.training.datasets.sources.paper_layout import PaperData, PaperSplit, TilePaths
from mfnet.training.datasets.tiles.interface import Splits

BANDS = (1, 2, 3)
VALUES = {0: NODATA, NODATA: NODATA, **{value + 1: value for value in range(len(GEONRW))}}
"""What a stored number means; 0 is background."""

TRAINING = (
    *("aachen", "bergisch", "bielefeld", "bochum", "bonn", "borken", "bottrop", "coesfeld"),
    *("dortmund", "dueren", "duisburg", "ennepetal", "erftstadt", "essen", "euskirchen"),
    *("gelsenkirchen", "guetersloh", "hagen", "hamm", "heinsberg", "herford", "hoexter", "kleve"),
    *("koeln", "krefeld", "leverkusen", "lippetal", "lippstadt", "lotte", "moenchengladbach"),
    *("moers", "muelheim", "muenster", "oberhausen", "paderborn", "recklinghausen", "remscheid"),
    *("siegen", "solingen", "wuppertal"),
)
VALIDATION = TRAINING[9::10]
"""Every tenth place: chosen by counting. The owners have none."""
TEST = ("duesseldorf", "herne", "neuss")


def open_geonrw(data: GeoNrwRecipe, window_px: int, threads: int) -> Splits:
    """Three bands as JPEG 2000; elevation in metres; labels from 1 to 10."""

    def paths(name: str) -> TilePaths:
        city, _, corner = name.partition("/")
        stem = data.folder / city / corner
        labels = stem.with_name(f"{corner}_seg.tif")
        return TilePaths(
            f"patch {corner} of {city}",
            stem.with_name(f"{corner}_rgb.jp2"),
            stem.with_name(f"{corner}_dem.tif"),
            labels,
            labels,
        )

    def rasters(paths: TilePaths, files: OpenFiles) -> PlainRasters:
        scale, metre = height_scale(data.heights, paths.heights, files)
        return PlainRasters(paths.ortho, BANDS, paths.heights, scale, metre, files)

    opened = PaperData(
        GEONRW,
        data,
        bands=BANDS,
        paths=paths,
        rasters=rasters,
        encoding=lambda paths: Numbers(VALUES),
        all_labelled=False,
        split=_split(data.folder),
    )
    return opened.open(window_px, threads)


def _split(folder: Path) -> PaperSplit:
    """By place; all patches that are there, so that a part of them does, too."""
    train, kept, test = (_ids(folder, cities) for cities in (TRAINING, VALIDATION, TEST))
    if not kept or not test or len(train) == len(kept):
        raise DataMissing(
            f"{folder} holds {len(train) - len(kept)} patches for training, {len(kept)} for "
            f"validation ({', '.join(VALIDATION)}) and {len(test)} for the test "
            f"({', '.join(TEST)}); expected some of each, as {folder}/aachen/*_rgb.jp2: "
            "`mfnet data fetch geonrw` says where they are to be had, or is data.folder another?",
            folder=str(folder),
        )
    return PaperSplit(train, kept, test)


def _ids(folder: Path, cities: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{city}/{path.name.removesuffix('_rgb.jp2')}"
        for city in cities
        for path in sorted((folder / city).glob("*_rgb.jp2"))
    )
