"""Which samples a step takes, by which process, and that reading ahead keeps their order."""

import threading
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.config import NDSM, ORTHO, EncoderConfig, ModelConfig
from mfnet.training.config.optimizer_recipe import OptimizerRecipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.datasets.tiles.samples import Sample
from mfnet.training.trainer.batch_sampler import batches, in_order, own_parts, part_samples
from mfnet.training.trainer.distributed import Processes

CONFIG = ModelConfig(
    encoder=EncoderConfig(embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,)),
    modalities=(ORTHO, NDSM),
)


class NumberedPool(Pool):
    """Its k-th window says k."""

    def __init__(self) -> None:
        pass

    def sample(self, index: int, window_px: int, seed: int) -> Sample:
        truth = np.zeros((2, 2), np.uint8)
        ortho = np.full((3, 2, 2), index, np.float32)
        return Sample({"ortho": ortho, "ndsm": np.zeros((1, 2, 2), np.float32)}, truth, white=1.0)


def recipe(**values: Any) -> OptimizerRecipe:
    return OptimizerRecipe.model_validate({"steps": 3, **values})


def processes(rank: int, number: int) -> Processes:
    return Processes(torch.device("cpu"), rank, number)


@given(
    size=st.integers(1, 4),
    parts=st.integers(1, 6),
    sharing=st.integers(1, 3),
    steps=st.integers(1, 4),
)
def test_processes_and_parts_take_each_sample_once(
    size: int, parts: int, sharing: int, steps: int
) -> None:
    plan = recipe(batch_size=size * parts * sharing, accumulation=parts * sharing)
    taken = [
        number
        for step in range(steps)
        for rank in range(sharing)
        for part in own_parts(plan, processes(rank, sharing))
        for number in part_samples(step, part, plan)
    ]
    assert sorted(taken) == list(range(steps * plan.batch_size))


@pytest.mark.parametrize("first_step", [0, 2])
def test_a_process_reads_its_parts_from_the_step_that_it_begins_with(first_step: int) -> None:
    plan = recipe(batch_size=4, accumulation=2)
    read = [
        [part.inputs["ortho"][:, 0, 0, 0].tolist() for part in parts]
        for parts in batches(NumberedPool(), CONFIG, plan, processes(1, 2), first_step)
    ]
    assert read == [[[4 * step + 2, 4 * step + 3]] for step in range(first_step, 3)]


def test_what_is_made_ahead_comes_in_order() -> None:
    """The first item is made last: others overtake it, and wait."""
    second_is_made = threading.Event()

    def make(item: int) -> int:
        if item == 0:
            assert second_is_made.wait(timeout=30)
        second_is_made.set()
        return item * item

    made = in_order(make, count(), threads=2)
    assert [next(made) for _ in range(50)] == [item * item for item in range(50)]
    made.close()


def test_an_error_while_reading_comes_where_its_item_would() -> None:
    def make(item: int) -> int:
        return 1 // item

    made = in_order(make, [1, 0], threads=2)
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_twins_stand_behind_their_windows() -> None:
    plan = recipe(batch_size=2, steps=2, agreement=1.0)
    steps = list(batches(NumberedPool(), CONFIG, plan, processes(0, 1), 0))
    for step, (batch,) in enumerate(steps):
        assert batch.truth_BHW.shape == (4, 2, 2)
        whole, gappy = batch.inputs["ortho"].chunk(2)
        assert whole[:, 0, 0, 0].diff().item() > 0
        known = (batch.truth_BHW.chunk(2)[1] == 0)[:, None].expand_as(whole)
        assert torch.equal(gappy[known], whole[known]), step
