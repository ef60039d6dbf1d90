"""Commands that mend rasters, for messages.

`rio` is installed with this program, as a part of rasterio; GDAL's own programs often are not.
"""

CONVERT = "gdal_translate IN OUT.tif (or rio convert IN OUT.tif)"


def write_crs(file: str = "FILE") -> str:
    """What writes a coordinate reference system into a GeoTIFF, for instance EPSG:25832."""
    return f"rio edit-info --crs EPSG:25832 {file} (or gdal_edit.py -a_srs EPSG:25832)"
