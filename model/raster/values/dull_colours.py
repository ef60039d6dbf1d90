"""Orthophotos whose numbers or gaps say less than a picture does: told."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.raster.remark import Remark

_LEAST_PX = 1024
_FLAT = 0.006
"""Of white: between the lowest and the highest of a band that has nothing to show."""
_CORRELATED_PX, _GREY, _UNLIKE = 16_384, 0.998, -0.25
"""Pixels that are compared, and between which correlations bands are those of a picture."""
_DRAWN = 0.5
"""Of neighbouring pixels, that are equal in a drawing; at most 0.26 in photographs and towns."""
_HIDDEN, _ONE_COLOUR = 0.5, 0.5
"""Of the pixels that are hidden, and of these, what has one and the same number: nothing to see."""


def tell_of_dull_colours(
    file: str, pixels: NDArray[Any], bands: Sequence[int], white: float
) -> Iterator[Remark]:
    """Tells of a grey picture in three bands, and of bands without any difference.

    Args:
        file: Its name.
        pixels: Valid ones, (bands, n).
        bands: Of the file, that are red, green, blue.
        white: The digital number of white.
    """
    if pixels.shape[1] < _LEAST_PX:
        return
    ends = np.quantile(pixels, (0.005, 0.995), axis=1).T
    flat = [
        f"{band} ({low:g} to {high:g})"
        for band, (low, high) in zip(bands, ends.tolist(), strict=True)
        if high - low < _FLAT * white
    ]
    if flat:
        message = (
            f"{file}: hardly any difference in band {', '.join(flat)} of white {white:g}: --white "
            "if white is another, --bands for other bands"
        )
        yield Remark(code="ortho.flat", message=message)
    elif len(set(bands)) == len(bands):
        yield from _tell_of_relation(file, pixels, bands)


def _tell_of_relation(file: str, pixels: NDArray[Any], bands: Sequence[int]) -> Iterator[Remark]:
    """Tells of bands that say the same, and of bands of which one is dark where another is bright.

    Red, green and blue of real and drawn towns are correlated by 0.63 to 0.99, near infrared with
    red by 0.4 and more.
    """
    thin = pixels[:, :: max(1, pixels.shape[1] // _CORRELATED_PX)].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        related = np.corrcoef(thin)
    if related.min() > _GREY:
        message = (
            f"{file}: red, green and blue say the same in all sampled pixels, a grey or tinted "
            "picture; a model that has learned from colours maps it worse"
        )
        yield Remark(code="ortho.grey", message=message)
    elif related.min() < _UNLIKE:
        one, other = sorted(divmod(int(related.argmin()), len(bands)))
        message = (
            f"{file}: band {bands[one]} is dark where band {bands[other]} is bright "
            f"(correlation {related.min():.2f}), as red, green and blue hardly are: is it YCbCr, "
            "HSV, CMYK or a coloured map? expected red, green and blue; --bands for other bands"
        )
        yield Remark(code="ortho.unlike_bands", message=message)


def tell_of_drawing(
    file: str, windows: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]
) -> Iterator[Remark]:
    """Tells of a picture whose neighbouring pixels are equal, as in no photograph.

    Args:
        file: Its name.
        windows: Of the sample: values (bands, h, w), and validity (h, w), False in collars.
    """
    same = pairs = 0
    for values, valid in windows:
        beside = valid[:, 1:] & valid[:, :-1]
        same += int((beside & (values[:, :, 1:] == values[:, :, :-1]).all(axis=0)).sum())
        pairs += int(beside.sum())
    if pairs >= _LEAST_PX and same > _DRAWN * pairs:
        message = (
            f"{file}: {100 * same / pairs:.0f} % of neighbouring pixels are equal: a drawing, a "
            "coloured map or few colours, no photograph; expected an orthophoto"
        )
        yield Remark(code="ortho.drawing", message=message)


def tell_of_hidden_picture(
    file: str, windows: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]
) -> Iterator[Remark]:
    """Tells of a mask that hides most of a picture: it may be turned around.

    Args:
        file: Its name.
        windows: Of the sample: values (bands, h, w), whether valid or not, and validity (h, w).
    """
    hidden = np.concatenate([values[0][~valid] for values, valid in windows])
    total = sum(valid.size for _, valid in windows)
    if hidden.size < max(_LEAST_PX, _HIDDEN * total):
        return
    counts = np.unique(hidden[np.isfinite(hidden)], return_counts=True)[1]
    if counts.sum() and counts.max() < _ONE_COLOUR * hidden.size:
        message = (
            f"{file}: {100 * hidden.size / total:.0f} % of the sampled pixels are hidden by its "
            "alpha or mask, and there is a picture behind: is it turned around? gdal_translate "
            "-b 1 -b 2 -b 3 -mask none leaves it out"
        )
        yield Remark(code="ortho.hidden", message=message)
