"""DFC2019 (US3D), track 1: 2,783 satellite views of 1,024 × 1,024 pixels of about 0.3 m.

Sources, none of which was tried on the data themselves:

- names of archives and files: `track1/README.md` and `track1/unets/params.py` of
  github.com/pubgeo/dfc2019, the owners', at 9200943 and d461ddd; class numbers: the latter;
- that names are CITY_LOCATION_VIEW, and that each view's labels lie in its own geometry, nowhere on
  the ground: notes of users who looked at the files.

The owners hand out no labels for their validation and test. So places are split here, by counting:
all views of a place serve one end.
"""

from pathlib import Path

from mfnet.model.classes import NODATA
from mfnet.model.errors import DataMissing
from mfnet.training.config.data import Dfc2019Recipe
from mfnet.training.config.published_schemes import DFC2019
from mfnet.training.datasets.readers.label_encoding import Numbers
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import PlainRasters, Stretch
from mfnet.training.datasets.sources.paper_layout import PaperData, PaperSplit, TilePaths
from mfnet.training.datasets.tiles.interface import Splits

BANDS = (1, 2, 3)
VOID = 65
VALUES = {2: 0, 5: 1, 6: 2, 9: 3, 17: 4, VOID: NODATA, NODATA: NODATA}
"""What a stored number means."""

EVERY = 10
"""Of the places in alphabetical order, the last of so many is for the test, the one before it for
validation."""


def open_dfc2019(data: Dfc2019Recipe, window_px: int, threads: int) -> Splits:
    """Three bands; metres above ground, with roofs and trees; labels after ASPRS."""
    found = {path.name: path for path in data.folder.glob("**/*.tif")}

    def paths(name: str) -> TilePaths:
        def file(kind: str) -> Path:
            wanted = f"{name}_{kind}.tif"
            part = "RGB" if kind == "RGB" else "Truth"
            return found.get(wanted, data.folder / f"Track1-{part}" / wanted)

        return TilePaths(f"view {name}", file("RGB"), file("AGL"), file("CLS"), file("CLS"))

    def rasters(paths: TilePaths, files: OpenFiles) -> PlainRasters:
        return PlainRasters(paths.ortho, BANDS, paths.heights, Stretch(0.0, 1.0), 1.0, files)

    views = sorted(
        name.removesuffix("_RGB.tif")
        for name in found
        if name.endswith("_RGB.tif") and f"{name.removesuffix('_RGB.tif')}_CLS.tif" in found
    )
    opened = PaperData(
        DFC2019,
        data,
        bands=BANDS,
        paths=paths,
        rasters=rasters,
        encoding=lambda paths: Numbers(VALUES, (VOID,)),
        all_labelled=False,
        split=_split(views, data.folder),
    )
    return opened.open(window_px, threads)


def _split(views: list[str], folder: Path) -> PaperSplit:
    """By place: a view's name without its last part."""
    places = sorted({view.rpartition("_")[0] for view in views})
    if len(places) < EVERY:
        raise DataMissing(
            f"{folder} holds labelled views of {len(places)} places; expected {EVERY} at least, as "
            "Track1-RGB/JAX_004_006_RGB.tif with Track1-Truth/JAX_004_006_AGL.tif and _CLS.tif: "
            "`mfnet data fetch dfc2019` says where they are to be had",
            folder=str(folder),
        )
    test, kept = places[EVERY - 1 :: EVERY], places[EVERY - 2 :: EVERY]

    def of(wanted: list[str]) -> tuple[str, ...]:
        return tuple(view for view in views if view.rpartition("_")[0] in wanted)

    return PaperSplit(of([p for p in places if p not in test]), of(kept), of(test))
