"""Measuring on tiles of any data set: one path, and figures of every pixel once."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window
from small_runs import TOML, use_tiny
from standins.folder import CRS, manifest, write_tile
from standins.isprs import write_potsdam, write_vaihingen
from standins.mmhunan import write_mmhunan
from standins.scenes import write

from mfnet.model.classes import ISPRS, MMHUNAN, NODATA
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.network.mfnet import MFNet
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.areas.area_estimates import BY_TILE
from mfnet.training.config.data import (
    FolderRecipe,
    HunanRecipe,
    PaperRecipe,
    PotsdamRecipe,
    TownRecipe,
    VaihingenRecipe,
)
from mfnet.training.config.recipe import parse_recipe
from mfnet.training.datasets.readers.pair_files import pair_files
from mfnet.training.datasets.sources.open_data import open_areas, open_data
from mfnet.training.datasets.sources.synthetic_towns import TownTile
from mfnet.training.datasets.tiles.interface import Area
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.evaluation.evaluate import Evaluation, evaluate
from mfnet.training.evaluation.reliability import Reliability
from mfnet.training.synthetic.town import draw_town, write_town


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> MFNet:
    use_tiny(monkeypatch)
    return MFNet(parse_recipe(TOML).model_config_for()).eval()


def test_a_town_is_measured_as_its_files_are_mapped(tmp_path: Path, net: MFNet) -> None:
    town = draw_town(3, 300)
    write_town(tmp_path, town)
    classes, confidence = tmp_path / "classes.tif", tmp_path / "confidence.tif"
    segment(
        tmp_path / "ortho.tif", tmp_path / "ndsm.tif", TorchRuntime(net), classes,
        confidence=confidence, options=SegmentOptions(stride=100),
    )  # fmt: skip
    with rasterio.open(classes) as mapped, rasterio.open(confidence) as sure:
        classes_HW, percent_HW = mapped.read(1), sure.read(1)
    confusion, reliability = Confusion(ISPRS), Reliability()
    confusion.add(town.truth, classes_HW, 0.125**2)
    reliability.add(town.truth, classes_HW, percent_HW / 100)
    said: list[tuple[int, int]] = []
    found = evaluate(
        net, [Area.whole(TownTile.of(town))], ISPRS,
        gsd_m=0.125, stride=100, progress=lambda *at: said.append(at),
    )  # fmt: skip
    # a tile's heights are kept in half precision: a pixel on the edge may fall to the other side
    assert np.abs(found.confusion.counts - confusion.counts).sum() <= 40
    assert found.confusion.area_m2.sum() == pytest.approx(300 * 300 / 64)
    assert np.abs(found.reliability.pixels - reliability.pixels).sum() <= 200
    assert found.conditions["stride_px"] == 100
    assert said[-1] == (90_000, 90_000)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PaperRecipe]:
    """The three data sets of the paper, by kind."""
    folder = tmp_path_factory.mktemp("paper")
    folders = {kind: folder / kind for kind in ("vaihingen", "potsdam", "mmhunan")}
    write_vaihingen(folders["vaihingen"], 200, 170)
    write_potsdam(folders["potsdam"], 160)
    write_mmhunan(folders["mmhunan"])
    return {
        "vaihingen": VaihingenRecipe(kind="vaihingen", folder=folders["vaihingen"]),
        "potsdam": PotsdamRecipe(kind="potsdam", folder=folders["potsdam"]),
        "mmhunan": HunanRecipe(kind="mmhunan", folder=folders["mmhunan"]),
    }


@pytest.mark.parametrize("kind", ["vaihingen", "potsdam"])
def test_the_benchmarks_test_tiles_are_measured_by_their_eroded_labels(
    net: MFNet, paper: dict[str, PaperRecipe], kind: str
) -> None:
    splits = open_data(paper[kind], 160)  # type: ignore[arg-type]
    areas = splits.test()[:2]
    found = evaluate(net, areas, splits.scheme, gsd_m=paper[kind].gsd_m, stride=80)
    truths = [area.tile.truth(area.window) for area in areas]
    counted = [sum(int((truth == value).sum()) for truth in truths) for value in range(6)]
    assert found.confusion.counts.sum(1).tolist() == counted
    assert sum(counted) < sum(truth.size for truth in truths)  # the eroded borders
    assert found.conditions["tiles"] == [area.tile.name for area in areas]
    assert found.confusion.area_m2 is not None
    area_m2 = sum(counted) * paper[kind].gsd_m ** 2
    assert found.confusion.area_m2.sum() == pytest.approx(area_m2)
    by_tile = np.array(found.summary()[BY_TILE])
    assert by_tile.shape == (len({area.tile.name for area in areas}), 6, 6)
    np.testing.assert_array_equal(by_tile.sum(axis=0), found.confusion.counts)


def test_of_many_tiles_neighbours_are_kept_together() -> None:
    tiles = {str(number): Confusion(ISPRS) for number in range(1000)}
    for number, tile in enumerate(tiles.values()):
        tile.counts[0, number % 6] = number
    kept = np.array(Evaluation(Confusion(ISPRS), Reliability(), {}, tiles).summary()[BY_TILE])
    assert len(kept) == 64
    assert kept.sum() == 999 * 1000 / 2


def test_patches_smaller_than_a_window_and_another_scheme(
    net: MFNet, paper: dict[str, PaperRecipe]
) -> None:
    splits = open_data(paper["mmhunan"], 32)  # type: ignore[arg-type]
    mine = MFNet(net.config.model_copy(update={"classes": MMHUNAN})).eval()
    areas = [area for area in splits.test() if (area.tile.truth(area.window) != NODATA).any()][:3]
    found = evaluate(mine, areas, splits.scheme, gsd_m=10.0)
    labelled = sum(int((area.tile.truth(area.window) != NODATA).sum()) for area in areas)
    assert found.summary()["pixels"] == labelled
    assert set(found.summary()["classes"]) == set(MMHUNAN.names)


def test_towns_that_are_not_measured_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def draw(seed: int, **size: int) -> object:
        drawn.append(seed)
        return draw_town(seed, 256)

    monkeypatch.setattr("mfnet.training.datasets.sources.synthetic_towns.draw_town", draw)
    data = TownRecipe(first_seed=1, towns=9, validation_towns=1, held_out_towns=2)
    assert len(open_areas(data, 256, "test")) == 2
    assert drawn == [500_000, 500_001]
    assert len(open_areas(data, 256, "validation")) == 1
    assert drawn[2:] == [400_000]


def test_tiles_of_ones_own_are_measured_by_block_and_in_their_own_metres(
    tmp_path: Path, net: MFNet
) -> None:
    """Blocks are mapped alone; each labelled pixel of them counts once."""
    write_tile(tmp_path, "0", 400, 700)
    rules = '[split]\nby = "block"\nblock_px = 200\nmargin_px = 20\n'
    (tmp_path / "manifest.toml").write_text(manifest(["0"], tail=rules))
    splits = open_data(FolderRecipe(kind="folder", folder=tmp_path), 160)
    areas = splits.test()
    assert all(area.window.width < 700 for area in areas)
    found = evaluate(net, areas, splits.scheme)
    truths = [area.tile.truth(area.window) for area in areas]
    labelled = sum(int((truth != NODATA).sum()) for truth in truths)
    assert found.confusion.counts.sum() == labelled
    by_class = [sum(int((truth == value).sum()) for truth in truths) for value in range(6)]
    assert found.confusion.counts.sum(1).tolist() == by_class
    assert found.confusion.area_m2 is not None
    whole = evaluate(net, [Area.whole(areas[0].tile)], splits.scheme)
    assert whole.confusion.counts.sum() > labelled


def test_blocks_count_no_pixel_without_an_orthophoto(tmp_path: Path, net: MFNet) -> None:
    """A gap in a block stays one, in the map and in what is counted, as in the whole raster."""
    tile = write_tile(tmp_path, "0", 400, 700)
    ortho = np.stack([tile.truth * 40 + 5, tile.truth * 20, 255 - tile.truth * 30])
    seen = np.ones((400, 700), bool)
    seen[60:] = np.arange(700) % 200 < 90
    write(
        tmp_path / "0_ortho.tif", np.where(seen, ortho, 0).astype(np.uint8),
        crs=CRS, transform=tile.transform, nodata=0,
    )  # fmt: skip
    rules = '[split]\nby = "block"\nblock_px = 200\nmargin_px = 20\n'
    (tmp_path / "manifest.toml").write_text(manifest(["0"], tail=rules))
    splits = open_data(FolderRecipe(kind="folder", folder=tmp_path), 160)
    areas = splits.test()
    counted = [int(seen[area.window.toslices()].sum()) for area in areas]
    assert sum(counted) < sum(area.window.width * area.window.height for area in areas)
    found = evaluate(net, areas, splits.scheme)
    assert found.confusion.counts.sum() == sum(counted)
    assert found.reliability.pixels.sum() == sum(counted)
    assert splits.train.census is not None
    trained = [int(seen[area.window.toslices()].sum()) for area in splits.train.areas]
    assert splits.train.census.pixels.sum() == sum(trained)


def test_the_files_of_a_block_have_its_gaps(tmp_path: Path) -> None:
    tile = write_tile(tmp_path, "0", 400, 700)
    ortho = np.stack([tile.truth * 40 + 5] * 3).astype(np.uint8)
    ortho[:, 100:300, 50:80] = 0
    write(tmp_path / "0_ortho.tif", ortho, crs=CRS, transform=tile.transform, nodata=0)
    (tmp_path / "manifest.toml").write_text(
        manifest(["0"], tail='[split]\nby = "block"\nblock_px = 200\nmargin_px = 20\n')
    )
    whole = open_data(FolderRecipe(kind="folder", folder=tmp_path), 160).train.areas[0].tile
    window = Window(40, 30, 300, 350)
    files = pair_files(Area(whole, window).raster, tmp_path / "block", 0.2)
    with RasterPair.open(files.ortho, files.height) as pair:
        rows = pair.read(0, 350)
    cut = ortho[(slice(None), *window.toslices())]
    np.testing.assert_array_equal(rows.valid["ortho"], cut.any(axis=0))
    np.testing.assert_array_equal(rows.arrays["ortho"], cut)
    assert sorted(path.name for path in (tmp_path / "block").iterdir()) == [
        "height.tif",
        "ortho.tif",
    ]


def test_one_tile_is_on_the_disk_at_a_time_and_labels_come_in_strips(
    tmp_path: Path, net: MFNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tile = TownTile.of(draw_town(2, 600))
    rows: list[int] = []

    def truth(window: Window) -> NDArray[np.uint8]:
        rows.append(window.height)
        return TownTile.truth(tile, window)

    folders: list[int] = []
    spied = SimpleNamespace(
        name="a", height=600, width=600, read=tile.read, truth=truth, valid=tile.valid
    )
    areas = [Area.whole(spied)] * 2
    evaluate(net, areas, ISPRS, progress=lambda *_: folders.append(len(list(tmp_path.iterdir()))))
    assert rows == [256, 256, 88] * 2
    assert set(folders) == {1}
    assert not list(tmp_path.iterdir())


def test_a_crop_reads_what_lies_there() -> None:
    tile = TownTile.of(draw_town(1, 256))
    crop = Area(tile, Window(40, 30, 100, 90)).raster
    assert (crop.height, crop.width) == (90, 100)
    there, window = Window(47, 35, 8, 9), Window(7, 5, 8, 9)
    np.testing.assert_array_equal(crop.truth(window), tile.truth(there))
    read = crop.read(window).rasters
    for name, values in tile.read(there).rasters.items():
        np.testing.assert_array_equal(read[name], values)
    assert Area.whole(tile).raster is tile
