"""What holds for every data set: windows by number, workers, balance, files for the engine."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from sampled_windows import bytes_of, numbers
from standins.folder import manifest, write_tile
from standins.isprs import write_potsdam, write_vaihingen

from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.config.data import (
    DataRecipe,
    FolderRecipe,
    PotsdamRecipe,
    TownRecipe,
    VaihingenRecipe,
)
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.pair_files import pair_files
from mfnet.training.datasets.sources.open_data import open_data
from mfnet.training.datasets.sources.synthetic_towns import TownPool
from mfnet.training.datasets.tiles.class_census import CELL_PX, Census, count_cells
from mfnet.training.datasets.tiles.interface import Splits
from mfnet.training.synthetic.town import draw_town

KINDS = ("town", "vaihingen", "potsdam", "folder")


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DataRecipe]:
    """A small one of each kind."""
    folder = tmp_path_factory.mktemp("data")
    write_vaihingen(folder / "vaihingen")
    write_potsdam(folder / "potsdam")
    for name in "0123":
        write_tile(folder / "folder", name)
    (folder / "folder" / "manifest.toml").write_text(manifest("0123"))
    return {
        "town": TownRecipe(size_px=256, towns=2, validation_towns=1, held_out_towns=1),
        "vaihingen": VaihingenRecipe(kind="vaihingen", folder=folder / "vaihingen"),
        "potsdam": PotsdamRecipe(kind="potsdam", folder=folder / "potsdam"),
        "folder": FolderRecipe(kind="folder", folder=folder / "folder"),
    }


def opened(recipes: dict[str, DataRecipe], kind: str, **keys: object) -> Splits:
    return open_data(recipes[kind].model_copy(update=keys), 32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_depends_on_seed_and_number_alone(
    recipes: dict[str, DataRecipe], kind: str
) -> None:
    pool = opened(recipes, kind).train
    forwards = [bytes_of(pool.sample(k, 32, seed=3)) for k in range(12)]
    again = opened(recipes, kind).train
    backwards = [bytes_of(again.sample(k, 32, seed=3)) for k in reversed(range(12))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 12
    assert not {*forwards} & {bytes_of(pool.sample(k, 32, seed=4)) for k in range(12)}


@pytest.mark.parametrize("kind", KINDS)
def test_windows_and_tiles_have_the_shapes_that_a_batch_wants(
    recipes: dict[str, DataRecipe], kind: str
) -> None:
    data = opened(recipes, kind)
    windows = data.train.windows(32, np.random.default_rng(0))
    for sample in (next(windows), next(windows), next(data.validation.tiles(32))):
        assert sample.truth.shape == (32, 32)
        assert sample.rasters["ortho"].shape == (3, 32, 32)
        assert sample.rasters["ndsm"].shape == (1, 32, 32)
    assert data.test()


@pytest.mark.parametrize("kind", ["vaihingen", "folder"])
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_two_workers_share_the_counting_and_repeat_nothing(
    recipes: dict[str, DataRecipe], kind: str, start: str
) -> None:
    pool = opened(recipes, kind).train
    alone = [bytes_of(pool.sample(k, 32, seed=1)) for k in range(20)]  # opens files before the fork
    with multiprocessing.get_context(start).Pool(2) as workers:
        even, odd = workers.starmap(numbers, [(pool, 0), (pool, 1)])
    assert not {*even} & {*odd}
    assert [*even, *odd] == [*alone[::2], *alone[1::2]]


def test_threads_read_at_once(recipes: dict[str, DataRecipe]) -> None:
    pool = opened(recipes, "folder").train
    alone = [bytes_of(pool.sample(k, 32, seed=1)) for k in range(40)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda k: bytes_of(pool.sample(k, 32, seed=1)), range(40)))
    assert together == alone


def test_no_more_files_stay_open_than_allowed(tmp_path: Path) -> None:
    class Thing:
        open = 0

        def __init__(self) -> None:
            Thing.open += 1

        def close(self) -> None:
            Thing.open -= 1

    files = OpenFiles(3)
    for key in (0, 1, 2, 0, 3, 4, 0):
        files.get(key, Thing)
        assert Thing.open <= 3
    kept = files.get(0, Thing)
    assert files.get(0, Thing) is kept
    files.close()
    assert Thing.open == 0


# ---- sampling --------------------------------------------------------------------------------


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 9))
def test_cells_count_every_labelled_pixel_once(height: int, width: int, seed: int) -> None:
    truth = np.random.default_rng(seed).choice(
        np.array([0, 1, 2, 255], np.uint8), size=(height, width)
    )
    cells = count_cells(truth, 3)
    assert cells.sum(axis=(0, 1)).tolist() == [(truth == value).sum() for value in range(3)]
    corner = truth[:CELL_PX, :CELL_PX]
    assert cells[0, 0].tolist() == [(corner == value).sum() for value in range(3)]


def test_a_rare_class_is_drawn_as_often_as_the_others() -> None:
    truths = [np.zeros((300, 200), np.uint8), np.ones((100, 150), np.uint8)]
    truths[0][280:290, 190:195] = 2
    census = Census([count_cells(t, 4) for t in truths], [(300, 200), (100, 150)])
    assert census.pixels.tolist() == [300 * 200 - 50, 100 * 150, 50, 0]
    rng = np.random.default_rng(0)
    drawn = [census.draw(rng) for _ in range(600)]
    corner = [(a, r, c) for a, r, c in drawn if a == 0 and r >= 256 and c >= 128]
    assert 150 < len(corner) < 260
    assert 150 < sum(area == 1 for area, _, _ in drawn) < 250
    assert all(0 <= r < truths[a].shape[0] and 0 <= c < truths[a].shape[1] for a, r, c in drawn)


def test_sampling_by_classes_shows_cars_more_often() -> None:
    towns = [draw_town(seed, 256) for seed in (1, 2, 3)]
    share = {}
    for sampling in ("pixels", "classes"):
        pool = TownPool(towns, augmentation="none", sampling=sampling)
        windows = [pool.sample(k, 64, seed=0).truth for k in range(200)]
        share[sampling] = np.mean([(truth == 4).any() for truth in windows])
    assert share["classes"] > share["pixels"]


def test_sampling_by_pixels_follows_the_size_and_by_tiles_does_not() -> None:
    towns = [draw_town(1, 64), draw_town(2, 192)]
    for sampling, expected in (("tiles", 0.5), ("pixels", 0.9)):
        pool = TownPool(towns, augmentation="none", sampling=sampling)
        large = sum(
            pool.choose(32, np.random.default_rng(k))[0].tile.height > 64 for k in range(400)
        )
        assert large / 400 == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_balanced_windows_lie_in_their_areas(recipes: dict[str, DataRecipe], kind: str) -> None:
    pool = opened(recipes, kind, sampling="classes", augmentation="none").train
    for number in range(60):
        area, row, col = pool.choose(32, np.random.default_rng(number))
        assert row >= 0
        assert col >= 0
        assert row + 32 <= area.tile.height
        assert col + 32 <= area.tile.width


# ---- the engine ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_reads_what_the_network_was_shown(
    recipes: dict[str, DataRecipe], kind: str, tmp_path: Path
) -> None:
    data = opened(recipes, kind)
    tile = data.test()[0].tile
    files = pair_files(tile, tmp_path / "pair", recipes[kind].gsd_m or 1.0)
    sample = tile.read(Window(0, 0, tile.width, tile.height))
    with RasterPair.open(files.ortho, files.height, dtm=files.dtm) as pair:
        rows = pair.read(0, tile.height)
    assert np.array_equal(rows.arrays["ortho"], sample.rasters["ortho"])
    shown = np.nan_to_num(np.maximum(np.asarray(sample.rasters["ndsm"], np.float32), 0))
    np.testing.assert_allclose(rows.arrays["ndsm"], shown, atol=1e-5)
    assert (kind == "folder") == (files.ortho.parent != tmp_path / "pair")
