"""What each modality contributes to a class: gradient-weighted activation at the encoder's output.

Source: the paper, figure 11; Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2.
Shapes: M modality, B batch, C channels, h w tokens, S side of a window, K classes.
"""

import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mfnet.model.atomic_files import check_outputs
from mfnet.model.classes import NODATA
from mfnet.model.errors import OutputNotWritable
from mfnet.model.inference.arrays.interface import Array
from mfnet.model.inference.runtimes.torch_runtime import choose_device
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.network.encoder import stack_modalities
from mfnet.model.network.mfnet import MFNet
from mfnet.model.raster.pairs.normalize import scalings
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.raster.values.reading_options import ReadingOptions

BATCH_SIZE = 4


class GradCam:
    """From a batch of windows to one heat map a modality, (B, M, S, S), float32, never negative.

    The score is the class's mean logit over the pixels where the class wins; a window where it wins
    nowhere stays cold. All modalities of a model share one scale, so that they can be compared.

    Args:
        net: In evaluation mode.
        target: Value of the class.
    """

    def __init__(self, net: MFNet, target: int) -> None:
        self._net = net
        self._target = target

    def __call__(self, inputs: Mapping[str, Array]) -> NDArray[np.float32]:
        """For the engine: NumPy's arrays, whatever the device."""
        device = next(self._net.parameters()).device
        tensors = {name: torch.tensor(values, device=device) for name, values in inputs.items()}
        return self.heat(tensors).cpu().numpy()

    @torch.enable_grad()
    def heat(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The same for tensors on the network's device."""
        images = stack_modalities([inputs[m.name] for m in self._net.config.modalities])
        with torch.no_grad():
            features_MBChw = self._net.encoder(images)
        features_MBChw.requires_grad_()
        logits_BKSS = self._net.decoder(self._net.fusion(features_MBChw), images.shape[-2])
        wins_BSS = logits_BKSS.argmax(1) == self._target
        score = (logits_BKSS[:, self._target] * wins_BSS).mean((1, 2)).sum()
        (gradient_MBChw,) = torch.autograd.grad(score, features_MBChw)
        weights_MBC11 = gradient_MBChw.mean((3, 4), keepdim=True)
        heat_MBhw = (weights_MBC11 * features_MBChw.detach()).sum(2).relu()
        size = images.shape[-2:]
        return F.interpolate(heat_MBhw.transpose(0, 1), size, mode="bilinear", align_corners=False)


def explain(
    ortho: Path,
    height: Path,
    model: MFNet,
    target: str,
    out: Path,
    *,
    dtm: Path | None = None,
    options: ReadingOptions | None = None,
    stride: int | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Path]:
    """Writes a heat map for each modality, on the orthophoto's grid.

    Args:
        ortho: The orthophoto, as for `segment`.
        height: The height raster, as for `segment`.
        model: From `load_model`.
        target: Name, title or value of the class to explain.
        out: `heat.tif` makes `heat_ortho.tif`, `heat_ndsm.tif`, …: COGs in percent of the strongest
            activation of any modality, 255 where the orthophoto has no data.
        dtm: Terrain model to subtract from `height`.
        options: As for `segment`.
        stride: Pixels between windows; the model's own if not given.
        device: `auto`, `cpu` or `cuda`.
        progress: Called with the windows done and their total.

    Returns:
        The heat maps' files by modality.

    Raises:
        InputError: The class, an option or a raster is at fault; nothing was written.
    """
    config = model.config
    value = config.classes.find(target)
    files = {m.name: out.with_name(f"{out.stem}_{m.name}.tif") for m in config.modalities}
    check_outputs((ortho, height, dtm), files.values())
    on = choose_device(device)
    with RasterPair.open(ortho, height, dtm=dtm, options=options) as pair:
        grid = pair.grid
        stride = config.stride_px if stride is None else stride
        sweep = Sweep(
            plan=WindowPlan(grid.height, grid.width, config.window_px, stride),
            predict=GradCam(model.to(on).eval(), value),
            scalings=scalings(config, pair.white),
            classes=len(config.modalities),
            blend="hann",  # a window's heat has a scale of its own: no seams where two meet
            batch_size=BATCH_SIZE,
            progress=progress,
        )
        tags = {"MFNET_MODEL": config.name, "MFNET_CLASS": config.classes.names[value]}
        with ExitStack() as stack:
            writers = [
                stack.enter_context(CogWriter(path, grid, description=f"{name}, %", tags=tags))
                for name, path in files.items()
            ]
            _write(sweep, pair, writers, out.parent)
    return files


def _write(sweep: Sweep, pair: RasterPair, writers: list[CogWriter], folder: Path) -> None:
    """The strongest activation is known at the end alone, so heat waits on disk until then."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            peak, heights = _keep(sweep, pair, file)
            file.seek(0)
            row = 0
            for height in heights:
                shape = (len(writers), height, pair.grid.width)
                heat_MhW = np.frombuffer(file.read(4 * math.prod(shape)), np.float32).reshape(shape)
                percent_MhW = (100 * heat_MhW / (peak or 1)).round()
                values_MhW = np.nan_to_num(percent_MhW, nan=NODATA).astype(np.uint8)
                for writer, values_hW in zip(writers, values_MhW, strict=True):
                    writer.write(row, values_hW)
                row += height
    except OSError as error:
        raise OutputNotWritable(f"{folder}: {error.strerror}", path=str(folder)) from error


def _keep(sweep: Sweep, pair: RasterPair, file: IO[bytes]) -> tuple[float, list[int]]:
    """Writes the heat of each band, NaN without data; returns its peak and the bands' heights."""
    peak, heights = 0.0, []
    for means in sweep.means(pair):
        heat_MhW = means.mean_KhW * means.valid_hW
        peak = max(peak, float(heat_MhW.max()))
        heights.append(heat_MhW.shape[1])
        heat_MhW[:, ~means.valid_hW] = np.nan
        file.write(heat_MhW.tobytes())
    return peak, heights
