"""The `data` table of a recipe: which labelled tiles, which of them for what, how they are shown.

`kind` says which data set; without it, synthetic towns. What each must look like on the disk is in
docs/how-to/prepare-tiles.md and docs/reference/data-sets.md.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Discriminator, Field, Tag

from mfnet.model.errors import BadRecipe
from mfnet.training.config.table import RecipePart


class _Shown(RecipePart):
    """How windows are chosen and changed."""

    augmentation: Literal["full", "paper", "none"] = Field(
        default="full",
        description="how windows are varied: turned, mirrored, with other light, noise and gaps; "
        "flipped, as in the paper; or not at all",
    )
    sampling: Literal["tiles", "pixels", "classes"] = Field(
        default="tiles", description="what is seen equally often: each tile, pixel, or class"
    )
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the tiles (or blocks) to learn from; at least one is kept",
    )
    share_seed: int = Field(default=0, ge=0, description="decides which tiles the share keeps")


class TownRecipe(_Shown):
    """Synthetic towns. No seed may serve two ends."""

    kind: Literal["town"] = Field(default="town", description="the data set")
    gsd_m: float = Field(default=0.125, gt=0, description="side of a pixel, in metres")
    size_px: int = Field(default=768, ge=256, description="side of a training town, in pixels")
    first_seed: int = Field(
        default=1000, ge=0, description="seed of the first training town; the others follow it"
    )
    towns: int = Field(default=200, ge=1, description="number of training towns")
    validation_first_seed: int = Field(
        default=400_000, ge=0, description="seed of the first validation town"
    )
    validation_towns: int = Field(default=4, ge=1, description="number of validation towns")
    held_out_first_seed: int = Field(
        default=500_000, ge=0, description="seed of the first test town"
    )
    held_out_towns: int = Field(default=12, ge=1, description="number of test towns")
    held_out_size_px: int = Field(
        default=1024, ge=256, description="side of a test town, in pixels"
    )


class PlacesRecipe(TownRecipe):
    """Synthetic places of all kinds and pixel sizes, some of them colours over real heights."""

    kind: Literal["places"] = Field(description="the data set")  # type: ignore[assignment]
    gsd_m: float = Field(
        default=0.2, gt=0, description="side of a pixel that the model is said to be made for"
    )
    size_px: int = Field(default=512, ge=256, description="side of a training place, in pixels")
    heights: Path | None = Field(
        default=None,
        description="folder of real heights, a folder each with `ndsm.tif` and `classes.tif`",
    )
    heights_share: float = Field(
        default=0.4, ge=0, le=1, description="share of the training places with real heights"
    )
    held_out_heights: tuple[str, ...] = Field(
        default=(), description="names of those that are for the test alone"
    )


class PaperRecipe(_Shown):
    """A published data set, as its owners hand it out."""

    kind: str
    folder: Path
    gsd_m: float
    validation: Literal["apart", "in-training"] = Field(
        default="apart",
        description="keep validation tiles from training; or, as in the paper, train on them too",
    )


class VaihingenRecipe(PaperRecipe):
    """ISPRS Vaihingen: near infrared, red, green at 9 cm; a surface model."""

    kind: Literal["vaihingen"] = Field(description="the data set")
    folder: Path = Field(default=Path("data/vaihingen"), description="where the files are")
    gsd_m: float = Field(default=0.09, gt=0, description="side of a pixel, in metres")
    heights: Literal["per-raster", "metres"] = Field(
        default="per-raster",
        description="0 to 1 between each raster's lowest and highest; or metres above its lowest",
    )


class PotsdamRecipe(PaperRecipe):
    """ISPRS Potsdam: four bands at 5 cm; heights above ground in 256 steps."""

    kind: Literal["potsdam"] = Field(description="the data set")
    folder: Path = Field(default=Path("data/potsdam"), description="where the files are")
    gsd_m: float = Field(default=0.05, gt=0, description="side of a pixel, in metres")
    bands: Literal["rgb", "irrg"] = Field(
        default="rgb", description="colours to take; the paper has `rgb`"
    )
    heights: Literal["per-raster", "metres"] = Field(
        default="per-raster",
        description="0 to 1 between each raster's lowest and highest; or metres",
    )
    height_step_m: float | None = Field(
        default=None, gt=0, description="metres that a step of the 8-bit heights is worth"
    )
    cache: Path | None = Field(
        default=None, description="folder for tiled copies of the heights; left out, in `folder`"
    )


class HunanRecipe(PaperRecipe):
    """MMHunan: Sentinel-2 and elevation at 10 m."""

    kind: Literal["mmhunan"] = Field(description="the data set")
    folder: Path = Field(default=Path("data/mmhunan"), description="where the files are")
    gsd_m: float = Field(default=10.0, gt=0, description="side of a pixel, in metres")
    heights: Literal["per-raster"] = Field(
        default="per-raster",
        description="0 to 1 between each raster's lowest and highest; it is no height above ground",
    )


class FlairRecipe(PaperRecipe):
    """FLAIR of IGN: red, green, blue, near infrared and heights above ground at 0.2 m."""

    kind: Literal["flair"] = Field(description="the data set")
    folder: Path = Field(default=Path("data/flair"), description="where the files are")
    gsd_m: float = Field(default=0.2, gt=0, description="side of a pixel, in metres")
    bands: Literal["rgb", "irrg"] = Field(default="rgb", description="colours to take")
    heights: Literal["metres"] = Field(
        default="metres", description="metres above ground, in steps of 0.2 m up to 51 m"
    )


class GeoNrwRecipe(PaperRecipe):
    """GeoNRW: red, green, blue and elevation at 1 m."""

    kind: Literal["geonrw"] = Field(description="the data set")
    folder: Path = Field(default=Path("data/geonrw"), description="where the files are")
    gsd_m: float = Field(default=1.0, gt=0, description="side of a pixel, in metres")
    heights: Literal["per-raster", "metres"] = Field(
        default="metres",
        description="metres above each raster's lowest; or 0 to 1 between lowest and highest",
    )


class Dfc2019Recipe(PaperRecipe):
    """DFC2019 (US3D), track 1: red, green, blue and heights above ground at about 0.3 m."""

    kind: Literal["dfc2019"] = Field(description="the data set")
    folder: Path = Field(default=Path("data/dfc2019"), description="where the files are")
    gsd_m: float = Field(default=0.3, gt=0, description="side of a pixel, in metres")
    heights: Literal["metres"] = Field(default="metres", description="metres above ground")


class FolderRecipe(_Shown):
    """A folder of one's own GeoTIFFs, with a manifest."""

    kind: Literal["folder"] = Field(description="the data set")
    folder: Path = Field(description="the folder that holds `manifest.toml`")
    also: tuple[Path, ...] = Field(
        default=(), description="more such folders, of the same classes; each draws its own split"
    )
    gsd_m: float | None = Field(
        default=None, gt=0, description="side of a pixel in metres, written into the model"
    )
    sampling: Literal["tiles", "pixels", "classes"] = Field(
        default="pixels", description="what is seen equally often: each tile, pixel, or class"
    )


