"""GeoTIFFs drawn over all that a writer can choose, and what rasterio alone makes of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

CRSS = [
    "EPSG:25832", "EPSG:2154", "EPSG:3857", "EPSG:4326", "EPSG:31467", "EPSG:2263", "EPSG:3035",
    "EPSG:25832+7837", "+proj=tmerc +lat_0=50 +lon_0=8 +ellps=GRS80 +units=m",
]  # fmt: skip
COMPRESSIONS = [None, "deflate", "lzw", "zstd", "packbits", "lzma", "lerc"]
ORTHO_TYPES = ["uint8", "uint16", "float32"]
HEIGHT_TYPES = ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
COLOURS = {
    "none": None,
    "rgb": (ColorInterp.red, ColorInterp.green, ColorInterp.blue),
    "bgr": (ColorInterp.blue, ColorInterp.green, ColorInterp.red),
}


@dataclass(frozen=True)
class Spec:
    """How a file is written."""

    seed: int
    dtype: str
    bands: int
    height: int
    width: int
    compress: str | None
    predictor: bool
    tiled: bool
    block: int
    interleave: str
    bigtiff: bool
    big_endian: bool
    nodata: float | None
    holes: str
    colours: str
    point: bool
    scaled: bool


@dataclass(frozen=True)
class Place:
    """Where a file lies."""

    crs: str
    gsd: float
    turn: float
    south_up: bool
    ratio: float

    def transform(self) -> Affine:
        """From pixels to the ground, somewhere inside the CRS."""
        degrees = self.crs == "EPSG:4326"
        x, y = (8.1, 50.2) if degrees else _INSIDE.get(self.crs, (500_000.0, 5_600_000.0))
        gsd = self.gsd / 111_320 if degrees else self.gsd
        flip = 1 if self.south_up else -1
        return (
            Affine.translation(x, y)
            @ Affine.rotation(self.turn)
            @ Affine.scale(gsd, flip * gsd * self.ratio)
        )


_INSIDE = {
    "EPSG:2154": (700_000.0, 6_600_000.0),
    "EPSG:3857": (900_000.0, 6_400_000.0),
    "EPSG:31467": (3_500_000.0, 5_600_000.0),
    "EPSG:2263": (1_000_000.0, 200_000.0),
    "EPSG:3035": (4_300_000.0, 3_200_000.0),
    CRSS[-1]: (1000.0, 2000.0),
}

places = st.builds(
    Place,
    crs=st.sampled_from(CRSS),
    gsd=st.sampled_from([0.05, 0.2, 1.0, 5.0]),
    turn=st.sampled_from([0.0, 0.0, 33.0, 180.0, -71.5]),
    south_up=st.booleans(),
    ratio=st.sampled_from([1.0, 1.0, 0.6, 1.7]),
)


def specs(types: list[str], bands: st.SearchStrategy[int]) -> st.SearchStrategy[Spec]:
    """Files of some pixel types."""
    return st.builds(
        Spec,
        seed=st.integers(0, 2**32 - 1),
        dtype=st.sampled_from(types),
        bands=bands,
        height=st.integers(1, 70),
        width=st.integers(1, 70),
        compress=st.sampled_from(COMPRESSIONS),
        predictor=st.booleans(),
        tiled=st.booleans(),
        block=st.sampled_from([16, 32, 64]),
        interleave=st.sampled_from(["pixel", "band"]),
        bigtiff=st.booleans(),
        big_endian=st.booleans(),
        nodata=st.sampled_from([None, 0.0, 255.0, -9999.0, float("nan"), 3.4028234663852886e38]),
        holes=st.sampled_from(["none", "nodata", "mask", "alpha"]),
        colours=st.sampled_from(list(COLOURS)),
        point=st.booleans(),
        scaled=st.booleans(),
    )


def write(path: Path, spec: Spec, place: Place, *, heights: bool) -> None:
    """Writes the file of a spec; heights are of something that counts from the ground."""
    rng = np.random.default_rng(spec.seed)
    dtype, shape = np.dtype(spec.dtype), (spec.bands, spec.height, spec.width)
    values = rng.random(shape)
    whole = np.issubdtype(dtype, np.integer)
    if heights:
        values = 20 * values**3 if whole else 20 * values**3 + 1e-3
    elif whole:
        values = 1 + values * (250 if spec.dtype == "uint8" else 64_000)
    values = values.astype(dtype)
    hole = rng.random((spec.height, spec.width)) < 0.2
    alpha = spec.holes == "alpha"
    form: dict[str, Any] = {
        "driver": "GTiff", "count": spec.bands + alpha, "height": spec.height,
        "width": spec.width, "dtype": spec.dtype, "crs": place.crs,
        "transform": place.transform(), "interleave": spec.interleave,
        "bigtiff": "yes" if spec.bigtiff else "no",
        "endianness": "big" if spec.big_endian else "little",
    }  # fmt: skip
    nodata = spec.nodata
    if nodata is not None and fits(nodata, dtype):
        form["nodata"] = nodata
        if spec.holes == "nodata":
            values[:, hole] = nodata
    elif spec.holes == "nodata" and not whole:
        values[:, hole] = np.nan
    if spec.compress:
        form["compress"] = spec.compress
        if spec.predictor and spec.compress in ("deflate", "lzw", "zstd"):
            form["predictor"] = 2 if whole else 3
    if spec.tiled:
        form |= {"tiled": True, "blockxsize": spec.block, "blockysize": spec.block}
    else:
        form["blockysize"] = min(spec.block, spec.height)
    if alpha:
        form["alpha"] = "yes"
    if spec.bands >= 3:
        form["photometric"] = "rgb" if spec.colours == "rgb" else "minisblack"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **form) as raster:
        raster.write(values, list(range(1, spec.bands + 1)))
        if alpha:
            top = np.iinfo(dtype).max if whole else 1
            raster.write(np.where(hole, 0, top).astype(dtype), spec.bands + 1)
        if spec.holes == "mask":
            raster.write_mask(np.where(hole, 0, 255).astype(np.uint8))
        if spec.point:
            raster.update_tags(AREA_OR_POINT="Point")
        if spec.scaled and heights:
            raster.scales, raster.offsets = (0.5,) * raster.count, (0.25,) * raster.count
        wanted = COLOURS[spec.colours]
        if wanted and spec.bands >= 3 and not heights:
            rest = raster.colorinterp[3:]
            raster.colorinterp = (*wanted, *rest)


def fits(nodata: float, dtype: np.dtype[Any]) -> bool:
    """Whether a nodata value is one of a type's."""
    if np.issubdtype(dtype, np.floating):
        return True
    limits = np.iinfo(dtype)
    return float(nodata).is_integer() and limits.min <= nodata <= limits.max


