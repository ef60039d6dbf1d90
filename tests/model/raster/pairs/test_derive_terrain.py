"""The terrain under a surface model, against terrains that are known."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from mfnet.model.errors import BadOption, MissingExtra, RasterUnreadable
from mfnet.model.raster.pairs import derive_terrain as module
from mfnet.model.raster.pairs.derive_terrain import derive_terrain
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.training.synthetic.town import draw_town, write_town

GSD_M, SIDE = 0.25, 512


def write_surface(path: Path, metres: NDArray[np.float32], *, unit: float = 1.0) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=1, height=metres.shape[0],
        width=metres.shape[1], crs="EPSG:25832", transform=from_origin(5e5, 57e5, GSD_M, GSD_M),
        nodata=-9999,
    ) as raster:  # fmt: skip
        raster.write(np.where(np.isnan(metres), np.float32(-9999), metres * np.float32(unit)), 1)


def slopes(kind: str) -> NDArray[np.float32]:
    rows, columns = np.indices((SIDE, SIDE), dtype=np.float32) * np.float32(GSD_M)
    return {
        "flat": np.full((SIDE, SIDE), 120, np.float32),
        "slope": np.float32(300) + np.float32(0.12) * columns + np.float32(0.05) * rows,
        "waves": np.float32(40) + 3 * np.sin(rows / 25) + 2 * np.cos(columns / 40),
    }[kind].astype(np.float32)


@pytest.fixture(scope="module")
def heights() -> NDArray[np.float32]:
    return draw_town(500_001, SIDE, GSD_M).ndsm


def error_of(derived: Path, terrain: NDArray[np.float32]) -> NDArray[np.float32]:
    """Derived less true metres, where there are any."""
    found = np.full(terrain.shape, np.nan, np.float32)
    with rasterio.open(derived) as raster:
        reproject(
            raster.read(1), found, src_transform=raster.transform, src_crs=raster.crs,
            src_nodata=raster.nodata, dst_transform=from_origin(5e5, 57e5, GSD_M, GSD_M),
            dst_crs=raster.crs, dst_nodata=np.nan, resampling=Resampling.bilinear,
        )  # fmt: skip
    errors = found - terrain
    return errors[np.isfinite(errors)]


@pytest.mark.parametrize("kind", ["flat", "slope", "waves"])
def test_a_towns_terrain_is_found_to_half_a_metre(
    kind: str, heights: NDArray[np.float32], tmp_path: Path
) -> None:
    terrain = slopes(kind)
    write_surface(tmp_path / "dsm.tif", terrain + heights)
    errors = error_of(derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif"), terrain)
    assert len(errors) > 0.9 * SIDE * SIDE
    assert abs(np.median(errors)) < 0.4
    assert np.mean(np.abs(errors) > 1) < 0.02


@pytest.mark.parametrize(
    ("crs", "unit_m"),
    [("EPSG:2264", 0.3048006), ("EPSG:4326", 111_320.0)],
    ids=["a CRS in feet", "degrees"],
)
def test_the_unit_of_the_ground_changes_nothing(
    crs: str, unit_m: float, heights: NDArray[np.float32], tmp_path: Path
) -> None:
    terrain = slopes("slope")
    write_surface(tmp_path / "dsm.tif", terrain + heights)
    metres = derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif")
    side = GSD_M / unit_m
    origin = (0.0, 0.05) if crs == "EPSG:4326" else (2e6, 6e5)
    with rasterio.open(tmp_path / "dsm.tif", "r+") as raster:
        raster.crs, raster.transform = (
            rasterio.CRS.from_user_input(crs),
            from_origin(*origin, side, side),
        )
    options = ReadingOptions(height_unit="m")
    elsewhere = derive_terrain(tmp_path / "dsm.tif", tmp_path / "other.tif", options=options)
    with rasterio.open(metres) as one, rasterio.open(elsewhere) as other:
        assert one.shape == other.shape
        assert other.crs == rasterio.CRS.from_user_input(crs)
        assert np.abs(one.read(1) - other.read(1)).max() < 0.2


def test_a_surface_in_feet_gives_metres(heights: NDArray[np.float32], tmp_path: Path) -> None:
    terrain = slopes("flat")
    write_surface(tmp_path / "dsm.tif", terrain + heights, unit=1 / 0.3048)
    options = ReadingOptions(height_unit="ft")
    derived = derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif", options=options)
    assert abs(np.median(error_of(derived, terrain))) < 0.5


def test_memory_is_kept_by_larger_cells_and_the_terrain_stays(
    heights: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 10_000)
    terrain = slopes("slope")
    write_surface(tmp_path / "dsm.tif", terrain + heights)
    derived = derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif")
    with rasterio.open(derived) as raster:
        assert raster.width * raster.height <= 10_000
    assert np.mean(np.abs(error_of(derived, terrain)) > 1) < 0.15


def test_a_pair_with_it_is_mapped_and_told_so(tmp_path: Path) -> None:
    town = draw_town(3, 256, GSD_M)
    write_town(tmp_path, town)
    with rasterio.open(tmp_path / "ndsm.tif") as raster:
        transform, heights = raster.transform, raster.read(1)
    with rasterio.open(
        tmp_path / "dsm.tif", "w", driver="GTiff", dtype="float32", count=1, height=256, width=256,
        crs="EPSG:25832", transform=transform, nodata=-9999,
    ) as raster:  # fmt: skip
        raster.write(np.where(heights == -9999, -9999, heights + 500).astype(np.float32), 1)
    derived = derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif")
    with RasterPair.open(tmp_path / "ortho.tif", tmp_path / "dsm.tif", dtm=derived) as pair:
        codes = [remark.code for remark in pair.report.remarks]
        found = pair.read(0, 256).arrays["ndsm"][0]
    assert "dtm.derived" in codes
    known = heights != -9999
    assert np.median(np.abs(found - np.maximum(heights, 0))[known]) < 0.3


def test_a_forest_without_ground_is_told(tmp_path: Path) -> None:
    rough = 15 + 4 * np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    crowns = np.repeat(np.repeat(rough[::16, ::16], 16, 0), 16, 1)
    write_surface(tmp_path / "dsm.tif", 10 * slopes("waves") + 8 * crowns)
    with rasterio.open(derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif")) as raster:
        assert "unsure" in raster.tags()["MFNET_DERIVED"]


def test_what_cannot_be_derived_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_surface(tmp_path / "dsm.tif", np.full((SIDE, SIDE), np.nan, np.float32))
    with pytest.raises(RasterUnreadable, match="hardly any heights"):
        derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif")
    with pytest.raises(BadOption, match="more than 0"):
        derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif", largest_m=0)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mfnet\[terrain\]"):
        derive_terrain(tmp_path / "dsm.tif", tmp_path / "dtm.tif")
    assert not (tmp_path / "dtm.tif").exists()
