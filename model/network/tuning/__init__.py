"""How a frozen transformer block is fine-tuned: one file a mechanism.

A mechanism is a subclass of `BlockTuning`; to add one, write its file and name it in `TUNINGS`.
"""

from mfnet.model.network.tuning.adapter import Adapter
from mfnet.model.network.tuning.base import BlockTuning
from mfnet.model.network.tuning.lora import LoRA
from mfnet.model.network.tuning.mmadapter import MMAdapter
from mfnet.model.network.tuning.mmdora import MMDoRA
from mfnet.model.network.tuning.mmlora import MMLoRA

TUNINGS: dict[str, type[BlockTuning]] = {
    "none": BlockTuning,
    "adapter": Adapter,
    "mmadapter": MMAdapter,
    "lora": LoRA,
    "mmlora": MMLoRA,
    "mmdora": MMDoRA,
}

__all__ = ["TUNINGS", "BlockTuning"]
