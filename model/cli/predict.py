"""`mfnet predict`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mfnet.model.cli.arguments import (
    Aoi,
    AoiLayer,
    Dtm,
    KeepDtm,
    LargestBuilding,
    MaybeHeight,
    MinArea,
    ModelName,
    Ortho,
    Simplify,
    ZonesFile,
    ZonesLayer,
    checked_model,
    takes_reading_options,
)
from mfnet.model.cli.each_pair import takes_each_pair
from mfnet.model.cli.map_products import open_zones
from mfnet.model.cli.models import USER_MODELS, Json, ModelsDir
from mfnet.model.engine_options import (
    DEFAULT_MODEL,
    PAPER_STRIDE,
    Augmentation,
    Blend,
    Device,
    Precision,
    RuntimeName,
)

if TYPE_CHECKING:
    from mfnet.model.raster.values.reading_options import ReadingOptions


@takes_each_pair
@takes_reading_options
def predict(
    ortho: Ortho,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Class raster to write, a COG; a folder with --each."),
    ],
    height: MaybeHeight = None,
    dtm: Dtm = None,
    model: ModelName = DEFAULT_MODEL,
    models_dir: ModelsDir = USER_MODELS,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Pixels between windows; default: the model's own.")
    ] = None,
    blend: Annotated[
        Blend, typer.Option(help="How overlapping windows are weighted.")
    ] = Blend.HANN,
    tta: Annotated[
        Augmentation,
        typer.Option(
            help="Look at each window more than once, and take the mean: four mirrored views "
            "(flips), or eight mirrored and turned ones (turns); so many times as slow."
        ),
    ] = Augmentation.NONE,
    protocol: Annotated[
        Literal["paper"] | None,
        typer.Option(help="paper: windows 32 pixels apart, averaged, as in the paper."),
    ] = None,
    aoi: Aoi = None,
    aoi_layer: AoiLayer = None,
    sieve: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Give islands under so many pixels the class of their largest neighbour.",
        ),
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write STEM_confidence.tif beside the map.")
    ] = False,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality",
            help="Also write STEM_quality.tif: where the map rests on colour alone, or is unsure "
            "(with --confidence).",
        ),
    ] = False,
    least_sure: Annotated[
        Path | None,
        typer.Option(
            help="Write a GeoPackage of the places where the model is least sure, to correct "
            "first; also writes the confidence."
        ),
    ] = None,
    polygons: Annotated[
        Path | None,
        typer.Option(help="Also write the map as polygons, a GeoPackage or FlatGeobuf (.fgb)."),
    ] = None,
    min_area: MinArea = 0.0,
    simplify: Simplify = 0.0,
    zones: ZonesFile = None,
    zones_layer: ZonesLayer = None,
    stac: Annotated[
        Path | None, typer.Option(help="Also write a STAC item, the map's entry in a catalogue.")
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
    resume: Annotated[
        bool,
        typer.Option(
            help="Keep finished rows of a large map beside it until it stands, and go on from "
            "those that an interrupted run has left."
        ),
    ] = True,
    as_json: Json = False,
    *,
    options: "ReadingOptions",
) -> None:
    """Map an orthophoto and a height raster, or an orthophoto alone, to land-cover classes.

    Writes a Cloud Optimized GeoTIFF on the orthophoto's grid, with colours and names for QGIS
    beside it, and the square metres of each class.
    """
    from mfnet.model.atomic_files import beside
    from mfnet.model.cli.map_run import MapRun
    from mfnet.model.inference.segment_options import SegmentOptions
    from mfnet.model.raster.pairs.area_of_interest import Area

    config = checked_model(model, models_dir)
    sure = confidence or least_sure is not None
    wanted = {
        "classes": out,
        "statistics": statistics or beside(out, "statistics.json"),
        "confidence": beside(out, "confidence.tif") if sure else None,
        "quality": beside(out, "quality.tif") if quality else None,
        "least_sure": least_sure,
        "polygons": polygons,
        "zones": None if zones is None else beside(out, "zones.gpkg"),
        "stac": stac,
    }
    files = {role: path for role, path in wanted.items() if path is not None}
    _check_outputs((ortho, height, dtm), (zones, aoi), files.values())
    _check_polygons(polygons, changed=bool(min_area or simplify))
    run = MapRun(
        *(ortho, height, dtm, files, model, models_dir, config, options),
        how=SegmentOptions(
            stride=PAPER_STRIDE if protocol and stride is None else stride,
            blend=Blend.MEAN.value if protocol else blend.value,
            tta=tta.value,
            batch_size=batch_size,
            device=device.value,
            precision=precision.value,
            runtime=runtime.value,
            sieve=sieve,
        ),
        area=None if aoi is None else Area(aoi, aoi_layer),
        zones=None if zones is None else open_zones(zones, zones_layer, "zones-layer"),
        min_area_m2=min_area,
        simplify_m=simplify,
        resume=resume,
        as_json=as_json,
    )
    report = run.check()
    summary = run.map(report.gsd_m)
    _tell(files, summary, run.write_products(summary), as_json=as_json)


def _check_outputs(
    rasters: Iterable[Path | None], polygons: Iterable[Path | None], files: Iterable[Path]
) -> None:
    """Refuses to write over what is read: rasters, the tiles they are made of, polygons."""
    from mfnet.model.atomic_files import check_outputs
    from mfnet.model.raster.files.mosaic import files_of

    given = [path for path in rasters if path is not None]
    tiles = [file for path in given for file in files_of(path)]
    check_outputs((*given, *tiles, *polygons), files)


def _check_polygons(path: Path | None, *, changed: bool) -> None:
    """Refuses a file that polygons cannot be written to, and options for none."""
    from mfnet.model.errors import BadOption
    from mfnet.model.raster.vectors.polygon_writers import writer_of

    if path is not None:
        writer_of(path)
    elif changed:
        raise BadOption("--min-area and --simplify are for polygons: --polygons FILE")


def _tell(
    files: Mapping[str, Path],
    summary: dict[str, Any],
    rests_on: dict[str, Any] | None,
    *,
    as_json: bool,
) -> None:
    """What has been found and written, for a person or as JSON."""
    from mfnet.model.cli.console import emit, show_areas, show_quality

    names = {role: str(path) for role, path in files.items()}
    if as_json:
        told = {} if rests_on is None else {"quality": rests_on}
        emit({"event": "result", "files": names, "statistics": summary} | told)
        return
    show_areas(summary)
    if rests_on is not None:
        show_quality(rests_on)
    for name in names.values():
        typer.echo(name)
