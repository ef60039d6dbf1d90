"""A map that was interrupted: the next run goes on, and no byte tells."""

import hashlib
import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from mfnet.model.errors import Cancelled
from mfnet.model.inference import kept_rows as module
from mfnet.model.inference.kept_rows import KeptRows, folder_beside, kept_rows
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import Area, segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.sliding_window import Band
from mfnet.model.raster.georeferencing.grid import Grid

Make = Callable[..., Path]
WIDTH = 7


def rows_of(first: int, height: int, sizes: list[int], *, confidence: bool) -> list[Band]:
    """Bands of any sizes that make up the rows of a raster, each pixel its own."""
    values = np.arange(height * WIDTH, dtype=np.uint8).reshape(height, WIDTH)
    bands, row, at = [], first, 0
    while row < height:
        stop = min(height, row + sizes[at % len(sizes)])
        bands.append(Band(row, values[row:stop], values[row:stop] // 2 if confidence else None))
        row, at = stop, at + 1
    return bands


def joined(bands: list[Band]) -> tuple[np.ndarray, np.ndarray | None]:
    assert [band.row for band in bands] == [
        sum(len(each.classes_hW) for each in bands[:at]) for at in range(len(bands))
    ]
    percent = [band.confidence_hW for band in bands if band.confidence_hW is not None]
    classes = np.concatenate([band.classes_hW for band in bands])
    return classes, np.concatenate(percent) if percent else None


@settings(max_examples=60)
@given(
    height=st.integers(1, 60),
    chunk_rows=st.integers(1, 20),
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    ends=st.lists(st.integers(0, 60), max_size=3),
    confidence=st.booleans(),
)
def test_interrupted_anywhere_the_rows_are_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    chunk_rows: int,
    sizes: list[int],
    ends: list[int],
    confidence: bool,
) -> None:
    layers = ("classes", "confidence") if confidence else ("classes",)
    folder = tmp_path_factory.mktemp("kept") / "key"
    kept = KeptRows(folder, height, WIDTH, layers, chunk_rows)
    for end in ends:
        done = kept.done
        rest = iter(rows_of(done, height, sizes, confidence=confidence))
        run = kept.keep(rest, done)
        last = done
        while last < max(end, done) and (band := next(run, None)) is not None:
            last = band.row + len(band.classes_hW)
        run.close()
        assert kept.done >= last // chunk_rows * chunk_rows - chunk_rows
    done = kept.done
    rest = iter(rows_of(done, height, sizes, confidence=confidence))
    found = joined([*kept.read(done), *kept.keep(rest, done)])
    wanted = joined(rows_of(0, height, [height], confidence=confidence))
    assert np.array_equal(found[0], wanted[0])
    assert (found[1] is None) == (wanted[1] is None)
    assert found[1] is None or np.array_equal(found[1], wanted[1])


@pytest.fixture
def pair(photo: Make, heights: Make, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Three windows wide and high, and chunks of a few rows."""
    monkeypatch.setattr(module, "_CHUNK_PIXELS", 40 * 600)
    monkeypatch.setattr(module, "_LEAST_PIXELS", 1)
    return photo(side=600), heights(side=600)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def interrupt(pair: tuple[Path, Path], out: Path, calls: int, **options: Any) -> None:
    """Run until the engine has asked so often whether to go on."""
    asked = count()
    with pytest.raises(Cancelled):
        segment(*pair, rule(), out, resume=True, cancelled=lambda: next(asked) >= calls, **options)


def rule() -> Runtime:
    return open_runtime("rule")


@pytest.mark.parametrize("with_area", [False, True])
def test_a_map_goes_on_where_it_was_interrupted(
    pair: tuple[Path, Path], tmp_path: Path, *, with_area: bool
) -> None:
    how: dict[str, Any] = {"options": SegmentOptions(batch_size=1, stride=64)}
    if with_area:
        how["area"] = Area(half_of(pair[0], tmp_path / "half.geojson"))
    whole, out, told = tmp_path / "whole.tif", tmp_path / "out.tif", []
    segment(*pair, rule(), whole, confidence=tmp_path / "whole_percent.tif", **how)
    how["confidence"] = tmp_path / "out_percent.tif"
    for calls in (20, 5):
        interrupt(pair, out, calls, **how)
        assert not out.exists()
        assert folder_beside(out).is_dir()
    windows: list[int] = []
    segment(
        *(*pair, rule(), out),
        resume=True,
        tell=told.append,
        progress=lambda done, total: windows.append(total),
        **how,
    )
    assert len(told) == 1
    assert "rows are there from an earlier run" in told[0]
    assert digest(out) == digest(whole)
    assert digest(how["confidence"]) == digest(tmp_path / "whole_percent.tif")
    assert not folder_beside(out).exists()


def half_of(ortho: Path, path: Path) -> Path:
    with rasterio.open(ortho) as raster:
        west, south, east, north = raster.bounds
        crs = raster.crs.to_epsg()
    ring = [[west, south], [(west + east) / 2, south], [west, (south + north) / 2], [west, south]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    name = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{crs}"}}
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    text = json.dumps({"type": "FeatureCollection", "crs": name, "features": [feature]})
    path.write_text(text)
    return path


def test_rows_of_other_inputs_or_options_are_not_taken(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    out, told = tmp_path / "out.tif", []
    interrupt(pair, out, 20, options=SegmentOptions(batch_size=1, stride=64))
    segment(*pair, rule(), out, resume=True, tell=told.append, options=SegmentOptions(stride=96))
    assert told == []
    interrupt(pair, out, 20, options=SegmentOptions(batch_size=1, stride=64))
    with rasterio.open(pair[1], "r+") as raster:
        raster.write(raster.read() * 1.5)
    how = SegmentOptions(batch_size=1, stride=64)
    segment(*pair, rule(), out, resume=True, tell=told.append, options=how)
    assert told == []
    segment(*pair, rule(), tmp_path / "whole.tif", options=how)
    assert digest(out) == digest(tmp_path / "whole.tif")
    # Nor those of the same files, with another one beside them.
    interrupt(pair, out, 20, options=how)
    pair[0].with_suffix(".prj").write_text(CRS.from_epsg(25832).to_wkt())
    segment(*pair, rule(), out, resume=True, tell=told.append, options=how)
    assert told == []
    # And what was left is gone, also where nobody wants to go on.
    interrupt(pair, out, 20, options=how)
    segment(*pair, rule(), out, options=how)
    assert not folder_beside(out).exists()


def test_small_maps_and_full_disks_keep_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(side: int) -> KeptRows | None:
        grid = Grid(side, side, Affine.identity(), None)
        return kept_rows(tmp_path / "map.tif", "key", grid, ("classes",))

    assert asked(4095) is None
    kept = asked(4096)
    assert kept is not None
    assert (kept.chunk_rows, kept.done) == (1024, 0)
    usage = shutil.disk_usage(tmp_path)._replace(free=4 * 4096**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert asked(4096) is None
    assert list(tmp_path.iterdir()) == []
