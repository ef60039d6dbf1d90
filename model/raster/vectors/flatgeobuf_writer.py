"""Writes polygons into a FlatGeobuf file, by GDAL as pyogrio brings it.

The format puts its index before its features, so they wait in a GeoPackage; from there GDAL passes
them on by and by, and keeps a few numbers of each.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rasterio.crs import CRS

from mfnet.model.atomic_files import not_writable, sync
from mfnet.model.raster.vectors.convert_layer import convert_layer
from mfnet.model.raster.vectors.geopackage_writer import Add, polygon_layer
from mfnet.model.raster.vectors.vector_extra import require_vector


@contextmanager
def flatgeobuf_layer(
    path: Path, layer: str, kinds: Mapping[str, str], crs: CRS | None
) -> Iterator[Add]:
    """Writes a FlatGeobuf file of any number of polygons; see `polygon_layer`.

    Raises:
        MissingExtra: pyogrio is not installed.
        OutputNotWritable: The folder is missing, not writable or full.
    """
    require_vector("pyogrio", "writing FlatGeobuf")
    try:
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            waiting, made = Path(folder) / "polygons.gpkg", Path(folder) / "polygons.fgb"
            with polygon_layer(waiting, layer, kinds, crs) as add:
                yield add
            convert_layer(waiting, made, layer)
            sync(made)
            made.replace(path)
            sync(path.parent)
    except OSError as error:
        raise not_writable(path, error) from error
