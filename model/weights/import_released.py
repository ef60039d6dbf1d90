"""Checkpoints of the paper's released code (github.com/sstary/SSRS, folder MFNet) become ours.

Encoder, mechanism and classes are read from the tensors alone: the files hold nothing else.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mfnet.model.classes import ISPRS, MMHUNAN, ClassScheme, scheme_of
from mfnet.model.config import NDSM, ORTHO, EncoderConfig, ModelConfig
from mfnet.model.errors import BadCheckpoint, BadOption
from mfnet.model.network.mfnet import MFNet

# Released name → ours, in the order tried; groups are filled in. Modality x is the orthophoto (0),
# y the height (1).
_NAMES: tuple[tuple[str, str], ...] = (
    (r"image_encoder\.(.*\.attn)\.rel(?:_pos)?_([hw])", r"encoder.vit.\1.rel_pos_\2"),
    (
        r"image_encoder\.blocks\.(\d+)\.Img_Adapter\.(.*)",
        r"encoder.tuning.\1.attention_adapters.0.\2",
    ),
    (
        r"image_encoder\.blocks\.(\d+)\.DSM_Adapter\.(.*)",
        r"encoder.tuning.\1.attention_adapters.1.\2",
    ),
    (r"image_encoder\.blocks\.(\d+)\.MLPx_Adapter\.(.*)", r"encoder.tuning.\1.mlp_adapters.0.\2"),
    (r"image_encoder\.blocks\.(\d+)\.MLPy_Adapter\.(.*)", r"encoder.tuning.\1.mlp_adapters.1.\2"),
    (r"image_encoder\.(.*)", r"encoder.vit.\1"),
    (r"fpn1x\.1\.ln\.(.*)", r"fusion.pyramids.0.quarter.1.\1"),
    (r"fpn1x\.(.*)", r"fusion.pyramids.0.quarter.\1"),
    (r"fpn2x\.0\.(.*)", r"fusion.pyramids.0.eighth.\1"),
    (r"fpn1y\.(.*)", r"fusion.pyramids.1.quarter.\1"),
    (r"fpn2y\.0\.(.*)", r"fusion.pyramids.1.eighth.\1"),
    (r"fusion1\.(.*)", r"fusion.levels.0.\1"),
    (r"fusion2\.(.*)", r"fusion.levels.1.\1"),
    (r"fusion3\.(.*)", r"fusion.levels.2.\1"),
    (r"fusion4\.(.*)", r"fusion.levels.3.\1"),
    (r"decoder\.pre_conv\.(.*)", r"decoder.enter.\1"),
    (r"decoder\.b4\.(.*)", r"decoder.block_32.\1"),
    (r"decoder\.b3\.(.*)", r"decoder.block_16.\1"),
    (r"decoder\.b2\.(.*)", r"decoder.block_8.\1"),
    (r"decoder\.p3\.(.*)", r"decoder.merge_16.\1"),
    (r"decoder\.p2\.(.*)", r"decoder.merge_8.\1"),
    (r"decoder\.p1\.(weights|pre_conv\..*|post_conv\..*)", r"decoder.merge_4.\1"),
    (r"decoder\.p1\.pa\.(.*)", r"decoder.refine.spatial_gate.\1"),
    (r"decoder\.p1\.ca\.1\.0\.(.*)", r"decoder.refine.channel_gate.0.\1"),
    (r"decoder\.p1\.ca\.3\.0\.(.*)", r"decoder.refine.channel_gate.2.\1"),
    (r"decoder\.p1\.shortcut\.(.*)", r"decoder.refine.shortcut.\1"),
    (r"decoder\.p1\.proj\.(.*)", r"decoder.refine.project.\1"),
    (r"decoder\.segmentation_head\.0\.(.*)", r"decoder.head.0.\1"),
    (r"decoder\.segmentation_head\.2\.0\.(.*)", r"decoder.head.3.\1"),
)

# What one modality's tensor becomes together with the other's: the group `x` of the name is `y`
# there. Rows of `qkv.lora_A` and `qkv.lora_B` are those of q above those of v.
_BLOCK = r"image_encoder\.blocks\.(\d+)\."
_PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"w(?P<x>x)_Adapter", ("mixing.weights",)),
    (r"mlp\.lin1\.lora_w(?P<x>x)", ("mixing1.weights",)),
    (r"mlp\.lin2\.lora_w(?P<x>x)", ("mixing2.weights",)),
    (r"mlp\.lin1\.lora_A(?P<x>x)", ("lin1.A_MrI",)),
    (r"mlp\.lin1\.lora_B(?P<x>x)", ("lin1.B_MOr",)),
    (r"mlp\.lin2\.lora_A(?P<x>x)", ("lin2.A_MrI",)),
    (r"mlp\.lin2\.lora_B(?P<x>x)", ("lin2.B_MOr",)),
    (r"attn\.qkv\.lora_A(?P<x>x)", ("q.A_MrI", "v.A_MrI")),
    (r"attn\.qkv\.lora_B(?P<x>x)", ("q.B_MOr", "v.B_MOr")),
)

# Parts of a name that are renamed wherever they occur, once the room is known.
_PARTS: tuple[tuple[str, str], ...] = (
    (r"\.D_fc1\.", ".down."),
    (r"\.D_fc2\.", ".up."),
    (r"\.se_rgb\.fc\.", ".excitations.0.weigh."),
    (r"\.se_depth\.fc\.", ".excitations.1.weigh."),
    (r"^(decoder\.merge_\d+)\.weights$", r"\1.shares"),
    (r"^(decoder\.merge_\d+)\.pre_conv\.0\.", r"\1.project."),
    (r"^(decoder\.merge_\d+)\.post_conv\.(\d)\.", r"\1.smooth.0.\2."),
    (r"\.attn\.relative_position_bias_table$", ".attention.bias_table"),
    (r"^(decoder\..*)\.attn\.qkv\.0\.", r"\1.attention.qkv."),
    (r"^(decoder\..*)\.attn\.local1\.", r"\1.attention.local_3."),
    (r"^(decoder\..*)\.attn\.local2\.", r"\1.attention.local_1."),
    (r"^(decoder\..*)\.attn\.proj\.", r"\1.attention.project."),
    (r"^(decoder\..*)\.mlp\.fc1\.", r"\1.mlp.0."),
    (r"^(decoder\..*)\.mlp\.fc2\.", r"\1.mlp.2."),
)

# Copies of the encoder and parts of SAM that the released network never runs; buffers we derive.
_DROPPED = re.compile(r"sam\.|.*\.relative_position_index$|.*\.num_batches_tracked$")

_SCHEMES: dict[int, ClassScheme] = {len(scheme): scheme for scheme in (ISPRS, MMHUNAN)}
"""Of the paper's data sets, by the number of classes."""


