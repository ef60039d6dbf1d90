"""The precision that a run computes in: what its recipe says, or what its device is fast in."""

from pathlib import Path

import torch

from mfnet.training.config.recipe import Recipe


def settle_precision(recipe: Recipe, device: torch.device) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with `fp32` or `bf16` in place of `auto`, and what to tell of its choice.

    A processor without instructions for bfloat16 multiplies in it 50 times slower than in float32
    (512 × 512, AMD EPYC with AVX2, torch 2.15): `auto` is `bf16` where the device has them alone.
    """
    wanted, fast = recipe.optimizer.precision, has_bf16(device)
    if wanted == "bf16" and not fast:
        return recipe, (
            "This processor has no instructions for bf16, and computes in it many times slower "
            "than in fp32: optimizer.precision = fp32, or auto, is faster here.",
        )
    if wanted != "auto":
        return recipe, ()
    settled = recipe.optimizer.model_copy(update={"precision": "bf16" if fast else "fp32"})
    return recipe.model_copy(update={"optimizer": settled}), ()


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16; of processors Linux is asked, elsewhere no."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
