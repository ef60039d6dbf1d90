"""The one path from a raster pair to a class raster; all who need a map call it."""

from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model.config import ModelConfig
from model.inference.ahead import ahead
from model.inference.predictor import Predictor
from model.inference.sweep import Sweep
from model.inference.windows import WindowPlan
from model.network.mfnet import MFNet
from model.outputs import check_outputs, write_json
from model.raster.cog import CogWriter
from model.raster.normalize import scalings, white_point
from model.raster.pair import RasterPair
from model.raster.statistics import ClassAreas

BATCH_SIZE = {"cpu": 8, "cuda": 64}
"""Windows a batch, where the caller does not say."""


def segment(
    ortho: Path,
    height: Path,
    model: MFNet,
    out: Path,
    *,
    dtm: Path | None = None,
    statistics: Path | None = None,
    confidence: Path | None = None,
    stride: int | None = None,
    blend: str = "mean",
    white: float | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Maps an orthophoto and a height raster to classes.

    Args:
        ortho: The orthophoto, a GeoTIFF; the map lies on its grid.
        height: Heights above ground in metres, or a surface model if `dtm` is given.
        model: From `load_model`.
        out: The class raster, a COG; its `.aux.xml` and `.qml` are written beside it.
        dtm: Terrain model to subtract from `height`.
        statistics: JSON file for what this function returns.
        confidence: COG for the winning class's share, percent.
        stride: Pixels between windows; the model's own if not given.
        blend: `mean` or `hann`: how windows are weighed where they overlap.
        white: Digital number of full reflectance; the pixel type's largest if not given.
        batch_size: Windows a call of the network.
        device: `auto`, `cpu` or `cuda`.
        precision: `auto`, `fp32` or `bf16`.
        progress: Called with the windows done and their total.
        cancelled: Asked before each batch; true ends the run with `Cancelled`.

    Returns:
        The statistics: pixels, m² and share of each class, the pair's report, the parameters.

    Raises:
        InputError: The rasters, options or outputs are at fault.
        Cancelled: As `cancelled` asked.
        EngineError: The network or the machine is at fault.

    Files appear when all rows are done, each whole, the class raster last: where it is, all are.
    """
    config = model.config
    check_outputs((ortho, height, dtm), (out, statistics, confidence))
    predictor = Predictor(model, device, precision)
    with ExitStack() as stack:
        pair = stack.enter_context(RasterPair.open(ortho, height, dtm=dtm))
        grid = pair.grid
        white = white_point(pair.ortho_dtype) if white is None else white
        stride = config.stride_px if stride is None else stride
        sweep = Sweep(
            plan=WindowPlan(grid.height, grid.width, config.window_px, stride),
            predict=predictor,
            scalings=scalings(config, white),
            classes=len(config.classes),
            blend=blend,
            batch_size=BATCH_SIZE[predictor.device.type] if batch_size is None else batch_size,
            device=predictor.device,
            confidence=confidence is not None,
            progress=progress,
            cancelled=cancelled,
        )
        tags = _tags(config, sweep, predictor.precision)
        classes = stack.enter_context(
            CogWriter(out, grid, description="land cover", scheme=config.classes, tags=tags)
        )
        percent = confidence and stack.enter_context(
            CogWriter(confidence, grid, description="confidence, percent", tags=tags)
        )
        areas = ClassAreas(grid, config.classes)
        for band in ahead(sweep.run(pair)):
            classes.write(band.row, band.classes_hW)
            areas.add(band.row, band.classes_hW)
            if percent and band.confidence_hW is not None:
                percent.write(band.row, band.confidence_hW)
        summary = areas.summary() | {
            "pair": pair.report.model_dump(mode="json"),
            "parameters": tags,
        }
        if statistics is not None:
            write_json(statistics, summary)
    return summary


def _tags(config: ModelConfig, sweep: Sweep, precision: str) -> dict[str, str]:
    """What made the map, as TIFF tags."""
    return {
        "MFNET_VERSION": version("mfnet"),
        "MFNET_MODEL": config.name,
        "MFNET_WINDOW": str(sweep.plan.window),
        "MFNET_STRIDE": str(sweep.plan.stride),
        "MFNET_BLEND": sweep.blend,
        "MFNET_PRECISION": precision,
    }
