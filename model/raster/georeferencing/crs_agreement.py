"""Which coordinate reference system (CRS) each raster of a pair is in, where one names none."""

import re
from dataclasses import replace

import numpy as np
from rasterio.crs import CRS

from mfnet.model.errors import BadOption, CrsMissing
from mfnet.model.raster.georeferencing.crs_text import names_files
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.georeferencing.vertical_axis import horizontal
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.repair_commands import write_crs

SAME_NUMBERS_PERCENT = 50.0

# GDAL takes a path or an address for a CRS as well, opens it and reads the CRS from what is there.
_FORMS = (
    re.compile(r"[A-Za-z]+:[A-Za-z0-9_.]+(\+[0-9]+)?"),
    re.compile(r"urn:ogc:def:crs:[A-Za-z0-9_.:]+"),
    re.compile(r"\+proj=[a-z0-9]+( .*)?"),
    re.compile(r"(PROJ|GEOG|GEOD|GEOC|LOCAL_|ENG|COMPD_|COMPOUND|BOUND)[A-Z]*\[.*\]", re.S),
)


def agree_crs(
    ortho: Grid,
    height: Grid,
    given: str | None = None,
    files: tuple[str, str] = ("ortho", "heights"),
) -> tuple[Grid, Grid, list[Remark]]:
    """Give a raster without a CRS the one that it must be in.

    That is the one given by the caller; else the other raster's, if the coordinates of both are the
    same numbers. A local (engineering) CRS, which does not say where on the Earth it is, and a
    vertical one count as none where the other raster's says more; two local ones are the same.

    What the lost CRS said of heights (`mfnet.model.raster.georeferencing.vertical_axis`) is to be
    asked of the file's own.

    Args:
        ortho: The orthophoto's grid.
        height: The height raster's.
        given: A CRS as the caller typed it, "EPSG:25832" for instance, for each of the two that
            names none.
        files: Names of the two files, for messages.

    Returns:
        Both grids, and what was decided.

    Raises:
        CrsMissing: One has a CRS, the other has none, none was given, and the extents share less
            than `SAME_NUMBERS_PERCENT` of the smaller one in plain numbers.
        BadOption: `given` is no CRS.
    """
    if given is not None:
        option = parse_crs(given)
        ortho, of_ortho = _with_given(ortho, option, given, f"{files[0]}: the orthophoto")
        height, of_height = _with_given(height, option, given, f"{files[1]}: the height raster")
        return ortho, height, of_ortho + of_height
    if ortho.crs == height.crs or (_places(ortho.crs) and _places(height.crs)):
        return ortho, height, []
    ortho_lacks = _rank(ortho.crs) < _rank(height.crs)
    lacking, other = (ortho, height) if ortho_lacks else (height, ortho)
    lacks, has = ("orthophoto", "height raster")[:: 1 if ortho_lacks else -1]
    file = files[0 if ortho_lacks else 1]
    known = _describe(other.crs)
    shared = _shared_percent(lacking, other)
    found = "no coordinate reference system" if lacking.crs is None else "a local CRS alone"
    if shared < SAME_NUMBERS_PERCENT:
        raise CrsMissing(
            f"{file}: the {lacks} has {found}, the {has} has {known}, and they share "
            f"{shared:.0f} % of their coordinates; expected one in both: --crs EPSG:25832, for "
            f"instance, names what is missing, {write_crs(file)} writes it into the file",
            file=file,
            lacking=lacks,
            shared_percent=round(shared, 1),
        )
    taken = replace(lacking, crs=horizontal(other.crs))
    remark = Remark(
        code="crs.taken_over",
        message=f"{file}: the {lacks} has {found}; its coordinates are those of the {has}, so "
        f"{known} is taken for both: --crs names another",
    )
    return (taken, other, [remark]) if ortho_lacks else (other, taken, [remark])


def parse_crs(text: str) -> CRS:
    """Read a CRS that a caller typed, without following a name in it to a file or to the network.

    Args:
        text: An authority's code (EPSG:25832, EPSG:25832+7837, ESRI:102113; 25832 is EPSG's), WKT
            or a PROJ string.

    Raises:
        BadOption: It is none of these, names files, or is not known.
    """
    plain = text.strip()
    plain = f"EPSG:{plain}" if plain.isascii() and plain.isdigit() else plain
    if any(form.fullmatch(plain) for form in _FORMS) and not names_files(plain):
        try:
            return CRS.from_user_input(plain)
        except Exception:  # CRSError, and bare CPLE errors of GDAL
            pass
    raise BadOption(
        f"--crs {text[:80]!r} is no coordinate reference system that is known here; expected an "
        "authority's code such as EPSG:25832 (epsg.io lists them), WKT, or a PROJ string that "
        "names no files",
        crs=text[:80],
    )


def _with_given(grid: Grid, crs: CRS, text: str, name: str) -> tuple[Grid, list[Remark]]:
    if not _places(grid.crs):
        told = Remark(code="crs.given", message=f"{name} is in {text}, as --crs says")
        return replace(grid, crs=crs), [told]
    if grid.crs == crs:
        return grid, []
    told = Remark(
        code="crs.given",
        message=f"{name} names {_describe(grid.crs)} itself, which counts: --crs {text} is for "
        f"rasters that name none; {write_crs()} writes another into the file",
    )
    return grid, [told]


def _places(crs: CRS | None) -> bool:
    """Whether a CRS says where on the Earth its coordinates are."""
    return crs is not None and (crs.is_geographic or crs.is_projected)


def _rank(crs: CRS | None) -> int:
    """How much a CRS says: 0 without one, 1 where it is local, 2 where it places points."""
    return (crs is not None) + _places(crs)


def _shared_percent(one: Grid, other: Grid) -> float:
    """Share of the smaller extent that both have, as if the coordinates were the same CRS's."""
    (low, high), (other_low, other_high) = _bounds(one), _bounds(other)
    sides = np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0, None)
    smaller = min(np.prod(high - low), np.prod(other_high - other_low))
    return float(100 * np.prod(sides) / smaller)


def _bounds(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    corners = grid.to_ground(np.array([[0, grid.width] * 2, [0, 0, grid.height, grid.height]]))
    return corners.min(axis=1), corners.max(axis=1)


def _describe(crs: CRS | None) -> str:
    """A CRS in a few words: its code, or its name."""
    text = "none" if crs is None else crs.to_string()
    if "[" not in text:
        return text[:80]
    return text.split('"')[1][:80] if '"' in text else "an unnamed CRS"
