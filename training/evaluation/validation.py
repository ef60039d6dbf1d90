"""A quick look at a network while it is trained.

Shapes: B batch, K classes, H W pixels.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from mfnet.model.network.mfnet import MFNet
from mfnet.training.datasets.tiles.interface import Area, Pool, places
from mfnet.training.datasets.tiles.samples import Sample, collate
from mfnet.training.evaluation.class_metrics import Confusion


def check(net: MFNet, validation: Pool, windows: int) -> dict[str, Any]:
    """Accuracy on so many windows of the validation areas, spread evenly; JSON values.

    Windows alone, which takes seconds; evaluation maps whole rasters.
    """
    confusion = Confusion(net.config.classes)
    for window in some_windows(validation.areas, net.config.window_px, windows):
        confusion.add(window.truth, mapped(net, window))
    summary = confusion.summary()
    return {
        **{name: summary[name] for name in ("miou", "mf1", "oa", "kappa")},
        "iou": {name: value["iou"] for name, value in summary["classes"].items()},
        "confusion": summary["confusion"],
    }


def some_windows(areas: Sequence[Area], window_px: int, count: int) -> Iterator[Sample]:
    """Up to a number of the areas' windows that lie side by side, spread evenly, as they are."""
    found = [(area, *place) for area in areas for place in places(area, window_px)]
    wanted = min(count, len(found))
    for number in range(wanted):
        area, row, col = found[number * len(found) // wanted]
        yield area.read(row, col, window_px)


def mapped(net: MFNet, window: Sample) -> NDArray[Any]:
    """The classes (H, W) that a network sees in one window."""
    device = next(net.parameters()).device
    batch = collate([window], net.config.modalities)
    with torch.inference_mode():
        logits_BKHW = net({name: images.to(device) for name, images in batch.inputs.items()})
    classes: NDArray[Any] = logits_BKHW.argmax(1)[0].cpu().numpy()
    return classes
