"""What the plugin sends of layers: the file itself, or a copy with the same pixels."""

from pathlib import Path

import numpy as np
import pytest
import qgis_host
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

SESSION = Path(__file__).with_name("sessions") / "layers.py"

pytestmark = pytest.mark.xdist_group("qgis")


@pytest.fixture(scope="module")
def sent(town: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What sessions/layers.py prints."""
    folder = tmp_path_factory.mktemp("layers")
    env = qgis_host.environment(folder, PYTHONPATH=str(qgis_host.PLUGINS))
    found: dict[str, str] = qgis_host.run_pyqgis(
        SESSION.read_text(), town / "ortho.tif", folder, env=env
    )
    return found


def test_only_what_needs_it_is_copied_and_pixels_stay_the_same(
    town: Path, sent: dict[str, str]
) -> None:
    ortho = town / "ortho.tif"
    assert sent["plain"] == str(ortho)
    assert "does not reach into the extent" in sent["elsewhere"]

    with rasterio.open(ortho) as source:
        pixels, transform, crs = source.read(), source.transform, source.crs
        # Pixels of 0.125 m; the left edge of the extent lies inside the ninth column.
        windows = {"extent": Window(8, 16, 16, 24), "with margin": Window(0, 0, 40, 56)}
        expected = {name: source.read(window=window) for name, window in windows.items()}
        places = {name: source.window_transform(window) for name, window in windows.items()}
    for name in ("virtual", "other CRS"):
        with rasterio.open(sent[name]) as copy:
            assert (copy.driver, copy.transform) == ("GTiff", transform)
            assert np.array_equal(copy.read(), pixels)
            assert copy.crs.to_epsg() == (25833 if name == "other CRS" else crs.to_epsg())
    for name in windows:
        with rasterio.open(sent[name]) as copy:
            assert copy.transform == places[name]
            assert np.array_equal(copy.read(), expected[name])


def test_of_an_online_layer_an_extent_is_drawn(sent: dict[str, str]) -> None:
    with rasterio.open(sent["online"]) as drawn:
        assert (drawn.shape, drawn.crs.to_epsg()) == ((512, 512), 3857)
        assert drawn.colorinterp[3] == ColorInterp.alpha
        pixels = drawn.read()
    assert pixels[:, 10, 10].tolist() == [0, 0, 30, 255]
    assert pixels[:, 255, 256].tolist() == [100, 0, 30, 255]
    assert pixels[:, 256, 255].tolist() == [0, 100, 30, 255]
    assert "give the extent and a pixel size" in sent["all that is online"]
    assert "51,200 x 51,200 pixels; at most" in sent["much that is online"]
