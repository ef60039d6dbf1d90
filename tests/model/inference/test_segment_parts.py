"""A map made in parts: the same bytes wherever it is cut, whatever ends in the middle."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.features import sieve as gdal_sieve
from rasterio.transform import from_origin
from torch import Tensor

from mfnet.model import free_memory
from mfnet.model.classes import NODATA
from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.errors import (
    Cancelled,
    DiskFull,
    InputChanged,
    PartMissing,
    RasterUnreadable,
    TooLittleMemory,
)
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import Segmentation, segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.part_rows import part_path

WINDOW, STRIDE = 32, 12
FILES = ("classes.tif", "classes.tif.aux.xml", "classes.qml", "confidence.tif", "statistics.json")


class Plain(torch.nn.Module):
    """A convolution over both rasters: what it says depends on where its window lies."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        # A window that is too small for the decoder, which is not here.
        small = {"window_px": WINDOW, "stride_px": STRIDE}
        self.config = ModelConfig(encoder=ENCODERS["small"]).model_copy(update=small)
        self.layer = torch.nn.Conv2d(4, 6, 7, padding=3)

    def forward(self, inputs: Mapping[str, Tensor], positions: None = None) -> Tensor:
        logits: Tensor = self.layer(torch.cat([inputs["ortho"], inputs["ndsm"]], dim=1))
        return logits

    def converted(self, device: torch.device, dtype: torch.dtype) -> "Plain":
        return self.to(device, dtype)

    @property
    def encoder(self) -> "Plain":
        return self

    def positions(self, height: int, width: int) -> None:
        """There are none."""


def plain(seed: int = 0) -> TorchRuntime:
    return TorchRuntime(Plain(seed), "cpu")  # type: ignore[arg-type]


