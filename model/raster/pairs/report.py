"""What is known of a raster or pair before it is used: for `mfnet inspect` and for job records."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mfnet.model.raster.files.geotiff import GeoTiff
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import disk_bytes
from mfnet.model.raster.remark import Remark as Remark


class RasterReport(BaseModel):
    """One GeoTIFF. The last three fields are known once every block has been read."""

    file: str
    role: str
    height: int = Field(description="rows")
    width: int = Field(description="columns")
    bands: int = Field(description="in the file; an orthophoto's first three are used")
    alpha: bool
    dtype: str
    crs: str | None
    transform: tuple[float, float, float, float, float, float] = Field(
        description="a b c d e f: x = a·column + b·row + c, y = d·column + e·row + f"
    )
    gsd_m: float | None = Field(description="ground sampling distance at the centre")
    nodata: float | None
    block: tuple[int, int] = Field(description="rows, columns of a tile or strip")
    declared_bytes: int
    stored_bytes: int
    valid_percent: float | None = None
    minimum: float | None = None
    maximum: float | None = None


class BandInput(BaseModel):
    """A band's sample, in the modality's unit: white is 1, heights are metres; None without one."""

    p1: float | None = None
    p50: float | None = None
    p99: float | None = None
    outside: float | None = Field(
        default=None, description="share outside of where 98 % of the training's pixels lie"
    )


class Drift(BaseModel):
    """A pair against what a model has seen in training."""

    inputs: dict[str, list[BandInput]] = Field(description="bands by modality")
    gsd_m: float | None
    compared: bool = Field(description="the model says what it has seen")
    remarks: list[Remark] = Field(description="how the pair differs; empty where it does not")


class Estimate(BaseModel):
    """What a run takes beside the model itself."""

    memory_bytes: int = Field(description="rows in flight; does not depend on the raster's height")
    disk_bytes: int = Field(description="at most, for the class raster and its temporary file")
    windows: int | None = Field(default=None, description="that the model asked for will see")
    seconds: float | None = Field(
        default=None, description="that a map will take with that model on this machine"
    )


class Refusal(BaseModel):
    """Why a raster cannot play a role."""

    code: str
    message: str


class SoloReport(BaseModel):
    """One raster by itself: what it could be used as."""

    raster: RasterReport
    suits: list[str]
    refused: dict[str, Refusal] = Field(default_factory=dict, description="by role")
    estimate: Estimate | None = Field(
        default=None, description="of a map by a usual model, where it is an orthophoto"
    )
    remarks: list[Remark] = Field(default_factory=list)


class LayerReport(BaseModel):
    """A layer of a vector file."""

    name: str
    features: int
    columns: list[str] = Field(description="beside the geometry")
    crs: str | None


class PolygonsReport(BaseModel):
    """A vector file by itself."""

    file: str
    layers: list[LayerReport]
    suits: list[str] = Field(default=["labels as polygons", "area of interest", "zones"])
    remarks: list[Remark] = Field(default_factory=list)


class Reading(BaseModel):
    """What the numbers of a pair are taken for; `remarks` say why where it is not plain."""

    bands: tuple[int, ...] = Field(description="red, green, blue, counted from 1")
    white: float = Field(description="digital number of full reflectance")
    height_unit_m: float | None = Field(
        description="metres a stored step of the height raster; None without one"
    )
    height_offset_m: float = Field(description="added to the heights above ground")
    collar_pixels: int = Field(description="of the orthophoto's collars and flat holes")
    missing_heights_percent: float = Field(
        description="of the sampled pixels that have an orthophoto"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="that the caller gave")


class AreaReport(BaseModel):
    """An area of interest on the orthophoto."""

    file: str
    rows: tuple[int, int] = Field(description="the first, and the one behind the last")
    columns: tuple[int, int] = Field(description="likewise")
    covered_percent: float = Field(description="of the orthophoto")


class ZonesReport(BaseModel):
    """Polygons that areas are to be summed in."""

    file: str
    zones: int
    columns: list[str] = Field(description="which they keep")


class PairReport(BaseModel):
    """An orthophoto with its heights."""

    model_config = ConfigDict(frozen=True)

    ortho: RasterReport
    height: RasterReport | None = Field(description="None where colour is all")
    dtm: RasterReport | None = None
    gsd_m: float | None = Field(description="of the orthophoto, and so of the result")
    overlap_percent: float | None = Field(
        description="of the orthophoto's extent, by the height raster's; None without one"
    )
    height_percentiles: dict[str, float] = Field(
        description="metres above ground on the orthophoto's grid, p1 to p99, from a sample; empty "
        "where the sample holds no height"
    )
    shift_px: tuple[float, float] | None = Field(
        default=None,
        description="columns and rows by which the heights lie too far right and down; None where "
        "nobody can tell, or it was not measured",
    )
    reading: Reading
    remarks: list[Remark] = Field(default_factory=list)
    estimate: Estimate
    drift: Drift | None = Field(default=None, description="known where a model was named")
    area: AreaReport | None = None
    zones: ZonesReport | None = None
    scanned: bool = Field(default=False, description="every block of every file was decoded")

    @property
    def all_remarks(self) -> list[Remark]:
        """What was decided or is odd about the pair, then how it differs from the training."""
        return [*self.remarks, *(self.drift.remarks if self.drift else [])]

    def renamed(self, names: Mapping[str, str]) -> "PairReport":
        """The same with other names of the files, in the remarks, too.

        Args:
            names: The names that people know, by the files' own.
        """
        rasters = {
            role: raster.model_copy(update={"file": names.get(raster.file, raster.file)})
            for role, raster in (("ortho", self.ortho), ("height", self.height), ("dtm", self.dtm))
            if raster is not None
        }
        remarks = [remark.model_copy(update={"message": renamed(remark.message, names)})
                   for remark in self.remarks]  # fmt: skip
        return self.model_copy(update={**rasters, "remarks": remarks})


def renamed(message: str, names: Mapping[str, str]) -> str:
    """A message with the names of files that people know, by the files' own."""
    for ours, theirs in names.items():
        for ending in (".tfw", ".prj"):  # which stand in place of a raster's own ending
            message = message.replace(ours + ending, Path(theirs).stem + ending)
        message = message.replace(ours, theirs)
    return message


