"""What the numbers of a pair mean: all decisions of `values`, taken together, once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rasterio.windows import Window

from mfnet.model.errors import AmbiguousInput
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.sample_windows import sample_windows, scattered_windows
from mfnet.model.raster.georeferencing.vertical_axis import vertical_unit
from mfnet.model.raster.pairs.alignment.align import AlignedHeight
from mfnet.model.raster.pairs.report import Reading
from mfnet.model.raster.pairs.sampled_colours import SampledColours, valid_pixels
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.collars import Collar
from mfnet.model.raster.values.colour_bands import decide_white
from mfnet.model.raster.values.damage.lines import (
    find_copied_lines,
    tell_of_copied_lines,
    tell_of_copied_parts,
    tell_of_zero_lines,
)
from mfnet.model.raster.values.fill_values import ABOVE_GROUND_M, possible
from mfnet.model.raster.values.ground_level import (
    Source,
    check_above_ground,
    decide_unit,
    percentiles,
)
from mfnet.model.raster.values.height_units import says_nothing, unit_name
from mfnet.model.raster.values.height_values import (
    HeightSample,
    HeightTags,
    HeightValues,
    decide_heights,
)
from mfnet.model.raster.values.plateaus import check_plateau
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.raster.values.uneven_heights import (
    tell_of_coarse_steps,
    tell_of_cut_heights,
    tell_of_low_heights,
    tell_of_uneven_ground,
    tell_of_zeros,
)

_MISSING_TOLD = 0.005
_SMALL_PX = 1 << 18
Read = Callable[[Window], tuple[np.ndarray, np.ndarray]]
"""Values (bands, h, w) and validity (h, w) of a window."""

_NO_OPTIONS = ReadingOptions()


@dataclass(frozen=True)
class Decisions:
    """What was decided, and what it was decided by.

    Attributes:
        reading: For the report.
        remarks: The reasons, where a decision is not plain.
        percentiles: Of the sampled heights above ground.
        collars: Of the orthophoto.
        limits_m: Heights above ground beyond these are none.
        height: What the numbers of the height raster mean; None without one.
        dtm: What those of the terrain model mean.
        sample: Valid pixels by modality, (bands, n): digital numbers, metres above ground.
    """

    reading: Reading
    remarks: list[Remark]
    percentiles: dict[str, float]
    collars: tuple[Collar, ...]
    limits_m: tuple[float, float]
    height: HeightValues | None
    dtm: HeightValues | None
    sample: dict[str, np.ndarray]

    def without_sample(self) -> "Decisions":
        """The same to be kept, or handed to another process."""
        return replace(self, sample={})


def decide(
    ortho: GeoTiff,
    height: AlignedHeight | None,
    dtm: AlignedHeight | None,
    options: ReadingOptions,
    *,
    surface: bool = False,
) -> Decisions:
    """Decides from tags and a sample, and sets the `values` of both height rasters.

    Args:
        ortho: The orthophoto.
        height: The height raster; None where there are no heights.
        dtm: The terrain model.
        options: What the caller knows better than the files.
        surface: `height` is a surface model whose terrain is not known yet: nothing is said of
            heights above ground, and the sample has none.

    Raises:
        AmbiguousInput: Two readings fit; the message names the option that chooses.
        RasterUnreadable: A block of the sample cannot be decoded.
    """
    windows = list(sample_windows(ortho.grid.height, ortho.grid.width))
    colours = SampledColours(ortho, windows, options)
    anything = surface or options.height_nodata == "none"
    limits = (-np.inf, np.inf) if anything else ABOVE_GROUND_M
    told: list[Remark] = []
    if height is None:
        above = [np.full(valid.shape, np.nan, np.float32) for valid in colours.valid]
    elif surface:
        above, told = _surface(height, windows, options)
    else:
        above, told = _decide_level(height, dtm, windows, options, limits)
    share, missing = _missing_heights(height, above, colours.valid)
    remarks = [*ortho.remarks, *colours.remarks, *told, *missing]
    known = [] if surface else [values[np.isfinite(values)] for values in above]
    heights = np.concatenate([np.empty(0, np.float32), *known])
    return Decisions(
        reading=Reading(
            bands=ortho.bands,
            white=colours.white,
            height_unit_m=None if height is None else height.values.scale / height.source.scale,
            height_offset_m=options.height_offset or 0.0,
            collar_pixels=sum(collar.pixels for collar in colours.collars),
            missing_heights_percent=round(100 * share, 2),
            options=options.chosen(),
        ),
        remarks=remarks,
        percentiles=percentiles(heights),
        collars=colours.collars,
        limits_m=limits,
        height=None if height is None else height.values,
        dtm=None if dtm is None else dtm.values,
        sample={"ortho": colours.pixels, "ndsm": np.maximum(heights, 0)[np.newaxis]},
    )


def _missing_heights(
    height: AlignedHeight | None, above: Sequence[np.ndarray], valid: Sequence[np.ndarray]
) -> tuple[float, list[Remark]]:
    """Share of the orthophoto's sampled pixels without height; a remark where they are many."""
    missing = np.concatenate(
        [~np.isfinite(heights)[seen] for heights, seen in zip(above, valid, strict=True)]
    )
    share = float(missing.mean()) if missing.size else 0.0
    if height is None or share < _MISSING_TOLD:
        return share, []
    message = (
        f"{height.source.path.name}: {100 * share:.1f} % of the sampled pixels of the orthophoto "
        "have no height; they are mapped by their colour"
    )
    return share, [Remark(code="height.missing", message=message)]


