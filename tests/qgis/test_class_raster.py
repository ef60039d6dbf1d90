"""The class raster as QGIS opens it, with and without the files beside it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import qgis_host
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import CogWriter

LEGEND = [[value, item.title, item.color, 255] for value, item in enumerate(ISPRS.classes)]


@pytest.fixture
def class_raster(tmp_path: Path) -> Path:
    """Two rows: the six classes and two pixels without data, from left to right."""
    folder = tmp_path / "written"
    folder.mkdir()
    path = folder / "classes.tif"
    place = Grid(2, 8, Affine(0.2, 0, 500_000, 0, -0.2, 5_700_000), CRS.from_epsg(25832))
    values = np.array([[0, 1, 2, 3, 4, 5, NODATA, NODATA]] * 2, np.uint8)
    with CogWriter(path, place, description="land cover", scheme=ISPRS) as out:
        out.write(0, values)
    return path


def drawn(told: dict) -> list[str | None]:
    """Colours of the first row; None where the layer is transparent."""
    return [f"#{p & 0xFFFFFF:06x}" if p >> 24 else None for p in told["pixels"][0]]


def test_with_its_style_the_legend_holds_our_classes_alone(
    class_raster: Path, tmp_path: Path
) -> None:
    told = qgis_host.describe(class_raster, tmp_path)
    assert told["valid"]
    assert told["classes"] == LEGEND
    assert drawn(told) == [*(item.color for item in ISPRS.classes), None, None]


def test_with_the_sidecar_alone_the_classes_have_names(class_raster: Path, tmp_path: Path) -> None:
    class_raster.with_name("classes.qml").unlink()
    assert qgis_host.describe(class_raster, tmp_path)["classes"][:6] == LEGEND


def test_the_file_alone_shows_colours_and_hides_what_has_no_class(
    class_raster: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.tif"
    shutil.copy(class_raster, alone)
    told = qgis_host.describe(alone, tmp_path)
    assert (told["renderer"], told["nodata"], told["crs"]) == ("paletted", NODATA, "EPSG:25832")
    assert drawn(told) == [*(item.color for item in ISPRS.classes), None, None]
    # Names come from the table inside from GDAL 3.12 on; before it, QGIS numbers its entries.
    assert [entry[1] for entry in told["classes"][:6]] in (
        [item.title for item in ISPRS.classes],
        [str(value) for value in range(6)],
    )
