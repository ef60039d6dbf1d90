"""A part of a map: the same classes as of the whole, and no more work than it needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.windows import Window
from typer.testing import CliRunner

from mfnet.model.classes import NODATA
from mfnet.model.cli.main import app
from mfnet.model.errors import BadPolygons, BadZones
from mfnet.model.inference.arrays.interface import Array
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.segment import Segmentation, segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.raster.pairs.area_of_interest import Area, AreaOfInterest
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.synthetic.town import draw_town, write_town

SIDE = 700
OPTIONS = SegmentOptions(device="cpu")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    write_town(folder, draw_town(500_002, SIDE))
    segment(
        folder / "ortho.tif", folder / "ndsm.tif", open_runtime("town-small", options=OPTIONS),
        folder / "whole.tif", confidence=folder / "whole_confidence.tif",
    )  # fmt: skip
    return folder


def read(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as raster:
        values: NDArray[np.uint8] = raster.read(1)
    return values


def on_ground(town: Path, shape: shapely.Geometry) -> shapely.Geometry:
    """A shape in columns and rows, in the orthophoto's CRS."""
    with rasterio.open(town / "ortho.tif") as raster:
        transform = raster.transform
    return shapely.transform(
        shape, lambda xy: np.column_stack(transform * (xy[:, 0], xy[:, 1]))
    )  # fmt: skip


def write_area(path: Path, shapes: list[shapely.Geometry], crs: str) -> Path:
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes, object)), [np.arange(len(shapes))], ["n"],
        geometry_type="Unknown", crs=crs,
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    "shape",
    [
        shapely.Polygon([(430, 60), (520.5, 100.2), (470, 210)]),
        shapely.box(-50, 650, 40, 900),
        shapely.MultiPolygon([shapely.box(10, 10, 20, 30), shapely.box(600, 640, 690, 660)]),
    ],
    ids=["triangle", "over the rim", "two"],
)
def test_inside_it_is_the_map_of_the_whole(
    town: Path, shape: shapely.Geometry, tmp_path: Path
) -> None:
    with rasterio.open(town / "ortho.tif") as raster:
        crs = raster.crs.to_string()
    area = write_area(tmp_path / "area.gpkg", [on_ground(town, shape)], crs)
    segment(
        town / "ortho.tif", town / "ndsm.tif", open_runtime("town-small", options=OPTIONS),
        tmp_path / "part.tif", confidence=tmp_path / "sure.tif", area=Area(area),
    )  # fmt: skip
    inside = rasterize([shape], out_shape=(SIDE, SIDE)).astype(bool)
    assert inside.sum() > 100
    for part, whole in (("part.tif", "whole.tif"), ("sure.tif", "whole_confidence.tif")):
        found = read(tmp_path / part)
        np.testing.assert_array_equal(found[inside], read(town / whole)[inside])
        assert (found[~inside] == NODATA).all()


