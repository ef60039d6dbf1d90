"""Files drawn at random: valid ones against rasterio alone, damaged ones against time and memory.

The gate draws a few; `make soak` draws two thousand of each.
"""

import json
import subprocess
import sys
from pathlib import Path

import geotiffs
import numpy as np
import pytest
import rasterio
from geotiffs import HEIGHT_TYPES, ORTHO_TYPES, Place, Spec, places, specs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.values.reading_options import ReadingOptions

FEW = settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MANY = settings(
    max_examples=2000,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ORTHOS = specs(ORTHO_TYPES, st.integers(3, 5))
HEIGHTS = specs(HEIGHT_TYPES, st.just(1))
DAMAGED_FEW, DAMAGED_MANY = 60, 2000

pair_of_files = given(ortho=ORTHOS, height=HEIGHTS, place=places)


@pair_of_files
@FEW
def test_valid_files_are_read_as_rasterio_reads_them(
    tmp_path: Path, ortho: Spec, height: Spec, place: Place
) -> None:
    check_valid(tmp_path, ortho, height, place)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pair_of_files
@MANY
def test_two_thousand_valid_files(tmp_path: Path, ortho: Spec, height: Spec, place: Place) -> None:
    check_valid(tmp_path, ortho, height, place)


def test_damaged_files_are_refused_in_time(tmp_path: Path) -> None:
    check_damaged(tmp_path, range(DAMAGED_FEW))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_thousand_damaged_files(tmp_path: Path) -> None:
    for first in range(1000, 1000 + DAMAGED_MANY, 100):
        check_damaged(tmp_path, range(first, first + 100))


def check_valid(folder: Path, ortho: Spec, height: Spec, place: Place) -> None:
    """Same pixels valid, same values, same place on the ground."""
    files = folder / "o.tif", folder / "h.tif"
    # On the orthophoto's own grid heights are not resampled: values stay what they are.
    height = Spec(**{**vars(height), "height": ortho.height, "width": ortho.width})
    geotiffs.write(files[0], ortho, place, heights=False)
    geotiffs.write(files[1], height, place, heights=True)
    colours, valid = geotiffs.read_ortho(files[0])
    metres, known = geotiffs.read_heights(files[1])
    assume(valid.any())
    assume(known.any())
    # Where 0 is nodata, a crowd of low heights would make it the ground.
    zero = 0.0 if height.nodata == 0 else None
    options = ReadingOptions(white=1.0, height_offset=0.0, height_unit="m", height_nodata=zero)
    with RasterPair.open(*files, options=options) as pair:
        rows = pair.read(0, ortho.height)
        with rasterio.open(files[0]) as raster:
            assert pair.grid.transform == raster.transform
            assert pair.grid.crs == raster.crs
    assert np.array_equal(rows.valid["ortho"], valid)
    assert np.array_equal(rows.arrays["ortho"][:, valid], colours[:, valid])
    assert np.array_equal(rows.valid["ndsm"], known)
    found = rows.arrays["ndsm"][0][known]
    assert np.allclose(found, np.maximum(metres[known], 0), rtol=1e-6, atol=1e-6)


def check_damaged(folder: Path, seeds: range) -> None:
    """Each ends by itself, with status 0 or 2, within the service's limits."""
    files = [str(_damaged(folder, seed)) for seed in seeds]
    script = Path(geotiffs.__file__).with_name("inspect_damaged.py")
    done = subprocess.run(
        [sys.executable, str(script), *files], capture_output=True, text=True, check=True
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(files)
    wrong = [each for each in told if each["exit"] not in (0, 2) or each["seconds"] > 10]
    assert wrong == [], done.stderr[-4000:]


def _damaged(folder: Path, seed: int) -> Path:
    """A file of a seed, of which some bytes are others, missing, or twice there."""
    rng = np.random.default_rng(seed)
    path = folder / f"{seed}.tif"
    spec = Spec(
        seed=seed, dtype=str(rng.choice(HEIGHT_TYPES)), bands=int(rng.integers(1, 5)),
        height=int(rng.integers(1, 200)), width=int(rng.integers(1, 200)),
        compress=[None, "deflate", "lzw", "zstd", "packbits", "lzma", "lerc"][rng.integers(7)],
        predictor=bool(rng.integers(2)), tiled=bool(rng.integers(2)), block=16,
        interleave=str(rng.choice(["pixel", "band"])), bigtiff=bool(rng.integers(2)),
        big_endian=bool(rng.integers(2)), nodata=None,
        holes=str(rng.choice(["none", "mask", "alpha"])), colours="none", point=False,
        scaled=bool(rng.integers(2)),
    )  # fmt: skip
    place = Place("EPSG:25832", 0.5, 0.0, False, 1.0)
    geotiffs.write(path, spec, place, heights=True)
    content = bytearray(path.read_bytes())
    for _ in range(rng.integers(1, 8)):
        # Tags lie at the beginning as a rule: half of the damage is done there.
        reach = len(content) if rng.random() < 0.5 else min(len(content), 600)
        at = int(rng.integers(0, reach))
        kind = rng.integers(4)
        if kind == 0:
            content[at] = int(rng.integers(256))
        elif kind == 1:
            length = int(rng.integers(1, 9))
            content[at : at + length] = rng.bytes(length)
        elif kind == 2:
            del content[at + int(rng.integers(1, len(content) + 1)) :]
        else:
            content[at:at] = content[at : at + int(rng.integers(1, 64))]
        if len(content) < 8:
            break
    path.write_bytes(content)
    return path
