"""A disk that runs full at any byte: a coded error, nothing half visible, all space given back."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from disk import Disk
from rasterio.crs import CRS

from mfnet.model.atomic_files import check_space, write_json
from mfnet.model.errors import DiskFull, OutputNotWritable
from mfnet.model.raster.georeferencing.grid import Grid
from mfnet.model.raster.products.cog import CogWriter, disk_bytes
from mfnet.model.raster.products.part_rows import PartWriter, read_part

GRID = Grid(1500, 1300, Affine(0.2, 0, 500_000, 0, -0.2, 5_700_000), CRS.from_epsg(25832))
VALUES = np.random.default_rng(0).integers(0, 6, (GRID.height, GRID.width), dtype=np.uint8)
KIB = 1024


def write_cog(path: Path) -> None:
    with CogWriter(path, GRID, description="land cover") as cog:
        for row in range(0, GRID.height, 100):
            cog.write(row, VALUES[row : row + 100])


def write_part(folder: Path) -> None:
    with PartWriter(folder, range(0, 1500), GRID.width, ["classes"]) as part:
        for row in range(0, GRID.height, 100):
            part.write(row, VALUES[row : row + 100])


def test_a_cog_is_whole_or_not_there_however_much_room_there_is(disk: Disk) -> None:
    ends = []
    for size in range(64 * KIB, disk_bytes(GRID) + 200 * KIB, 96 * KIB):
        disk.resize(size)
        try:
            write_cog(disk.path / "a.tif")
        except OutputNotWritable as error:
            ends.append(error.code)
            assert list(disk.path.iterdir()) == []
        else:
            ends.append("whole")
            with rasterio.open(disk.path / "a.tif") as raster:
                assert np.array_equal(raster.read(1), VALUES)
            (disk.path / "a.tif").unlink()
        assert disk.used() == 0
    assert ends[-1] == "whole"  # with the room that is asked for beforehand
    assert "output.disk_full" in ends
    assert ends == [end for end in ends if end != "whole"] + ["whole"] * ends.count("whole")


def test_a_part_is_whole_or_not_there_however_much_room_there_is(disk: Disk) -> None:
    ends = []
    for size in range(64 * KIB, 1500 * 1300 + 200 * KIB, 64 * KIB):
        disk.resize(size)
        try:
            write_part(disk.path)
        except DiskFull:
            ends.append("full")
            assert list(disk.path.iterdir()) == []
        else:
            ends.append("whole")
            rows = [layers[0] for _, layers in read_part(disk.path, range(1500), 1300, ["classes"])]
            assert np.array_equal(np.concatenate(rows), VALUES)
            shutil.rmtree(disk.path / "0-1500")
        assert disk.used() == 0
    assert ends == ["full"] * ends.count("full") + ["whole"] * ends.count("whole")
    assert {*ends} == {"full", "whole"}


@pytest.mark.parametrize("write", [write_part, lambda folder: write_json(folder / "a.json", {})])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_or_quota_that_turns_out_full_at_the_end_is_told_as_full(
    write: Callable[[Path], None], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_statistics_that_do_not_fit_leave_the_earlier_ones(disk: Disk) -> None:
    path = disk.path / "statistics.json"
    write_json(path, {"earlier": True})
    disk.resize(8 * KIB)
    with pytest.raises(DiskFull):
        write_json(path, {"later": "x" * 40_000})
    assert [file.name for file in disk.path.iterdir()] == [path.name]
    assert "earlier" in path.read_text()


def test_files_on_one_disk_share_its_room(disk: Disk) -> None:
    disk.resize(100 * KIB)
    (disk.path / "sub").mkdir()
    check_space([(disk.path, 50 * KIB), (disk.path / "sub", 50 * KIB)])
    with pytest.raises(DiskFull) as told:
        check_space([(disk.path, 50 * KIB), (disk.path / "sub", 51 * KIB)])
    params = told.value.params
    assert (params["needed_bytes"], params["free_bytes"]) == (101 * KIB, 100 * KIB)
