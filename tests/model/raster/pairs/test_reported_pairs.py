"""Pairs as public bug reports describe them give the map of the clean pair, or a word."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from mfnet.model.classes import NODATA
from mfnet.model.errors import NotAboveGround
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import segment
from mfnet.model.raster.values.reading_options import ReadingOptions


@pytest.fixture(scope="module")
def reported(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported")
    make = shared / "data/reported/make.py"
    subprocess.run([sys.executable, "-W", "ignore", str(make), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def net() -> Runtime:
    return open_runtime("town-small")


def mapped(
    pair: Path, net: Runtime, out: Path, options: ReadingOptions | None = None
) -> tuple[NDArray[np.uint8], list[str]]:
    """The classes, and the codes of the remarks."""
    found = segment(pair / "ortho.tif", pair / "ndsm.tif", net, out / "c.tif", reading=options)
    with rasterio.open(out / "c.tif") as classes:
        return classes.read(1), [remark["code"] for remark in found["pair"]["remarks"]]


@pytest.fixture(scope="module")
def clean(
    reported: Path, net: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> NDArray[np.uint8]:
    classes, remarks = mapped(reported / "clean", net, tmp_path_factory.mktemp("clean"))
    assert remarks == []
    return classes


@pytest.mark.parametrize(
    ("case", "remarks"),
    [
        ("point", []),
        ("outlier", ["height.wild", "height.missing"]),
        ("nodata_zero", ["height.nodata_zero"]),
        ("feet", ["height.unit"]),
        ("twelve_bits", ["ortho.white"]),
        ("hole", []),
        ("world_file", ["crs.taken_over", "sidecar.used"]),
    ],
)
def test_the_map_is_that_of_the_clean_pair(
    case: str,
    remarks: list[str],
    reported: Path,
    clean: NDArray[np.uint8],
    net: Runtime,
    tmp_path: Path,
) -> None:
    classes, told = mapped(reported / case, net, tmp_path)
    known = classes != NODATA
    assert known.mean() > 0.98
    assert (classes == clean)[known].mean() >= 0.99
    assert sorted(told) == sorted(remarks)


def test_heights_of_another_level_are_asked_for(
    reported: Path, clean: NDArray[np.uint8], net: Runtime, tmp_path: Path
) -> None:
    with pytest.raises(NotAboveGround, match=r"--height-offset 3\.0"):
        mapped(reported / "too_low", net, tmp_path)
    options = ReadingOptions(height_offset=3.0)
    classes, _ = mapped(reported / "too_low", net, tmp_path, options)
    assert (classes == clean).mean() >= 0.999
