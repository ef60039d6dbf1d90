"""Which of a raster's bands says which pixels are valid; many that are flagged as alpha do not."""

from collections.abc import Sequence
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


def find_mask(
    dataset: DatasetReader | FetchedBlocks, alphas: Sequence[int], used: Sequence[int]
) -> int | None:
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
        if is_mask(pixels[0], pixels[1:]):
            return alpha
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


def _is_empty(hidden: NDArray[Any], sampled: int) -> bool:
    """Whether pixels (bands, n) of so many have one colour, as a rule."""
    if not hidden.size or hidden.shape[1] < _LEAST_EMPTY * sampled:
        return False
    counts = np.unique(hidden, axis=1, return_counts=True)[1]
    return bool(counts.max() >= _EMPTY * hidden.shape[1])
