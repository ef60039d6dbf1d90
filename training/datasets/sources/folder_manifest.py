"""The manifest of a folder of labelled tiles: `manifest.toml`, the tiles in it or in a CSV."""

import csv
import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mfnet.model.classes import ISPRS, MMHUNAN, NODATA, ClassScheme, LandClass, program_name
from mfnet.model.errors import BadManifest, BadOption
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.datasets.splitting.spatial_blocks import End

NAME = "manifest.toml"
SCHEMES = {scheme.name: scheme for scheme in (ISPRS, MMHUNAN)}

Kind = Literal["ortho", "height", "dtm", "labels"]
"""Of a tile's files."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ClassEntry(_Part):
    """A class of one's own scheme."""

    name: str = Field(description="small letters, digits and underscores")
    color: str = Field(description="red, green, blue, such as `#808080`")
    title: str | None = Field(default=None, description="shown to people; left out, the name")
    foreground: bool = Field(default=True, description="false: left out of mF1 and mIoU")


class LabelRules(_Part):
    """How labels say classes."""

    values: dict[str, str | int] | None = Field(
        default=None,
        description="class of each stored number; left out, the numbers are places in the scheme",
    )
    ignore: tuple[int, ...] = Field(default=(), description="stored numbers to be ignored")
    layer: str | None = Field(
        default=None, description="layer of the polygons; left out, the only one"
    )
    column: str = Field(default="class", description="column that holds the class of a polygon")
    background: str | int | None = Field(
        default=None, description="class where no polygon lies; left out, nothing is learned there"
    )


class SplitRules(_Part):
    """Which tiles are for what, unless they say so themselves."""

    by: Literal["tile", "block"] = Field(
        default="tile", description="whole tiles; or blocks, for few large rasters"
    )
    seed: int = Field(default=0, ge=0, description="decides which tiles or blocks are for what")
    validation: float = Field(default=0.15, gt=0, lt=1, description="share of the tiles or blocks")
    test: float = Field(default=0.15, ge=0, lt=1, description="the same; 0 keeps none for a test")
    block_px: int = Field(default=1024, gt=0, description="least side of a block, in pixels")
    margin_px: int = Field(
        default=64, ge=0, description="pixels between two blocks that belong to neither"
    )


class TileEntry(_Part):
    """The files of a tile, relative to the manifest."""

    name: str = Field(description="name of the tile; no two have the same")
    ortho: Path = Field(description="the orthophoto")
    height: Path | None = Field(
        default=None, description="heights above ground; with a `dtm`, above the sea"
    )
    dtm: Path | None = Field(default=None, description="terrain heights, subtracted from `height`")
    labels: Path | None = Field(
        default=None,
        description="a TIFF; or polygons: GeoPackage, GeoJSON, Shapefile (or zipped), FlatGeobuf",
    )
    split: End | None = Field(default=None, description="what the tile is for; left out, drawn")
    white: float | None = Field(default=None, gt=0, description="as in the manifest, for this tile")
    reading: ReadingOptions = Field(
        default=ReadingOptions(),
        description="how this tile is read; its keys come before the manifest's",
    )
    sha256: dict[Kind, str] = Field(
        default_factory=dict, description="checksums that these files must have"
    )


class Manifest(_Part):
    """A folder of labelled tiles."""

    name: str = Field(default="folder", description="name of the class scheme, if it is one's own")
    classes: str | tuple[ClassEntry, ...] = Field(
        description="name of a scheme, " + " or ".join(SCHEMES) + "; or `[[classes]]`, one's own"
    )
    white: float | None = Field(
        default=None,
        gt=0,
        description="digital number of full reflectance in the orthophotos; left out, by tags "
        "and pixels",
    )
    reading: ReadingOptions = Field(
        default=ReadingOptions(),
        description="how the tiles are read, where their files do not say it, or say it wrong",
    )
    labels: LabelRules = Field(default=LabelRules(), description="how labels say classes")
    split: SplitRules = Field(default=SplitRules(), description="which tiles are for what")
    tiles: tuple[TileEntry, ...] = Field(
        description="`[[tiles]]`; or the name of a CSV with a column a key"
    )

    def options(self, tile: TileEntry) -> ReadingOptions:
        """How a tile's pair is read: by its own options before those of all tiles."""
        white = {"white": tile.white or self.white} if tile.white or self.white else {}
        own = tile.reading.model_dump(exclude_unset=True)
        return ReadingOptions(**(self.reading.model_dump(exclude_unset=True) | white | own))

    def scheme(self) -> ClassScheme:
        """The classes.

        Raises:
            BadManifest: There is no scheme of that name, or a class is none.
        """
        if isinstance(self.classes, str):
            if self.classes.strip().casefold() not in SCHEMES:
                raise BadManifest(
                    f"classes is {self.classes!r}; expected one of {', '.join(SCHEMES)}, or a "
                    "table for each class: [[classes]]"
                )
            return SCHEMES[self.classes.strip().casefold()]
        try:
            classes = [
                LandClass(
                    name=c.name,
                    title=c.title or c.name,
                    color=c.color.lower(),
                    foreground=c.foreground,
                )
                for c in self.classes
            ]
            return ClassScheme(name=self.name, classes=tuple(classes))
        except ValidationError as error:
            raise BadManifest(f"classes: {_class_error(error)}") from error

    def values(self) -> dict[int, int]:
        """What each number in a label raster means: a value of the scheme, or 255.

        Raises:
            BadManifest: A class or number is none.
        """
        scheme = self.scheme()
        found = dict(zip(range(len(scheme)), range(len(scheme)), strict=True))
        if self.labels.values is not None:
            found = {
                _number(number): class_value(scheme, text, f"labels.values.{number}")
                for number, text in self.labels.values.items()
            }
        return {NODATA: NODATA, **found, **dict.fromkeys(self.labels.ignore, NODATA)}

    def background(self) -> int:
        """The value where no polygon lies.

        Raises:
            BadManifest: It is no class.
        """
        named = self.labels.background
        return NODATA if named is None else class_value(self.scheme(), named, "labels.background")


