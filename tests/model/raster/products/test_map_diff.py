"""What differs between two maps, against a count pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from mfnet.model.classes import ISPRS, NODATA, ClassScheme
from mfnet.model.errors import MapsNotComparable, RasterUnreadable
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.raster.products.map_diff import compare_maps, write_changes


def write(path: Path, values: np.ndarray, west: float = 5e5, epsg: int = 25832) -> Path:
    grid = Grid(*values.shape, from_origin(west, 5e6, 0.5, 0.5), CRS.from_epsg(epsg))
    with CogWriter(path, grid, description="land cover", scheme=ISPRS) as cog:
        cog.write(0, values)
    return path


@pytest.mark.parametrize("shape", [(1, 1), (30, 40), (1100, 70)])
def test_changes_are_the_new_classes_where_they_differ(tmp_path: Path, shape: tuple[int, int]):
    rng = np.random.default_rng(3)
    old, new = (rng.choice([0, 1, 2, 5, NODATA], shape).astype(np.uint8) for _ in range(2))
    old.flat[0], new.flat[0] = 0, 1  # so that something changes
    found = write_changes(
        write(tmp_path / "old.tif", old),
        write(tmp_path / "new.tif", new),
        tmp_path / "c.tif",
        ISPRS,
    )
    known = (old != NODATA) & (new != NODATA)
    assert found["pixels"] == known.sum()
    assert found["share"] == pytest.approx((known & (old != new)).sum() / known.sum())
    for pair in found["classes"]:
        first, second = (ISPRS.names.index(pair[end]) for end in ("from", "to"))
        assert first != second
        assert pair["area_m2"] == pytest.approx(pair["pixels"] / 4)
        assert pair["pixels"] == (known & (old == first) & (new == second)).sum() > 0
    assert sum(pair["pixels"] for pair in found["classes"]) == (known & (old != new)).sum()
    counts = [pair["pixels"] for pair in found["classes"]]
    assert counts == sorted(counts, reverse=True)
    with rasterio.open(tmp_path / "c.tif") as raster:
        expected = np.where(known & (old != new), new, NODATA)
        assert np.array_equal(raster.read(1), expected)
        assert raster.nodata == NODATA
        assert raster.colormap(1)[1][:3] == ISPRS.classes[1].rgb


def test_maps_without_a_pixel_in_common_have_no_share(tmp_path: Path):
    empty = np.full((5, 5), NODATA, np.uint8)
    path = write(tmp_path / "a.tif", empty)
    found = write_changes(path, path, tmp_path / "c.tif", ISPRS)
    assert found == {"pixels": 0, "share": 0.0, "classes": []}


def test_areas_are_those_on_the_ground(tmp_path: Path):
    """At 60° N a pixel of EPSG:3857 is a quarter as large as its side says."""
    paths = []
    for name, value in (("a.tif", 1), ("b.tif", 2)):
        grid = Grid(4, 4, from_origin(1e6, 8399737.9, 1, 1), CRS.from_epsg(3857))
        with CogWriter(tmp_path / name, grid, description="", scheme=ISPRS) as cog:
            cog.write(0, np.full((4, 4), value, np.uint8))
        paths.append(tmp_path / name)
    (change,) = compare_maps(*paths, ISPRS, ISPRS)["classes"]
    assert change["pixels"] == 16
    assert change["area_m2"] == pytest.approx(4.0, rel=0.01)
    assert not (tmp_path / "c.tif").exists()


def test_maps_of_other_places_or_classes_are_refused(tmp_path: Path):
    values = np.zeros((5, 5), np.uint8)
    one = write(tmp_path / "a.tif", values)
    fewer = ClassScheme(name="fewer", classes=ISPRS.classes[:3])
    others = {
        "pixels": write(tmp_path / "b.tif", values[:4]),
        "do not lie on the same": write(tmp_path / "c.tif", values, west=5e5 + 0.25),
        "different CRS": write(tmp_path / "d.tif", values, epsg=25833),
    }
    for message, other in others.items():
        with pytest.raises(MapsNotComparable, match=message):
            compare_maps(one, other, ISPRS, ISPRS)
    with pytest.raises(MapsNotComparable, match="classes differ"):
        compare_maps(one, one, ISPRS, fewer)
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(RasterUnreadable):
        compare_maps(one, tmp_path / "text.tif", ISPRS, ISPRS)
