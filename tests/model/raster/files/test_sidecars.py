"""What stands beside a raster, against GDAL's own reading of files that GDAL wrote."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform
from rasterio.windows import Window

from mfnet.model.errors import BadSidecar, InputError
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.sidecars import Sidecars, kind_of, read_world
from mfnet.model.raster.pairs.pair import RasterPair

Make = Callable[..., Path]
PLACE = Affine(0.5, 0.01, 500_000.25, 0.02, -0.4, 5_700_000.5)
WHOLE = Window(0, 0, 48, 48)
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def bare(make_tiff: Make, name: str = "h.tif", dtype: str = "float32") -> Path:
    """A raster whose file says nothing of itself."""
    random = np.random.default_rng(3)
    values = (20 * random.random((48, 48)) ** 3).astype(dtype)
    path = make_tiff(name, values)
    form = {"driver": "GTiff", "count": 1, "height": 48, "width": 48, "dtype": dtype}
    with rasterio.open(path, "w", **form) as raster:
        raster.write(values, 1)
    return path


def as_gdal_does(path: Path) -> dict[str, object]:
    with rasterio.open(path) as raster:
        return {
            "transform": raster.transform,
            "crs": raster.crs,
            "nodata": raster.nodata,
            "scale": raster.scales[0],
            "offset": raster.offsets[0],
            "unit": raster.units[0],
        }


def as_we_do(path: Path) -> dict[str, object]:
    with GeoTiff(path, Role.HEIGHT) as source:
        return {
            "transform": source.grid.transform,
            "crs": source.crs,
            "nodata": source.nodata[0],
            "scale": source.scale,
            "offset": source.offset,
            "unit": source.unit,
        }


def test_what_gdal_writes_beside_a_file_is_read_as_gdal_does(make_tiff: Make) -> None:
    path = bare(make_tiff)
    # A file that may not be written to gets its notes beside it.
    with (
        rasterio.Env(GDAL_GEOREF_SOURCES="PAM", IGNORE_COG_LAYOUT_BREAK="YES"),
        rasterio.open(path) as raster,
    ):
        assert raster.crs is None
    path.with_name("h.tif.aux.xml").write_text(
        f"""<PAMDataset>
          <SRS dataAxisToSRSAxisMapping="1,2">{CRS.from_epsg(25832).to_wkt()}</SRS>
          <GeoTransform>500000.25, 0.5, 0.01, 5700000.5, 0.02, -0.4</GeoTransform>
          <PAMRasterBand band="1">
            <NoDataValue>-9999</NoDataValue><UnitType>ft</UnitType>
            <Offset>2</Offset><Scale>0.5</Scale>
            <Metadata><MDI key="STATISTICS_MAXIMUM">18.6</MDI></Metadata>
          </PAMRasterBand>
        </PAMDataset>"""
    )
    expected = as_gdal_does(path)
    assert expected["transform"] == PLACE
    assert expected["crs"] == CRS.from_epsg(25832)
    assert as_we_do(path) == expected
    with GeoTiff(path, Role.HEIGHT) as source:
        told = " ".join(remark.message for remark in source.remarks)
    assert all(word in told for word in ("transform", "nodata -9999", "scale 0.5", "unit 'ft'"))


@pytest.mark.parametrize("ending", ["tfw", "TFW", "wld"])
def test_a_world_file_and_a_prj_place_a_raster_as_gdal_does(make_tiff: Make, ending: str) -> None:
    path = bare(make_tiff)
    x, y = PLACE * (0.5, 0.5)
    lines = (PLACE.a, PLACE.d, PLACE.b, PLACE.e, x, y)
    path.with_name(f"h.{ending}").write_text("\r\n".join(f" {value!r}" for value in lines))
    path.with_name("h.prj").write_text(pyproj.CRS.from_epsg(2154).to_wkt("WKT1_ESRI"))
    ours = as_we_do(path)
    assert ours["transform"].almost_equals(PLACE, precision=1e-6)
    x, y = transform(CRS.from_epsg(4258), ours["crs"], [3.5], [45.2])
    expected = transform(CRS.from_epsg(4258), CRS.from_epsg(2154), [3.5], [45.2])
    assert (*x, *y) == pytest.approx((*expected[0], *expected[1]))
    with rasterio.open(path) as raster:
        assert raster.transform.almost_equals(ours["transform"], precision=1e-6)


def test_gdals_order_counts_where_sidecars_contradict_the_file(make_tiff: Make) -> None:
    path = make_tiff("h.tif", np.zeros((48, 48), "float32"), nodata=-1.0)
    path.with_name("h.tif.aux.xml").write_text(
        "<PAMDataset><GeoTransform>9, 1, 0, 8, 0, -1</GeoTransform><PAMRasterBand band='1'>"
        "<NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    path.with_name("h.tfw").write_text("1\n0\n0\n-1\n3\n4\n")
    expected = as_gdal_does(path)
    found = as_we_do(path)
    assert (found["transform"], found["nodata"]) == (expected["transform"], -1.0)
    with GeoTiff(path, Role.HEIGHT) as source:
        assert [remark.code for remark in source.remarks] == ["sidecar.differs"]


def test_a_mask_file_hides_what_gdal_hides(make_tiff: Make, photo: Make, heights: Make) -> None:
    path = photo()
    mask = np.random.default_rng(5).choice([0, 255], (48, 48)).astype("uint8")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
        raster.write_mask(mask)
    assert path.with_name("ortho.tif.msk").is_file()
    with rasterio.open(path) as raster:
        expected = raster.dataset_mask() > 0
    with RasterPair.open(path, heights()) as pair:
        assert np.array_equal(pair.read(0, 48).valid["ortho"], expected)
        assert np.array_equal(pair.valid(WHOLE), expected)
        assert {path.with_name("ortho.tif.msk")} <= {stamp.path for stamp in pair.stamps}


def test_a_mask_of_another_size_is_refused(make_tiff: Make, photo: Make) -> None:
    path = photo()
    make_tiff("ortho.tif.msk", np.zeros((47, 48), "uint8"))
    with pytest.raises(BadSidecar, match="47 × 48"):
        GeoTiff(path, Role.ORTHO)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("h.tfw", "a\nb\nc\nd\ne\nf\n"),
        ("h.tfw", "1\n0\n0\n-1\n3\n"),
        ("h.tfw", "nan\n0\n0\n-1\n3\n4\n"),
        ("h.tfw", "0\n0\n0\n0\n3\n4\n"),
        ("h.tfw", "1 " * 5000),
        ("h.prj", "/etc/passwd"),
        ("h.prj", "http://127.0.0.1/crs.wkt"),
        ("h.prj", 'PROJCS["broken'),
        ("h.tif.aux.xml", "not XML"),
        ("h.tif.aux.xml", "<PAMDataset><SRS>/etc/passwd</SRS></PAMDataset>"),
        ("h.tif.aux.xml", "<PAMDataset><GeoTransform>1, x</GeoTransform></PAMDataset>"),
        (
            "h.tif.aux.xml",
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><PAMDataset>&b;</PAMDataset>',
        ),
        (  # a declaration between what looks like a comment, and is none
            "h.tif.aux.xml",
            "<?a <!-- ?><!DOCTYPE a [<!ENTITY b 'ft'>]><?a --> ?><PAMDataset>"
            "<PAMRasterBand band='1'><UnitType>&b;</UnitType></PAMRasterBand></PAMDataset>",
        ),
        ("h.tif.aux.xml", "<!--" * 200_000),
        ("h.tif.aux.xml", "<PAMDataset>" + " " * (2 << 20) + "</PAMDataset>"),
        *(
            (
                "h.tif.aux.xml",
                f"<PAMDataset><PAMRasterBand band='1'>{number}</PAMRasterBand></PAMDataset>",
            )
            for number in ("<Scale>0</Scale>", "<Scale>inf</Scale>", "<Offset>nan</Offset>")
        ),
        ("h.tif.msk", "<VRTDataset rasterXSize='48' rasterYSize='48'/>"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(make_tiff: Make, name: str, content: str) -> None:
    path = bare(make_tiff)
    path.with_name(name).write_text(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        GeoTiff(path, Role.HEIGHT)


def test_what_is_not_needed_is_not_read(make_tiff: Make) -> None:
    path = make_tiff("h.tif", np.zeros((48, 48), "float32"))
    path.with_name("h.prj").write_text("Projection GEOGRAPHIC\nParameters\n")
    path.with_name("h.tfw").write_text("")
    with GeoTiff(path, Role.HEIGHT) as source:
        assert source.remarks == []


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
def test_a_scale_without_sense_is_told_and_not_applied(make_tiff: Make, scale: float) -> None:
    path = make_tiff("h.tif", np.full((48, 48), 3, "float32"))
    with rasterio.open(path, "r+") as raster:
        raster.scales = (scale,)
    with GeoTiff(path, Role.HEIGHT) as source:
        assert source.scale == 1
        assert [remark.code for remark in source.remarks] == ["raster.scale"]


def test_what_a_sidecar_names_is_passed_over(make_tiff: Make) -> None:
    path = make_tiff("h.tif", np.zeros((48, 48), "float32"))
    path.with_name("h.tif.aux.xml").write_text(
        "<PAMDataset><Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>/etc/passwd</MDI>"
        "</Metadata><PAMRasterBand band='1'><SourceFilename>http://127.0.0.1/x</SourceFilename>"
        "</PAMRasterBand></PAMDataset>"
    )
    with GeoTiff(path, Role.HEIGHT) as source:
        assert source.remarks == []


@pytest.mark.parametrize("band", ["inf", "1e400", "nan", "0", "-1", "1.5", "", "9" * 5000])
def test_a_band_that_no_raster_has_is_passed_over(make_tiff: Make, band: str) -> None:
    path = make_tiff("h.tif", np.zeros((48, 48), "float32"))
    path.with_name("h.tif.aux.xml").write_text(
        f"<PAMDataset><PAMRasterBand band='{band}'><Scale>2</Scale></PAMRasterBand></PAMDataset>"
    )
    with GeoTiff(path, Role.HEIGHT) as source:
        assert (source.scale, source.remarks) == (1.0, [])


def test_comments_and_cdata_are_no_declarations(make_tiff: Make) -> None:
    path = make_tiff("h.tif", np.zeros((48, 48), "float32"))
    path.with_name("h.tif.aux.xml").write_text(
        "<?xml version='1.0'?><!-- <!DOCTYPE a> --><PAMDataset><PAMRasterBand band='1'>"
        "<UnitType><![CDATA[ft]]></UnitType></PAMRasterBand></PAMDataset>"
    )
    assert as_we_do(path)["unit"] == "ft"


def test_a_pipe_beside_a_raster_is_refused_and_not_waited_for(make_tiff: Make) -> None:
    path = make_tiff("h.tif", np.zeros((48, 48), "float32"))
    os.mkfifo(path.with_name("pipe.tfw"))
    with pytest.raises(BadSidecar):
        read_world(path.with_name("pipe.tfw"))


def test_kinds_are_known_by_name() -> None:
    names = ["o.tfw", "O.TFW", "o.prj", "o.tif.aux.xml", "o.tif.msk", "o.tif", "aux.xml.tif"]
    assert [kind_of(name) for name in names] == ["world", "world", "prj", "pam", "mask", None, None]


def test_sidecars_can_be_given_under_any_name(make_tiff: Make, tmp_path: Path) -> None:
    path = bare(make_tiff)
    world = tmp_path / "0d0dc5ee"
    world.write_text("0.5\n0\n0\n-0.5\n500000.25\n5699999.75\n")
    with GeoTiff(path, Role.HEIGHT, None, Sidecars.of({"world": world})) as source:
        assert source.grid.transform == Affine(0.5, 0, 500_000, 0, -0.5, 5_700_000)


@pytest.mark.parametrize(
    "document",
    [
        '<?xml version="1.0"?><metadata xml:lang="en"><Esri><a>1.0</a></Esri></metadata>',
        "<VRTDataset/>",
    ],
)
def test_another_document_beside_a_raster_is_passed_over(make_tiff: Make, document: str) -> None:
    path = make_tiff("n.tif", np.ones((48, 48), "float32"))
    path.with_name("n.tif.aux.xml").write_text(document)
    with GeoTiff(path, Role.HEIGHT) as source:
        assert source.grid.crs is not None
        assert [remark.code for remark in source.remarks] == ["sidecar.ignored"]