def import_released(
    state_dict: Mapping[str, Tensor],
    name: str = "imported",
    classes: ClassScheme | None = None,
) -> MFNet:
    """Makes our network of a state dict of the released code.

    Args:
        state_dict: Tensors by the released names; relative positions as `rel_h` or `rel_pos_h`.
        name: What the model is called from now on.
        classes: What its outputs mean. Not given, six and seven are those of the paper's data sets,
            and others are called `class_0`, `class_1`, …

    Returns:
        The network in evaluation mode.

    Raises:
        BadOption: Other numbers of classes are given and found.
        BadCheckpoint: Names are missing or unknown (they are listed), or the shapes fit no encoder.
    """
    released = {k: v for k, v in state_dict.items() if not _DROPPED.match(k)}
    try:
        net = MFNet(_config(released, name, classes))
    except KeyError as error:
        raise BadCheckpoint(
            f"no tensor {error}: not a checkpoint of the released MFNet code"
        ) from None
    ours = {_rename(name): tensor for name, tensor in _stack_modalities(released).items()}
    expected = {k for k in net.state_dict() if not k.endswith("num_batches_tracked")}
    if missing := expected - ours.keys():
        raise BadCheckpoint(f"the checkpoint lacks {len(missing)} tensors: {_some(missing)}")
    if unknown := ours.keys() - expected:
        raise BadCheckpoint(f"the checkpoint has {len(unknown)} unknown tensors: {_some(unknown)}")
    try:
        net.load_state_dict(ours, strict=False)
    except RuntimeError as error:
        raise BadCheckpoint(f"the checkpoint's tensors do not fit: {str(error)[:300]}") from error
    return net.eval()


