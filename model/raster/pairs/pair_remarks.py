"""What is worth knowing about a pair and is no reason to refuse it."""

from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.files.geotiff import GeoTiff
from mfnet.model.raster.georeferencing.datum_shifts import datum_remarks
from mfnet.model.raster.georeferencing.vertical_axis import vertical_remarks
from mfnet.model.raster.pairs.alignment.align import AlignedHeight
from mfnet.model.raster.remark import Remark

DERIVED_TAG = "MFNET_DERIVED"
"""Of a terrain model that `derive_terrain` wrote: what is to be told of it, a line a remark."""

_FULL_OVERLAP_PERCENT = 95.0
_MUCH_COARSER = 0.5


def pair_remarks(
    ortho: GeoTiff, height: AlignedHeight | None, dtm: AlignedHeight | None = None
) -> list[Remark]:
    """Remarks from tags and placement alone."""
    sources = [part.source for part in (height, dtm) if part is not None]
    declared = [(file.path.name, file.crs) for file in (ortho, *sources)]
    return [
        *_ortho_remarks(ortho),
        *([_no_heights()] if height is None else []),
        *(_placement_remarks(height, "height", "height raster") if height is not None else []),
        *(_placement_remarks(dtm, "dtm", "terrain model") if dtm is not None else []),
        *(_derivation_remarks(dtm.source) if dtm is not None else []),
        *(remark for source in sources for remark in source.remarks),
        *vertical_remarks(declared),
    ]


def moved_remarks(height: AlignedHeight | None, shift: tuple[float, float] | None) -> list[Remark]:
    """That heights are read from another place than where their file says.

    Args:
        height: The height raster.
        shift: Columns and rows by which it lies too far right and down.
    """
    if height is None or shift is None or not any(shift):
        return []
    surface, (columns, rows) = height.source.path.name, shift
    message = (
        f"{surface} is moved onto the orthophoto, by {-columns:+.2f} columns and {-rows:+.2f} "
        f"rows: --height-shift {columns:g},{rows:g}"
    )
    return [_remark("pair.moved", message)]


def _no_heights() -> Remark:
    return _remark("height.none", "there are no heights: all is mapped by its colour")


def to_be_derived(surface: str) -> Remark:
    """That a terrain model is not there yet."""
    return _remark(
        "dtm.to_derive",
        f"the terrain is derived from {surface} before it is mapped; how sure it is will be told "
        "with the map",
    )


def _derivation_remarks(dtm: GeoTiff) -> list[Remark]:
    """How a terrain model came about that we derived."""
    with gdal(dtm.path):
        told = dtm.dataset.tags().get(DERIVED_TAG, "")
    codes = ("dtm.derived", "dtm.unsure")
    return [_remark(code, line[:500]) for code, line in zip(codes, told.splitlines(), strict=False)]


def _ortho_remarks(ortho: GeoTiff) -> list[Remark]:
    remarks, name = [], ortho.path.name
    extra = ortho.layout.bands - len(ortho.bands) - (ortho.alpha is not None)
    if extra > 0:
        remarks.append(
            _remark(
                "ortho.extra_bands",
                f"{name}: bands {', '.join(map(str, ortho.bands))} are used as red, green, blue, "
                f"{extra} more {'is' if extra == 1 else 'are'} not; --bands chooses others",
            )
        )
    if ortho.grid.crs is None:
        remarks.append(
            _remark(
                "crs.none", f"{name}: no coordinate reference system: areas in m² will be unknown"
            )
        )
    elif ortho.grid.areas.kind == "geodesic" and ortho.grid.crs.is_projected:
        remarks.append(
            _remark(
                "crs.distorts",
                f"{name}: its projection shows areas {ortho.grid.areas.distortion or 1:.4g} times "
                "as large as they are on the ground here; those in the statistics are true ones, "
                "on the ellipsoid",
            )
        )
    return remarks


def _placement_remarks(part: AlignedHeight, code: str, role: str) -> list[Remark]:
    """How a height raster or terrain model lies on the orthophoto."""
    place, name = part.placement, part.source.path.name
    remarks = []
    if place.overlap_percent < _FULL_OVERLAP_PERCENT:
        remarks.append(
            _remark(
                f"{code}.partial",
                f"the {role} {name} covers {place.overlap_percent:.0f} % of the orthophoto; the "
                "rest is mapped by its colour",
            )
        )
    if 0 < place.pixels_per_pixel < _MUCH_COARSER:
        remarks.append(
            _remark(
                f"{code}.coarse",
                f"heights in {name} are {1 / place.pixels_per_pixel:.1f} times coarser than the "
                "orthophoto",
            )
        )
    if place.same_crs and part.grid.crs != part.source_grid.crs:
        remarks.append(
            _remark(
                "crs.names_differ",
                f"the coordinate reference systems of the orthophoto and of {name} are described "
                "differently and mean the same place",
            )
        )
    return [*remarks, *datum_remarks(part.grid, part.source_grid, name)]


def _remark(code: str, message: str) -> Remark:
    return Remark(code=code, message=message)
