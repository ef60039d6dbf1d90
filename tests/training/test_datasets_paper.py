"""The paper's data sets, from stand-ins of the same layout: what is read, what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window
from standins.isprs import HEIGHTS_M, Truths, eroded, write_vaihingen
from standins.scenes import write

from model.errors import BadLabels, DataMismatch, DataMissing, InputError
from training.datasets.opening import open_data
from training.datasets.paper import read_split
from training.datasets.recipe import VaihingenRecipe


@pytest.fixture(scope="module")
def vaihingen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truths]:
    folder = tmp_path_factory.mktemp("vaihingen")
    return folder, write_vaihingen(folder)


@pytest.fixture
def copy(vaihingen: tuple[Path, Truths], tmp_path: Path) -> Path:
    """Files that a test may spoil."""
    return Path(shutil.copytree(vaihingen[0], tmp_path / "vaihingen"))


def recipe(folder: Path, **keys: object) -> VaihingenRecipe:
    return VaihingenRecipe(kind="vaihingen", folder=folder, **keys)  # type: ignore[arg-type]


def test_vaihingen_gives_each_tile_as_its_files_have_it(vaihingen: tuple[Path, Truths]) -> None:
    folder, truths = vaihingen
    data = open_data(recipe(folder, heights="metres"), 32)
    assert data.scheme.name == "isprs"
    assert [a.tile.name for a in data.train.areas] == [
        f"area {n}" for n in read_split("vaihingen").train if n not in ("11", "37")
    ]
    for area, name in zip(data.test(), ("5", "21", "15", "30"), strict=True):
        sample = area.tile.read(area.window)
        truth = truths[name]
        assert np.array_equal(sample.rasters["ortho"][0], truth * 40 + 5)
        np.testing.assert_allclose(sample.rasters["ndsm"][0], HEIGHTS_M[truth], atol=1e-4)
        assert np.array_equal(sample.truth, eroded(truth))
        assert (sample.white, sample.metre) == (255, 1)


def test_one_learns_from_full_labels_and_chooses_by_eroded_ones(
    vaihingen: tuple[Path, Truths],
) -> None:
    folder, truths = vaihingen
    data = open_data(recipe(folder), 32)
    whole = Window(0, 0, 80, 64)
    assert np.array_equal(data.train.areas[0].tile.truth(whole), truths["1"])
    assert np.array_equal(data.validation.areas[0].tile.truth(whole), eroded(truths["11"]))


def test_the_papers_heights_run_from_0_to_1_in_each_raster(vaihingen: tuple[Path, Truths]) -> None:
    folder, truths = vaihingen
    data = open_data(recipe(folder), 32)
    sample = data.train.areas[0].tile.read(Window(0, 0, 80, 64))
    np.testing.assert_allclose(sample.rasters["ndsm"][0], HEIGHTS_M[truths["1"]] / 9, atol=1e-4)


def test_validation_tiles_may_be_trained_on_as_in_the_paper(vaihingen: tuple[Path, Truths]) -> None:
    data = open_data(recipe(vaihingen[0], validation="in-training"), 32)
    assert len(data.train) == 12
    assert len(data.validation) == 2


def test_the_rim_of_a_window_matches_the_whole(vaihingen: tuple[Path, Truths]) -> None:
    folder, truths = vaihingen
    tile = open_data(recipe(folder), 32).train.areas[3].tile
    part = tile.read(Window(41, 29, 32, 32))
    assert np.array_equal(part.truth, truths["26"][29:61, 41:73])
    assert np.array_equal(part.rasters["ortho"][1], truths["26"][29:61, 41:73] * 20)


def spoil_missing(folder: Path) -> None:
    (folder / "dsm" / "dsm_09cm_matching_area15.tif").unlink()


def spoil_size(folder: Path) -> None:
    path = folder / "dsm" / "dsm_09cm_matching_area23.tif"
    write(path, np.zeros((1, 60, 80), np.float32))


def spoil_bands(folder: Path) -> None:
    path = folder / "gts_for_participants" / "top_mosaic_09cm_area26.tif"
    write(path, np.zeros((1, 64, 80), np.uint8))


def spoil_colour(folder: Path) -> None:
    labels = np.zeros((3, 64, 80), np.uint8)
    labels[:, 5, 5:12] = np.array([10, 20, 30])[:, None]
    write(folder / "gts_for_participants" / "top_mosaic_09cm_area26.tif", labels)


def spoil_empty(folder: Path) -> None:
    path = folder / "gts_for_participants" / "top_mosaic_09cm_area32.tif"
    write(path, np.zeros((3, 64, 80), np.uint8))


def spoil_all_but_trees(folder: Path) -> None:
    labels = np.zeros((3, 64, 80), np.uint8)
    labels[1] = 255
    for path in (folder / "gts_for_participants").glob("*.tif"):
        write(path, labels)


def spoil_content(folder: Path) -> None:
    path = folder / "top" / "top_mosaic_09cm_area1.tif"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (shutil.rmtree, DataMissing, r"area1\.tif, and 63 more: no such file.*data\.folder"),
        (spoil_missing, DataMissing, r"dsm_09cm_matching_area15\.tif: no such file"),
        (spoil_size, DataMismatch, r"area23\.tif has 60 × 80 pixels, top_mosaic_.*64 × 80"),
        (spoil_bands, DataMismatch, r"top_mosaic_09cm_area26\.tif has 1 bands; expected 3"),
        (spoil_colour, BadLabels, r"area26\.tif: unknown values 10,20,30 \(7 pixels\)"),
        (spoil_empty, BadLabels, r"area32\.tif: not one pixel is labelled"),
        (spoil_all_but_trees, BadLabels, r"all labels are tree; expected at least two"),
        (spoil_content, InputError, r"top_mosaic_09cm_area1\.tif"),
    ],
)
def test_a_spoilt_file_is_named(
    copy: Path, spoil: object, error: type[InputError], words: str
) -> None:
    assert callable(spoil)
    spoil(copy)
    with pytest.raises(error, match=words):
        open_data(recipe(copy), 32)


def test_a_tile_smaller_than_a_window_is_named(vaihingen: tuple[Path, Truths]) -> None:
    with pytest.raises(DataMismatch, match=r"64 × 80 pixels; expected at least.*256"):
        open_data(recipe(vaihingen[0]), 256)
