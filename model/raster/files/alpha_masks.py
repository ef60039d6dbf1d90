"""Which of a raster's bands says which pixels are valid; many that are flagged as alpha do not.

Beside a partly transparent pixel some programs store its colour, others its colour times its alpha
(premultiplied), as it looks on black: there no colour is brighter than its alpha.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from mfnet.model.raster.files.fetched_blocks import FetchedBlocks
from mfnet.model.raster.files.sample_windows import sample_windows

_TWO_VALUES = 0.9
"""Of an alpha band's pixels that its two most frequent values take, where it is plain."""
_OPAQUE = 0.5
"""Of its pixels that its largest value takes, where its seams are feathered."""
_EMPTY = 0.9
"""Of the pixels where it is 0, that have one and the same colour: nothing was there to see."""
_LEAST_EMPTY = 0.001
_PARTLY, _PARTLY_PX, _OPAQUE_PX = 0.005, 256, 1024
"""Share and number of partly transparent pixels, and of opaque ones, of which is concluded."""
_DARKER, _BY_CHANCE = 0.995, 0.9
"""Of the partly transparent pixels, those no brighter than their alpha where they were multiplied;
and the most that would be so by chance, with the colours of opaque pixels."""


@dataclass(frozen=True)
class Mask:
    """An alpha band.

    Attributes:
        band: Counted from 1.
        premultiplied: Colours have been multiplied by it.
    """

    band: int
    premultiplied: bool


def find_mask(
    dataset: DatasetReader | FetchedBlocks, alphas: Sequence[int], used: Sequence[int]
) -> Mask | None:
    """The first band flagged as alpha that masks.

    Args:
        dataset: rasterio's, or what reads like it.
        alphas: Bands so flagged, counted from 1.
        used: Bands that are mapped: none of these is a mask.
    """
    windows = list(sample_windows(dataset.height, dataset.width))
    others = [band for band in dataset.indexes if band not in alphas][:3]
    for alpha in alphas:
        if alpha in used:
            continue
        read = [dataset.read([alpha, *others], window=window) for window in windows]
        pixels = np.concatenate([values.reshape(len(values), -1) for values in read], axis=1)
        multiplied = is_premultiplied(pixels[0], pixels[1:])
        if multiplied or is_mask(pixels[0], pixels[1:]):
            return Mask(alpha, multiplied)
    return None


def is_mask(alpha: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether sampled pixels of an alpha band say which pixels are valid.

    Cameras' fourth band, the near infrared, is often flagged as alpha; it takes many values, 0 over
    water among them. A mask takes two; or it is opaque mostly, and takes others along seams; or
    there is nothing to see where it is 0.

    Args:
        alpha: (n,).
        others: The bands beside it, (bands, n).
    """
    if not alpha.size:
        return True
    counts = np.unique(alpha, return_counts=True)[1]
    plain = np.sort(counts)[-2:].sum() >= _TWO_VALUES * alpha.size
    opaque = counts[-1] > _OPAQUE * alpha.size
    return bool(plain or opaque or _is_empty(others[:, alpha == 0], alpha.size))


def is_premultiplied(alpha: NDArray[Any], others: NDArray[Any]) -> bool:
    """Whether colours are stored times their alpha.

    Args:
        alpha: (n,), of which the type's largest number is opaque.
        others: The bands beside it, (bands, n).
    """
    if not len(others) or alpha.dtype.kind != "u" or others.dtype != alpha.dtype:
        return False
    opaque = alpha == np.iinfo(alpha.dtype).max
    partly = (alpha > 0) & ~opaque
    if partly.sum() < max(_PARTLY_PX, _PARTLY * alpha.size) or opaque.sum() < _OPAQUE_PX:
        return False
    brightest = others.max(axis=0).astype(np.int64)
    darker = (brightest[partly] <= alpha[partly].astype(np.int64) + 1).mean()
    usual = np.sort(brightest[opaque])
    chance = np.searchsorted(usual, alpha[partly], "right").mean() / len(usual)
    return bool(darker >= _DARKER and chance <= _BY_CHANCE)


def divided(values: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Colours (bands, h, w) as they were before they were multiplied by alpha (h, w)."""
    most = int(np.iinfo(values.dtype).max)
    by = np.maximum(alpha, 1).astype(np.uint64)
    before = (values * np.uint64(most) + by // np.uint64(2)) // by
    return np.asarray(np.minimum(before, np.uint64(most)), values.dtype)


def _is_empty(hidden: NDArray[Any], sampled: int) -> bool:
    """Whether pixels (bands, n) of so many have one colour, as a rule."""
    if not hidden.size or hidden.shape[1] < _LEAST_EMPTY * sampled:
        return False
    counts = np.unique(hidden, axis=1, return_counts=True)[1]
    return bool(counts.max() >= _EMPTY * hidden.shape[1])
