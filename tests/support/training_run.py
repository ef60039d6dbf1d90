"""A training run of its own, for tests that kill it or run several: python … OUT KEY=VALUE…"""

import sys
from pathlib import Path

import torch
from small_runs import TINY, TOML, held_out_pool, training_pool

from mfnet.model.classes import ISPRS
from mfnet.model.config import ENCODERS
from mfnet.training.config.recipe import parse_recipe
from mfnet.training.trainer.distributed import joined
from mfnet.training.trainer.initial_weights import find_origin
from mfnet.training.trainer.loop import STATE, train
from mfnet.training.trainer.resume_checkpoint import load_state
from mfnet.training.trainer.run_state import start


def main() -> None:
    out, changes = Path(sys.argv[1]), sys.argv[2:]
    torch.set_num_threads(1)
    ENCODERS["tiny"] = TINY
    recipe = parse_recipe(TOML, changes)
    with joined("cpu") as processes:
        run = start(recipe, ISPRS, find_origin(recipe), processes)
        if (out / STATE).is_file():
            load_state(run, out / STATE)
        train(run, training_pool(), held_out_pool(), out)


if __name__ == "__main__":
    main()
