"""The paper's data sets, from stand-ins of the same layout: what is read, what is refused."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from standins.isprs import COLOURS, HEIGHTS_M, Truths, eroded, write_potsdam, write_vaihingen
from standins.mmhunan import write_mmhunan
from standins.scenes import coloured, write

from mfnet.model.classes import ISPRS
from mfnet.model.errors import BadLabels, DataMismatch, DataMissing, InputError, OutputNotWritable
from mfnet.training.config.data import HunanRecipe, PotsdamRecipe, VaihingenRecipe
from mfnet.training.datasets.readers.jpeg_cache import _convert, unpacked
from mfnet.training.datasets.readers.label_encoding import Colours
from mfnet.training.datasets.readers.open_files import open_raster
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.sources.paper_layout import read_split
from mfnet.training.datasets.sources.potsdam import BLURRED
from mfnet.training.datasets.tiles.interface import Splits


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
        (
            spoil_bands,
            DataMismatch,
            r"top_mosaic_09cm_area26\.tif has 1 bands; expected 3",
        ),
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


# ---- the splits ------------------------------------------------------------------------------


def test_the_splits_are_those_of_the_authors() -> None:
    vaihingen, potsdam = read_split("vaihingen"), read_split("potsdam")
    assert " ".join(vaihingen.train) == "1 3 23 26 7 11 13 28 17 32 34 37"
    assert " ".join(vaihingen.test) == "5 21 15 30"
    assert " ".join(potsdam.train) == (
        "6_10 7_10 2_12 3_11 2_10 7_8 5_10 3_12 5_12 7_11 7_9 6_9 7_7 4_12 6_8 6_12 6_7 4_11"
    )
    assert " ".join(potsdam.test) == "4_10 5_11 2_11 3_10 6_11 7_12"


def test_mmhunans_split_is_that_of_the_authors(shared: Path) -> None:
    theirs = json.loads((shared / "paper" / "mmhunan_split.json").read_text())
    ours = read_split("mmhunan")
    assert (list(ours.train), list(ours.test)) == (theirs["train"], theirs["test"])


@pytest.mark.parametrize(("name", "every"), [("vaihingen", 6), ("potsdam", 6), ("mmhunan", 10)])
def test_validation_is_chosen_by_counting_and_not_by_figures(name: str, every: int) -> None:
    split = read_split(name)
    assert split.validation == split.train[every - 1 :: every]
    assert not {*split.train} & {*split.test}


# ---- Potsdam ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def potsdam(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truths]:
    folder = tmp_path_factory.mktemp("potsdam")
    return folder, write_potsdam(folder)


def potsdam_recipe(folder: Path, **keys: object) -> PotsdamRecipe:
    return PotsdamRecipe(kind="potsdam", folder=folder, **keys)  # type: ignore[arg-type]


def test_potsdams_heights_are_steps_of_a_jpeg(potsdam: tuple[Path, Truths]) -> None:
    folder, truths = potsdam
    data = open_data(potsdam_recipe(folder, heights="metres", height_step_m=0.1), 32)
    for area, name in zip(data.train.areas[:3], ("6_10", "7_10", "2_12"), strict=True):
        heights = area.tile.read(area.window).rasters["ndsm"][0]
        assert abs(heights - HEIGHTS_M[truths[name]]).max() < 1.5  # JPEG rings at edges
        assert abs(heights - HEIGHTS_M[truths[name]]).mean() < 0.1


def test_potsdam_may_be_seen_in_infrared(potsdam: tuple[Path, Truths]) -> None:
    folder, truths = potsdam
    truth = truths["6_10"]
    for bands, first in (("rgb", truth * 40), ("irrg", truth * 10 + 100)):
        area = open_data(potsdam_recipe(folder, bands=bands), 32).train.areas[0]
        assert np.array_equal(area.tile.read(area.window).rasters["ortho"][0], first)


def test_potsdams_two_odd_label_files_are_read_and_told(potsdam: tuple[Path, Truths]) -> None:
    folder, truths = potsdam
    data = open_data(potsdam_recipe(folder), 32)
    tiles = {area.tile.name: area.tile for area in data.train.areas}
    for name in ("4_12", "6_7"):
        assert np.array_equal(tiles[f"tile {name}"].truth(Window(0, 0, 64, 64)), truths[name])
    blurred, cars = sorted(data.remarks)
    assert blurred.startswith("top_potsdam_4_12_label.tif: ")
    n = int((truths["6_7"] == 4).sum())
    assert cars.startswith(f"top_potsdam_6_7_label.tif: {n:,} pixels have a colour that is none")


def test_buildings_beside_clutter_survive_a_jpeg(
    potsdam: tuple[Path, Truths], tmp_path: Path
) -> None:
    """Halfway from blue to red lies magenta, which is no class, and as near to black."""
    truth = np.full((64, 64), 1, np.uint8)
    truth[:, 21:] = 5
    truth[37:, 10:50] = 1
    jpeg = write(tmp_path / "l.jpg", coloured(truth, COLOURS), photometric="ycbcr", quality=60)
    with open_raster(jpeg) as raster:
        blurred = raster.read()
    copy = Path(shutil.copytree(potsdam[0], tmp_path / "potsdam"))
    write(copy / "5_Labels_for_participants" / "top_potsdam_4_12_label.tif", blurred)
    areas = open_data(potsdam_recipe(copy), 32).train.areas
    tile = next(area.tile for area in areas if area.tile.name == "tile 4_12")
    read = tile.truth(Window(0, 0, 64, 64))
    assert set(np.unique(read).tolist()) == {1, 5}
    assert (read != truth).mean() < 0.03  # on the edges themselves


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20))
def test_a_blurred_colour_is_the_nearest(pixels: list[tuple[int, ...]]) -> None:
    raw = np.array(pixels, np.uint8).T[:, :, None]
    read = Colours(ISPRS, blurred=True).decode(raw)[:, 0].tolist()
    for pixel, value in zip(pixels, read, strict=True):
        apart = [math.dist(pixel, rgb) for rgb in COLOURS]
        assert apart[value] == min(apart)


def test_odd_files_of_potsdam_are_none_of_those_with_eroded_borders() -> None:
    split = read_split("potsdam")
    assert not BLURRED & {f"tile {name}" for name in (*split.validation, *split.test)}


def test_an_odd_colour_elsewhere_is_refused(potsdam: tuple[Path, Truths], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(potsdam[0], tmp_path / "potsdam"))
    labels = copy / "5_Labels_for_participants"
    shutil.copy(labels / "top_potsdam_6_7_label.tif", labels / "top_potsdam_6_8_label.tif")
    with pytest.raises(BadLabels, match=r"6_8_label\.tif: unknown values 252,255,0 \("):
        open_data(potsdam_recipe(copy), 32)


def test_heights_named_as_in_the_authors_code_are_found(tmp_path: Path) -> None:
    write_potsdam(tmp_path, side=32, padded=False)
    assert len(open_data(potsdam_recipe(tmp_path), 32).train) == 15


def test_tiled_copies_of_heights_are_made_once_and_where_one_wants(
    potsdam: tuple[Path, Truths], tmp_path: Path
) -> None:
    cache = tmp_path / "copies"
    open_data(potsdam_recipe(potsdam[0], cache=cache), 32)
    made = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(made) == 24
    open_data(potsdam_recipe(potsdam[0], cache=cache), 32)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == made
    (tmp_path / "file").touch()
    with pytest.raises(OutputNotWritable, match=r"data\.cache"):
        open_data(potsdam_recipe(potsdam[0], cache=tmp_path / "file" / "copies"), 32)


def test_processes_that_unpack_one_jpeg_at_once_do_not_disturb_each_other(
    potsdam: tuple[Path, Truths], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = next((potsdam[0] / "1_DSM_normalisation").iterdir())
    started: list[Path] = []

    def convert(path: Path, copy: Path) -> None:
        started.append(copy)
        _convert(path, copy)
        if len(started) == 1:  # another process does the same before this one is done
            unpacked(jpeg, tmp_path)

    monkeypatch.setattr("mfnet.training.datasets.readers.jpeg_cache._convert", convert)
    made = unpacked(jpeg, tmp_path)
    assert len(set(started)) == 2
    assert list(tmp_path.iterdir()) == [made]
    with open_raster(made) as copy, open_raster(jpeg) as source:
        assert np.array_equal(copy.read(), source.read())


# ---- MMHunan ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mmhunan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truths]:
    folder = tmp_path_factory.mktemp("mmhunan")
    return folder, write_mmhunan(folder)


def hunan_recipe(folder: Path, **keys: object) -> HunanRecipe:
    return HunanRecipe(kind="mmhunan", folder=folder, **keys)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def hunan(mmhunan: tuple[Path, Truths]) -> Splits:
    """Opened once: its 1,500 files take seconds."""
    return open_data(hunan_recipe(mmhunan[0]), 32)


def test_mmhunans_numbers_become_classes_and_11_is_told(
    mmhunan: tuple[Path, Truths], hunan: Splits
) -> None:
    _, raw = mmhunan
    assert hunan.scheme.name == "mmhunan"
    meaning = np.array([255, 0, 1, 2, 1, 3, 4, 6, 6, 5, 6, 255, 255], np.uint8)
    area = hunan.train.areas[0]
    assert np.array_equal(area.tile.truth(area.window), meaning[raw["10434"]])
    told = [remark for remark in hunan.remarks if remark.startswith("lc_10434.tif")]
    n = int((raw["10434"] == 11).sum())
    assert n > 0
    assert told == [
        f"lc_10434.tif: {n} pixels have the number 11, which stands for no class: ignored"
    ]


def test_mmhunans_colours_fill_8_bits_in_each_band(hunan: Splits) -> None:
    area = hunan.train.areas[0]
    sample = area.tile.read(area.window)
    assert sample.rasters["ortho"].dtype == np.uint8
    for band in sample.rasters["ortho"]:
        assert (band.min(), band.max()) == (0, 255)
    heights = sample.rasters["ndsm"]
    assert (heights.min(), heights.max()) == pytest.approx((0, 1))


def test_mmhunan_is_found_in_any_of_its_folders(
    mmhunan: tuple[Path, Truths], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(mmhunan[0], tmp_path / "mmhunan"))
    for kind in ("s2", "topo", "lc"):
        (copy / "train" / kind / f"{kind}_10434.tif").rename(copy / "val" / kind / "10434.tif")
    assert len(open_data(hunan_recipe(copy), 32).train) == 405
    shutil.copy(copy / "val" / "lc" / "10434.tif", copy / "test" / "lc" / "lc_10434.tif")
    with pytest.raises(DataMismatch, match=r"lc_10434\.tif and .*10434\.tif have the same id"):
        open_data(hunan_recipe(copy), 32)


def test_mmhunans_unknown_number_is_refused(mmhunan: tuple[Path, Truths], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(mmhunan[0], tmp_path / "mmhunan"))
    raw = mmhunan[1]["10434"].copy()
    raw[3, 4:9] = 13
    write(copy / "train" / "lc" / "lc_10434.tif", raw[None])
    with pytest.raises(BadLabels, match=r"lc_10434\.tif: unknown values 13 \(5 pixels\)"):
        open_data(hunan_recipe(copy), 32)


def test_a_patch_that_lies_elsewhere_than_its_heights_is_named(
    mmhunan: tuple[Path, Truths], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(mmhunan[0], tmp_path / "mmhunan"))
    shutil.copy(
        copy / "train" / "topo" / "topo_11524.tif", copy / "train" / "topo" / "topo_10434.tif"
    )
    with pytest.raises(DataMismatch, match=r"topo_10434\.tif lies elsewhere than s2_10434\.tif"):
        open_data(hunan_recipe(copy), 32)
