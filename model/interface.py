"""The Python interface, which `import mfnet` offers.

Functions take paths and options and return frozen types. They are the same calls that the command
line and the service make.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mfnet.model.classes import ClassScheme
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import segment as segment_pair
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.raster.pairs.inspection import inspect_pair
from mfnet.model.raster.pairs.join_tiles import joined
from mfnet.model.raster.pairs.report import PairReport
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.weights.catalog import find, read_config

AnyPath = str | os.PathLike[str]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Model:
    """A model, ready for any number of maps; its weights are loaded for the first one.

    Attributes:
        name: As in the file's header.
        classes: What the values of its maps mean.
        window_px: Side of the square that the network sees at once.
        stride_px: Pixels between windows, unless an option says otherwise.
        path: The model's file.
        models_dir: Where the weights are that it was made from, if it needs them.
    """

    name: str
    classes: ClassScheme
    window_px: int
    stride_px: int
    path: Path
    models_dir: Path | None = None


@dataclass(frozen=True)
class MapGrid:
    """Where a map's pixels lie: on the orthophoto's.

    Attributes:
        height: Rows.
        width: Columns.
        crs: Coordinate reference system, such as `EPSG:25832` or WKT; None without one.
        transform: a, b, c, d, e, f: x = a·column + b·row + c, y = d·column + e·row + f.
        gsd_m: Ground sampling distance in metres; None where it is unknown.
    """

    height: int
    width: int
    crs: str | None
    transform: tuple[float, float, float, float, float, float]
    gsd_m: float | None


@dataclass(frozen=True)
class ClassArea:
    """What a class covers.

    Attributes:
        value: Of its pixels in the class raster.
        name: For programs.
        title: For people.
        pixels: How many.
        area_m2: On the ground; None where it is unknown.
        share: Of the pixels that have a class, 0 to 1.
    """

    value: int
    name: str
    title: str
    pixels: int
    area_m2: float | None
    share: float


@dataclass(frozen=True)
class Map:
    """A map that was written.

    Attributes:
        classes: The class raster, a Cloud Optimized GeoTIFF.
        confidence: The winning class's share in percent, a COG; None if it was not asked for.
        statistics: The figures as JSON; None if they were not asked for.
        grid: Where the pixels lie.
        areas: One for each class, by value.
        remarks: What was decided about the inputs, what is odd about them, and how they differ
            from what the model was trained on.
    """

    classes: Path
    confidence: Path | None
    statistics: Path | None
    grid: MapGrid
    areas: tuple[ClassArea, ...]
    remarks: tuple[Remark, ...]


def open_model(model: AnyPath, models_dir: AnyPath | None = None) -> Model:
    """Finds a model.

    Args:
        model: A name from `mfnet models list`, such as `town-small`, or the path of a file.
        models_dir: Folder of the user's own models.

    Raises:
        InputError: No model has the name, or the file is none.

    Examples:
        >>> import mfnet
        >>> model = mfnet.open_model("town-small")
        >>> model.classes.names
        ('impervious_surface', 'building', 'low_vegetation', 'tree', 'car', 'clutter')
    """
    folder = _path(models_dir)
    path = find(str(model), folder)
    config = read_config(path)
    return Model(config.name, config.classes, config.window_px, config.stride_px, path, folder)


def inspect(
    ortho: AnyPath,
    height: AnyPath | None,
    *,
    dtm: AnyPath | None = None,
    model: Model | None = None,
    reading: ReadingOptions | None = None,
    quick: bool = False,
    progress: Progress | None = None,
) -> PairReport:
    """Reports on an orthophoto and a height raster without mapping them.

    Args:
        ortho: The orthophoto: a GeoTIFF, or a folder, a pattern (`tiles/*.tif`) or a VRT of tiles;
            so are the others.
        height: Heights above ground, or a surface model if `dtm` is given; None where there are
            none.
        dtm: Terrain model to subtract from `height`.
        model: To compare the pair with what the model was trained on.
        reading: What the caller knows better than the files: units, white, bands …
        quick: Judge by tags and a sample; do not decode every block.
        progress: Called with the bytes decoded and their total.

    Raises:
        InputError: The pair is refused; `code` and `message` say why.

    Examples:
        >>> import mfnet
        >>> report = mfnet.inspect("ortho.tif", "ndsm.tif")
        >>> report.ortho.height, report.ortho.width, report.gsd_m
        (256, 256, 0.125)
        >>> [remark.code for remark in report.remarks]
        ['height.missing']
    """
    with joined(_rasters(ortho, height, dtm), reading) as whole:
        return inspect_pair(
            whole["ortho"],
            whole.get("height"),
            dtm=whole.get("dtm"),
            model=None if model is None else read_config(model.path),
            options=reading,
            quick=quick,
            progress=progress,
        )


def segment(
    ortho: AnyPath,
    height: AnyPath | None,
    out: AnyPath,
    *,
    model: Model,
    dtm: AnyPath | None = None,
    confidence: AnyPath | None = None,
    statistics: AnyPath | None = None,
    reading: ReadingOptions | None = None,
    options: SegmentOptions | None = None,
    progress: Progress | None = None,
) -> Map:
    """Maps an orthophoto and a height raster to classes.

    Args:
        ortho: The orthophoto; the map lies on its grid. All three may be kept as for `inspect`.
        height: Heights above ground, or a surface model if `dtm` is given; None maps by colour.
        out: The class raster to write, a COG; names and colours for QGIS are written beside it.
        model: From `open_model`.
        dtm: Terrain model to subtract from `height`.
        confidence: COG to write with the winning class's share, percent.
        statistics: JSON file to write with the figures.
        reading: What the caller knows better than the files: units, white, bands …
        options: How to compute: runtime, device, precision, stride, blend.
        progress: Called with the windows done and their total.

    Raises:
        InputError: Rasters, options or outputs are at fault; nothing is left behind.
        EngineError: The network or the machine is at fault.

    Examples:
        >>> import mfnet
        >>> model = mfnet.open_model("town-small")
        >>> done = mfnet.segment("ortho.tif", "ndsm.tif", "classes.tif", model=model)
        >>> done.classes.name, done.grid.crs
        ('classes.tif', 'EPSG:25832')
        >>> building = done.areas[1]
        >>> building.title, 0 < building.share < 1
        ('Building', True)
    """
    with joined(_rasters(ortho, height, dtm), reading) as whole:
        summary = segment_pair(
            whole["ortho"],
            whole.get("height"),
            _runtime(model, options or SegmentOptions()),
            Path(out),
            dtm=whole.get("dtm"),
            confidence=_path(confidence),
            statistics=_path(statistics),
            reading=reading,
            options=options,
            progress=progress or _silent,
        )
    pair = PairReport.model_validate(summary["pair"] | {"drift": summary["drift"]})
    raster = pair.ortho
    return Map(
        classes=Path(out),
        confidence=_path(confidence),
        statistics=_path(statistics),
        grid=MapGrid(raster.height, raster.width, raster.crs, raster.transform, raster.gsd_m),
        areas=tuple(
            ClassArea(
                value, *(each[name] for name in ("name", "title", "pixels", "area_m2", "share"))
            )
            for value, each in enumerate(summary["classes"])
        ),
        remarks=tuple(pair.all_remarks),
    )


def _runtime(model: Model, options: SegmentOptions) -> Runtime:
    """The model where it runs; loaded once for maps one after another."""
    how = SegmentOptions(
        runtime=options.runtime, device=options.device, precision=options.precision
    )
    return _opened(model.path, model.path.stat().st_mtime_ns, model.models_dir, how)


@lru_cache(maxsize=2)
def _opened(path: Path, _modified_ns: int, models_dir: Path | None, how: SegmentOptions) -> Runtime:
    """A file that was replaced under the same name is another model."""
    return open_runtime(path, models_dir, how)


def _rasters(ortho: AnyPath, height: AnyPath | None, dtm: AnyPath | None) -> dict[str, Path]:
    given = {"ortho": ortho, "height": height, "dtm": dtm}
    return {name: Path(path) for name, path in given.items() if path is not None}


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)


def _silent(done: int, total: int) -> None:
    """Nobody listens."""
