"""One colour that is there to the last digit far oftener than any other: no picture has that.

Photographs hardly repeat a colour. Whoever fills a gap of a mosaic, a missing tile or a lost line
writes one number everywhere. Black and white are clipped shadows and saturated roofs as well, which
have their shades around them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.colour_bands import largest_number

Windows = Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]
"""Values (3, h, w) and validity (h, w) of some windows."""

_ENOUGH_PX, _LEAST_PX, _LEAST_SHARE = 16_384, 64, 2.2e-3
"""Sampled pixels of which something is concluded; so many of them, and such a share, are told."""
_OFTENER = 4
"""Times as many as of any other colour. Of 30 real and drawn pictures none has twice as many."""
_ALIKE, _SOFT = 4 / 255, 24 / 255
"""Of white: what differs by less is the same colour, compressed; or may be its shade."""
_CANDIDATES, _MOST_SOFT = 3, 0.25


@dataclass(frozen=True)
class OneColour:
    """A colour, and how often it is there.

    Attributes:
        colour: (3,) as stored.
        share: Of the sampled pixels.
    """

    colour: NDArray[Any]
    share: float


def find_one_colour(windows: Windows, white: float, reach_px: int = 4) -> OneColour | None:
    """The colour that stands out, if one does.

    Args:
        windows: Of the sample; they may be thinned out.
        white: The digital number of white.
        reach_px: How far around it the picture is looked at, for shades of black and white.
    """
    pixels = np.concatenate([values[:, valid] for values, valid in windows], axis=1)
    if pixels.shape[1] < _ENOUGH_PX:
        return None
    colours, counts = _counted(pixels)
    least = max(_LEAST_PX, _LEAST_SHARE * pixels.shape[1])
    most = largest_number(pixels.dtype)
    for at in range(min(_CANDIDATES, len(counts))):
        if counts[at] < least:
            return None
        colour = colours[:, at]
        others = abs(colours - colour[:, None]).max(axis=0) > _ALIKE * white
        others &= ~_extreme(colours, most, white)
        if others.any() and counts[at] < _OFTENER * counts[others].max():
            continue
        ends = bool(_extreme(colour[:, None], most, white)[0])
        if ends and not _is_sharp(windows, colour, white, reach_px):
            continue
        return OneColour(pixels[:, (pixels == colour[:, None]).all(axis=0)][:, 0],
                         float(counts[at] / pixels.shape[1]))  # fmt: skip
    return None


def tell_of_one_colour(file: str, found: OneColour | None) -> Iterator[Remark]:
    """Tells of a colour that stands out and that is mapped as ground."""
    if found is None:
        return
    numbers = [f"{number:g}" for number in found.colour.tolist()]
    message = (
        f"{file}: {100 * found.share:.2g} % of the sampled pixels are ({', '.join(numbers)}) to "
        "the last digit, as no other colour is, and are mapped as ground; if they are holes or "
        f'stripes without data, gdalwarp -srcnodata "{" ".join(numbers)}" -dstalpha takes them out'
    )
    yield Remark(code="ortho.one_colour", message=message)


def _counted(pixels: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The most frequent colours (3, n) of pixels, and how many pixels each has; at most 4096."""
    bits = np.ascontiguousarray(pixels).view(f"u{pixels.dtype.itemsize}").astype(np.uint64)
    key = (bits[0] * np.uint64(0x9E3779B1) + bits[1]) * np.uint64(0x85EBCA6B) + bits[2]
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:4096]
    return pixels[:, first[order]].astype(np.float64), counts[order]


def _extreme(colours: NDArray[np.float64], most: float, white: float) -> NDArray[np.bool_]:
    """Which colours (3, n) are black or white, or nearly so."""
    near = _ALIKE * white
    ends = min(most, white)
    return np.asarray((colours <= near).all(axis=0) | (colours >= ends - near).all(axis=0))


def _is_sharp(windows: Windows, colour: NDArray[np.float64], white: float, reach: int) -> bool:
    """Whether the picture begins at once around a colour, and not with its shades."""
    shades = around = 0
    for values, valid in windows:
        apart = abs(values - colour.astype(np.float32)[:, None, None]).max(axis=0)
        plain = valid & (apart <= _ALIKE * white)
        if plain.any():
            border = _grown(plain, reach) & ~plain & valid
            around += int(border.sum())
            shades += int((border & (apart <= _SOFT * white)).sum())
    return around > 0 and shades <= _MOST_SOFT * around


def _grown(pixels: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """What lies within so many rows and columns of some pixels (h, w)."""
    for axis in (0, 1):
        grown = pixels.copy()
        for step in range(1, min(reach, pixels.shape[axis] - 1) + 1):
            ahead = [slice(None), slice(None)]
            behind = [slice(None), slice(None)]
            ahead[axis], behind[axis] = slice(step, None), slice(None, -step)
            grown[tuple(ahead)] |= pixels[tuple(behind)]
            grown[tuple(behind)] |= pixels[tuple(ahead)]
        pixels = grown
    return pixels
