"""Weights in and out: full and delta checkpoints, the frozen base, and what is refused."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from golden.cases import load_case
from safetensors.torch import save_file
from segment_anything import sam_model_registry
from torch import nn

from mfnet.model.config import ENCODERS, BaseWeights, EncoderConfig, ModelConfig
from mfnet.model.errors import BadCheckpoint, BadOption, BaseMissing, UnknownModel
from mfnet.model.network.encoder import build_vit
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import import_file, load_model, new_model, save
from mfnet.model.weights.file_hash import sha256_of
from mfnet.model.weights.import_released import import_released
from mfnet.model.weights.sam_base import (
    base_file,
    base_tensors,
    import_base,
    installed_base,
    recognised_base,
)

# SAM's layout at a tenth of its size; registered in place of vit_b where a test needs a base.
SAM_TINY = EncoderConfig(embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,))
TINY = SAM_TINY.model_copy(update={"window_size": 8, "grid": 16})


@pytest.fixture
def meta_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint in the layout of Meta's, with random weights."""
    monkeypatch.setitem(ENCODERS, "vit_b", SAM_TINY)
    torch.manual_seed(0)
    vit = build_vit(SAM_TINY)
    for parameter in vit.parameters():
        nn.init.normal_(parameter, std=0.1)
    tensors = {f"image_encoder.{name}": tensor for name, tensor in vit.state_dict().items()}
    tensors["mask_decoder.iou_token.weight"] = torch.zeros(1, 256)
    path = tmp_path / "sam_vit_b_random.pth"
    torch.save(tensors, path)
    return path