def read_alone(source: GeoTiff) -> tuple[Read, list[Remark]]:
    """How a raster by itself is read, and what that lets decide.

    Whether heights count from the ground, and in which unit where no tag says it, is decided beside
    the orthophoto.
    """
    remarks = [*source.remarks]
    whole = Window(0, 0, source.grid.width, source.grid.height)
    try:
        if source.role is Role.ORTHO:
            pixels = valid_pixels(
                [
                    source.read(window)
                    for window in sample_windows(source.grid.height, source.grid.width)
                ]
            )
            remarks += decide_white(source.path.name, pixels, source.scale, _NO_OPTIONS)[1]
        elif source.role is not Role.LABELS:
            sample = _sample_of(source, whole)
            values, told = decide_heights(_tags(source), sample, _NO_OPTIONS, above_ground=True)
            told = [each for each in told if each.code in ("height.unit", "height.wild")]
            return _metres(source, replace(values, missing=())), remarks + told
    except AmbiguousInput as error:
        remarks.append(Remark(code=error.code, message=error.message))
    return source.read, remarks


def _metres(source: GeoTiff, values: HeightValues) -> Read:
    def read(window: Window) -> tuple[np.ndarray, np.ndarray]:
        stored, valid = source.read_stored(window)
        metres = values.metres(stored[0], valid)
        return metres[np.newaxis], np.isfinite(metres)

    return read


def height_values(source: GeoTiff, options: ReadingOptions) -> HeightValues:
    """What the numbers of a surface model mean that stands for itself.

    Raises:
        UnclearUnit: Nobody says it, and nobody could tell.
    """
    whole = Window(0, 0, source.grid.width, source.grid.height)
    sample = _sample_of(source, whole)
    return decide_heights(_tags(source), sample, options, above_ground=False)[0]


def _tags(source: GeoTiff) -> HeightTags:
    return HeightTags(
        file=source.path.name,
        dtype=source.dtype,
        scale=source.scale,
        offset=source.offset,
        unit=source.unit,
        vertical_unit_m=vertical_unit(source.crs),
        nodata=source.nodata[0],
        is_dtm=source.role is Role.DTM,
        pixel_m=source.grid.gsd_m,
    )