def make_pair(folder: Path, height: int, width: int, crs: str = "EPSG:25832") -> tuple[Path, Path]:
    random = np.random.default_rng(height * 1000 + width)
    ortho, heights = folder / "ortho.tif", folder / "height.tif"
    origin = (500000, 5700000, 0.5, 0.5) if crs != "EPSG:4326" else (7, 51, 1e-5, 1e-5)
    grid = {
        "driver": "GTiff", "height": height, "width": width, "crs": crs,
        "transform": from_origin(*origin), "nodata": 0, "blockysize": 16,
    }  # fmt: skip
    with rasterio.open(ortho, "w", count=3, dtype="uint8", **grid) as file:
        values = random.integers(1, 255, (3, height, width), dtype=np.uint8)
        values[:, : height // 3, : width // 2] = 0
        file.write(values)
    with rasterio.open(heights, "w", count=1, dtype="float32", **grid) as file:
        file.write(20 * random.random((1, height, width), dtype=np.float32) ** 3)
    return ortho, heights


def outputs(folder: Path) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    names = {"out": "classes.tif", "statistics": "statistics.json", "confidence": "confidence.tif"}
    return {role: folder / name for role, name in names.items()}


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def ranges(height: int, cuts: Sequence[int]) -> list[range]:
    edges = sorted({0, height, *(cut for cut in cuts if cut < height)})
    return [range(first, stop) for first, stop in pairwise(edges)]


def in_parts(
    pair: tuple[Path, Path], net: Any, parts: list[range], folder: Path, dtm: Path | None = None
) -> None:
    """As many processes would: each part opens the pair for itself, the last one comes first."""
    for rows in reversed(parts):
        with RasterPair.open(*pair, dtm=dtm) as opened:
            Segmentation(opened, net, confidence=True).map_part(rows, folder / "parts")
    with RasterPair.open(*pair, dtm=dtm) as opened:
        job = Segmentation(opened, net, confidence=True)
        job.join(parts, folder / "parts", **outputs(folder / "joined"))


@settings(max_examples=40)
@given(
    height=st.integers(1, 2 * WINDOW + 1),
    width=st.integers(1, WINDOW + 1),
    cuts=st.lists(st.integers(1, 2 * WINDOW), max_size=4),
    crs=st.sampled_from(["EPSG:25832", "EPSG:4326"]),
)
@example(height=1, width=1, cuts=[], crs="EPSG:25832")
@example(height=WINDOW + 1, width=WINDOW + 1, cuts=[WINDOW], crs="EPSG:4326")
@example(height=65, width=33, cuts=[64], crs="EPSG:25832")
@example(height=8, width=5, cuts=list(range(1, 8)), crs="EPSG:4326")
def test_where_a_raster_is_cut_changes_no_byte(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, cuts: list[int], crs: str
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    pair, net = make_pair(folder, height, width, crs), plain()
    whole = segment(*pair, net, **outputs(folder / "whole"))
    in_parts(pair, net, ranges(height, cuts), folder)
    assert digests(folder / "joined") == digests(folder / "whole")
    assert json.loads((folder / "joined" / "statistics.json").read_text()) == whole
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("ortho", "height", "dtm"),
    [
        ("ign/ortho_rgb.tif", "ign/dsm.tif", "ign/dtm.tif"),
        ("neon/SJER_052.tif", "neon/SJER_052_CHM.tif", None),
    ],
)
def test_real_pairs_that_are_warped_give_the_same_bytes_in_parts(
    ortho: str, height: str, dtm: str | None, shared: Path, tmp_path: Path
) -> None:
    folder = shared / "data/pairs"
    pair = (folder / ortho, folder / height)
    terrain = folder / dtm if dtm else None
    segment(*pair, plain(), dtm=terrain, **outputs(tmp_path / "whole"))
    with rasterio.open(pair[0]) as opened:
        parts = ranges(opened.height, [37, 128, 201])
    in_parts(pair, plain(), parts, tmp_path, terrain)
    assert digests(tmp_path / "joined") == digests(tmp_path / "whole")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return make_pair(tmp_path, 90, 40)


def test_what_does_not_fit_is_refused_before_anything_is_computed(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[int] = []
    monkeypatch.setattr(free_memory, "free_memory", lambda root: 1000)
    with pytest.raises(TooLittleMemory, match="a raster of 40 columns needs about"):
        segment(*pair, plain(), tmp_path / "c.tif", progress=lambda done, _: windows.append(done))
    assert windows == []
    assert not list(tmp_path.glob("*c.tif*"))


def test_a_sieved_map_has_its_own_figures_in_parts_too(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    how = SegmentOptions(sieve=9)
    plain_map = segment(*pair, plain(), **outputs(tmp_path / "plain"))
    whole = segment(*pair, plain(), **outputs(tmp_path / "whole"), options=how)
    parts = ranges(90, [31, 60])
    with RasterPair.open(*pair) as opened:
        job = Segmentation(opened, plain(), how, confidence=True)
        for rows in parts:
            job.map_part(rows, tmp_path / "parts")
        job.join(parts, tmp_path / "parts", **outputs(tmp_path / "joined"))
    assert digests(tmp_path / "joined") == digests(tmp_path / "whole")
    before, after = (read(tmp_path / name / "classes.tif") for name in ("plain", "whole"))
    theirs = gdal_sieve(before + 1, 9, mask=before != NODATA) - 1
    assert (after == np.where(before == NODATA, NODATA, theirs)).mean() > 0.97  # noise has ties
    assert ((before == NODATA) == (after == NODATA)).all()
    assert whole["sieve"] == {
        "under_pixels": 9,
        "islands": whole["sieve"]["islands"],
        "pixels": (before != after).sum(),
    }
    counted = [item["pixels"] for item in whole["classes"]]
    assert counted == np.bincount(after[after != NODATA], minlength=6).tolist()
    assert counted != [item["pixels"] for item in plain_map["classes"]]
    percent = [read(tmp_path / name / "confidence.tif") for name in ("plain", "whole")]
    np.testing.assert_array_equal(*percent)


def test_a_run_is_cancelled_while_it_sieves(pair: tuple[Path, Path], tmp_path: Path) -> None:
    ended: list[int] = []

    def listen(done: int, total: int) -> None:
        ended.extend([done] if done == total else [])

    with RasterPair.open(*pair) as opened:
        job = Segmentation(
            opened,
            plain(),
            SegmentOptions(sieve=9),
            progress=listen,
            cancelled=lambda: bool(ended),
        )
        with pytest.raises(Cancelled):
            job.map(tmp_path / "classes.tif")
    assert not list(tmp_path.glob("*classes*"))


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1)


def test_a_part_that_is_there_is_not_computed_again(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    windows: list[int] = []

    def once() -> Path:
        with RasterPair.open(*pair) as opened:
            job = Segmentation(opened, plain(), progress=lambda done, _: windows.append(done))
            return job.map_part(range(40, 80), tmp_path / "parts")

    first = once()
    computed, bytes_ = len(windows), (first / "classes").read_bytes()
    assert once() == first
    assert (len(windows), (first / "classes").read_bytes()) == (computed, bytes_)


def test_what_ends_in_the_middle_leaves_no_part_and_is_resumed(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    parts, folder = ranges(90, [30, 60]), tmp_path / "parts"
    with RasterPair.open(*pair) as opened:
        Segmentation(opened, plain(), confidence=True).map_part(parts[0], folder)
        ended = Segmentation(opened, plain(), confidence=True, cancelled=lambda: True)
        with pytest.raises(Cancelled):
            ended.map_part(parts[1], folder)
        with pytest.raises(PartMissing, match="rows 30 to 60"):
            ended.join(parts, folder, **outputs(tmp_path / "torn"))
        kept = [path.name for path in (folder / ended.key).iterdir()]
    assert kept == ["0-30"]
    assert list((tmp_path / "torn").iterdir()) == []
    in_parts(pair, plain(), parts, tmp_path)
    segment(*pair, plain(), **outputs(tmp_path / "whole"))
    assert digests(tmp_path / "joined") == digests(tmp_path / "whole")


def test_a_join_says_how_far_it_is(pair: tuple[Path, Path], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    parts = ranges(90, [30, 60])
    with RasterPair.open(*pair) as opened:
        job = Segmentation(opened, plain(), progress=lambda *done: told.append(done))
        for rows in parts:
            job.map_part(rows, tmp_path / "parts")
        told.clear()
        job.join(parts, tmp_path / "parts", tmp_path / "classes.tif")
    assert told == [(30, 90), (60, 90), (90, 90)]


def test_two_who_compute_the_same_part_leave_one(pair: tuple[Path, Path], tmp_path: Path) -> None:
    rows = range(0, 40)
    with RasterPair.open(*pair) as opened:

        def meanwhile(done: int, total: int) -> None:
            if done == total:
                Segmentation(opened, plain()).map_part(rows, tmp_path / "parts")

        part = Segmentation(opened, plain(), progress=meanwhile).map_part(rows, tmp_path / "parts")
    assert [path.name for path in part.parent.iterdir()] == ["0-40"]
    assert (part / "classes").stat().st_size == 40 * 40


@pytest.mark.parametrize(
    ("options", "confidence"),
    [
        (SegmentOptions(stride=16), False),
        (SegmentOptions(blend="mean"), False),
        (SegmentOptions(), True),
    ],
)
def test_parts_of_other_options_are_not_joined(
    options: SegmentOptions, confidence: bool, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = range(0, 90)
    with RasterPair.open(*pair) as opened:
        Segmentation(opened, plain()).map_part(rows, tmp_path / "parts")
        other = Segmentation(opened, plain(), options, confidence=confidence)
        with pytest.raises(PartMissing):
            other.join([rows], tmp_path / "parts", tmp_path / "classes.tif")


def test_parts_of_other_weights_or_files_are_not_joined(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    with RasterPair.open(*pair) as opened:
        keys = {Segmentation(opened, plain(seed)).key for seed in (0, 0, 1)}
    assert len(keys) == 2
    os.utime(pair[0], ns=(1, 1))
    with RasterPair.open(*pair) as opened:
        assert Segmentation(opened, plain()).key not in keys


@pytest.mark.parametrize(
    ("where", "what", "other"),
    [
        (torch, "get_num_threads", lambda: 77),
        (torch.backends.cpu, "get_cpu_capability", lambda: "another"),
        (rasterio, "__gdal_version__", "2.0"),
    ],
)
def test_parts_of_other_processors_threads_or_libraries_are_not_joined(
    where: Any, what: str, other: Any, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RasterPair.open(*pair) as opened:
        here = Segmentation(opened, plain()).key
        monkeypatch.setattr(where, what, other)
        assert Segmentation(opened, plain()).key != here


def test_a_part_that_lost_bytes_is_missing_and_computed_again(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = range(0, 90)
    with RasterPair.open(*pair) as opened:
        job = Segmentation(opened, plain())
        part = job.map_part(rows, tmp_path / "parts")
        assert part == part_path(tmp_path / "parts" / job.key, rows)
        os.truncate(part / "classes", 90 * 40 - 1)
        with pytest.raises(PartMissing, match="not whole"):
            job.join([rows], tmp_path / "parts", tmp_path / "classes.tif")
        assert not (tmp_path / "classes.tif").exists()
        assert job.map_part(rows, tmp_path / "parts") == part
        job.join([rows], tmp_path / "parts", tmp_path / "classes.tif")
        job.map(tmp_path / "whole.tif")
    assert (tmp_path / "classes.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _rewrite(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data)


def _replace(path: Path) -> None:
    copy = path.with_name("copy.tif")
    shutil.copy2(path, copy)  # the same bytes, size and time; another file all the same
    copy.replace(path)


@pytest.mark.parametrize("change", [_truncate, _rewrite, _replace, Path.unlink])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("way", ["whole", "part"])
def test_inputs_that_change_during_the_run_are_told_and_nothing_is_left(
    change: Callable[[Path], None], which: int, way: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    def meanwhile(done: int, _total: int) -> None:
        if done == 2:  # the first row of windows
            change(pair[which])

    out = tmp_path / "out"
    files = outputs(out)
    with RasterPair.open(*pair) as opened:
        job = Segmentation(opened, plain(), confidence=True, progress=meanwhile)
        with pytest.raises(InputChanged, match=f"{pair[which].name}: changed while it was"):
            job.map(**files) if way == "whole" else job.map_part(range(20, 60), out)
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_a_damaged_input_that_stays_as_it_is_has_not_changed(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    _truncate(pair[0])
    with pytest.raises(RasterUnreadable), RasterPair.open(*pair) as opened:
        Segmentation(opened, plain()).map(tmp_path / "classes.tif")


def test_a_disk_that_is_too_small_is_told_before_the_work(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        pytest.fail("the work has begun")

    usage = shutil.disk_usage(tmp_path)._replace(free=8_399 * 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with RasterPair.open(*pair) as opened:
        job = Segmentation(opened, plain(), confidence=True, progress=never)
        with pytest.raises(DiskFull, match="16,798 bytes are free, expected at least 16,800"):
            job.map(**outputs(tmp_path / "out"))
        with pytest.raises(DiskFull):
            job.map_part(range(0, 40), tmp_path / "parts")
    assert list((tmp_path / "out").iterdir()) == []