def test_a_saved_model_comes_back_with_its_configuration(tmp_path: Path) -> None:
    net = MFNet(ModelConfig(name="a", encoder=TINY, gsd_m=0.25, metrics={"mIoU": 0.5})).eval()
    save(net, tmp_path / "a.safetensors")
    loaded = load_model("a", tmp_path)
    assert loaded.config == net.config
    assert not loaded.training
    for (name, ours), theirs in zip(
        net.state_dict().items(), loaded.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    net = MFNet(ModelConfig(encoder=TINY))
    save(net, tmp_path / "whole.safetensors")
    save(net, tmp_path / "half.safetensors", torch.float16)
    whole, half = (tmp_path / f"{name}.safetensors" for name in ("whole", "half"))
    assert half.stat().st_size < 0.55 * whole.stat().st_size
    assert {p.dtype for p in load_model(half).parameters()} == {torch.float32}


def test_metas_checkpoint_installs_with_its_relative_positions(
    meta_file: Path, tmp_path: Path
) -> None:
    base = import_base(meta_file, tmp_path)
    assert base == BaseWeights(encoder="vit_b", sha256=sha256_of(meta_file))
    assert installed_base("vit_b", tmp_path) == base
    net = new_model(ModelConfig(encoder=SAM_TINY, base=base), tmp_path)
    saved = torch.load(meta_file, weights_only=True)
    for name, tensor in net.encoder.vit.state_dict().items():
        assert torch.equal(tensor, saved[f"image_encoder.{name}"]), name
    assert net.encoder.vit.blocks[0].attn.rel_pos_h.abs().max() > 0


def test_positions_are_resized_to_another_grid_and_window(meta_file: Path, tmp_path: Path) -> None:
    base = import_base(meta_file, tmp_path)
    tensors = base_tensors(base, TINY, tmp_path)
    saved = torch.load(meta_file, weights_only=True)
    assert tensors["encoder.vit.pos_embed"].shape == (1, 16, 16, 32)
    assert tensors["encoder.vit.blocks.0.attn.rel_pos_h"].shape == (15, 16)
    assert tensors["encoder.vit.blocks.1.attn.rel_pos_h"].shape == (31, 16)
    # Linear between neighbours: the ends of a resized line stay within the original's.
    original = saved["image_encoder.blocks.1.attn.rel_pos_h"]
    assert tensors["encoder.vit.blocks.1.attn.rel_pos_h"].abs().max() <= original.abs().max()
    weight = "blocks.0.attn.qkv.weight"
    assert torch.equal(tensors[f"encoder.vit.{weight}"], saved[f"image_encoder.{weight}"])


def test_a_delta_holds_what_was_trained_and_finds_its_base(meta_file: Path, tmp_path: Path) -> None:
    base = import_base(meta_file, tmp_path)
    net = new_model(ModelConfig(name="d", encoder=SAM_TINY, base=base), tmp_path).eval()
    save(net, tmp_path / "full.safetensors")
    save(net, tmp_path / "delta.safetensors", full=False)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "delta")]
    trained = sum(p.numel() for p in net.trainable_parameters())
    assert sizes[1] < sizes[0]
    assert sizes[1] == pytest.approx(4 * trained, rel=0.02)
    full, delta = load_model("full", tmp_path), load_model("delta", tmp_path)
    for a, b in zip(full.parameters(), delta.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_networks_base_is_recognised_by_its_weights(meta_file: Path, tmp_path: Path) -> None:
    base = import_base(meta_file, tmp_path)
    net = new_model(ModelConfig(encoder=SAM_TINY, base=base), tmp_path)
    state = net.state_dict()
    assert recognised_base(state, SAM_TINY, tmp_path) == base
    assert recognised_base(state, SAM_TINY, tmp_path, "vit_b") == base
    assert recognised_base(state, SAM_TINY, tmp_path / "elsewhere") is None
    name = "encoder.vit.blocks.0.mlp.lin1.weight"
    other = {**state, name: state[name] + 1}
    assert recognised_base(other, SAM_TINY, tmp_path) is None
    with pytest.raises(BadCheckpoint, match="other frozen weights than the installed base vit_b"):
        recognised_base(other, SAM_TINY, tmp_path, "vit_b")
    with pytest.raises(BaseMissing, match="fetch-base vit_l"):
        recognised_base(state, SAM_TINY, tmp_path, "vit_l")


def test_a_delta_of_vit_h_with_mmlora_is_small() -> None:
    with torch.device("meta"):
        net = MFNet(ModelConfig(encoder=ENCODERS["vit_h"], tuning="mmlora"))
    assert 4 * sum(p.numel() for p in net.trainable_parameters()) < 50e6


def test_a_delta_without_its_base_says_where_to_get_it(meta_file: Path, tmp_path: Path) -> None:
    base = import_base(meta_file, tmp_path)
    net = new_model(ModelConfig(encoder=SAM_TINY, base=base), tmp_path)
    save(net, tmp_path / "delta.safetensors", full=False)
    base_file("vit_b", tmp_path).unlink()
    with pytest.raises(BaseMissing, match="`mfnet models fetch-base vit_b` downloads it"):
        load_model("delta", tmp_path)
    with pytest.raises(BaseMissing, match="fetch-base vit_b"):
        load_model(tmp_path / "delta.safetensors")


def test_another_base_of_the_same_encoder_is_refused(meta_file: Path, tmp_path: Path) -> None:
    base = import_base(meta_file, tmp_path)
    save(
        new_model(ModelConfig(encoder=SAM_TINY, base=base), tmp_path),
        tmp_path / "delta.safetensors",
        full=False,
    )
    other = torch.load(meta_file, weights_only=True)
    other["image_encoder.pos_embed"] += 1
    torch.save(other, meta_file)
    import_base(meta_file, tmp_path)
    with pytest.raises(BaseMissing, match=f"trained on vit_b with sha256 {base.sha256}"):
        load_model("delta", tmp_path)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_truncated_base_installs_nothing(share: float, meta_file: Path, tmp_path: Path) -> None:
    content = meta_file.read_bytes()
    meta_file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadCheckpoint, match="no readable PyTorch checkpoint"):
        import_base(meta_file, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_base_with_missing_keys_names_them(meta_file: Path, tmp_path: Path) -> None:
    tensors = torch.load(meta_file, weights_only=True)
    del tensors["image_encoder.blocks.1.attn.rel_pos_w"]
    torch.save(tensors, meta_file)
    with pytest.raises(BadCheckpoint, match=r"lacks 1 tensors .*blocks\.1\.attn\.rel_pos_w"):
        import_base(meta_file, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_file_of_another_network_is_no_base(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(BadCheckpoint, match="holds no image encoder of SAM"):
        import_base(tmp_path / "other.pth", tmp_path / "models")


class Stranger:
    """Unpickled, it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    sign, file = tmp_path / "executed", tmp_path / "model.safetensors"
    file.write_bytes(pickle.dumps(Stranger(sign)))
    with pytest.raises(BadCheckpoint):
        load_model(file)
    torch.save({"image_encoder.pos_embed": Stranger(sign)}, tmp_path / "base.pth")
    with pytest.raises(BadCheckpoint, match="no readable PyTorch checkpoint"):
        import_base(tmp_path / "base.pth", tmp_path)
    assert not sign.exists()


def test_what_is_no_model_is_refused_with_what_there_is(tmp_path: Path) -> None:
    save(MFNet(ModelConfig(encoder=TINY)), tmp_path / "mine.safetensors")
    with pytest.raises(UnknownModel, match=r"no model 'yours'; there are: .*mine"):
        load_model("yours", tmp_path)
    with pytest.raises(UnknownModel):
        load_model("../mine", tmp_path / "folder")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(BadCheckpoint, match="it is no mfnet model"):
        load_model("foreign", tmp_path)


def test_a_later_format_asks_for_a_newer_program(tmp_path: Path) -> None:
    metadata = {"format": "2", "mfnet": "{}"}
    save_file({"a": torch.zeros(1)}, tmp_path / "later.safetensors", metadata)
    with pytest.raises(BadCheckpoint, match="format '2'; this program reads '1': a newer mfnet"):
        load_model("later", tmp_path)


def test_a_file_cut_short_or_with_other_tensors_is_refused(tmp_path: Path) -> None:
    net = MFNet(ModelConfig(encoder=TINY))
    path = tmp_path / "a.safetensors"
    save(net, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadCheckpoint, match="cannot be loaded"):
        load_model(path)
    other = json.loads(net.config.model_dump_json())
    other["decode_channels"] = 32
    save_file({"a": torch.zeros(1)}, path, {"format": "1", "mfnet": json.dumps(other)})
    with pytest.raises(BadCheckpoint, match="cannot be loaded"):
        load_model(path)


def test_our_tensors_bear_sams_names() -> None:
    """So that a base needs no table of names."""
    with torch.device("meta"):
        theirs = sam_model_registry["vit_b"]().image_encoder.state_dict()
        ours = build_vit(ENCODERS["vit_b"]).state_dict()
    shapes = [{name: tensor.shape for name, tensor in each.items()} for each in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("tuning", ["mmadapter", "mmlora"])
def test_a_file_of_the_released_code_becomes_a_model(tuning: str, tmp_path: Path) -> None:
    case = load_case(f"{tuning}_small")
    copies = {f"sam.{name}": tensor for name, tensor in case.state_dict.items()}
    torch.save(case.state_dict | copies, tmp_path / "released.pth")
    path = import_file(tmp_path / "released.pth", "theirs", tmp_path / "models")
    net = load_model("theirs", tmp_path / "models")
    assert path == tmp_path / "models/theirs.safetensors"
    with pytest.raises(BadOption, match="there is a model 'theirs' already"):
        import_file(tmp_path / "released.pth", "theirs", tmp_path / "models")
    assert (net.config.name, net.config.tuning, len(net.config.classes)) == ("theirs", tuning, 6)
    expected = import_released(case.state_dict)
    for a, b in zip(net.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_file_without_tensors_by_name_and_a_path_as_a_name_are_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    with pytest.raises(BadCheckpoint, match="holds a Tensor; expected tensors by name"):
        import_file(tmp_path / "tensor.pth", "theirs", tmp_path / "models")
    with pytest.raises(BadOption, match="is no name"):
        import_file(tmp_path / "tensor.pth", "../theirs", tmp_path / "models")


def test_a_damaged_base_is_refused(meta_file: Path, tmp_path: Path) -> None:
    base = import_base(meta_file, tmp_path)
    save_file({"a": torch.zeros(1)}, base_file(base.encoder, tmp_path))
    with pytest.raises(BadCheckpoint, match="install it again"):
        installed_base(base.encoder, tmp_path)


def test_a_cut_file_of_the_released_code_installs_nothing(tmp_path: Path) -> None:
    torch.save(load_case("mmadapter_small").state_dict, tmp_path / "released.pth")
    content = (tmp_path / "released.pth").read_bytes()
    (tmp_path / "released.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadCheckpoint, match="no readable PyTorch checkpoint"):
        import_file(tmp_path / "released.pth", "theirs", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_model_without_a_base_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="names no base that it was trained on: save it whole"):
        save(MFNet(ModelConfig(encoder=TINY)), tmp_path / "a.safetensors", full=False)
    assert list(tmp_path.iterdir()) == []
