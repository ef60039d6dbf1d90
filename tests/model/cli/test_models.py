"""`mfnet models …` and `mfnet explain` as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from golden.cases import load_case
from rasterio.transform import from_origin
from typer.testing import CliRunner

from mfnet.model.cli.main import app
from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.errors import BadCheckpoint, BadOption
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save

TINY = EncoderConfig(
    embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
)


def mfnet(*arguments: object) -> str:
    """What the command prints; its errors come out as they are raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    torch.manual_seed(1)
    save(MFNet(ModelConfig(name="mine", encoder=TINY)), folder / "mine.safetensors")
    return folder


def test_the_list_shows_a_damaged_file_as_such(models: Path) -> None:
    (models / "broken.safetensors").write_bytes(b"no")
    rows = json.loads(mfnet("models", "list", "--models-dir", models, "--json"))["models"]
    by_name = {row["name"]: row for row in rows}
    assert by_name["mine"]["window_px"] == 256
    assert "is no readable .safetensors file" in by_name["broken"]["error"]
    assert "damaged" in mfnet("models", "list", "--models-dir", models)


def test_a_released_checkpoint_is_imported_shown_and_exported(models: Path, tmp_path: Path) -> None:
    torch.save(load_case("mmlora_small").state_dict, tmp_path / "released.pth")
    options = ("--models-dir", models)
    mfnet("models", "import", tmp_path / "released.pth", "--name", "theirs", *options)
    shown = json.loads(mfnet("models", "show", "theirs", *options))
    assert (shown["tuning"], shown["encoder"]["depth"]) == ("mmlora", 4)
    out = tmp_path / "half.safetensors"
    mfnet("models", "export", "theirs", out, "--half", *options)
    assert out.stat().st_size < 0.6 * (models / "theirs.safetensors").stat().st_size
    with pytest.raises(BadOption, match="names no base"):
        mfnet("models", "export", "theirs", out, "--delta", *options)


def test_what_is_no_checkpoint_is_refused(models: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    for arguments in (
        ("import", tmp_path / "text.pth", "--name", "x"),
        ("import-base", tmp_path / "text.pth"),
    ):
        with pytest.raises(BadCheckpoint, match="no readable PyTorch checkpoint"):
            mfnet("models", *arguments, "--models-dir", models)
    assert sorted(path.name for path in models.iterdir()) == ["mine.safetensors"]


def test_explain_writes_heat_and_a_picture(models: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    grid = {
        "driver": "GTiff", "height": 256, "width": 256, "crs": "EPSG:25832",
        "transform": from_origin(500000, 5700000, 0.5, 0.5),
    }  # fmt: skip
    with rasterio.open(tmp_path / "ortho.tif", "w", count=3, dtype="uint8", **grid) as file:
        file.write(random.integers(0, 255, (3, 256, 256), dtype=np.uint8))
    with rasterio.open(tmp_path / "ndsm.tif", "w", count=1, dtype="float32", **grid) as file:
        file.write(20 * random.random((1, 256, 256), dtype=np.float32))
    arguments = (
        "explain", tmp_path / "ortho.tif", tmp_path / "ndsm.tif", "-o", tmp_path / "heat.tif",
        "--class", "tree", "--model", "mine", "--models-dir", models,
    )  # fmt: skip
    printed = mfnet(*arguments)
    for name in ("heat_ortho.tif", "heat_ndsm.tif", "heat.png"):
        assert str(tmp_path / name) in printed.replace("\n", "")
        assert (tmp_path / name).stat().st_size > 0
    result = json.loads(mfnet(*arguments, "--json").splitlines()[-1])
    assert result["files"]["panel"] == str(tmp_path / "heat.png")
