"""Brings samples to the pixel size that a model sees, as a rescaling runtime brings windows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import NODATA
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.runtimes.rescaled import doubled, halved
from mfnet.training.datasets.tiles.samples import Sample

_Change = Callable[[NDArray[Any]], NDArray[Any]]


def to_side(sample: Sample, side_px: int) -> Sample:
    """A square sample in as many pixels a side: its own number, by factors of two.

    Finer pixels are averaged; one has a class where all four agree, and a gap where one of the four
    has. Coarser pixels are interpolated.
    """
    while sample.truth.shape[0] > side_px:
        sample = _changed(sample, _halved, _agreed, _any_of_four)
    while sample.truth.shape[0] < side_px:
        sample = _changed(sample, _doubled, _repeated, _repeated)
    return sample


def _changed(sample: Sample, values: _Change, truth: _Change, gaps: _Change) -> Sample:
    return replace(
        sample,
        rasters={name: _rounded(values, raster) for name, raster in sample.rasters.items()},
        truth=truth(sample.truth),
        no_ortho=None if sample.no_ortho is None else gaps(sample.no_ortho),
    )


def _rounded(values: _Change, raster: NDArray[Any]) -> NDArray[Any]:
    """In the raster's own type: digital numbers stay whole."""
    found: NDArray[Any] = values(raster[None].astype(np.float32))[0]
    whole = np.issubdtype(raster.dtype, np.integer)
    return (np.rint(found) if whole else found).astype(raster.dtype)


def _halved(x_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.asarray(halved(x_BCHW))
    return found


def _doubled(x_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.asarray(doubled(x_BCHW, HostArrays()))
    return found


def _corners(values: NDArray[Any]) -> NDArray[Any]:
    """(4, h, w): the four finer pixels of each."""
    return np.stack([values[row::2, column::2] for row in (0, 1) for column in (0, 1)])


def _agreed(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    four = _corners(truth)
    agreed: NDArray[np.uint8] = np.where((four == four[0]).all(0), four[0], np.uint8(NODATA))
    return agreed


def _any_of_four(gaps: NDArray[np.bool_]) -> NDArray[np.bool_]:
    any_of_four: NDArray[np.bool_] = np.logical_or.reduce(_corners(gaps))
    return any_of_four


def _repeated(values: NDArray[Any]) -> NDArray[Any]:
    return values.repeat(2, 0).repeat(2, 1)