def test_no_more_is_read_and_computed_than_it_needs(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a corner: the windows that touch it, four of sixteen."""
    area = write_area(
        tmp_path / "area.fgb", [on_ground(town, shapely.box(10, 20, 200, 240))], "EPSG:25832"
    )
    runtime = open_runtime("town-small", options=OPTIONS)
    computed, windows = 0, []
    call, read_window = type(runtime).__call__, RasterPair.read_window

    def counting(self: object, inputs: Mapping[str, Array]) -> Array:
        nonlocal computed
        computed += 1
        return call(self, inputs)  # type: ignore[arg-type]

    def noting(self: RasterPair, window: Window) -> object:
        windows.append(window)
        return read_window(self, window)

    monkeypatch.setattr(type(runtime), "__call__", counting)
    with RasterPair.open(town / "ortho.tif", town / "ndsm.tif"):
        pass
    monkeypatch.setattr(RasterPair, "read_window", noting)
    segment(town / "ortho.tif", town / "ndsm.tif", runtime, tmp_path / "part.tif", area=Area(area))
    assert computed == 2  # two rows of two windows
    assert max(window.row_off + window.height for window in windows) <= 192 + 256
    assert max(window.col_off + window.width for window in windows) <= 192 + 256


def test_an_area_of_another_crs_lies_where_it_says(town: Path, tmp_path: Path) -> None:
    with rasterio.open(town / "ortho.tif") as raster:
        steps = pyproj.Transformer.from_crs(raster.crs.to_wkt(), 4326, always_xy=True)
    ground = on_ground(town, shapely.box(100, 100, 160, 160))
    degrees = shapely.transform(ground, lambda xy: np.column_stack(steps.transform(*xy.T)))
    area = write_area(tmp_path / "area.geojson", [degrees], "EPSG:4326")
    command = ["predict", str(town / "ortho.tif"), str(town / "ndsm.tif"), "--model", "town-small"]
    command += ["-o", str(tmp_path / "part.tif"), "--aoi", str(area)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows, columns = np.nonzero(read(tmp_path / "part.tif") != NODATA)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (100, 159, 100, 159)


def test_parts_of_an_area_are_the_rows_of_the_whole(town: Path, tmp_path: Path) -> None:
    """Above it, across its rim, in it; one of them is computed, the others are nodata at once."""
    shape = shapely.Polygon([(430, 260), (520.5, 300.2), (470, 410)])
    area = Area(write_area(tmp_path / "area.gpkg", [on_ground(town, shape)], "EPSG:25832"))
    runtime = open_runtime("town-small", options=OPTIONS)
    with RasterPair.open(town / "ortho.tif", town / "ndsm.tif") as pair:
        wanted = AreaOfInterest.open(area, pair.grid)
        job = Segmentation(pair, runtime, OPTIONS, wanted=wanted)
        parts = [range(0, 200), range(200, 333), range(333, 700)]
        for rows in parts:
            job.map_part(rows, tmp_path / "parts")
        job.join(parts, tmp_path / "parts", tmp_path / "joined.tif")
        job.map(tmp_path / "at_once.tif")
        assert job.key != Segmentation(pair, runtime, OPTIONS).key
    assert (tmp_path / "joined.tif").read_bytes() == (tmp_path / "at_once.tif").read_bytes()
    assert (read(tmp_path / "joined.tif") != NODATA).sum() > 100


def test_what_will_be_refused_is_refused_before(town: Path, tmp_path: Path) -> None:
    pair = [str(town / "ortho.tif"), str(town / "ndsm.tif"), "--quick", "--json"]
    here = on_ground(town, shapely.box(100, 100, 160, 160))
    there = on_ground(town, shapely.box(400, 400, 460, 460))
    bow = on_ground(town, shapely.Polygon([(0, 0), (99, 99), (99, 0), (0, 99)]))
    away = shapely.box(0, 0, 1, 1)
    files = {"here": [here], "there": [there], "bow": [bow], "away": [away]}
    paths = {name: str(write_area(tmp_path / f"{name}.gpkg", shapes, "EPSG:25832"))
             for name, shapes in files.items()}  # fmt: skip

    def inspected(*options: str) -> Any:
        done = CliRunner().invoke(app, ["inspect", *pair, *options])
        return done.exception or json.loads(done.stdout)

    report = inspected("--aoi", paths["here"], "--zones", paths["here"])
    assert report["area"]["rows"] == report["area"]["columns"] == [100, 160]
    assert report["area"]["covered_percent"] == round(100 * 60 * 60 / SIDE**2, 2)
    assert report["zones"] == {"file": "here.gpkg", "zones": 1, "columns": ["fid", "n"]}
    report = inspected("--zones", paths["bow"], "--zones-layer", "bow")
    assert "zones.mended" in [remark["code"] for remark in report["remarks"]]
    for options in (["--aoi", paths["away"]], ["--zones", paths["away"]]):
        assert isinstance(inspected(*options), BadZones)
    apart = inspected("--aoi", paths["here"], "--zones", paths["there"])
    assert isinstance(apart, BadZones)
    assert "in the area of interest" in str(apart)


def test_a_layer_of_several_is_named_by_the_option_that_chooses_it(
    town: Path, tmp_path: Path
) -> None:
    path = tmp_path / "two.gpkg"
    here = on_ground(town, shapely.box(100, 100, 160, 160))
    for layer in ("a", "b"):
        pyogrio.raw.write(
            path, shapely.to_wkb(np.array([here], object)), [np.arange(1)], ["n"], layer=layer,
            geometry_type="Polygon", crs="EPSG:25832", append=path.exists(),
        )  # fmt: skip
    pair = ["inspect", str(town / "ortho.tif"), str(town / "ndsm.tif"), "--quick"]
    for option in ("--aoi", "--zones"):
        done = CliRunner().invoke(app, [*pair, option, str(path)])
        assert isinstance(done.exception, BadPolygons)
        assert f"expected one of a, b: {option}-layer" in str(done.exception)
        done = CliRunner().invoke(app, [*pair, option, str(path), f"{option}-layer", "b"])
        assert done.exit_code == 0, done.output


def test_an_area_beside_the_raster_is_refused(town: Path, tmp_path: Path) -> None:
    area = write_area(tmp_path / "area.gpkg", [shapely.box(0, 0, 1, 1)], "EPSG:25832")
    with pytest.raises(BadZones, match="covers no pixel"):
        segment(
            town / "ortho.tif", town / "ndsm.tif", open_runtime("town-small", options=OPTIONS),
            tmp_path / "part.tif", area=Area(area),
        )  # fmt: skip
    assert not (tmp_path / "part.tif").exists()
