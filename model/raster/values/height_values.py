"""What the numbers of a height raster mean: unit, missing heights, and whether 0 is the ground."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.errors import UnclearUnit
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.damage.noise import HIGHER_M, NOISE_SHARE, share_of_noise
from mfnet.model.raster.values.fill_values import (
    ABSOLUTE_M,
    Fill,
    far_from_all,
    find_fills,
    possible,
    type_extremes,
)
from mfnet.model.raster.values.height_units import metres_of, says_nothing, unit_name
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.raster.values.spikes import widest_spike_px

_SAME_UNIT = 1e-4
# Values beyond the limits of metres that are as many and as different as measured ones: until the
# unit is known, the limits are those of millimetres.
_MEASURED_SHARE, _MEASURED_VALUES = 0.05, 16
_MILLIMETRES = 1000.0
_GROUND_M, _GROUND_STEPS = 1.0, 1.5
"""Heights below this, or of one stored step, are near enough to the ground for a gap among them to
be ground, too."""


@dataclass(frozen=True)
class HeightTags:
    """What a height raster's tags say of its numbers.

    Attributes:
        file: Its name, for messages.
        dtype: As stored.
        scale: From stored values to the unit, then `offset` is added.
        offset: In the unit.
        unit: The band's unit as it is written there.
        vertical_unit_m: Metres a unit of the CRS's vertical axis, if it has one.
        nodata: The declared value.
        is_dtm: The raster is a terrain model that will be subtracted.
        pixel_m: Side of a pixel; None if nobody knows.
    """

    file: str
    dtype: np.dtype
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    vertical_unit_m: float | None = None
    nodata: float | None = None
    is_dtm: bool = False
    pixel_m: float | None = None


@dataclass(frozen=True)
class HeightSample:
    """Windows of a height raster on its own grid, as stored.

    Attributes:
        stored: (h, w) each.
        valid: (h, w) bool each: by mask, alpha and NaN; a declared nodata value counts as valid.
    """

    stored: Sequence[NDArray[Any]]
    valid: Sequence[NDArray[np.bool_]]

    @property
    def blocks(self) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
        """Windows of one shape together: stored values and validity, (n, h, w) each."""
        for shape in sorted({window.shape for window in self.stored}):
            alike = [i for i, window in enumerate(self.stored) if window.shape == shape]
            yield (
                np.stack([self.stored[i] for i in alike]),
                np.stack([self.valid[i] for i in alike]),
            )

    @property
    def pixels(self) -> NDArray[Any]:
        """(n,) the valid ones of all windows."""
        parts = [values[valid] for values, valid in zip(self.stored, self.valid, strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0)


@dataclass(frozen=True)
class HeightValues:
    """How stored values become metres; the same for every window.

    Attributes:
        scale: Metres a stored step.
        offset_m: Metres of a stored 0.
        nodata: The stored value that stands for a missing height.
        missing: More of them.
        limits_m: Metres beyond these are no heights.
        unit_known: By option or tags; else `scale` takes the unit for a metre.
        spike_px: Pixels across of the widest spike that is no height; 0: none is looked for.
        noisy: Single pixels far above their neighbours are no heights.
    """

    scale: float
    offset_m: float = 0.0
    nodata: float | None = None
    missing: tuple[float, ...] = ()
    limits_m: tuple[float, float] = ABSOLUTE_M
    unit_known: bool = False
    spike_px: int = 0
    noisy: bool = False

    def metres(self, stored: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Metres of any shape, NaN where there is no height.

        Args:
            stored: As in the file.
            valid: False where the file says so by mask, alpha or NaN.
        """
        known = valid & True
        for value in (self.nodata, *self.missing):
            written = None if value is None else _as_written(float(value), stored.dtype)
            if written is not None:
                known &= stored != written
        with np.errstate(over="ignore", invalid="ignore"):
            plain = (self.scale, self.offset_m) == (1.0, 0.0)
            scaled = stored if plain else stored * self.scale + self.offset_m
            metres: NDArray[np.float32] = np.array(scaled, np.float32)
        metres[~(known & possible(metres, self.limits_m))] = np.nan
        return metres


