"""The model that comes with the project: what its file claims, and that it is so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from mfnet.model.classes import NODATA
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import segment
from mfnet.model.raster.pairs.inspection import inspect_pair
from mfnet.model.weights.catalog import find, read_config
from mfnet.training.datasets.tiles.gaps import draw_gaps
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.synthetic.town import Town, draw_town, write_town

HELD_OUT_SEED = 500_003


def test_its_file_is_small_and_says_what_it_is() -> None:
    path = find("town-small")
    config = read_config(path)
    assert path.stat().st_size <= 12_000_000
    assert config.gsd_m == 0.125
    assert config.provenance["recipe"]["name"] == "town-small"
    assert config.metrics["miou"] >= 0.75
    assert config.metrics["miou"] > config.metrics["baseline"]["miou"] + 0.1


def test_it_maps_a_town_that_it_has_never_seen(tmp_path: Path) -> None:
    town = draw_town(HELD_OUT_SEED, 512)
    write_town(tmp_path, town)
    net = open_runtime("town-small")
    segment(tmp_path / "ortho.tif", tmp_path / "ndsm.tif", net, tmp_path / "classes.tif")
    confusion = Confusion(net.config.classes)
    with rasterio.open(tmp_path / "classes.tif") as classes:
        confusion.add(town.truth, classes.read(1))
    found = confusion.summary()
    assert found["miou"] > 0.75, found


@pytest.mark.parametrize("kind", ["holes", "outline"])
def test_a_gap_leaves_what_lies_apart_from_it_as_it_is(tmp_path: Path, kind: str) -> None:
    """Over three towns; `benchmarks/gaps.py` has twelve."""
    net = open_runtime("town-small")
    kept = [
        kept_apart_from_a_gap(draw_town(seed, 512), kind, net, tmp_path)
        for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + 3)
    ]
    assert np.mean(kept) >= 0.99


def kept_apart_from_a_gap(town: Town, kind: str, net: Runtime, folder: Path) -> float:
    """Share of the pixels farther than 36 from a gap of a tenth that keep their class."""
    gap, maps = draw_gaps(np.random.default_rng(1), 512, 512, 0.1, kind), []
    for ortho in (town.ortho, np.where(gap, np.uint8(0), np.maximum(town.ortho, 1))):
        write_town(folder, replace(town, ortho=ortho))
        with rasterio.open(folder / "ortho.tif", "r+") as raster:
            raster.nodata = 0
        segment(folder / "ortho.tif", folder / "ndsm.tif", net, folder / "c.tif")
        with rasterio.open(folder / "c.tif") as classes:
            maps.append(classes.read(1))
    whole, holed = maps
    assert np.array_equal(holed == NODATA, gap)
    rows, columns = np.nonzero(gap)
    far = np.ones((512, 512), bool)
    for row, column in zip(rows[::7], columns[::7], strict=True):
        far[max(row - 36, 0) : row + 37, max(column - 36, 0) : column + 37] = False
    assert far.sum() > 10_000
    return float((whole == holed)[far].mean())


@pytest.mark.parametrize("seed", [500_000, 500_007, 500_009])
@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda town: town, []),
        (lambda town: replace(town, ortho=town.ortho // 2), ["drift.ortho"]),
        (lambda town: replace(town, ndsm=town.ndsm / np.float32(0.3048)), ["drift.ndsm"]),
        (lambda town: replace(town, gsd_m=0.25), ["drift.gsd"]),
    ],
    ids=["as it is", "half the light", "feet", "coarse"],
)
def test_it_is_told_of_what_it_has_never_seen(
    tmp_path: Path, seed: int, change: Callable[[Town], Town], codes: list[str]
) -> None:
    write_town(tmp_path, change(draw_town(seed, 1024)))
    config = read_config(find("town-small"))
    report = inspect_pair(tmp_path / "ortho.tif", tmp_path / "ndsm.tif", model=config, quick=True)
    assert report.drift is not None
    assert [remark.code for remark in report.drift.remarks] == codes


def test_a_real_place_of_larger_pixels_is_told(shared: Path) -> None:
    pair = shared / "data" / "pairs" / "ign"
    config = read_config(find("town-small"))
    report = inspect_pair(pair / "ortho_rgb.tif", pair / "ndsm.tif", model=config, quick=True)
    assert report.drift is not None
    assert "drift.gsd" in [remark.code for remark in report.drift.remarks]


def test_it_finds_houses_and_trees_at_a_real_place(shared: Path, tmp_path: Path) -> None:
    """The figures of docs/reference/town-small.md, against the classes of a laser survey (IGN)."""
    pair = shared / "data" / "pairs" / "ign"
    out = tmp_path / "classes.tif"
    segment(pair / "ortho_rgb.tif", pair / "ndsm.tif", open_runtime("town-small"), out)
    with rasterio.open(out) as classes, rasterio.open(pair / "lidar_class.tif") as lidar:
        mapped, survey = classes.read(1), lidar.read(1)
    groups = {
        "building": (survey == 6, mapped == 1),
        "high vegetation": (survey == 5, mapped == 3),
        "ground": (np.isin(survey, (2, 3)), np.isin(mapped, (0, 2, 4))),
    }
    known = (mapped != 255) & np.any([true for true, _ in groups.values()], axis=0)
    agree = np.sum([(true & said & known).sum() for true, said in groups.values()]) / known.sum()
    iou = {
        name: (true & said & known).sum() / ((true | said) & known).sum()
        for name, (true, said) in groups.items()
    }
    print(f"agreement {agree:.3f}", {name: round(float(v), 3) for name, v in iou.items()})  # noqa: T201
    assert agree > 0.75, iou
    assert iou["building"] > 0.6, iou
    assert iou["high vegetation"] == pytest.approx(0.6, abs=0.25)
