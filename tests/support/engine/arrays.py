"""Rasters in memory, plain networks, and the whole raster in float64, for tests of the engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mfnet.model.inference.arrays.interface import Array
from mfnet.model.inference.blend import window_weights
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.pairs.normalize import Scaling

AS_IT_IS = {"ortho": Scaling(1, 0), "ndsm": Scaling(1, 0)}


@dataclass(frozen=True)
class ArrayRows:
    arrays: dict[str, NDArray[np.float32]]
    valid: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class ArraySource:
    """An orthophoto (C, H, W) and heights (1, H, W); invalid where the mask (H, W) is false."""

    ortho: NDArray[np.float32]
    ndsm: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def read(self, row: int, rows: int) -> ArrayRows:
        part = slice(row, row + rows)
        arrays = {"ortho": self.ortho[:, part], "ndsm": self.ndsm[:, part]}
        return ArrayRows(arrays, dict.fromkeys(arrays, self.valid[part]))


def random_source(height: int, width: int, seed: int, bands: int = 3) -> ArraySource:
    random = np.random.default_rng(seed)
    return ArraySource(
        random.random((bands, height, width), dtype=np.float32),
        random.random((1, height, width), dtype=np.float32),
        np.ones((height, width), bool),
    )


def identity(inputs: Mapping[str, Array]) -> Array:
    """The orthophoto's bands as logits."""
    return inputs["ortho"] + 0


def convolution(classes: int, seed: int) -> Callable[[Mapping[str, Array]], Array]:
    """A 7×7 convolution with zero padding: what it says depends on where the window lies.

    Takes NumPy's arrays and gives them; takes tensors and gives those.
    """
    torch.manual_seed(seed)
    layer = torch.nn.Conv2d(4, classes, 7, padding=3)

    @torch.inference_mode()
    def predict(inputs: Mapping[str, Array]) -> Array:
        rasters = [torch.as_tensor(inputs[name]) for name in ("ortho", "ndsm")]
        both = torch.cat(rasters, dim=1)
        logits = layer.to(both.dtype)(both)
        return logits.numpy() if isinstance(inputs["ortho"], np.ndarray) else logits

    return predict


def run(sweep: Sweep, source: ArraySource) -> NDArray[np.uint8]:
    """The sweep's classes, (H, W); asserts that each wanted row comes once and in order."""
    bands, row = [], sweep.plan.rows.start
    for band in sweep.run(source):
        assert band.row == row
        row += len(band.classes_hW)
        bands.append(band.classes_hW)
    return np.concatenate(bands)


def whole_raster_logits(
    source: ArraySource,
    predict: Callable[[Mapping[str, Array]], Array],
    plan: WindowPlan,
    classes: int,
    blend: str,
) -> NDArray[np.float64]:
    """The mean logits by brute force: everything in memory, float64, one window at a time."""
    height, width = max(plan.height, plan.window), max(plan.width, plan.window)
    sums = np.zeros((classes, height, width))
    total = np.zeros((height, width))
    padding = ((0, 0), (0, height - plan.height), (0, width - plan.width))
    ortho, ndsm = (
        np.pad(x, padding, mode="edge").astype(np.float64) for x in (source.ortho, source.ndsm)
    )
    side = window_weights(blend, plan.window).astype(np.float64)
    weights = side[:, None] * side
    for top in plan.tops:
        for left in plan.lefts:
            window = (slice(None), slice(top, top + plan.window), slice(left, left + plan.window))
            inputs = {"ortho": ortho[window], "ndsm": ndsm[window]}
            logits = predict({name: values[None] for name, values in inputs.items()})
            sums[window] += logits[0] * weights
            total[window[1:]] += weights
    assert (total > 0).all()
    return (sums / total)[:, : plan.height, : plan.width]
