"""What several commands take, and say in the same words."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mfnet.model.config import ModelConfig
    from mfnet.model.raster.values.reading_options import ReadingOptions

Ortho = Annotated[
    Path,
    typer.Argument(
        help="Orthophoto: red, green, blue (alpha). This and the others may be a GeoTIFF, a folder "
        "of tiles, a pattern in quotes ('tiles/*.tif'), a VRT, or a GeoTIFF elsewhere (https://…, "
        "s3://…, /vsi…)."
    ),
]
Height = Annotated[Path, typer.Argument(help="Heights above ground; a surface model with --dtm.")]
MaybeHeight = Annotated[
    Path | None,
    typer.Argument(
        help="Heights above ground; a surface model with --dtm. Without any, all is mapped by its "
        "colour."
    ),
]
Dtm = Annotated[
    Path | None,
    typer.Option(
        help="Terrain model; HEIGHT is then a surface model (DSM). auto: derive one from it."
    ),
]
AUTO = "auto"
"""In a terrain model's place: derive one from the surface model."""

KeepDtm = Annotated[
    Path | None, typer.Option(help="Where to keep the terrain model that --dtm auto derives.")
]
LargestBuilding = Annotated[
    float | None,
    typer.Option(min=1, help="Width in metres of the widest building, for --dtm auto."),
]
Aoi = Annotated[
    Path | None,
    typer.Option(help="Map inside of these polygons alone: GeoPackage, GeoJSON …, in any CRS."),
]
AoiLayer = Annotated[
    str | None, typer.Option(help="Layer of the area of interest, if its file has several.")
]
MinArea = Annotated[
    float, typer.Option(min=0, help="Leave out polygons that are smaller, in square metres.")
]
Simplify = Annotated[
    float,
    typer.Option(
        min=0,
        help="Straighten the polygons' borders by about so many metres; neighbours share "
        "them as before.",
    ),
]
ZonesFile = Annotated[
    Path | None,
    typer.Option(
        "--zones",
        help="Polygons such as parcels; what each class covers in them goes into STEM_zones.gpkg "
        "beside the map.",
    ),
]
ZonesLayer = Annotated[str | None, typer.Option(help="Layer of the zones, if there are several.")]
ModelName = Annotated[str, typer.Option(help="A name from `mfnet models list`, or a path.")]


_READING: dict[str, Any] = {
    "bands": Annotated[
        str | None,
        typer.Option(help="Bands of the orthophoto to use as red, green and blue, such as 3,2,1."),
    ],
    "white": Annotated[float | None, typer.Option(help="Pixel value of white in the orthophoto.")],
    "collar": Annotated[
        bool,
        typer.Option(
            "--collar/--no-collar",
            help="Treat a flat collar at the edge, and flat holes, as no data.",
        ),
    ],
    "unmultiply": Annotated[
        bool,
        typer.Option(
            "--unmultiply/--no-unmultiply",
            help="Divide colours by alpha where they have been multiplied by it.",
        ),
    ],
    "height_band": Annotated[
        int | None, typer.Option(help="Band of the height raster, counted from 1.")
    ],
    "dtm_band": Annotated[
        int | None, typer.Option(help="Band of the terrain model, counted from 1.")
    ],
    "height_unit": Annotated[
        str | None,
        typer.Option(
            help="Unit of the heights: m, dm, cm, mm, ft, us-ft, or metres per stored step (0.2)."
        ),
    ],
    "dtm_unit": Annotated[
        str | None,
        typer.Option(help="Unit of the terrain model, if it differs from that of the heights."),
    ],
    "height_offset": Annotated[
        float | None,
        typer.Option(
            help="Metres to add to the heights above ground; 0 confirms that they are right."
        ),
    ],
    "height_shift": Annotated[
        str | None,
        typer.Option(
            help="Columns and rows of the orthophoto by which the heights lie too far right and "
            "down, such as 3.5,-2; --align measures it."
        ),
    ],
    "height_nodata": Annotated[
        str | None,
        typer.Option(help="Value that marks a missing height; none: every value is a height."),
    ],
    "spikes": Annotated[
        bool,
        typer.Option(
            "--spikes/--no-spikes", help="Treat narrow spikes among the heights as missing."
        ),
    ],
    "crs": Annotated[
        str | None, typer.Option(help="CRS of a raster that has none, such as EPSG:25832.")
    ],
}
"""The fields of `ReadingOptions`, on the command line."""


def reading_options(values: Mapping[str, Any]) -> "ReadingOptions":
    """How a pair is to be read, from a command's arguments.

    Raises:
        BadOption: One is out of its range.
    """
    from mfnet.model.raster.values.reading_options import ReadingOptions

    given = {name: values[name] for name in _READING}
    return ReadingOptions.read(**{name: v for name, v in given.items() if v is not None})


