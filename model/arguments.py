"""What several commands take, and say in the same words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model.config import ModelConfig

Ortho = Annotated[Path, typer.Argument(help="Orthophoto, a GeoTIFF: red, green, blue (alpha).")]
Height = Annotated[
    Path, typer.Argument(help="Metres above ground, a GeoTIFF of the same place; or see --dtm.")
]
Dtm = Annotated[
    Path | None, typer.Option(help="Terrain model; HEIGHT is then a surface model (DSM).")
]
White = Annotated[
    float | None, typer.Option(help="Digital number of white; default: the pixel type's largest.")
]
ModelName = Annotated[str, typer.Option(help="A name from `mfnet models list`, or a path.")]


def checked_model(name: str, models_dir: Path) -> "ModelConfig":
    """Refuse a model that does not exist or does not take a pair, without loading it."""
    from model.library import find, read_config
    from model.raster.normalize import scalings

    config = read_config(find(name, models_dir))
    scalings(config, white=1.0)
    return config
