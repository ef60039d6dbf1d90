"""`mfnet predict` as a process: a map and its events, or a refusal before the network is loaded."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from rio_cogeo import cog_validate

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.raster.pairs.inspection import inspect_polygons

Make = Callable[..., Path]


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A folder with one model of random weights."""
    import torch

    from mfnet.model.network.mfnet import MFNet
    from mfnet.model.weights.checkpoint import save

    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    folder = tmp_path / "models"
    folder.mkdir()
    save(MFNet(ModelConfig(name="random", encoder=encoder)), folder / "random.safetensors")
    return folder


def predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mfnet.model.cli.main",
        "predict",
        *map(str, arguments),
        "--json",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def test_a_pair_becomes_a_map_with_its_statistics(
    photo: Make, heights: Make, models_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "map" / "classes.tif"
    out.parent.mkdir()
    options = ["--model", "random", "--models-dir", models_dir, "--device", "cpu"]
    unsure = out.with_name("unsure.gpkg")
    said = predict(photo(), heights(), "-o", out, *options, "--least-sure", unsure)
    assert (said.returncode, said.stderr) == (0, "")
    events = [json.loads(line) for line in said.stdout.splitlines()]
    assert [event["stage"] for event in events[:-1]] == ["checking"] * 2 + ["segmenting"]
    assert events[-2]["done"] == events[-2]["total"] >= 1
    result = events[-1]
    assert result["files"]["classes"] == str(out)
    assert result["files"]["least_sure"] == str(unsure)
    assert sum(item["pixels"] for item in result["statistics"]["classes"]) == 48 * 48
    assert cog_validate(out, strict=True)[0]
    with rasterio.open(out) as raster:
        assert raster.shape == (48, 48)
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "classes.qml",
        "classes.tif",
        "classes.tif.aux.xml",
        "classes_confidence.tif",
        "classes_statistics.json",
        "unsure.gpkg",
    ]
    (layer,) = inspect_polygons(unsure).layers
    assert layer.features == 1
    assert result["statistics"]["drift"]["compared"] is False


def test_bad_input_is_refused_before_the_network_is_loaded(
    photo: Make, heights: Make, models_dir: Path, tmp_path: Path
) -> None:
    # A checkpoint without tensors would fail if it were loaded.
    config = ModelConfig(
        encoder=EncoderConfig(embed_dim=8, depth=1, num_heads=1, global_attn_indexes=(0,))
    )
    metadata = {"format": "1", "mfnet": config.model_dump_json()}
    header = json.dumps({"__metadata__": metadata}).encode()
    (models_dir / "empty.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    out = tmp_path / "classes.tif"
    damaged = photo(side=64, blockysize=16)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    for ortho, height, model, code in (
        (photo("a.tif"), heights("dsm.tif", base=300), "empty", "pair.not_above_ground"),
        (damaged, heights("wide.tif", side=64), "empty", "raster.unreadable"),
        (photo("a.tif"), heights(), "none", "model.unknown"),
    ):
        said = predict(ortho, height, "-o", out, "--model", model, "--models-dir", models_dir)
        assert said.returncode == 2, said
        assert json.loads(said.stdout.splitlines()[-1])["error"]["code"] == code
        assert "Traceback" not in said.stderr
        assert not out.exists()


def test_an_output_that_cannot_be_written_is_refused(
    photo: Make, heights: Make, models_dir: Path, tmp_path: Path
) -> None:
    said = predict(
        photo(),
        heights(),
        "-o",
        tmp_path / "none" / "classes.tif",
        "--model",
        "random",
        "--models-dir",
        models_dir,
    )
    assert said.returncode == 2
    error = json.loads(said.stdout.splitlines()[-1])["error"]
    assert error["code"] == "output.not_writable"
