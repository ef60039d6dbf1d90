"""Which vector formats polygons are written in, told by a file's name."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from rasterio.crs import CRS

from mfnet.model.errors import BadOption
from mfnet.model.raster.vectors.flatgeobuf_writer import flatgeobuf_layer
from mfnet.model.raster.vectors.geopackage_writer import Add, polygon_layer
from mfnet.model.raster.vectors.vector_extra import require_vector

Writer = Callable[[Path, str, Mapping[str, str], CRS | None], AbstractContextManager[Add]]

_WRITERS: dict[str, Writer] = {".gpkg": polygon_layer, ".fgb": flatgeobuf_layer}


def writer_of(path: Path) -> Writer:
    """What writes polygons into a file of this name.

    Raises:
        BadOption: Its ending stands for no format that is written.
        MissingExtra: Its format needs a package that is not installed.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise BadOption(
            f"{path.name}: polygons are written as GeoPackage or FlatGeobuf; choose a name that "
            "ends with .gpkg or .fgb (ogr2ogr makes other formats of these)",
            file=path.name,
        )
    if writer is flatgeobuf_layer:
        require_vector("pyogrio", f"writing {path.name}")
    return writer
