"""Fits the temperature that makes a model's confidence mean what it says.

One number for all classes: it divides the logits, so no class changes. It is fitted where nothing
was learned, on the mean logits of overlapping windows, as the engine has them when it decides.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
Shapes: N pixels, K classes, h w pixels of a window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mfnet.model.classes import NODATA
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.network.mfnet import MFNet
from mfnet.model.raster.pairs.normalize import scalings
from mfnet.training.datasets.tiles.interface import Area
from mfnet.training.datasets.tiles.samples import Sample
from mfnet.training.evaluation.reliability import Reliability
from mfnet.training.evaluation.validation import some_windows

COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are looked at; a model that is always right has no best one."""

REGIONS, REGION_WINDOWS = 16, 3
"""How many at most, and windows a side: inside, as many overlap as in a whole raster."""
PIXELS = 2**16
"""Drawn at most, as many from each region."""

_HALVINGS = 50


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature, and what it is worth on the pixels that it was fitted on.

    Attributes:
        temperature: What mean logits are to be divided by.
        pixels: How many there were.
        nll: The mean negative logarithm of the true class's share, before and after.
        before: What `Reliability.summary` says of temperature 1.
        after: The same of the fitted one.
    """

    temperature: float
    pixels: int
    nll: tuple[float, float]
    before: dict[str, Any]
    after: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """For the model's file, JSON values."""
        return {
            "temperature": self.temperature,
            "pixels": self.pixels,
            "nll_before": self.nll[0],
            "nll_after": self.nll[1],
            "ece_before": self.before["ece"],
            "ece_after": self.after["ece"],
        }


def calibrate(net: MFNet, areas: Sequence[Area], *, device: str = "auto") -> Calibration | None:
    """Fits a temperature on some pixels of the validation areas.

    Where the fit does not lower the calibration error of these pixels, the temperature stays 1: the
    least surprise is also a matter of the many pixels whose class is all but certain.

    Args:
        net: The model; its own temperature is left out of account.
        areas: Where nothing was learned: `Splits.validation.areas`.
        device: A name in `mfnet.model.engine_options.Device`.

    Returns:
        The fit; None if not one pixel there is labelled.
    """
    found = list(_pixels(TorchRuntime(net, device), areas))
    if not any(len(truth) for _, truth in found):
        return None
    logits_NK = np.concatenate([logits for logits, _ in found])
    truth_N = np.concatenate([truth for _, truth in found])
    temperature, before = fit_temperature(logits_NK, truth_N), _reliability(logits_NK, truth_N, 1.0)
    after = _reliability(logits_NK, truth_N, temperature)
    if after["ece"] >= before["ece"]:
        temperature, after = 1.0, before
    nll = _nll(logits_NK, truth_N, 1.0), _nll(logits_NK, truth_N, temperature)
    return Calibration(temperature, len(truth_N), nll, before, after)


def fit_temperature(logits_NK: NDArray[np.floating[Any]], truth_N: NDArray[np.uint8]) -> float:
    """The temperature at which the truth is least surprising.

    The mean of -log softmax(z / T)[truth] is convex in 1 / T, so its slope has one zero, which is
    found by halving, in float64.

    Args:
        logits_NK: Of labelled pixels.
        truth_N: Their classes.

    Returns:
        Between `COLDEST` and `HOTTEST`, rounded to four digits.
    """
    logits = torch.from_numpy(logits_NK).double()
    mean_true = logits.gather(1, torch.from_numpy(truth_N).long()[:, None]).mean()
    low, high = 1 / HOTTEST, 1 / COLDEST  # of 1 / T
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        expected = ((logits * middle).softmax(1) * logits).sum(1).mean()
        low, high = (middle, high) if expected < mean_true else (low, middle)
    return float(f"{1 / middle:.4g}")


def _pixels(
    runtime: TorchRuntime, areas: Sequence[Area]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Mean logits (N, K) and truth (N,) of labelled pixels, region by region."""
    window_px = runtime.config.window_px
    # Regions of several windows, where tiles are large enough: windows then overlap, as in a map.
    wanted_px = REGION_WINDOWS * window_px
    large = [area for area in areas if area.holds(wanted_px)]
    areas, side_px = (large, wanted_px) if large else (areas, window_px)
    rng = np.random.default_rng(0)
    regions = list(some_windows(areas, side_px, REGIONS))
    for region in regions:
        labelled = np.flatnonzero(region.truth != NODATA)
        chosen = rng.permutation(labelled)[: PIXELS // len(regions)]
        logits_KN = _mean_logits(runtime, region).reshape(len(runtime.config.classes), -1)
        yield logits_KN[:, chosen].T, region.truth.reshape(-1)[chosen]


def _mean_logits(runtime: TorchRuntime, region: Sample) -> NDArray[np.float32]:
    """(K, h, w) of a region, as the engine has them at the model's own stride."""
    config = runtime.config
    height, width = region.truth.shape
    sweep = Sweep(
        plan=WindowPlan(height, width, config.window_px, config.stride_px),
        predict=runtime,
        scalings=scalings(config, region.white),
        classes=len(config.classes),
        batch_size=runtime.batch_size,
        arrays=runtime.arrays,
    )
    return np.concatenate([means.mean_KhW for means in sweep.means(_Region(region))], axis=1)


@dataclass(frozen=True)
class _Rows:
    arrays: dict[str, NDArray[Any]]
    valid: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class _Region:
    """A sample as the engine's source; heights below the ground are 0, as of raster pairs."""

    sample: Sample

    def read(self, row: int, rows: int) -> _Rows:
        part = slice(row, row + rows)
        arrays = {n: np.asarray(r[:, part], np.float32) for n, r in self.sample.rasters.items()}
        if "ndsm" in arrays:
            arrays["ndsm"] = np.maximum(arrays["ndsm"], 0)  # a gap (NaN) stays one
        valid = {name: np.isfinite(raster[0]) for name, raster in arrays.items()}
        if "ortho" in valid and self.sample.no_ortho is not None:
            valid["ortho"] &= ~self.sample.no_ortho[part]
        return _Rows(arrays, valid)


def _nll(logits_NK: NDArray[Any], truth_N: NDArray[np.uint8], temperature: float) -> float:
    shares_NK = (torch.from_numpy(logits_NK).double() / temperature).log_softmax(1)
    return float(-shares_NK.gather(1, torch.from_numpy(truth_N).long()[:, None]).mean())


def _reliability(
    logits_NK: NDArray[Any], truth_N: NDArray[np.uint8], temperature: float
) -> dict[str, Any]:
    shares_NK = (torch.from_numpy(logits_NK) / temperature).softmax(1)
    share_N, class_N = (found.numpy() for found in shares_NK.max(1))
    found = Reliability()
    found.add(truth_N, class_N.astype(np.uint8), share_N.astype(np.float64))
    return found.summary()
