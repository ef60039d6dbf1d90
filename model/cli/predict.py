"""`mfnet predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfnet.model.cli.arguments import (
    Dtm,
    Height,
    KeepDtm,
    LargestBuilding,
    ModelName,
    Ortho,
    checked_model,
    takes_reading_options,
)
from mfnet.model.cli.models import USER_MODELS, Json, ModelsDir
from mfnet.model.engine_options import DEFAULT_MODEL, Blend, Device, Precision, RuntimeName

if TYPE_CHECKING:
    from mfnet.model.raster.values.reading_options import ReadingOptions


@takes_reading_options
def predict(
    ortho: Ortho,
    height: Height,
    out: Annotated[Path, typer.Option("--out", "-o", help="Class raster to write, a COG.")],
    dtm: Dtm = None,
    model: ModelName = DEFAULT_MODEL,
    models_dir: ModelsDir = USER_MODELS,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Pixels between windows; default: the model's own.")
    ] = None,
    blend: Annotated[
        Blend, typer.Option(help="How overlapping windows are weighted.")
    ] = Blend.MEAN,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write STEM_confidence.tif beside the map.")
    ] = False,
    least_sure: Annotated[
        Path | None,
        typer.Option(
            help="Write a GeoPackage of the places where the model is least sure, to correct "
            "first; also writes the confidence."
        ),
    ] = None,
    statistics: Annotated[
        Path | None,
        typer.Option(
            help="JSON file for the statistics; default: STEM_statistics.json beside the map."
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows per batch.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.AUTO,
    precision: Annotated[
        Precision, typer.Option(help="Precision of the arithmetic.")
    ] = Precision.AUTO,
    runtime: Annotated[
        RuntimeName, typer.Option(help="What computes the network; auto: the fastest installed.")
    ] = RuntimeName.AUTO,
    keep_dtm: KeepDtm = None,
    largest_building: LargestBuilding = None,
    as_json: Json = False,
    *,
    options: "ReadingOptions",
) -> None:
    """Map an orthophoto and a height raster to land-cover classes.

    Writes a Cloud Optimized GeoTIFF on the orthophoto's grid, with colours and names for QGIS
    beside it, and the square metres of each class.
    """
    from mfnet.model.atomic_files import beside, check_outputs
    from mfnet.model.cli.console import emit, progress, show_areas, tell_remarks
    from mfnet.model.raster.pairs.inspection import inspect_pair
    from mfnet.model.raster.products.uncertainty_windows import write_least_sure

    config = checked_model(model, models_dir)
    check_outputs((ortho, height, dtm, out), (least_sure,))
    # Damage in the last block should be found before hours of computing, not after.
    with progress("checking", "bytes", as_json=as_json) as advance:
        report = inspect_pair(
            ortho, height, dtm=dtm, model=config, options=options, progress=advance
        )
    tell_remarks(report)
    from mfnet.model.inference.runtimes.choose import open_runtime
    from mfnet.model.inference.segment import segment
    from mfnet.model.inference.segment_options import SegmentOptions

    files = {"classes": out, "statistics": statistics or beside(out, "statistics.json")}
    if confidence or least_sure is not None:
        files["confidence"] = beside(out, "confidence.tif")
    how = SegmentOptions(
        stride=stride,
        blend=blend.value,
        batch_size=batch_size,
        device=device.value,
        precision=precision.value,
        runtime=runtime.value,
    )
    network = open_runtime(model, models_dir, how)
    with progress("segmenting", "windows", as_json=as_json) as advance:
        summary = segment(
            ortho,
            height,
            network,
            out,
            dtm=dtm,
            statistics=files["statistics"],
            confidence=files.get("confidence"),
            reading=options,
            options=how,
            progress=advance,
        )
    if least_sure is not None:
        files["least_sure"] = least_sure
        write_least_sure(files["confidence"], least_sure)
    names = {role: str(path) for role, path in files.items()}
    if as_json:
        emit({"event": "result", "files": names, "statistics": summary})
        return
    show_areas(summary)
    for name in names.values():
        typer.echo(name)
