"""Our network computes what the paper's released code computes, weight for weight."""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden.cases import load_case
from numpy.typing import NDArray

from mfnet.model.errors import BadCheckpoint
from mfnet.model.network.encoder import stack_modalities
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.import_released import import_released

TOLERANCE = 1e-5
CASES = ("mmadapter_small", "mmlora_small")


def relative_l2(ours: torch.Tensor, golden: NDArray[np.float32]) -> float:
    difference = ours.double().numpy() - golden
    return float(np.linalg.norm(difference) / np.linalg.norm(golden))


@torch.no_grad()
def run(net: MFNet, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    features = net.encoder(stack_modalities([inputs["ortho"], inputs["ndsm"]]))
    return {"ortho": features[0], "ndsm": features[1], "logits": net(inputs)}


@pytest.mark.parametrize("name", CASES)
def test_features_and_logits_equal_the_released_codes(name: str) -> None:
    case = load_case(name)
    ours = run(import_released(case.state_dict), case.inputs)
    assert relative_l2(ours["ortho"][:, ::4], case.expected["features_ortho"]) < TOLERANCE
    assert relative_l2(ours["ndsm"][:, ::4], case.expected["features_ndsm"]) < TOLERANCE
    assert relative_l2(ours["logits"][:, :, ::16, ::16], case.expected["logits"]) < TOLERANCE
    assert relative_l2(ours["logits"].mean((2, 3)), case.expected["logits_mean"]) < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_the_whole_golden_file_agrees_too(name: str, shared: Path) -> None:
    case = load_case(name, shared / "golden" / f"{name}.npz")
    ours = run(import_released(case.state_dict), case.inputs)
    assert relative_l2(ours["ortho"], case.expected["features_ortho"]) < TOLERANCE
    assert relative_l2(ours["ndsm"], case.expected["features_ndsm"]) < TOLERANCE
    assert (
        relative_l2(ours["logits"][:, :, ::4, ::4], case.expected["logits_every_4th"]) < TOLERANCE
    )


def test_metas_names_of_the_relative_positions_import_too() -> None:
    case = load_case("mmadapter_small")
    renamed = {
        name.replace(".rel_h", ".rel_pos_h").replace(".rel_w", ".rel_pos_w"): tensor
        for name, tensor in case.state_dict.items()
    }
    a, b = import_released(case.state_dict), import_released(renamed)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_missing_and_unknown_tensors_are_named() -> None:
    case = load_case("mmadapter_small")
    lacking = dict(case.state_dict)
    del lacking["decoder.b3.norm1.weight"]
    with pytest.raises(BadCheckpoint, match=r"lacks 1 tensors: decoder\.block_16\.norm1\.weight"):
        import_released(lacking)
    with pytest.raises(BadCheckpoint, match=r"1 unknown tensors: stranger"):
        import_released(case.state_dict | {"stranger": torch.zeros(1)})
    with pytest.raises(BadCheckpoint, match="not a checkpoint of the released MFNet code"):
        import_released({"conv.weight": torch.zeros(1)})
    for needed in ("neck.0.weight", "patch_embed.proj.weight"):
        lacking = {k: v for k, v in case.state_dict.items() if k != f"image_encoder.{needed}"}
        with pytest.raises(BadCheckpoint, match=f"no tensor 'image_encoder.{needed}'"):
            import_released(lacking)


def test_an_encoder_without_relative_positions_is_refused() -> None:
    tensors = load_case("mmadapter_small").state_dict
    bare = {k: v for k, v in tensors.items() if not k.endswith((".rel_h", ".rel_w"))}
    with pytest.raises(BadCheckpoint, match="expected one size of window"):
        import_released(bare)
