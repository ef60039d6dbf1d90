"""An orthophoto without heights, from the command line: mapped by colour, told, or refused."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import mfnet

from mfnet.model.config import EncoderConfig, ModelConfig

Make = Callable[..., Path]
FIGURES = {"building": 0.9, "tree": 0.8}, {"building": 0.6, "tree": 0.75}


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A model that says what it is worth without heights."""
    import torch

    from mfnet.model.network.mfnet import MFNet
    from mfnet.model.weights.checkpoint import save

    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    told = dict(zip(("with", "without"), FIGURES, strict=True)) | {"measured_on": "24 places"}
    folder = tmp_path / "models"
    folder.mkdir()
    for name, metrics in (("measured", {"without_heights": told}), ("silent", {})):
        config = ModelConfig(name=name, encoder=encoder, metrics=metrics)
        save(MFNet(config), folder / f"{name}.safetensors")
    return folder


def test_a_map_by_colour_alone_says_what_it_costs(
    photo: Make, models_dir: Path, tmp_path: Path
) -> None:
    out, polygons = tmp_path / "c.tif", tmp_path / "c.gpkg"
    how = ["--model", "measured", "--models-dir", models_dir, "--device", "cpu", "--quality"]
    also = ["--polygons", polygons, "--stac", tmp_path / "item.json"]
    said = mfnet("predict", photo(), "-o", out, *how, *also)
    assert said.status == 0, said.err
    assert "there are no heights: all is mapped by its colour" in said.err
    assert "buildings: IoU 60 in place of 90 %; trees: IoU 75 in place of 80 %" in said.err
    assert "24 places" in said.err
    told = json.loads((tmp_path / "c_statistics.json").read_text())
    assert told["pair"]["height"] is told["pair"]["overlap_percent"] is None
    assert "without heights" in told["estimates"]["missing"]
    with sqlite3.connect(polygons) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(land_cover)")]
    assert "height_mean" not in columns
    again = mfnet("verify", out, "--models-dir", models_dir, tmp_path / "ortho.tif")
    assert (again.status, again.err) == (0, "")


def test_before_the_run_it_is_told_too(photo: Make, models_dir: Path) -> None:
    how = ["--models-dir", models_dir, "--no-forecast"]
    said = mfnet("inspect", photo(), "--model", "silent", *how)
    assert said.status == 0, said.err
    assert "the file of silent does not say how much worse" in " ".join(said.out.split())
    assert re.search(r"windows +1 *\n", said.out)
    gaps = mfnet("inspect", photo(), "--model", "silent", "--stride", 300, *how)
    assert (gaps.status, "the stride is 300; expected 1 to 256" in gaps.err) == (2, True), gaps.err
    alone = mfnet("inspect", photo())
    assert "Could be used as: orthophoto" in alone.out


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--model", "rule"], "rule maps by heights"),
        (["--dtm", "auto"], "--dtm without a height raster"),
        (["--align"], "--align without a height raster"),
    ],
)
def test_what_needs_heights_is_refused(
    options: list[str], named: str, photo: Make, tmp_path: Path
) -> None:
    said = mfnet("predict", photo(), "-o", tmp_path / "c.tif", *options)
    assert (said.status, named in said.err) == (2, True), said.err