def takes_reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of how a pair is read; it gets them as `options`.

    Each overrides what the files' tags and pixels say, and is named by the message that says so.
    """
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.name != "options"]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=True if name in ("collar", "unmultiply", "spikes") else None,
            annotation=annotation,
        )
        for name, annotation in _READING.items()
    ]
    added.append(
        inspect.Parameter("align", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_ALIGN)
    )

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        from mfnet.model.cli.resource_limits import limit

        limit(values.get("max_memory_mb"), values.get("max_seconds"))  # of whoever inspects
        from mfnet.model.raster.files.remote import reachable
        from mfnet.model.raster.pairs.join_tiles import joined

        options = reading_options(values)
        values = {name: value for name, value in values.items() if name not in _READING}
        align = values.pop("align")
        _require_heights(values, align)
        roles = ("ortho", "height", "dtm")
        rasters = {name: values[name] for name in roles if values.get(name) is not None}
        with (
            reachable(rasters) as named,
            joined(named, options) as whole,
            with_terrain(values | whole, options) as (ready, how),
        ):
            if align:
                how = _aligned(ready, how)
            command(**ready, options=how)

    wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in (*own, *added)} | {"return": None}
    return wrapper


def _require_heights(given: Mapping[str, Any], align: bool) -> None:
    """Refuses options for heights where there are none."""
    from mfnet.model.errors import BadOption

    if given.get("height") is not None:
        return
    if given.get("dtm") is not None:
        raise BadOption("--dtm without a height raster; pass the surface model as HEIGHT")
    if align:
        raise BadOption("--align without a height raster; it moves heights onto the orthophoto")


_ALIGN = Annotated[
    bool,
    typer.Option("--align", help="Measure how far the heights lie beside the orthophoto, and move "
                 "them back."),
]  # fmt: skip


def _aligned(given: dict[str, Any], options: "ReadingOptions") -> "ReadingOptions":
    """How to read a pair whose heights are moved onto the orthophoto; its remarks tell of it."""
    from mfnet.model.raster.pairs.alignment.measure_shift import measure_shift
    from mfnet.model.raster.pairs.pair import RasterPair

    plain = options.model_copy(update={"height_shift": None})
    later = str(given.get("dtm")) == AUTO
    dtm = None if later else given.get("dtm")
    with RasterPair.open(
        given["ortho"], given["height"], dtm=dtm, options=plain, surface=later
    ) as pair:
        shift = measure_shift(pair)
    if shift is None:
        typer.echo("Note: nobody can tell how far the heights lie beside the orthophoto", err=True)
        return options
    return options.model_copy(update={"height_shift": (shift.columns, shift.rows)})


@contextmanager
def with_terrain(
    given: dict[str, Any], options: "ReadingOptions"
) -> Iterator[tuple[dict[str, Any], "ReadingOptions"]]:
    """What a command is given, with a derived terrain model in the place of `--dtm auto`.

    Args:
        given: By the names of the command's parameters.
        options: How the surface model is to be read.

    Yields:
        The same, and how to read the pair with that terrain; it is there as long as this lasts.
    """
    keep, largest_m = given.get("keep_dtm"), given.get("largest_building")
    if str(given.get("dtm")) != AUTO or given.get("height") is None:
        if keep is not None or largest_m is not None:
            from mfnet.model.errors import BadOption

            given_too = "--keep-dtm" if keep is not None else "--largest-building"
            raise BadOption(f"{given_too} is for a terrain that is derived: --dtm auto")
        yield given, options
        return
    from tempfile import TemporaryDirectory

    from mfnet.model.atomic_files import check_outputs
    from mfnet.model.raster.pairs.derive_terrain import LARGEST_M, check_derivable, derive_terrain

    widest_m = LARGEST_M if largest_m is None else largest_m
    if given.get("quick"):
        check_derivable(widest_m)
        yield given, options
        return
    surface = given["height"]
    check_outputs((given["ortho"], surface), (keep,))
    with TemporaryDirectory(prefix="mfnet-terrain-") as folder:
        path = keep or Path(folder) / "derived_dtm.tif"
        derive_terrain(surface, path, options=options, largest_m=widest_m)
        reading = options.model_copy(update={"dtm_unit": "m", "dtm_band": None})
        yield given | {"dtm": path}, reading


def checked_model(name: str, models_dir: Path) -> "ModelConfig":
    """Refuse a model that does not exist or does not take a pair, without loading it."""
    from mfnet.model.raster.pairs.normalize import scalings
    from mfnet.model.weights.catalog import find, read_config

    config = read_config(find(name, models_dir))
    scalings(config, white=1.0)
    return config