def _kind(values: Any) -> Any:
    """The kind of a table that is still a dict, or has become a recipe."""
    if isinstance(values, dict):
        return values.get("kind", "town")
    return getattr(values, "kind", None)


DataRecipe = Annotated[
    Annotated[TownRecipe, Tag("town")]
    | Annotated[PlacesRecipe, Tag("places")]
    | Annotated[VaihingenRecipe, Tag("vaihingen")]
    | Annotated[PotsdamRecipe, Tag("potsdam")]
    | Annotated[HunanRecipe, Tag("mmhunan")]
    | Annotated[FlairRecipe, Tag("flair")]
    | Annotated[GeoNrwRecipe, Tag("geonrw")]
    | Annotated[Dfc2019Recipe, Tag("dfc2019")]
    | Annotated[FolderRecipe, Tag("folder")],
    Discriminator(_kind),
]
"""Any of the tables; TOML without `kind` is a `TownRecipe`."""

KINDS: dict[str, type[BaseModel]] = {
    "town": TownRecipe,
    "places": PlacesRecipe,
    "vaihingen": VaihingenRecipe,
    "potsdam": PotsdamRecipe,
    "mmhunan": HunanRecipe,
    "flair": FlairRecipe,
    "geonrw": GeoNrwRecipe,
    "dfc2019": Dfc2019Recipe,
    "folder": FolderRecipe,
}