def read_manifest(folder: Path) -> Manifest:
    """Reads `manifest.toml`, and the CSV that its `tiles` may name.

    Raises:
        BadManifest: It is missing, no TOML, has an unknown key, lacks one, names a tile twice or a
            class that there is not.
    """
    path = folder / NAME
    with _refusals(path):
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        if isinstance(values.get("tiles"), str):
            values["tiles"] = _rows(folder / values["tiles"])
        manifest = Manifest.model_validate(values)
    try:
        manifest.values()
        manifest.background()
    except BadManifest as error:
        raise BadManifest(f"{path}: {error.message}", **error.params, file=str(path)) from error
    names = [tile.name for tile in manifest.tiles]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        found = f"tile {twice[0]!r} stands twice" if twice else "no tile"
        raise BadManifest(
            f"{path}: {found}; expected a table [[tiles]] for each tile, with a name of its own"
        )
    return manifest


def read_tile_list(path: Path) -> tuple[TileEntry, ...]:
    """The tiles that a CSV with a column a key lists.

    Raises:
        BadManifest: It cannot be read, has an unknown column, or a row lacks something.
    """
    with _refusals(path):
        return _TileList.model_validate({"tiles": _rows(path)}).tiles


class _TileList(_Part):
    tiles: tuple[TileEntry, ...]


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """What reading a manifest may raise, as `BadManifest`."""
    try:
        yield
    except OSError as error:
        raise BadManifest(
            f"{error.filename} cannot be read ({error.strerror}); expected a manifest as in "
            "docs/how-to/prepare-tiles.md",
            file=str(error.filename),
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise BadManifest(f"{path}: no TOML, or no CSV: {error}", file=str(path)) from error
    except ValidationError as error:
        raise BadManifest(f"{path}: {_first(error)}", file=str(path)) from error


def class_value(scheme: ClassScheme, text: str | int, key: str) -> int:
    """The value of the class that a key of the manifest names; BadManifest if there is none."""
    try:
        return scheme.find(text)
    except BadOption as error:
        raise BadManifest(f"{key}: {error.message}", **error.params, key=key) from error


_TABLES: dict[str, type[BaseModel]] = {
    "": Manifest,
    "classes": ClassEntry,
    "labels": LabelRules,
    "split": SplitRules,
    "tiles": TileEntry,
    "reading": ReadingOptions,
}


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV, empty cells left out."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(file, strict=True)]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise BadManifest(
            f'labels.values has the key {text!r}; expected a stored number, as in 1 = "building"'
        ) from error


def _first(error: ValidationError) -> str:
    """What is wrong: an unknown key before others, since a slip of the pen makes two of one."""
    errors = error.errors()
    # Of `classes` either a name or tables would do, and what both lack is listed twice.
    errors = [e for e in errors if e["loc"][1:2] != ("str",)] or errors
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    # pydantic names the branch of a union: tuple[ClassEntry, ...]
    place = [str(part) for part in first["loc"] if "[" not in str(part)]
    key = ".".join(place)
    if first["type"] == "extra_forbidden":
        table = next((part for part in reversed(place[:-1]) if part in _TABLES), "")
        known = list(_TABLES[table].model_fields)
        near = get_close_matches(place[-1], known, n=1, cutoff=0.0)[0]
        return (
            f"key {key!r} is unknown; expected one of {', '.join(known)}; the nearest is {near!r}"
        )
    if first["type"] == "missing":
        return f"key {key!r} is missing; expected it, as in docs/how-to/prepare-tiles.md"
    return f"key {key!r} is {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"


def _class_error(error: ValidationError) -> str:
    """What is wrong with a class: its name or its colour, as a rule."""
    first = error.errors()[0]
    found = first["input"]
    if first["loc"] == ("name",):
        return (
            f"the name {found!r}; expected small letters, digits and underscores, and the rest in "
            f"title: name = {json.dumps(program_name(found) or 'class_1')}, title = "
            f"{json.dumps(found, ensure_ascii=False)}"
        )
    if first["loc"] == ("color",):
        return f'the color {found!r}; expected red, green, blue: color = "#808080"'
    return f"there are {len(found)}; expected two at least, and at most {NODATA}"
