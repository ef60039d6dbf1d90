"""Exported models: what they hold, who can run them, and which are refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.errors import BadCheckpoint, UnknownModel
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.catalog import PACKAGED, exported, find, installed, read_config
from mfnet.model.weights.checkpoint import load_model, save
from mfnet.model.weights.export_onnx import LOGITS, STACKED, export_onnx
from mfnet.model.weights.file_hash import sha256_of
from mfnet.model.weights.onnx_file import (
    SOURCE_KEY,
    WHOLE_KEY,
    check_harmless,
    check_whole,
    read_metadata,
)

TINY = EncoderConfig(
    embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=5, grid=10
)


@pytest.fixture(scope="module")
def net() -> MFNet:
    torch.manual_seed(0)
    config = ModelConfig(name="tiny", encoder=TINY, window_px=160, decode_channels=16, gsd_m=0.2)
    return MFNet(config).eval()


@pytest.fixture(scope="module")
def folder(net: MFNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save(net, folder / "tiny.safetensors")
    source = sha256_of(folder / "tiny.safetensors")
    export_onnx(net, folder / "tiny.onnx", source_sha256=source)
    export_onnx(net, folder / "stacked.onnx", stacked=True)
    return folder


def _inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        "ortho": torch.rand(1, 3, 160, 160, generator=generator),
        "ndsm": torch.rand(1, 1, 160, 160, generator=generator),
    }


def test_plain_onnx_runtime_runs_it(net: MFNet, folder: Path) -> None:
    given = _inputs()
    session = onnxruntime.InferenceSession(folder / "tiny.onnx")
    (found,) = session.run([LOGITS], {name: tensor.numpy() for name, tensor in given.items()})
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(found), net(given), rtol=1e-3, atol=1e-4)


def test_stacked_it_has_one_input_of_bytes_and_what_deepness_reads(
    net: MFNet, folder: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1, 4, 160, 160)).astype(np.float32)
    session = onnxruntime.InferenceSession(folder / "stacked.onnx")
    # The plugin divides bytes by 255; what is then 1 of the heights is 255 m.
    (found,) = session.run([LOGITS], {STACKED: pixels / 255})
    ndsm = next(m for m in net.config.modalities if m.name == "ndsm")
    metres = (pixels[:, 3:] - ndsm.low) / (ndsm.high - ndsm.low)
    given = {
        "ortho": torch.from_numpy(pixels[:, :3] / 255),
        "ndsm": torch.from_numpy(metres.astype(np.float32)),
    }
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(found), net(given), rtol=1e-3, atol=1e-3)
    told = read_metadata(folder / "stacked.onnx")
    assert json.loads(told["model_type"]) == "Segmentor"
    assert json.loads(told["class_names"])["1"] == "building"
    assert json.loads(told["resolution"]) == 20


def test_the_configuration_travels_along(net: MFNet, folder: Path) -> None:
    assert read_config(folder / "tiny.onnx") == net.config
    assert exported(folder / "tiny.safetensors") == folder / "tiny.onnx"
    assert [path.name for path in installed(folder) if path.parent == folder] == [
        "stacked.onnx",
        "tiny.safetensors",  # the export of a model is no other model
    ]


def test_an_export_of_another_file_is_not_taken(net: MFNet, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes((folder / "tiny.onnx").read_bytes())
    save(net, tmp_path / "tiny.safetensors", torch.float16)
    assert exported(tmp_path / "tiny.safetensors") is None


def test_an_export_cannot_be_trained_on(folder: Path) -> None:
    with pytest.raises(BadCheckpoint, match="can only be run"):
        load_model(folder / "stacked.onnx")


@pytest.mark.parametrize("name", ["town", "town-small"])
def test_what_comes_along_is_exported_from_what_comes_along(name: str) -> None:
    assert exported(find(name)) == PACKAGED / f"{name}.onnx"
    check_harmless(PACKAGED / f"{name}.onnx")
    check_whole(PACKAGED / f"{name}.onnx")


def test_half_precision_is_taken_where_it_loses_nothing(
    net: MFNet, folder: Path, tmp_path: Path
) -> None:
    save(net, tmp_path / "half.safetensors", torch.float16)
    half = load_model(tmp_path / "half.safetensors")
    export_onnx(half, tmp_path / "half.onnx")
    sizes = [path.stat().st_size for path in (tmp_path / "half.onnx", folder / "tiny.onnx")]
    assert sizes[0] < 0.8 * sizes[1]


def _altered(folder: Path, change: str) -> onnx.ModelProto:
    model = onnx.load(folder / "tiny.onnx")
    if change == "external":
        tensor = model.graph.initializer[0]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
    else:
        model.graph.node[0].domain = "com.stranger"
    return model


@pytest.mark.parametrize(
    ("change", "word"), [("external", "in other files"), ("operator", "operator .* of 'com.stran")]
)
def test_strangers_files_that_reach_out_are_refused(
    change: str, word: str, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(_altered(folder, change).SerializeToString())
    with pytest.raises(BadCheckpoint, match=word):
        check_harmless(path)


def test_damaged_files_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "tiny.onnx").read_bytes()
    rng = np.random.default_rng(0)
    for number in range(60):
        damaged = bytearray(whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, len(damaged), 8):
            damaged[place] = rng.integers(256)
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(damaged)
        try:
            read_config(path)
        except BadCheckpoint:
            continue
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(BadCheckpoint):
        read_config(tmp_path / "text.onnx")


def test_a_single_altered_byte_is_found(folder: Path, tmp_path: Path) -> None:
    """Weights that have changed on a disk would make a wrong map that looks right."""
    whole = (folder / "tiny.onnx").read_bytes()
    check_whole(folder / "tiny.onnx")
    assert onnx.load(folder / "tiny.onnx").metadata_props[-1].key == WHOLE_KEY
    path = tmp_path / "altered.onnx"
    for place in np.random.default_rng(0).integers(0, len(whole), 20):
        altered = bytearray(whole)
        altered[place] ^= 1
        path.write_bytes(altered)
        with pytest.raises(BadCheckpoint, match="not as it was exported"):
            check_whole(path)
    for cut in (0, 10, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(BadCheckpoint, match="not as it was exported"):
            check_whole(path)


def test_no_metadata_is_no_model_of_ours(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "tiny.onnx")
    del model.metadata_props[:]
    path = tmp_path / "plain.onnx"
    path.write_bytes(model.SerializeToString())
    assert read_metadata(path).get(SOURCE_KEY) is None
    with pytest.raises(BadCheckpoint, match="no mfnet model"):
        read_config(path)
    with pytest.raises(UnknownModel):
        find(tmp_path / "none.onnx")