def _sample_below(part: AlignedHeight) -> HeightSample:
    """Windows of a height raster's own grid, spread over what lies under the orthophoto."""
    return _sample_of(part.source, part.part_below())


def _sample_of(source: GeoTiff, part: Window) -> HeightSample:
    read = [source.read_stored(window) for window in _windows(part)]
    return HeightSample([values[0] for values, _ in read], [valid for _, valid in read])


def _windows(part: Window) -> Iterator[Window]:
    """The windows of a sample of a part of a raster."""
    for window in scattered_windows(part.height, part.width):
        row, column = part.row_off + window.row_off, part.col_off + window.col_off
        yield Window(column, row, window.width, window.height)


def _surface(
    height: AlignedHeight, windows: Sequence[Window], options: ReadingOptions
) -> tuple[list[np.ndarray], list[Remark]]:
    """What the numbers of a surface model mean, whatever level they count from; as below."""
    values, told = decide_heights(
        _tags(height.source), _sample_below(height), options, above_ground=False
    )
    height.interpret(values)
    return [height.read(window) for window in windows], [*told, *_spike_remarks(height)]


def _decide_level(
    height: AlignedHeight,
    dtm: AlignedHeight | None,
    windows: Sequence[Window],
    options: ReadingOptions,
    limits: tuple[float, float],
) -> tuple[list[np.ndarray], list[Remark]]:
    """The unit where nobody names it, and whether the heights count from the ground.

    Returns:
        The sample, metres above ground (h, w) each, NaN where unknown; and what to tell.
    """
    source = Source(
        file=height.source.path.name,
        with_dtm=dtm is not None,
        integers=_counts_steps(height.source),
        bits=8 * height.source.dtype.itemsize,
        alike=dtm is None or _counts_steps(dtm.source) == _counts_steps(height.source),
    )
    parts = [(height, _sample_below(height))] + ([(dtm, _sample_below(dtm))] if dtm else [])
    remarks = _interpret(parts, options)
    above = _above(height, dtm, windows)
    if not any(part.values.unit_known for part, _ in parts):
        unit_m, told = decide_unit(np.concatenate([h.ravel() for h in above]), source)
        remarks = [*_interpret(parts, options, unit_m), *told]
        above = _above(height, dtm, windows)
    offset = np.float32(options.height_offset or 0.0)
    pixels = np.concatenate([h.ravel() for h in above]) + offset
    remarks += check_above_ground(pixels, source, confirmed=options.height_offset is not None)
    if options.height_nodata is None:
        _check_plateaus([part for part, _ in parts], above, offset, windows)
    if dtm is None:
        # Now that they are known to be above ground, the limits are those of such heights.
        moved = (limits[0] - float(offset), limits[1] - float(offset))
        height.interpret(replace(height.values, limits_m=moved))
        above = _above(height, dtm, windows)
    remarks += [told for part, _ in parts for told in _spike_remarks(part)]
    above = [values + offset for values in above]
    for values in above:
        values[~possible(values, limits)] = np.nan
    return above, [*remarks, *_oddities(parts, above, windows, options)]


def _oddities(
    parts: Sequence[tuple[AlignedHeight, HeightSample]],
    above: Sequence[np.ndarray],
    windows: Sequence[Window],
    options: ReadingOptions,
) -> Iterator[Remark]:
    """What is odd about heights above ground, unless the caller knows."""
    height, sample = parts[0]
    file = height.source.path.name
    for part, own in parts:
        code = "dtm" if part.source.role is Role.DTM else "height"
        stored = [
            (each[np.newaxis], known) for each, known in zip(own.stored, own.valid, strict=True)
        ]
        found = find_copied_lines(stored)
        yield from tell_of_copied_lines(part.source.path.name, code, found)
    seen = [(metres[np.newaxis], np.isfinite(metres)) for metres in above]
    yield from tell_of_copied_parts(file, "height", seen)
    if options.height_offset is None:
        yield from tell_of_uneven_ground(file, windows, above)
    if options.height_nodata is None and len(parts) == 1:
        yield from tell_of_zeros(file, sample, height.values)
        yield from tell_of_zero_lines(file, [*above, *_whole_if_small(height)])
        yield from tell_of_cut_heights(file, sample, height.values)
    if options.height_unit is None:
        yield from tell_of_low_heights(file, above)
        yield from tell_of_coarse_steps(file, [height.values.metres(*b) for b in sample.blocks])
        yield from _tell_of_foot_coordinates(parts)