def decide_heights(
    tags: HeightTags,
    sample: HeightSample,
    options: ReadingOptions,
    *,
    above_ground: bool,
    unit_m: float | None = None,
) -> tuple[HeightValues, list[Remark]]:
    """Decides what the numbers of one height raster mean.

    Args:
        tags: The raster's.
        sample: Of its pixels.
        options: What the caller knows better.
        above_ground: It is read as heights above ground, not as a surface or terrain model.
        unit_m: Metres a unit where neither tags nor options name one.

    Returns:
        The values, and what was decided. Where nobody names a unit it is taken for a metre, and
        `unit_known` is False: `level.decide_unit` concludes it from these values, and whoever asks
        decides once more with it, since what is missing depends on the unit.

    Raises:
        UnclearUnit: The tags contradict each other, or name a unit that nobody knows.
    """
    declared_m, remarks = _declared_unit(tags, options)
    unit_m = unit_m if declared_m is None else declared_m
    values = HeightValues(
        scale=tags.scale * (unit_m or 1.0),
        offset_m=tags.offset * (unit_m or 1.0),
        nodata=tags.nodata,
        unit_known=unit_m is not None,
    )
    values, told = _decide_nodata(values, tags, sample, options, above_ground)
    remarks += told
    if options.height_nodata == "none":
        return replace(values, limits_m=(-np.inf, np.inf)), remarks
    if options.spikes and values.unit_known:
        values = replace(values, spike_px=widest_spike_px(tags.pixel_m))
    values, told = _find_missing(values, tags, sample, above_ground)
    remarks += told
    values, told = _find_noise(values, tags, sample)
    return values, remarks + told


def is_value(stored: NDArray[Any], value: float | None) -> NDArray[np.bool_]:
    """Where stored values equal one that is written as a float; bool of their shape.

    Args:
        stored: Of any shape and real type.
        value: It may lie outside their type's range; NaN and None equal nothing.
    """
    written = None if value is None else _as_written(float(value), stored.dtype)
    if written is None:
        return np.zeros(stored.shape, bool)
    return np.asarray(stored == written)


@lru_cache(maxsize=256)
def _as_written(value: float, dtype: np.dtype) -> Any:
    """A value as pixels of a type hold it; None if none can."""
    if np.isnan(value):
        return None
    if np.issubdtype(dtype, np.floating):
        # Writers print float32 extremes with a last digit too many; GDAL clamps them, and so do we.
        limits = np.finfo(dtype)
        return dtype.type(min(max(value, float(limits.min)), float(limits.max)))
    return int(value) if value.is_integer() else None


# ---- unit -------------------------------------------------------------------------------------


def _declared_unit(tags: HeightTags, options: ReadingOptions) -> tuple[float | None, list[Remark]]:
    """Metres a unit, by option, band or CRS; None where none of them says it."""
    option = "--dtm-unit" if tags.is_dtm else "--height-unit"
    if (name := options.unit_of(is_dtm=tags.is_dtm)) is not None:
        chosen = metres_of(name)
        assert chosen is not None, name
        return chosen, []
    of_band = None if says_nothing(tags.unit) else metres_of(tags.unit or "")
    if of_band is None and not says_nothing(tags.unit):
        raise UnclearUnit(
            f"{tags.file}: the band's unit is {tags.unit!r}, which is no unit of height; expected "
            f"metres or feet: say what they are in with {option} m (or ft, us-ft, cm, …)",
            file=tags.file,
            unit=tags.unit,
            option="height_unit",
        )
    of_crs = tags.vertical_unit_m
    if of_band is not None and of_crs is not None and abs(of_band / of_crs - 1) > _SAME_UNIT:
        raise UnclearUnit(
            f"{tags.file}: the band's unit is {tags.unit!r}, the vertical unit of its coordinate "
            f"reference system is {unit_name(of_crs)}; expected one: choose with {option} "
            f"{unit_name(of_band)} or {option} {unit_name(of_crs)}",
            file=tags.file,
            option="height_unit",
        )
    unit_m = of_band if of_band is not None else of_crs
    if unit_m in (None, 1.0):
        return unit_m, []
    by = f"the band's unit {tags.unit!r}" if of_band is not None else "its vertical CRS"
    return unit_m, [
        Remark(
            code="height.unit",
            message=f"{tags.file}: heights are in {unit_name(unit_m)} by {by} and are converted to "
            f"metres (× {unit_m:.9g}); {option} m if they are metres",
        )
    ]


# ---- missing heights --------------------------------------------------------------------------