def read_ortho(path: Path) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Colours (3, h, w) and validity (h, w), by rasterio and plain rules alone."""
    with rasterio.open(path) as raster:
        interpretation = raster.colorinterp
        plain = [i for i, c in enumerate(interpretation, 1) if c is not ColorInterp.alpha]
        named = [interpretation.index(c) + 1 for c in COLOURS["rgb"] if c in interpretation]
        bands = named if len(named) == 3 else plain[:3]
        values = raster.read(bands)
        valid = _valid(raster, interpretation, bands, values)
        nodata = [raster.nodatavals[band - 1] for band in bands]
    return values, valid & ~_all_nodata(values, nodata)


def read_heights(path: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Metres (h, w) and where they are known, by rasterio and plain rules alone."""
    with rasterio.open(path) as raster:
        values = raster.read([1])
        valid = _valid(raster, raster.colorinterp, [1], values)
        valid &= ~_all_nodata(values, [raster.nodatavals[0]])
        metres = values[0].astype(np.float64) * raster.scales[0] + raster.offsets[0]
    return metres, valid


def _valid(
    raster: Any, interpretation: Any, bands: list[int], values: NDArray[Any]
) -> NDArray[np.bool_]:
    valid = np.ones(values.shape[1:], bool)
    if np.issubdtype(values.dtype, np.floating):
        valid &= np.isfinite(values).all(axis=0)
    if ColorInterp.alpha in interpretation:
        valid &= raster.read(interpretation.index(ColorInterp.alpha) + 1) > 0
    flags = raster.mask_flag_enums[bands[0] - 1]
    if rasterio.enums.MaskFlags.per_dataset in flags:
        valid &= raster.read_masks(bands[0]) > 0
    return valid


def _all_nodata(values: NDArray[Any], nodata: list[float | None]) -> NDArray[np.bool_]:
    empty = [
        np.zeros(band.shape, bool)
        if value is None or np.isnan(value)
        else band == np.asarray(value).astype(band.dtype)
        for band, value in zip(values, nodata, strict=True)
    ]
    return np.logical_and.reduce(empty)
