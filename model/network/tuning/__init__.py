"""How a frozen transformer block is fine-tuned: one file a mechanism.

A mechanism is a subclass of `BlockTuning`; to add one, write its file and name it in `TUNINGS`.
"""

from model.network.tuning.base import BlockTuning
from model.network.tuning.mmadapter import MMAdapter

TUNINGS: dict[str, type[BlockTuning]] = {
    "none": BlockTuning,
    "mmadapter": MMAdapter,
}

__all__ = ["TUNINGS", "BlockTuning"]
