"""A file at an address, read by us where GDAL may not reach the network."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from faulty_relay import FaultyRelay
from range_server import range_server
from rasterio.transform import from_origin
from rasterio.windows import Window

from mfnet.model.errors import RasterUnreadable
from mfnet.model.raster.files import linked_file
from mfnet.model.raster.files.geotiff import GeoTiff, Role
from mfnet.model.raster.files.linked_file import LinkedFile
from mfnet.model.raster.files.remote import Content, known, reachable

FAULTS = ["503", "refused", "lost answer", "cut answer", None]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linked_file, "_PAUSES_S", (0.0,) * len(FAULTS))
    monkeypatch.setattr(linked_file, "_PIECE_BYTES", 1000)


def write(path: Path) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 40), dtype=np.uint8)
    form = {"driver": "GTiff", "count": 3, "height": 300, "width": 40, "dtype": "uint8"}
    form |= {"crs": "EPSG:25832", "transform": from_origin(5e5, 5.7e6, 0.5, 0.5)}
    with rasterio.open(path, "w", compress="deflate", **form) as raster:
        raster.write(pixels)
    return pixels


def test_every_byte_is_that_of_the_file_whatever_becomes_of_answers(tmp_path: Path) -> None:
    pixels = write(tmp_path / "ortho.tif")
    content = (tmp_path / "ortho.tif").read_bytes()
    with range_server(tmp_path) as server:
        relay = FaultyRelay(int(server.address.rpartition(":")[2]))
        relay.meet(FAULTS)
        file = LinkedFile(f"{relay.address}/ortho.tif", len(content), Path("/x/ortho"))
        assert file.read(0, len(content)) == content
        assert file.read(990, 2010) == content[990:2010]
        assert file.read(len(content) - 3, len(content) + 3) == content[-3:]
        with rasterio.open("/x/ortho", opener=file) as raster:
            assert np.array_equal(raster.read(), pixels)
        file.close()
        relay.close()


def test_gdal_gets_that_file_and_no_other(tmp_path: Path) -> None:
    write(tmp_path / "ortho.tif")
    size = (tmp_path / "ortho.tif").stat().st_size
    with range_server(tmp_path) as server:
        link = Path(f"{server.address}/ortho.tif?signature=secret")
        with reachable({"ortho": link}, {"ortho": Content("abc", size)}) as there:
            behind = known(there["ortho"])
            assert behind is not None
            assert behind.access == {}  # the fence holds
            with GeoTiff(there["ortho"], Role.ORTHO) as raster:
                assert raster.layout.stored_bytes == size
                assert raster.read(Window(0, 0, 40, 300))[0].shape == (3, 300, 40)
        assert {asked.name for asked in server.asked} == {"ortho.tif"}


def test_what_cannot_be_read_is_told_without_the_signature(tmp_path: Path) -> None:
    with range_server(tmp_path) as server:
        link = Path(f"{server.address}/ortho.tif?signature=secret")
        with (
            reachable({"ortho": link}, {"ortho": Content("abc", 5000)}) as there,
            pytest.raises(RasterUnreadable) as refused,
        ):
            GeoTiff(there["ortho"], Role.ORTHO)
    assert "secret" not in refused.value.message
