"""Places to label next: the unsure ones, none like another, none that is labelled."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from standins.folder import write_geopackage
from standins.scenes import write
from typer.testing import CliRunner

from mfnet.model.classes import ISPRS
from mfnet.model.errors import BadOption, DataMismatch, DataMissing, NoData
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import CogWriter
from mfnet.model.raster.vectors.polygon_formats import open_polygons
from mfnet.training.cli.main import app
from mfnet.training.corrections.suggest_places import choose, suggest, survey_of

UTM, SIDE = CRS.from_epsg(25832), 64
TRANSFORM = Affine(0.5, 0, 512_000, 0, -0.5, 5_403_000)


def write_map(
    folder: Path, classes: NDArray[np.uint8], percent: NDArray[np.uint8], crs: CRS = UTM
) -> Path:
    """A map, its statistics and its confidence; a value for each window of `SIDE`."""
    whole, sure = (np.kron(v, np.ones((SIDE, SIDE), np.uint8)) for v in (classes, percent))
    grid, path = Grid(*whole.shape, TRANSFORM, crs), folder / "map.tif"
    folder.mkdir(exist_ok=True)
    for each, values in ((path, whole), (folder / "map_confidence.tif", sure)):
        scheme = ISPRS if each == path else None
        with CogWriter(each, grid, description="x", scheme=scheme) as raster:
            raster.write(0, values)
    told = {"scheme": ISPRS.name, "classes": [each.model_dump() for each in ISPRS.classes]}
    (folder / "map_statistics.json").write_text(json.dumps(told))
    return path


@pytest.fixture
def survey(tmp_path: Path):
    """Two rows of windows: woods that nobody is sure of, a building, a road, one without data."""
    classes = np.array([[3, 3, 3, 3], [1, 0, 2, 255]], np.uint8)
    percent = np.array([[50, 51, 52, 53], [60, 70, 99, 255]], np.uint8)
    return survey_of(write_map(tmp_path / "a", classes, percent))


def where(found: list) -> list[tuple[int, int]]:
    return [
        (each.place.window.row_off // SIDE, each.place.window.col_off // SIDE) for each in found
    ]


def test_the_second_wood_comes_after_all_that_is_unlike_it(survey, tmp_path: Path) -> None:
    found = suggest([survey], tmp_path / "o.gpkg", side_px=SIDE)
    assert where(found) == [(0, 0), (1, 0), (1, 1), (1, 2), (0, 1), (0, 2), (0, 3)]
    assert [each.most for each in found[:3]] == ["Tree", "Building", "Impervious surface"]
    assert found[0].score == pytest.approx(0.5)
    assert [each.unlike for each in found[4:]] == [0, 0, 0]


def test_the_file_has_a_square_each(survey, tmp_path: Path) -> None:
    suggest([survey], tmp_path / "o.gpkg", side_px=SIDE, number=2)
    with open_polygons(tmp_path / "o.gpkg") as opened:
        layer = opened.layer("suggested")
        assert layer.crs == UTM
        shapes, ranks = opened.read(layer, "rank")
        _, areas = opened.read(layer, "area_m2")
    assert ranks == [1, 2]
    assert shapes[0].equals(shapely.box(512_000, 5_402_968, 512_032, 5_403_000))
    assert areas[0] == pytest.approx(1024, rel=0.01)


def test_what_is_labelled_is_not_suggested_nor_what_is_like_it(survey, tmp_path: Path) -> None:
    there = shapely.box(512_002, 5_402_970, 512_030, 5_402_998)
    write_geopackage(tmp_path / "done.gpkg", [there], ["tree"])
    labelled = [tmp_path / "done.gpkg"]
    found = suggest([survey], tmp_path / "o.gpkg", side_px=SIDE, labelled=labelled)
    assert where(found)[:3] == [(1, 0), (1, 1), (1, 2)]
    assert (0, 0) not in where(found)


def test_choosing_is_greedy_by_uncertainty_times_distance() -> None:
    rng = np.random.default_rng(3)
    unsure, features = rng.random(30), rng.normal(size=(30, 4))
    known = np.zeros(30, bool)
    known[[4, 9]] = True
    chosen = choose(unsure, features, known, 8)
    before, typical = [4, 9], np.sqrt(2 * features.var(0).sum())
    for index, unlike, score in chosen:
        apart = [np.linalg.norm(features - features[each], axis=1) for each in before]
        expected = np.minimum(1, np.min(apart, axis=0) / typical)
        assert unlike == pytest.approx(expected[index])
        free = [each for each in range(30) if each not in before]
        assert score == pytest.approx((unsure * expected)[free].max())
        before.append(index)
    assert len(set(before)) == 10


def test_colours_and_heights_tell_apart_what_the_map_does_not(tmp_path: Path) -> None:
    path = write_map(tmp_path / "a", np.full((2, 2), 3, np.uint8), np.full((2, 2), 50, np.uint8))
    grid = {"crs": UTM, "transform": TRANSFORM}
    big = np.ones((SIDE, SIDE))
    green = np.kron([[90, 90], [90, 200]], big).astype(np.uint8)
    write(tmp_path / "o.tif", np.stack([green // 2, green, green // 3]), **grid)
    high = np.kron([[0.01, 0.01], [20, 0.01]], big) * np.random.default_rng(0).random((128, 128))
    write(tmp_path / "h.tif", high[None].astype(np.float32), **grid)
    survey = survey_of(path, tmp_path / "o.tif", tmp_path / "h.tif")
    found = suggest([survey], tmp_path / "o.gpkg", side_px=SIDE, number=3)
    assert {*where(found)} >= {(1, 0), (1, 1)}


def test_maps_of_two_places_count_as_one_survey(survey, tmp_path: Path) -> None:
    again = write_map(tmp_path / "b", np.array([[4]], np.uint8), np.array([[40]], np.uint8))
    surveys = [survey, survey_of(again)]
    found = suggest(surveys, tmp_path / "o.gpkg", side_px=SIDE, number=2)
    assert [each.place.survey.classes.parent.name for each in found] == ["b", "a"]
    other = write_map(
        tmp_path / "c", np.array([[4]], np.uint8), np.array([[40]], np.uint8), CRS.from_epsg(2154)
    )
    with pytest.raises(DataMismatch, match="expected one CRS"):
        suggest([survey, survey_of(other)], tmp_path / "o.gpkg", side_px=SIDE)


def test_what_is_wrong_is_said(survey, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"expected smaller windows: --side 128"):
        suggest([survey], tmp_path / "o.gpkg", side_px=512)
    write_geopackage(tmp_path / "all.gpkg", [shapely.box(5e5, 5e6, 6e5, 6e6)], ["tree"])
    with pytest.raises(NoData, match="none of the 7 windows"):
        suggest([survey], tmp_path / "o.gpkg", side_px=SIDE, labelled=[tmp_path / "all.gpkg"])
    survey.confidence.unlink()
    with pytest.raises(DataMissing, match=r"mfnet predict --confidence -o map\.tif"):
        survey_of(survey.classes)


def test_the_command_prints_a_table_and_json(survey, tmp_path: Path) -> None:
    options = [str(survey.classes), "-o", str(tmp_path / "o.gpkg"), "--side", str(SIDE), "-n", "2"]
    ran = CliRunner().invoke(app, ["suggest", *options])
    assert ran.exit_code == 0, ran.output
    assert "   1  0.500   50.0%    1.00      0       0  Tree" in ran.output
    ran = CliRunner().invoke(app, ["suggest", *options, "--json"])
    assert [row["most"] for row in json.loads(ran.output)["places"]] == ["Tree", "Building"]
