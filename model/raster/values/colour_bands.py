"""What the bands of an orthophoto mean: which are red, green, blue, and which number is white."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mfnet.model.errors import UnclearWhite, WrongBands
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.reading_options import ReadingOptions

COLOURS = ("red", "green", "blue")

_BIT_DEPTHS = (8, 10, 11, 12, 14, 16)
_REFLECTANCE_WHITE = 10_000.0
"""Of reflectance in steps of 0.0001, which satellites and multispectral cameras deliver."""
_NO_REFLECTANCE = 12_000.0
"""Beyond this, few pixels would be reflectance so stored: no surface throws back a fifth more."""
_BRIGHT = 0.9995
"""Quantile of the sample that counts as its brightest pixel: single hot ones do not."""
_LEAST_SHARE = 0.4
"""Of white, that the brightest sampled pixel reaches at least where the bit depth is believed."""
_MASK_SHARE = 0.9
"""Of an alpha band's pixels that its two most frequent values take; fewer, and it is a picture."""


@dataclass(frozen=True)
class BandTags:
    """A band as its file describes it.

    Attributes:
        interpretation: GDAL's colour interpretation: red, gray, alpha, undefined, …
        description: Free text.
    """

    interpretation: str
    description: str | None = None

    @property
    def colour(self) -> str | None:
        """red, green or blue, by interpretation; by description where that says nothing of it."""
        if self.interpretation in COLOURS:
            return self.interpretation
        text = (self.description or "").strip().casefold()
        return text if text in COLOURS else None


def choose_colour_bands(
    file: str, bands: Sequence[BandTags], options: ReadingOptions
) -> tuple[tuple[int, int, int], list[Remark]]:
    """Three bands, counted from 1, as red, green, blue.

    By option; else those that the file calls so; else the first three beside alpha.

    Raises:
        WrongBands: There are not enough.
    """
    if options.bands is not None:
        if max(options.bands) > len(bands):
            raise WrongBands(
                f"{file}: {len(bands)} bands; expected one of number {max(options.bands)}, which "
                "--bands names",
                file=file,
                bands=len(bands),
                option="bands",
            )
        return options.bands, []
    named = [band.colour for band in bands]
    if all(named.count(colour) == 1 for colour in COLOURS):
        red, green, blue = (named.index(colour) + 1 for colour in COLOURS)
        chosen = (red, green, blue)
        if chosen == (1, 2, 3):
            return chosen, []
        message = (
            f"{file}: bands {red}, {green}, {blue} are red, green, blue by the file's own word; "
            "--bands 1,2,3 for the first three"
        )
        return chosen, [Remark(code="ortho.bands", message=message)]
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
    return (plain[0], plain[1], plain[2]), []


def is_mask(alpha: NDArray[Any]) -> bool:
    """Whether sampled pixels of an alpha band, of any shape, say which pixels are valid.

    Cameras' fourth band, the near infrared, is often flagged as alpha; it takes many values.
    """
    if not alpha.size:
        return True
    counts = np.unique(alpha, return_counts=True)[1]
    return bool(np.sort(counts)[-2:].sum() >= _MASK_SHARE * alpha.size)


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
        sample: Valid pixels of the chosen bands, of any shape; of floats, finite ones below 1e7.
        scale: The bands' scale tag; 1 where there is none.
        options: What the caller knows better.

    Raises:
        UnclearWhite: Two readings fit.
    """
    if options.white is not None:
        return options.white, []
    white = largest_number(sample.dtype)
    # A type's largest number says nothing of its bits: it stands for saturation, or for no data.
    sample = sample[sample < white] if np.issubdtype(sample.dtype, np.integer) else sample
    if sample.dtype == np.uint8 or not sample.size:
        return white, []
    brightest = float(np.quantile(sample, _BRIGHT))
    if 0 < scale < 0.1 and brightest * scale < 1.5:
        return 1 / scale, [
            _remark(file, 1 / scale, f"by the band's scale of {scale:g}, which makes reflectance")
        ]
    integers = np.issubdtype(sample.dtype, np.integer)
    if not integers and brightest <= 1.5:
        return white, []
    return _by_bits(file, brightest, integers=integers)


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
    full = white == whites[-1]
    if whites[3] < brightest <= _NO_REFLECTANCE:
        raise UnclearWhite(
            f"{file}: the brightest sampled pixel is {brightest:g}; expected to know which number "
            f"is white: choose --white {_REFLECTANCE_WHITE:.0f} (reflectance in steps of 0.0001), "
            f"--white {whites[4]:.0f} (14 bits) or --white {whites[5]:.0f} (16 bits)",
            file=file,
            brightest=brightest,
            option="white",
        )
    if full and integers and brightest >= _LEAST_SHARE * white:
        return white, []
    reason = f"as the brightest sampled pixel is {brightest:g}"
    return white, [_remark(file, white, reason)]


def _remark(file: str, white: float, reason: str) -> Remark:
    return Remark(
        code="ortho.white",
        message=f"{file}: white is taken to be {white:g}, {reason}; --white if it is another",
    )