def describe(source: GeoTiff) -> RasterReport:
    """Report on an open GeoTIFF from what its tags say."""
    nodata, layout, grid = source.nodata[0], source.layout, source.grid
    return RasterReport(
        file=source.path.name,
        role=source.role.value,
        height=grid.height,
        width=grid.width,
        bands=layout.bands,
        alpha=source.alpha is not None,
        dtype=source.dtype.name,
        crs=None if grid.crs is None else grid.crs.to_string(),
        transform=tuple(grid.transform)[:6],
        gsd_m=grid.gsd_m,
        # JSON has no NaN and no infinity.
        nodata=nodata if nodata is not None and math.isfinite(nodata) else None,
        block=(layout.block_height, layout.block_width),
        declared_bytes=layout.declared_bytes,
        stored_bytes=layout.stored_bytes,
    )


def estimate(grid: Grid, cache_bytes: int, window_px: int = 256, classes: int = 6) -> Estimate:
    """Estimate what a run takes.

    Args:
        grid: The orthophoto's.
        cache_bytes: GDAL's cache for the pair.
        window_px: The model's; four windows of rows are in flight. At 20,000 and 40,000 columns a
            run took 1.0 times this beside what it takes at 2,000.
        classes: The model's.
    """
    logits = 4 * classes * window_px * grid.width
    pixels = 4 * (4 * 4 + 2) * window_px * grid.width
    return Estimate(
        memory_bytes=logits + pixels + cache_bytes,
        disk_bytes=disk_bytes(grid),
    )
