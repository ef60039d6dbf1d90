"""What the bands of an orthophoto mean: which are red, green, blue, and which number is white."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mfnet.model.errors import UnclearWhite, WrongBands
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.band_names import COLOURS, BandTags
from mfnet.model.raster.values.height_values import is_value
from mfnet.model.raster.values.reading_options import ReadingOptions

_BIT_DEPTHS = (8, 10, 11, 12, 14, 16)
_REFLECTANCE_WHITE = 10_000.0
"""Of reflectance in steps of 0.0001, which satellites and multispectral cameras deliver."""
_NO_REFLECTANCE = 12_000.0
"""Beyond this, few pixels would be reflectance so stored: no surface throws back a fifth more."""
_BRIGHT = 0.9995
"""Quantile of the sample that counts as its brightest pixel: single hot ones do not."""
_FILL_SHARE = 0.001
"""Of the sample, that a fill value has at least."""
_FILL_APART = 2.0
"""Times the brightest other pixel, that a fill value is at least: 4095 around 11 bits."""
_REACHED = 0.98
"""Of white, that something reaches in a raster whose bit depth is plain."""
NO_COLOUR = 1e7
"""Floating point numbers beyond this stand for nothing: a fill value that is not declared."""
_NEGATIVE, _DIFFERENT, _DARK_NOISE = 0.05, 16, 0.02
"""Of the sample, numbers below 0 that make it no picture; so many different ones, and so much of
the brightest below 0: dark pixels of corrected reflectance are so by their noise."""
_LEAST_SHARE = 0.4
"""Of white, that the brightest sampled pixel reaches at least where the bit depth is believed."""


def choose_colour_bands(
    file: str, bands: Sequence[BandTags], options: ReadingOptions
) -> tuple[tuple[int, int, int], list[Remark]]:
    """Three bands, counted from 1, as red, green, blue.

    By option; else those that the file calls so; else the first three beside alpha, unless it calls
    them something else.

    Raises:
        WrongBands: There are not enough, or they are said to be others.
    """
    if options.bands is not None:
        return _existing(file, options.bands, len(bands)), []
    named = [band.name for band in bands]
    if all(named.count(colour) == 1 for colour in COLOURS):
        return _by_name(file, named)
    return _first_three(file, bands, named), []


def _existing(file: str, chosen: tuple[int, int, int], count: int) -> tuple[int, int, int]:
    if max(chosen) > count:
        raise WrongBands(
            f"{file}: {count} bands; expected one of number {max(chosen)}, which --bands names",
            file=file,
            bands=count,
            option="bands",
        )
    return chosen


def _by_name(file: str, named: Sequence[str | None]) -> tuple[tuple[int, int, int], list[Remark]]:
    red, green, blue = (named.index(colour) + 1 for colour in COLOURS)
    chosen = (red, green, blue)
    if chosen == (1, 2, 3):
        return chosen, []
    message = (
        f"{file}: bands {red}, {green}, {blue} are red, green, blue by the file's own word; "
        "--bands 1,2,3 for the first three"
    )
    return chosen, [Remark(code="ortho.bands", message=message)]


def _first_three(
    file: str, bands: Sequence[BandTags], named: Sequence[str | None]
) -> tuple[int, int, int]:
    """Beside alpha, where the file does not contradict."""
    plain = [i for i, band in enumerate(bands, 1) if band.interpretation != "alpha"]
    if len(plain) < 3:
        grey = "; --bands 1,1,1 maps a grey picture as it is" if len(plain) == 1 else ""
        raise WrongBands(
            f"{file}: {len(plain)} bands beside alpha; expected red, green, blue in the "
            f"orthophoto: is the order of the files right? --bands R,G,B chooses three{grey}",
            file=file,
            bands=len(plain),
            expected=3,
            option="bands",
        )
    first = (plain[0], plain[1], plain[2])
    if _contradict(named, first):
        raise WrongBands(
            f"{file}: band {_listed(named)}; expected red, green and blue among them: --bands "
            f"R,G,B chooses three ({','.join(map(str, first))}: the first three)",
            file=file,
            bands=len(plain),
            expected=3,
            option="bands",
        )
    return first


def _contradict(named: Sequence[str | None], first: Sequence[int]) -> bool:
    """Whether three bands, counted from 1, are called something else than red, green, blue."""
    called = [named[band - 1] for band in first]
    if any(name not in (None, colour) for name, colour in zip(called, COLOURS, strict=True)):
        return True
    return any(colour in named and colour not in called for colour in COLOURS)


def _listed(named: Sequence[str | None]) -> str:
    said = [f"{band} is said to be {name}" for band, name in enumerate(named, 1) if name]
    return ", ".join(said)


def largest_number(dtype: DTypeLike) -> float:
    """White by the pixel type alone: its largest integer, 1 for floating point."""
    kind = np.dtype(dtype)
    return float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0


def decide_white(
    file: str, sample: NDArray[Any], scale: float, options: ReadingOptions
) -> tuple[float, list[Remark]]:
    """The digital number of full reflectance.

    Of 8 bits it is 255. Wider types hold fewer bits than they have as a rule; which, the brightest
    sampled pixel tells. A crop without anything bright may be taken for one of fewer bits.

    Args:
        file: Its name.
        sample: Valid pixels of the chosen bands, (bands, n); of floats, finite ones below 1e7.
        scale: The bands' scale tag; 1 where there is none.
        options: What the caller knows better.

    Raises:
        UnclearWhite: Two readings fit.
    """
    if options.white is not None:
        return options.white, []
    white = largest_number(sample.dtype)
    if sample.dtype == np.uint8:
        return white, []
    sample = _without_fill(sample).ravel()
    integers = np.issubdtype(sample.dtype, np.integer)
    # A type's largest number says nothing of its bits: it stands for saturation, or for no data.
    colours = sample[sample < white] if integers else sample
    if not colours.size:
        return white, []
    if not integers:
        _refuse_negative(file, colours)
    brightest = float(np.quantile(colours, _BRIGHT))
    if 0 < scale < 0.1 and brightest * scale < 1.5:
        return 1 / scale, [
            _remark(file, 1 / scale, f"by the band's scale of {scale:g}, which makes reflectance")
        ]
    if not integers and brightest <= 1.5:
        return white, []
    found, told = _by_bits(file, brightest, integers=integers)
    reached = integers and np.quantile(sample, _BRIGHT) >= _REACHED * white
    return found, [] if found == white and reached else told


def _refuse_negative(file: str, colours: NDArray[Any]) -> None:
    """Refuses numbers that are no light: a picture around 0, as networks are fed with.

    Raises:
        UnclearWhite: They are many, and different: no fill value, and no noise of dark pixels.
    """
    low, high = np.quantile(colours, (1 - _BRIGHT, _BRIGHT)).tolist()
    below = colours[colours < min(0, -_DARK_NOISE * high)]
    if below.size > _NEGATIVE * colours.size and len(np.unique(below)) > _DIFFERENT:
        raise UnclearWhite(
            f"{file}: {100 * below.size / colours.size:.0f} % of the sampled numbers are below 0; "
            f"expected light, from 0 on: gdal_translate -ot Byte -scale {low:g} {high:g} 0 255 "
            "IN OUT.tif moves them there; --white NUMBER if those below 0 are black",
            file=file,
            option="white",
        )


def _without_fill(sample: NDArray[Any]) -> NDArray[Any]:
    """The pixels (bands, n) that do not hold, in all bands, one number far above all others."""
    if not sample.size:
        return sample
    same = (sample == sample[0]).all(axis=0)
    numbers, counts = np.unique(sample[0, same], return_counts=True)
    for number in numbers[counts >= _FILL_SHARE * sample.shape[1]][::-1]:
        rest = sample[:, ~same | (sample[0] != number)]
        if not rest.size or number < _FILL_APART * np.quantile(rest, _BRIGHT):
            break
        sample, same = rest, same[~same | (sample[0] != number)]
    return sample


def tell_of_no_colours(
    file: str, windows: Sequence[NDArray[Any]], nodata: Sequence[float | None]
) -> list[Remark]:
    """Tells of numbers that no camera gives, and that are not declared as nodata.

    Args:
        file: Its name.
        windows: Of the chosen bands, (bands, h, w), whether valid or not.
        nodata: Declared, of each band.
    """
    if not windows or not np.issubdtype(windows[0].dtype, np.floating):
        return []
    sample = np.concatenate([window.reshape(len(window), -1) for window in windows], axis=1)
    odd = np.isfinite(sample) & (np.abs(sample) >= NO_COLOUR)
    for is_odd, band, value in zip(odd, sample, nodata, strict=True):
        is_odd &= ~is_value(band, value)
    pixels = odd.any(axis=0)
    if not pixels.any():
        return []
    numbers, counts = np.unique(sample[odd], return_counts=True)
    message = (
        f"{file}: {100 * pixels.mean():.1f} % of the sampled pixels hold numbers that are no "
        f"colour, such as {numbers[counts.argmax()]:g}, and are taken for missing; "
        "gdal_edit.py -a_nodata VALUE declares them"
    )
    return [Remark(code="ortho.no_colour", message=message)]


def _by_bits(file: str, brightest: float, *, integers: bool) -> tuple[float, list[Remark]]:
    """White by the fewest bits that hold the brightest pixel."""
    whites = [2.0**bits - 1 for bits in _BIT_DEPTHS]
    white = next((white for white in whites if brightest <= white), None)
    if white is None:
        raise UnclearWhite(
            f"{file}: the brightest sampled pixel is {brightest:g}; expected reflectance of 0 to "
            "1, or numbers of 8 to 16 bits: say which number is white with --white",
            file=file,
            brightest=brightest,
            option="white",
        )
    if not integers and brightest < _LEAST_SHARE * whites[0]:
        raise UnclearWhite(
            f"{file}: the brightest sampled pixel is {brightest:g}; expected reflectance of 0 to "
            f"1, or of 0 to 255: choose --white 1 or --white {whites[0]:.0f}",
            file=file,
            brightest=brightest,
            option="white",
        )
    if whites[3] < brightest <= _NO_REFLECTANCE:
        raise UnclearWhite(
            f"{file}: the brightest sampled pixel is {brightest:g}; expected to know which number "
            f"is white: choose --white {_REFLECTANCE_WHITE:.0f} (reflectance in steps of 0.0001), "
            f"--white {whites[4]:.0f} (14 bits) or --white {whites[5]:.0f} (16 bits)",
            file=file,
            brightest=brightest,
            option="white",
        )
    reason = f"as the brightest sampled pixel is {brightest:g}"
    return white, [_remark(file, white, reason)]


def _remark(file: str, white: float, reason: str) -> Remark:
    return Remark(
        code="ortho.white",
        message=f"{file}: white is taken to be {white:g}, {reason}; --white if it is another",
    )