def data_part(values: dict[str, Any]) -> type[BaseModel]:
    """The class of a `data` table as it was read from TOML, so that its keys can be checked.

    Raises:
        BadRecipe: There is no such kind; the message names the nearest.
    """
    kind = str(values.get("kind", "town"))
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, n=1, cutoff=0.0)[0]
        raise BadRecipe(
            f"data.kind is {kind!r}; expected one of {', '.join(KINDS)}; the nearest is {near!r}",
            key="data.kind",
            nearest=near,
        )
    return KINDS[kind]


def check_data(data: DataRecipe, window_px: int, height_range_m: tuple[float, float]) -> None:
    """What concerns more than one key of a recipe, or another table.

    Args:
        data: The table.
        window_px: The network's.
        height_range_m: Heights that become 0 and 1 for the network.

    Raises:
        BadRecipe: Towns serve two ends or are smaller than a window, a step of heights is missing,
            or heights from 0 to 1 meet another range.
    """
    if isinstance(data, TownRecipe):
        _check_towns(data, window_px)
    elif isinstance(data, PotsdamRecipe) and data.heights == "metres" and not data.height_step_m:
        raise BadRecipe(
            "data.heights is 'metres' without data.height_step_m; expected metres a step of the "
            "8-bit heights, which Potsdam's files do not say; or heights = 'per-raster'"
        )
    require_same_heights(data, height_range_m)


def require_same_heights(data: DataRecipe, height_range_m: tuple[float, float]) -> None:
    """Refuses metres where a network takes heights of 0 to 1 of each raster, and the reverse.

    Nothing is known of the heights in one's own folder.

    Args:
        data: The table.
        height_range_m: Heights that become 0 and 1 for the network.

    Raises:
        BadRecipe: They are of different kinds.
    """
    if isinstance(data, FolderRecipe):
        return
    per_raster = not isinstance(data, TownRecipe) and data.heights == "per-raster"
    low, high = height_range_m
    if per_raster and (low, high) != (0.0, 1.0):
        raise BadRecipe(
            f"data.heights is 'per-raster', which runs from 0 to 1, and the network's "
            f"height_range_m is {low:g} to {high:g}; expected height_range_m = [0.0, 1.0], or "
            "heights = 'metres' where the data have them"
        )
    if not per_raster and (low, high) == (0.0, 1.0):
        raise BadRecipe(
            "the data's heights are metres, and the network's height_range_m is 0 to 1, of heights "
            "scaled 'per-raster'; expected a range of metres, like height_range_m = [0.0, 30.0]"
        )


def learns_from_validation(data: DataRecipe) -> bool:
    """Whether validation tiles are trained on, too, so that nothing can be chosen or fitted on."""
    return isinstance(data, PaperRecipe) and data.validation == "in-training"


def _check_towns(data: TownRecipe, window_px: int) -> None:
    training = range(data.first_seed, data.first_seed + data.towns)
    validation = range(
        data.validation_first_seed, data.validation_first_seed + data.validation_towns
    )
    held_out = range(data.held_out_first_seed, data.held_out_first_seed + data.held_out_towns)
    _require_apart(held_out, "held out", training, "training", "held_out_first_seed")
    _require_apart(validation, "for validation", training, "training", "validation_first_seed")
    _require_apart(validation, "for validation", held_out, "held-out", "validation_first_seed")
    for key, size_px in (("size_px", data.size_px), ("held_out_size_px", data.held_out_size_px)):
        if size_px < window_px:
            raise BadRecipe(
                f"data.{key} is {size_px}; expected at least network.window_px, {window_px}"
            )


def _require_apart(some: range, what: str, others: range, whose: str, key: str) -> None:
    if some.start < others.stop and others.start < some.stop:
        raise BadRecipe(
            f"towns {some.start} to {some.stop - 1} are {what} and among the {whose} "
            f"towns {others.start} to {others.stop - 1}; choose another {key}"
        )
