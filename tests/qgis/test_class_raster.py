"""The class raster as QGIS opens it, with and without the files beside it."""

from typing import Any

import numpy as np
import pytest
import qgis_host
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import CogWriter

LEGEND = [[value, item.title, item.color, 255] for value, item in enumerate(ISPRS.classes)]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """How QGIS opens two rows of the six classes and two pixels without data."""
    place = Grid(2, 8, Affine(0.2, 0, 500_000, 0, -0.2, 5_700_000), CRS.from_epsg(25832))
    values = np.array([[0, 1, 2, 3, 4, 5, NODATA, NODATA]] * 2, np.uint8)
    files = {}
    for name in ("styled", "with sidecar", "alone"):
        files[name] = tmp_path_factory.mktemp("written") / "classes.tif"
        with CogWriter(files[name], place, description="land cover", scheme=ISPRS) as out:
            out.write(0, values)
    for name, ending in (("with sidecar", ".qml"), ("alone", ".qml"), ("alone", ".tif.aux.xml")):
        files[name].with_name(f"classes{ending}").unlink()
    told = qgis_host.describe(tmp_path_factory.mktemp("qgis"), *files.values())
    return dict(zip(files, told, strict=True))


def drawn(told: dict) -> list[str | None]:
    """Colours of the first row; None where the layer is transparent."""
    return [f"#{p & 0xFFFFFF:06x}" if p >> 24 else None for p in told["pixels"][0]]


def test_with_its_style_the_legend_holds_our_classes_alone(opened: dict[str, Any]) -> None:
    told = opened["styled"]
    assert told["valid"]
    assert told["classes"] == LEGEND
    assert drawn(told) == [*(item.color for item in ISPRS.classes), None, None]


def test_with_the_sidecar_alone_the_classes_have_names(opened: dict[str, Any]) -> None:
    assert opened["with sidecar"]["classes"][:6] == LEGEND


def test_the_file_alone_shows_colours_and_hides_what_has_no_class(opened: dict[str, Any]) -> None:
    told = opened["alone"]
    assert (told["renderer"], told["nodata"], told["crs"]) == ("paletted", NODATA, "EPSG:25832")
    assert drawn(told) == [*(item.color for item in ISPRS.classes), None, None]
    # Names come from the table inside from GDAL 3.12 on; before it, QGIS numbers its entries.
    assert [entry[1] for entry in told["classes"][:6]] in (
        [item.title for item in ISPRS.classes],
        [str(value) for value in range(6)],
    )
