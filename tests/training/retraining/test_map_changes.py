"""What would change on recent maps: a map that fails is left out, and the others are shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from small_runs import TINY

from mfnet.model.config import ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save
from mfnet.training.retraining import map_changes
from mfnet.training.retraining.map_changes import RecentMap, show_changes
from mfnet.training.synthetic.town import draw_town, write_town


def test_a_map_that_fails_in_any_way_is_left_out_and_the_others_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        models.append(tmp_path / f"{seed}.safetensors")
        save(MFNet(ModelConfig(encoder=TINY, window_px=160, stride_px=80)), models[-1])
    write_town(tmp_path / "town", draw_town(0, 160))
    ortho, height = tmp_path / "town" / "ortho.tif", tmp_path / "town" / "ndsm.tif"
    places = [
        RecentMap("gone", tmp_path / "nowhere.tif", height),
        RecentMap("strange", ortho, height),
        RecentMap("good", ortho, height),
    ]
    real = map_changes.write_changes

    def write(before: Path, after: Path, target: Path, scheme: Any) -> Any:
        if "strange" in target.name:
            raise RuntimeError("a secret of the driver's")
        return real(before, after, target, scheme)

    monkeypatch.setattr(map_changes, "write_changes", write)
    out = tmp_path / "job" / "out"
    out.mkdir(parents=True)
    show_changes(places, models[0], models[1], out, tmp_path, lambda *_: None)
    jobs = json.loads((out / "changes.json").read_text())["jobs"]
    assert "nowhere.tif" in jobs["gone"]["left_out"]
    assert jobs["strange"] == {"left_out": "it could not be mapped; the service's log says why"}
    assert "left_out" not in jobs["good"]
    assert [path.name for path in out.glob("*.tif")] == ["changes-good.tif"]
    with rasterio.open(out / "changes-good.tif") as raster:
        changed = raster.read(1) != 255
    shown = np.asarray(Image.open(out / "changes-good.png"))
    assert np.array_equal(shown[..., 3] > 0, changed)
    assert "a secret of the driver's" in capsys.readouterr().err