def _decide_nodata(
    values: HeightValues,
    tags: HeightTags,
    sample: HeightSample,
    options: ReadingOptions,
    above_ground: bool,
) -> tuple[HeightValues, list[Remark]]:
    """The declared nodata value, or the one given; 0 above ground may be the ground."""
    if options.height_nodata is not None:
        given = None if options.height_nodata == "none" else float(options.height_nodata)
        return replace(values, nodata=given), []
    if tags.nodata != 0 or not above_ground or values.offset_m:
        return values, []
    zeros = [is_value(s, 0.0) & v for s, v in zip(sample.stored, sample.valid, strict=True)]
    count = sum(int(zero.sum()) for zero in zeros)
    if not count:
        return values, []
    share = 100 * count / max(1, sum(valid.size for valid in sample.valid))
    found = f"{tags.file}: nodata is 0, which {share:.1f} % of the heights are"
    around = np.abs(_around(zeros, sample)) * values.scale
    step = values.scale if np.issubdtype(tags.dtype, np.integer) else 0.0
    near = max(_GROUND_M, _GROUND_STEPS * step)
    # Where all of the ground is 0, things that stand on it are around, too: a quarter is enough.
    if around.size and (low := float(np.quantile(around, 0.25))) < near:
        message = (
            f"{found}; a quarter of the heights around them is at most {low:.2f} m, so they are "
            "taken for the ground; --height-nodata 0 if nothing is known there"
        )
        return replace(values, nodata=None), [Remark(code="height.nodata_zero", message=message)]
    message = f"{found}; they count as missing; --height-nodata none if 0 is the ground"
    return values, [Remark(code="height.nodata_zero", message=message)]


def _around(zeros: Sequence[NDArray[np.bool_]], sample: HeightSample) -> NDArray[np.float64]:
    """Stored values (n,) of valid pixels that touch a zero by a side."""
    found = []
    for zero, stored, valid in zip(zeros, sample.stored, sample.valid, strict=True):
        padded = np.pad(zero, 1)
        touches = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        found.append(stored[touches & valid & ~zero].astype(np.float64))
    return np.concatenate(found) if found else np.zeros(0)


def _find_missing(
    values: HeightValues, tags: HeightTags, sample: HeightSample, above_ground: bool
) -> tuple[HeightValues, list[Remark]]:
    """What is no height though nobody declared it."""
    pixels = sample.pixels
    pixels = pixels[~is_value(pixels, values.nodata)]
    metres = pixels.astype(np.float64) * values.scale + values.offset_m
    limits = ABSOLUTE_M
    beyond = pixels[~possible(metres, limits)]
    if not values.unit_known and _are_measured(beyond, pixels.size):
        # They may be centimetres: what is a height is judged when that is known.
        limits = (limits[0] * _MILLIMETRES, limits[1] * _MILLIMETRES)
    extremes = tuple(float(value) for value in type_extremes(tags.dtype))
    kept = possible(metres, limits) & ~np.isin(pixels, extremes)
    fills = find_fills(pixels[kept], values.scale, above_ground=above_ground)
    filled = tuple(fill.value for fill in fills)
    measured = pixels[kept & ~np.isin(pixels, filled)]
    unseen = far_from_all(measured, values.scale, above_ground=above_ground)
    missing = (*extremes, *filled, *unseen)
    remarks = list(_fill_remarks(tags.file, fills, pixels, ~kept))
    return replace(values, missing=missing, limits_m=limits), remarks


def _find_noise(
    values: HeightValues, tags: HeightTags, sample: HeightSample
) -> tuple[HeightValues, list[Remark]]:
    """Whether single pixels stand far above their neighbours, oftener than things do."""
    if not values.spike_px:
        return values, []
    share = share_of_noise([values.metres(*block) for block in sample.blocks], below=tags.is_dtm)
    if share < NOISE_SHARE:
        return values, []
    message = (
        f"{tags.file}: {100 * share:.2g} % of the sampled heights are single pixels more than "
        f"{HIGHER_M:g} m {'off' if tags.is_dtm else 'above'} all around them, which is noise: they "
        "count as missing; --no-spikes if they are heights"
    )
    return replace(values, noisy=True), [Remark(code="height.noise", message=message)]


def _are_measured(values: NDArray[Any], pixels: int) -> bool:
    """Whether values are heights in another unit, and not a few numbers that stand for nothing."""
    if values.size <= _MEASURED_SHARE * pixels:
        return False
    return len(np.unique(values)) > _MEASURED_VALUES


def _fill_remarks(
    file: str, fills: Sequence[Fill], pixels: NDArray[Any], wild: NDArray[np.bool_]
) -> Iterator[Remark]:
    for fill in fills:
        yield Remark(
            code="height.fill",
            message=f"{file}: {100 * fill.share:.2g} % of the heights are {fill.value:g}, apart "
            "from all others: they count as missing (nodata is not declared); --height-nodata "
            "none if they are heights",
        )
    if wild.any():
        told = ", ".join(f"{value:g}" for value in np.unique(pixels[wild])[:3])
        yield Remark(
            code="height.wild",
            message=f"{file}: {int(wild.sum()):,} of {pixels.size:,} sampled heights cannot be "
            f"heights ({told}) and count as missing; --height-nodata none if they are",
        )
