"""Web-optimised COGs, and other GeoTIFFs whose metadata GDAL has taken along from elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS

from mfnet.model.errors import RasterForbidden
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.pairs.pair import RasterPair
from tests.model.conftest import MakeTiff
from tests.model.programs import gdal_translate

SIDE = 96


def web_cog(source: Path, target: Path, **options: str) -> Path:
    rasterio.shutil.copy(
        source, target, driver="COG", TILING_SCHEME="GoogleMapsCompatible", **options
    )
    return target


@pytest.fixture
def pair_files(make_tiff: MakeTiff) -> tuple[Path, Path]:
    random = np.random.default_rng(5)
    colours = random.integers(30, 200, (3, SIDE, SIDE)).astype("uint8")
    colours[:, :12, :20] = 0
    heights = (15 * random.random((SIDE, SIDE)) ** 3).astype("float32")
    heights[40:50, 40:60] = -9999
    return (
        make_tiff("photo.tif", colours, photometric="rgb", nodata=0),
        make_tiff("heights.tif", heights, nodata=-9999),
    )


@pytest.mark.parametrize("alpha", ["YES", "NO"])
def test_a_web_optimised_pair_is_read_as_rasterio_reads_it(
    pair_files: tuple[Path, Path], tmp_path: Path, alpha: str
) -> None:
    photo, heights = pair_files
    ortho = web_cog(photo, tmp_path / "ortho.tif", ADD_ALPHA=alpha)
    ndsm = web_cog(heights, tmp_path / "ndsm.tif", ADD_ALPHA="NO", RESAMPLING="NEAREST")
    with rasterio.open(ortho) as plain:
        assert plain.tags(ns="TILING_SCHEME")["NAME"].upper() == "GOOGLEMAPSCOMPATIBLE"
        colours, valid = plain.read([1, 2, 3]), plain.dataset_mask() > 0
        bounds = plain.bounds
    with rasterio.open(ndsm) as plain:
        window = plain.window(*bounds).round()
        metres = plain.read(1, window=window, masked=True, boundless=True, fill_value=-9999)
    with RasterPair.open(ortho, ndsm) as pair:
        rows = pair.read(0, pair.grid.height)
    assert pair.grid.crs == CRS.from_epsg(3857)
    assert 0 < valid.mean() < 1
    np.testing.assert_array_equal(rows.valid["ortho"], valid)
    np.testing.assert_array_equal(rows.arrays["ortho"][:, valid], colours[:, valid])
    np.testing.assert_array_equal(rows.valid["ndsm"], ~np.ma.getmaskarray(metres))
    known = rows.valid["ndsm"]
    np.testing.assert_allclose(rows.arrays["ndsm"][0][known], metres.data[known], atol=1e-4)


@pytest.mark.parametrize(
    "domain", ["TILING_SCHEME", "ENVI", "EXIF", "IMAGERY", "xml:ESRI", "json:ISIS3"]
)
def test_metadata_that_names_nothing_are_read(pair_files: tuple[Path, Path], domain: str) -> None:
    with rasterio.open(pair_files[1], "r+") as raster:
        raster.update_tags(ns=domain, plain="<a/>")
    with rasterio.open(pair_files[1]) as raster:
        assert raster.tags(ns=domain)
    GeoTiff(pair_files[1], Role.HEIGHT).close()


@pytest.mark.parametrize(
    "domain",
    ["OVERVIEWS", "overviews", "GEOLOCATION", "SUBDATASETS", "xml:VRT", "XML:vrt", "our own"],
)
def test_what_gdal_may_follow_is_refused_and_the_command_mends_it(
    pair_files: tuple[Path, Path], tmp_path: Path, domain: str
) -> None:
    path = pair_files[1]
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(ns=domain, OVERVIEW_FILE="/etc/passwd")
        raster.set_band_unit(1, "metre")
        raster.scales, raster.offsets = (0.5,), (3.0,)
    with pytest.raises(RasterForbidden, match="COPY_SRC_MDD=NO"):
        GeoTiff(path, Role.HEIGHT)
    mended = tmp_path / "mended.tif"
    gdal_translate("-co", "COPY_SRC_MDD=NO", path, mended)
    with GeoTiff(mended, Role.HEIGHT) as source:
        assert (source.nodata, source.unit, source.scale, source.offset) == (
            *((-9999,), "metre"),
            *(0.5, 3.0),
        )
