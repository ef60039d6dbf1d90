"""What the files of a map take on disk, before anything of it is computed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mfnet.model.raster.products.cog import disk_bytes_of

_POLYGON_BYTES = 2
"""A pixel, of a GeoPackage whose borders are not simplified; ragged maps of 0.2 m took 1.5 to 3."""
_COGS = ("classes", "confidence", "quality")


def disk_needs(
    files: Mapping[str, Path], pixels: int, *, sieve: bool = False
) -> Iterator[tuple[Path, int]]:
    """Folders, and the bytes that come into them.

    Args:
        files: What is to be written, by role.
        pixels: Of the map.
        sieve: Its rows wait beside it.
    """
    for role, path in files.items():
        if role in _COGS:
            yield path.parent, disk_bytes_of(pixels)
        elif role == "polygons":
            # Borders wait beside a GeoPackage, and a GeoPackage beside FlatGeobuf.
            yield path.parent, 2 * _POLYGON_BYTES * pixels
    if sieve:
        yield files["classes"].parent, pixels