def _tell_of_foot_coordinates(
    parts: Sequence[tuple[AlignedHeight, HeightSample]],
) -> Iterator[Remark]:
    """Tells of heights in no unit that any tag names, beside coordinates in feet."""
    height = parts[0][0]
    tags = _tags(height.source)
    crs = height.source.grid.crs
    if crs is None or not crs.is_projected or height.values.scale != tags.scale:
        return
    named = not says_nothing(tags.unit) or tags.vertical_unit_m is not None
    unit = unit_name(crs.linear_units_factor[1])
    if not named and unit in ("ft", "us-ft"):
        message = (
            f"{tags.file}: coordinates are in {unit}, and the unit of the heights is not declared: "
            f"they are read as metres; --height-unit {unit} if they are feet, too, --height-unit m "
            "if not"
        )
        yield Remark(code="height.unit", message=message)


def _whole_if_small(height: AlignedHeight) -> list[np.ndarray]:
    """A small raster of heights as one window, which says as much as two of a sample; else none."""
    rows, columns = height.source.grid.height, height.source.grid.width
    if rows * columns > _SMALL_PX:
        return []
    return [height.read_source(Window(0, 0, columns, rows))] * 2


def _check_plateaus(
    parts: Sequence[AlignedHeight],
    above: Sequence[np.ndarray],
    offset: np.float32,
    windows: Sequence[Window],
) -> None:
    """Asks about a number that may stand for missing heights in one of the rasters."""
    heights = np.concatenate([values.ravel() for values in above])
    for part in parts:
        metres = heights
        if len(parts) > 1:
            metres = np.concatenate([part.read(window).ravel() for window in windows])
        check_plateau(_tags(part.source), part.values, metres, heights + offset)


def _interpret(
    parts: Sequence[tuple[AlignedHeight, HeightSample]],
    options: ReadingOptions,
    unit_m: float | None = None,
) -> list[Remark]:
    """Decides what the numbers of one height raster mean, or of a surface and a terrain model."""
    remarks = []
    for part, sample in parts:
        tags = _tags(part.source)
        values, told = decide_heights(
            tags, sample, options, above_ground=len(parts) == 1, unit_m=unit_m
        )
        part.interpret(values)
        remarks += told
    return remarks


def _spike_remarks(part: AlignedHeight) -> Iterator[Remark]:
    """Tells of spikes in the sample of a height raster."""
    windows = list(_windows(part.part_below()))
    found = sum(map(part.count_spikes, windows))
    if found:
        pixels = sum(window.height * window.width for window in windows)
        message = (
            f"{part.source.path.name}: {found:,} of {pixels:,} sampled heights are narrow spikes "
            "far above all around them (birds, wires, errors) and count as missing; --no-spikes "
            "if they are heights"
        )
        yield Remark(code="height.spikes", message=message)


def _counts_steps(source: GeoTiff) -> bool:
    """Whether heights are whole numbers of a step that nobody names."""
    return bool(np.issubdtype(source.dtype, np.integer)) and source.scale == 1


def _above(
    height: AlignedHeight, dtm: AlignedHeight | None, windows: Sequence[Window]
) -> list[np.ndarray]:
    if dtm is None:
        return [height.read(window) for window in windows]
    return [height.read(window) - dtm.read(window) for window in windows]
