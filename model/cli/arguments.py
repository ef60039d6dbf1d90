"""What several commands take, and say in the same words."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mfnet.model.config import ModelConfig
    from mfnet.model.raster.values.reading_options import ReadingOptions

Ortho = Annotated[Path, typer.Argument(help="Orthophoto, a GeoTIFF: red, green, blue (alpha).")]
Height = Annotated[
    Path, typer.Argument(help="Heights above ground, a GeoTIFF; a surface model with --dtm.")
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
            "--collar/--no-collar", help="Treat a black or white collar at the edge as no data."
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
    "height_nodata": Annotated[
        str | None,
        typer.Option(help="Value that marks a missing height; none: every value is a height."),
    ],
    "crs": Annotated[
        str | None, typer.Option(help="CRS of a raster that has none, such as EPSG:25832.")
    ],
}
"""The fields of `ReadingOptions`, on the command line."""


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
            default=True if name == "collar" else None,
            annotation=annotation,
        )
        for name, annotation in _READING.items()
    ]

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        from mfnet.model.raster.values.reading_options import ReadingOptions

        given = {name: values.pop(name) for name in _READING}
        known = {name: value for name, value in given.items() if value is not None}
        with _terrain(values, ReadingOptions.read(**known)) as (ready, options):
            command(**ready, options=options)

    wrapper.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in (*own, *added)} | {"return": None}
    return wrapper


@contextmanager
def _terrain(
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
    if str(given.get("dtm")) != AUTO:
        if keep is not None or largest_m is not None:
            from mfnet.model.errors import BadOption

            raise BadOption("--keep-dtm and --largest-building are for --dtm auto")
        yield given, options
        return
    from tempfile import TemporaryDirectory

    from mfnet.model.atomic_files import check_outputs
    from mfnet.model.raster.pairs.derive_terrain import LARGEST_M, derive_terrain

    surface = given["height"]
    check_outputs((given["ortho"], surface), (keep,))
    with TemporaryDirectory(prefix="mfnet-terrain-") as folder:
        path = keep or Path(folder) / "derived_dtm.tif"
        derive_terrain(surface, path, options=options, largest_m=largest_m or LARGEST_M)
        reading = options.model_copy(update={"dtm_unit": "m", "dtm_band": None})
        yield given | {"dtm": path}, reading


def checked_model(name: str, models_dir: Path) -> "ModelConfig":
    """Refuse a model that does not exist or does not take a pair, without loading it."""
    from mfnet.model.raster.pairs.normalize import scalings
    from mfnet.model.weights.catalog import find, read_config

    config = read_config(find(name, models_dir))
    scalings(config, white=1.0)
    return config
