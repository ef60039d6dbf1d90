"""Inspects rasters before they are used: opens them, and decodes every block once."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from mfnet.model.config import ModelConfig
from mfnet.model.errors import InputError, NoData, WrongBands, WrongType
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.screening import Layout, screen
from mfnet.model.raster.files.sidecars import Sidecars
from mfnet.model.raster.pairs.alignment.align import AlignedHeight
from mfnet.model.raster.pairs.alignment.measure_shift import (
    A_SIDE,
    WINDOW_PX,
    correlations,
    shift_of,
    shift_remarks,
)
from mfnet.model.raster.pairs.alignment.measure_turn import turn_remarks
from mfnet.model.raster.pairs.alignment.mismatch import mismatch_remarks
from mfnet.model.raster.pairs.area_of_interest import Area
from mfnet.model.raster.pairs.drift import drift, require_heights
from mfnet.model.raster.pairs.interpretation import Read, read_alone
from mfnet.model.raster.pairs.pair import RasterPair, cache_bytes
from mfnet.model.raster.pairs.pair_remarks import to_be_derived
from mfnet.model.raster.pairs.polygon_inspection import inspect_polygons, polygons_of_pair
from mfnet.model.raster.pairs.report import (
    Estimate,
    PairReport,
    PolygonsReport,
    RasterReport,
    Refusal,
    Remark,
    SoloReport,
    describe,
    estimate,
)
from mfnet.model.raster.pairs.scan_watch import ScanWatch
from mfnet.model.raster.products.areas.zone_areas import Zones
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.raster.vectors.polygon_formats import is_polygons

CHUNK_BYTES = 8 << 20
_QUICK_BYTES = 400 << 20
"""What a quick inspection decodes at most to compare heights with their picture."""

Progress = Callable[[int, int], None]
"""Called with bytes decoded and bytes in all."""


@dataclass(frozen=True)
class Scan:
    """What decoding every block tells.

    Attributes:
        valid: Number of valid pixels.
        minimum: Over the valid pixels; digital numbers, or metres of a height raster.
        maximum: Likewise.
    """

    valid: int
    minimum: float
    maximum: float


def inspect_pair(
    ortho: Path,
    height: Path | None,
    *,
    dtm: Path | None = None,
    model: ModelConfig | None = None,
    options: ReadingOptions | None = None,
    surface: bool = False,
    area: Area | None = None,
    zones: Zones | None = None,
    quick: bool = False,
    progress: Progress | None = None,
) -> PairReport:
    """Report on a pair, or refuse it.

    Args:
        ortho: The orthophoto.
        height: An nDSM, or a DSM if `dtm` is given; None where there are no heights.
        dtm: The terrain model.
        model: To compare the pair with what it has seen in training, and for the estimate.
        options: What the caller knows better than the files.
        surface: `height` is a surface model whose terrain is derived later; see `RasterPair.open`.
        area: The part of the map that is wanted.
        zones: Polygons that areas are to be summed in.
        quick: Judge by tags and a sample; do not decode every block. Whether heights and picture
            match is then told where that takes a second or two.
        progress: Called while blocks are decoded.

    Raises:
        InputError: As `RasterPair.open`, `AreaOfInterest.open`, `require_heights` and `zones_on`;
            after the scan also RasterUnreadable and NoData.
    """
    with RasterPair.open(ortho, height, dtm=dtm, options=options, surface=surface) as pair:
        report = pair.report
        if surface and pair.height is not None:
            later = to_be_derived(pair.height.source.path.name)
            report = report.model_copy(update={"remarks": [*report.remarks, later]})
        report = report.model_copy(update=polygons_of_pair(pair, report, area, zones))
        if model is not None:
            require_heights(pair, model)
            found = {"drift": drift(pair, model), "estimate": pair.estimate_for(model)}
            report = report.model_copy(update=found)
        if quick:
            return report if _is_long(pair) else _compared(report, pair)
        watch = ScanWatch(pair)
        parts: dict[str, tuple[GeoTiff, Read]] = {"ortho": (pair.ortho, _colours(pair, watch))}
        for name, part in (("height", pair.height), ("dtm", pair.dtm)):
            if part is not None:
                parts[name] = (part.source, _metres(part, name, watch))
        total = sum(source.layout.declared_bytes for source, _ in parts.values())
        done = 0
        scanned: dict[str, RasterReport] = {}
        for name, (source, read) in parts.items():
            step = _shifted(progress, done, total)
            scanned[name] = _with_scan(getattr(report, name), source, read, step)
            done += source.layout.declared_bytes
        told = {**scanned, "remarks": [*report.remarks, *watch.remarks()], "scanned": True}
        return _compared(report.model_copy(update=told), pair)


def inspect_alone(
    path: Path,
    *,
    quick: bool = False,
    scan_s: float | None = None,
    progress: Progress | None = None,
) -> SoloReport | PolygonsReport:
    """Report on one file and what it could be used as: a raster, or polygons in a vector file.

    Args:
        path: Of the file.
        quick: Decode a sample of a raster's blocks.
        scan_s: As in `inspect_raster`.
        progress: Hears of the blocks that are decoded.

    Raises:
        InputError: As `inspect_raster`, or BadPolygons.
    """
    if is_polygons(path):
        return inspect_polygons(path)
    return inspect_raster(path, quick=quick, scan_s=scan_s, progress=progress)


def inspect_raster(
    path: Path,
    *,
    quick: bool = False,
    scan_s: float | None = None,
    progress: Progress | None = None,
) -> SoloReport:
    """Report on one raster and what it could be used as.

    Args:
        path: Of the raster.
        quick: Decode a sample of its blocks.
        scan_s: Seconds after which no further block is decoded; a remark tells of it. All are, if
            not given.
        progress: Hears of the blocks that are decoded.

    Raises:
        InputError: It could be none of orthophoto, height raster and class raster, whatever the
            options; the orthophoto's reason if the file has several bands, the height raster's
            otherwise.
    """
    refused: dict[Role, InputError] = {}
    report: RasterReport | None = None
    needs: Estimate | None = None
    suits = []
    remarks: list[Remark] = []
    for role in (Role.ORTHO, Role.HEIGHT, Role.LABELS):
        try:
            with GeoTiff(path, role) as source:
                if role is Role.LABELS and np.issubdtype(source.dtype, np.floating):
                    continue  # numbers of classes may be written so; as a rule these are heights
                if report is None:
                    report, remarks = _solo(source, quick, scan_s, progress)
                suits.append(role.value)
                if role is Role.ORTHO:
                    needs = estimate(source.grid, cache_bytes(source))
        except InputError as error:
            if role is not Role.LABELS and not isinstance(error, WrongBands | WrongType):
                raise
            refused[role] = error
    if report is None:
        if not any("option" in error.params for error in refused.values()):
            # A role whose number of bands fits but not their type says more than "wrong bands".
            types = (error for error in refused.values() if isinstance(error, WrongType))
            raise next(types, refused[Role.ORTHO])
        # An option can choose among its bands, when it is used.
        with GeoTiff(path, Role.HEIGHT, ReadingOptions(height_band=1)) as source:
            report, remarks = _solo(source, quick, scan_s, progress)
    reasons = {
        role.value: Refusal(code=error.code, message=error.message)
        for role, error in refused.items()
        if role is not Role.LABELS  # nobody takes an orthophoto for one
    }
    told = {"suits": suits, "refused": reasons, "estimate": needs}
    return SoloReport(raster=report, remarks=remarks, **told)


def inspect_sidecar(path: Path, kind: str) -> dict[str, Any]:
    """Report on a file that stands beside a raster.

    Args:
        path: Of the file, whatever its name.
        kind: world, prj, pam or mask.

    Raises:
        InputError: It cannot be understood.
    """
    if kind == "mask":
        layout = screen(path)
        found: dict[str, Any] = {"height": layout.height, "width": layout.width}
    else:
        beside = Sidecars.of({kind: path})
        transform = beside.world or beside.pam_transform
        crs = beside.prj or beside.pam_crs
        found = {
            "transform": None if transform is None else tuple(transform)[:6],
            "crs": None if crs is None else crs.to_string(),
        }
    return {"file": path.name, "kind": kind, "suits": ["sidecar"], **found}


def scan(source: GeoTiff, read: Read, progress: Progress | None = None) -> Scan:
    """Decode every block once, in bounded memory.

    Args:
        source: The raster.
        read: Values (bands, h, w) and validity (h, w) of a window of it.
        progress: Hears of it.

    Raises:
        RasterUnreadable: A block is missing or cannot be decoded.
        NoData: Not one pixel is valid.
    """
    count, low, high = 0, np.inf, -np.inf
    pixels = 0
    for window in chunks(source):
        values, valid = read(window)
        inside = values[:, valid]
        if inside.size:
            count += int(valid.sum())
            low, high = min(low, float(inside.min())), max(high, float(inside.max()))
        pixels += valid.size
        if progress:
            share = pixels / (source.grid.height * source.grid.width)
            progress(round(share * source.layout.declared_bytes), source.layout.declared_bytes)
    if not count:
        raise NoData(
            f"{source.path.name}: not one valid pixel: all are nodata, transparent or NaN; "
            "expected at least one with data: look at its mask and at the declared nodata value, "
            f"which rio edit-info --unset-nodata {source.path.name} takes away",
            file=source.path.name,
        )
    return Scan(count, low, high)


def chunks(source: GeoTiff) -> Iterator[Window]:
    """Windows of whole blocks that cover a raster once, of about `CHUNK_BYTES` decoded."""
    grid, layout = source.grid, source.layout
    pixel_bytes = layout.bits // 8 * layout.bands
    block_row = layout.block_height * layout.block_width * pixel_bytes
    across = max(1, CHUNK_BYTES // block_row) * layout.block_width
    width = min(across, grid.width)
    height = layout.block_height
    if width == grid.width:
        height *= max(1, CHUNK_BYTES // (width * layout.block_height * pixel_bytes))
    for row in range(0, grid.height, height):
        for column in range(0, grid.width, width):
            yield Window(
                column, row, min(width, grid.width - column), min(height, grid.height - row)
            )


class _ScanIsLate(Exception):
    """Decoding has taken its time; so many bytes of so many are decoded."""


def _solo(
    source: GeoTiff, quick: bool, scan_s: float | None, progress: Progress | None
) -> tuple[RasterReport, list[Remark]]:
    read, remarks = read_alone(source)
    report = describe(source)
    if quick:
        return report, remarks
    try:
        return _with_scan(report, source, read, _ending(progress, scan_s)), remarks
    except _ScanIsLate as late:
        done, total = late.args
        remark = Remark(
            code="raster.not_all_read",
            message=f"{source.path.name}: {100 * done / total:.0f} % of it were decoded in the "
            f"{scan_s:g} s that there are for it; damage in the rest is found when it is mapped",
        )
        return report, [*remarks, remark]


def _ending(progress: Progress | None, seconds: float | None) -> Progress | None:
    """The progress of a scan that ends after so many seconds, but for its last block."""
    if seconds is None:
        return progress
    deadline = time.monotonic() + seconds

    def advance(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total)
        if done < total and time.monotonic() > deadline:
            raise _ScanIsLate(done, total)

    return advance


def _compared(report: PairReport, pair: RasterPair) -> PairReport:
    """The report, with how the heights lie to the picture: in windows all over the pair."""
    edges = correlations(pair)
    shift = shift_of(edges)
    unmatched = [] if shift else turn_remarks(pair) or mismatch_remarks(pair, edges)
    return report.model_copy(
        update={
            "shift_px": None if shift is None else (shift.columns, shift.rows),
            "remarks": [*report.remarks, *shift_remarks(pair, shift), *unmatched],
        }
    )


def _is_long(pair: RasterPair) -> bool:
    """Whether those windows cross so many blocks, of wide strips, that it takes long."""
    parts = [part.source for part in (pair.height, pair.dtm) if part is not None]
    crossed = sum(_crossed_bytes(source.layout) for source in (pair.ortho, *parts))
    return A_SIDE**2 * crossed > _QUICK_BYTES


def _crossed_bytes(layout: Layout) -> int:
    """Decoded, of the blocks that one window crosses at most."""
    rows = (-(-WINDOW_PX // layout.block_height) + 1) * layout.block_height
    columns = (-(-WINDOW_PX // layout.block_width) + 1) * layout.block_width
    pixels = min(rows, layout.height) * min(columns, layout.width)
    return pixels * layout.bits * layout.bands // 8


def _colours(pair: RasterPair, watch: ScanWatch) -> Read:
    """Reads the orthophoto."""

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        values, valid = pair.ortho.read(window)
        watch.see_colours(window, values, valid)
        return values, valid

    return read


def _metres(part: AlignedHeight, name: str, watch: ScanWatch) -> Read:
    """Reads a height raster's own grid, in metres."""

    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        metres = part.read_source(window)
        watch.see_heights(name, metres)
        return metres[np.newaxis], np.isfinite(metres)

    return read


def _with_scan(
    report: RasterReport, source: GeoTiff, read: Read, progress: Progress | None = None
) -> RasterReport:
    found = scan(source, read, progress)
    pixels = source.grid.height * source.grid.width
    return report.model_copy(
        update={
            "valid_percent": 100 * found.valid / pixels,
            "minimum": found.minimum,
            "maximum": found.maximum,
        }
    )


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """The progress of one file as part of all files'."""
    if progress is None:
        return None
    report = progress
    return lambda done, _: report(before + done, total)
