"""FLAIR #1 of the French mapping agency IGN: 77,412 patches of 512 × 512 pixels of 0.2 m.

Sources, none of which was tried on the data themselves:

- folders, names and the patches for validation: `csv_full/flair-1-paths-val.csv` and `csv_toy/` of
  github.com/IGNF/FLAIR-1 at 2489539 and 9d4bb3e. These have D070_2020 where lists of users have
  D077_2021;
- patches, classes, addresses: `FLAIR1/flair_1.md` of github.com/IGNF/FLAIR at 30b0666;
- bands (red, green, blue, near infrared, nDSM): the data set's card, huggingface.co/datasets/
  IGNF/FLAIR; that a step of the 8-bit heights is 0.2 m: the card of IGN's model
  FLAIR-INC_rgbie_15cl_resnet34-unet there;
- numbers above 12 as one class, "other", which the mean IoU leaves out: `src/metrics.py` of
  github.com/IGNF/FLAIR-2 at 0804403.
"""

from pathlib import Path

from mfnet.model.classes import NODATA
from mfnet.model.errors import DataMissing
from mfnet.training.config.data import FlairRecipe
from mfnet.training.config.published_schemes import FLAIR
from mfnet.training.datasets.readers.label_encoding import Numbers
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.tile_files import PlainRasters, Stretch
from mfnet.training.datasets.sources.paper_layout import PaperData, PaperSplit, TilePaths
from mfnet.training.datasets.tiles.interface import Splits

IMAGES = {"train": "flair_aerial_train", "test": "flair_1_aerial_test"}
LABELS = {"train": "flair_labels_train", "test": "flair_1_labels_test"}
"""Folders that IGN's archives hold."""

VALIDATION = (
    *("D004_2021", "D014_2020", "D029_2021", "D031_2019"),
    *("D058_2020", "D066_2021", "D067_2021", "D070_2020"),
)
"""Domains (a department and a year each) that IGN keeps from training."""

BANDS = {"rgb": (1, 2, 3), "irrg": (4, 1, 2)}
HEIGHT_BAND = 5
HEIGHT_STEP_M = 0.2

KEPT, LAST = 12, 19
VALUES = {
    **{number: min(number, KEPT + 1) - 1 for number in range(1, LAST + 1)},
    NODATA: NODATA,
}
"""What a stored number means."""


def open_flair(data: FlairRecipe, window_px: int, threads: int) -> Splits:
    """Five bands, the last of them heights above ground; labels from 1 to 19."""

    def paths(name: str) -> TilePaths:
        part, domain, zone, number = name.split("/")
        image = data.folder / IMAGES[part] / domain / zone / "img" / f"IMG_{number}.tif"
        labels = data.folder / LABELS[part] / domain / zone / "msk" / f"MSK_{number}.tif"
        return TilePaths(f"patch {number} of {domain}", image, image, labels, labels)

    def rasters(paths: TilePaths, files: OpenFiles) -> PlainRasters:
        return PlainRasters(
            paths.ortho,
            BANDS[data.bands],
            paths.heights,
            Stretch(0.0, HEIGHT_STEP_M),
            1.0,
            files,
            height_band=HEIGHT_BAND,
        )

    opened = PaperData(
        FLAIR,
        data,
        bands=(*BANDS[data.bands], HEIGHT_BAND),
        paths=paths,
        rasters=rasters,
        encoding=lambda paths: Numbers(VALUES),
        all_labelled=False,
        split=_split(data.folder),
    )
    return opened.open(window_px, threads)


def _split(folder: Path) -> PaperSplit:
    """IGN's: by domain; all patches that are there, so that a part of them does, too."""
    train = tuple(_ids(folder, "train"))
    kept = tuple(name for name in train if name.split("/")[1] in VALIDATION)
    test = tuple(_ids(folder, "test"))
    lacking = [
        what
        for what, found in (
            ("training", len(train) - len(kept)),
            ("validation", len(kept)),
            ("test", len(test)),
        )
        if not found
    ]
    if lacking:
        raise DataMissing(
            f"{folder} holds no patch for {' and '.join(lacking)}; expected {IMAGES['train']} with "
            f"the domains {', '.join(VALIDATION)} among others, and {IMAGES['test']}: "
            "mfnet data fetch flair brings them, or is data.folder another?",
            folder=str(folder),
        )
    return PaperSplit(train, kept, test)


def _ids(folder: Path, part: str) -> list[str]:
    root = folder / IMAGES[part]
    found = (path.relative_to(root) for path in root.glob("*/*/img/IMG_*.tif"))
    return sorted(
        f"{part}/{path.parts[0]}/{path.parts[1]}/{path.stem.removeprefix('IMG_')}" for path in found
    )