def _config(released: Mapping[str, Tensor], name: str, scheme: ClassScheme | None) -> ModelConfig:
    """The model's shape, read from the tensors'; KeyError where one is missing."""
    grid, embed_dim = released["image_encoder.pos_embed"].shape[2:]
    classes = released["decoder.segmentation_head.2.0.weight"].shape[0]
    channels = released["decoder.pre_conv.0.weight"].shape[0]
    return ModelConfig(
        name=name,
        encoder=_encoder(released, embed_dim, grid),
        tuning=_tuning(released),
        modalities=(ORTHO, NDSM),
        classes=_scheme(classes, scheme),
        decode_channels=channels,
    )


def _encoder(released: Mapping[str, Tensor], embed_dim: int, grid: int) -> EncoderConfig:
    """Depth by counting blocks; a block is global where its positions span the whole grid."""
    spans = {
        int(match[1]): tensor.shape
        for name, tensor in released.items()
        if (match := re.match(r"image_encoder\.blocks\.(\d+)\.attn\.rel(?:_pos)?_h$", name))
    }
    windows = {(span[0] + 1) // 2 for span in spans.values()} - {grid}
    if len(windows) != 1:
        raise BadCheckpoint(
            f"relative positions of windows of {sorted(windows)} tokens in {len(spans)} blocks; "
            "expected one size of window, and the grid's in the global blocks"
        )
    return EncoderConfig(
        embed_dim=embed_dim,
        depth=len(spans),
        num_heads=embed_dim // spans[0][1],
        global_attn_indexes=tuple(i for i, s in sorted(spans.items()) if s[0] == 2 * grid - 1),
        window_size=windows.pop(),
        patch_size=math.isqrt(released["image_encoder.patch_embed.proj.weight"][0, 0].numel()),
        grid=grid,
        out_chans=released["image_encoder.neck.0.weight"].shape[0],
    )


def _scheme(classes: int, told: ClassScheme | None) -> ClassScheme:
    if told is not None and len(told) != classes:
        raise BadOption(
            f"the checkpoint has {classes} classes; {len(told)} are named: {', '.join(told.names)}"
        )
    unnamed = scheme_of([f"class_{value}" for value in range(classes)], "unnamed")
    return told or _SCHEMES.get(classes) or unnamed


def _tuning(released: Mapping[str, Tensor]) -> str:
    """The mechanism, by the names that only it uses."""
    for mark, tuning in ((".wx_Adapter", "mmadapter"), (".lora_wx", "mmlora")):
        if any(name.endswith(mark) for name in released):
            return tuning
    raise BadCheckpoint("no MMAdapter and no MMLoRA among the tensors: unknown fine-tuning")


def _stack_modalities(released: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Puts together what the released code keeps apart for x and y, after `_PAIRS`."""
    stacked = dict(released)
    for name in released:
        for pattern, targets in _PAIRS:
            if match := re.fullmatch(_BLOCK + pattern, name):
                of_y = name[: match.start("x")] + "y" + name[match.end("x") :]
                if of_y not in released:
                    raise BadCheckpoint(f"the checkpoint has {name} and lacks {of_y}")
                pair = torch.stack([stacked.pop(name), stacked.pop(of_y)])
                parts = pair.chunk(len(targets), dim=1)
                for target, part in zip(targets, parts, strict=True):
                    stacked[match.expand(r"encoder.tuning.\1.") + target] = part
    return stacked


def _rename(name: str) -> str:
    """Our name for a released one; an unknown name stays as it is."""
    for pattern, ours in _NAMES:
        if match := re.fullmatch(pattern, name):
            name = match.expand(ours)
            break
    for pattern, ours in _PARTS:
        name = re.sub(pattern, ours, name)
    return name


def _some(names: set[str]) -> str:
    """The first few names, for a message."""
    return ", ".join(sorted(names)[:5]) + (" …" if len(names) > 5 else "")
