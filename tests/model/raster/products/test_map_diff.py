"""What differs between two maps, against a count pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.raster.products.map_diff import write_changes


def write(path: Path, values: np.ndarray) -> Path:
    grid = Grid(*values.shape, from_origin(5e5, 5e6, 0.5, 0.5), CRS.from_epsg(25832))
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
