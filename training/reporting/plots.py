"""Pictures of a training run: curves, and windows beside what the model makes of them."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.training.datasets.tiles.samples import Sample

Curve = tuple[Sequence[float], Sequence[float]]
"""Steps, and a value at each."""


def curves(title: str, named: Mapping[str, Curve], *, logarithmic: bool = False) -> str:
    """Curves over the steps of a run, as an SVG in a data URI; empty ones are left out."""
    figure = Figure(figsize=(5.2, 3.0))
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    drawn = {name: curve for name, curve in named.items() if curve[0]}
    for name, (steps, values) in drawn.items():
        marker = "o" if len(steps) < 2 else None
        axis.plot(steps, values, label=name, linewidth=1.3, marker=marker)
    axis.set(title=title, xlabel="step", yscale="log" if logarithmic else "linear")
    axis.grid(alpha=0.3)
    if len(drawn) > 1:
        axis.legend(fontsize=7)
    figure.tight_layout()
    return _uri(figure)


def reliability(title: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """What share is right over how sure a model is, as an SVG in a data URI.

    Args:
        title: Above it.
        bins: What `Reliability.summary` says: means of confidence and accuracy, and pixels. Those
            with less than one pixel in 2,000 are left out: a handful says nothing.
    """
    figure = Figure(figsize=(3.6, 3.4))
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    total = sum(found["pixels"] for found in bins)
    bins = [found for found in bins if 2000 * found["pixels"] >= total]
    sure, right = ([100 * found[key] for found in bins] for key in ("confidence", "accuracy"))
    most = max((found["pixels"] for found in bins), default=1)
    # pixels on a scale of their own: the tallest bar has a third of the height
    shares = [100 / 3 * found["pixels"] / most for found in bins]
    axis.bar(sure, shares, width=4, color="#ccc")
    axis.plot([0, 100], [0, 100], color="#888", linewidth=1)
    axis.plot(sure, right, marker="o", markersize=3.5, linewidth=1.3)
    axis.set(xlabel="how sure, percent", ylabel="right, percent", xlim=(0, 100), ylim=(0, 100))
    axis.set_title(title, fontsize=9)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    return _uri(figure)


def orthophoto(sample: Sample) -> str:
    """A window's orthophoto as it was taken, as a PNG in a data URI."""
    bands_3HW = np.nan_to_num(np.asarray(sample.rasters["ortho"][:3], np.float32))
    return _png(np.moveaxis(np.clip(bands_3HW / sample.white, 0, 1), 0, -1))


def heights(sample: Sample) -> str:
    """A window's heights from the lowest (black) to the highest (white); gaps are pink."""
    height_HW = np.asarray(sample.rasters["ndsm"][0], np.float32)
    known = np.isfinite(height_HW)
    low, high = np.percentile(height_HW[known], (1, 99)) if known.any() else (0, 1)
    grey_HW = np.clip((height_HW - low) / max(high - low, 1e-6), 0, 1)
    return _png(np.where(known[..., None], grey_HW[..., None], (1.0, 0.6, 0.7)))


def land_cover(classes: NDArray[np.integer[Any]], scheme: ClassScheme) -> str:
    """A class raster (H, W) in its scheme's colours; nodata is grey."""
    palette = np.full((256, 3), 0.5)
    palette[: len(scheme)] = np.array([c.rgb for c in scheme.classes]) / 255
    return _png(palette[np.where(classes < len(scheme), classes, NODATA)])


def _png(pixels_HW3: NDArray[np.floating[Any]]) -> str:
    content = BytesIO()
    imsave(content, pixels_HW3, format="png")
    return _data_uri("image/png", content)


def _uri(figure: Figure) -> str:
    content = BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return _data_uri("image/svg+xml", content)


def _data_uri(kind: str, content: BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
