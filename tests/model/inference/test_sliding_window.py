"""The engine against the whole raster in float64, and what must hold for any raster."""

import threading
from collections.abc import Generator, Mapping
from itertools import pairwise

import numpy as np
import pytest
import torch
from engine.arrays import (
    AS_IT_IS,
    ArraySource,
    convolution,
    identity,
    random_source,
    run,
    whole_raster_logits,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mfnet.model.classes import NODATA
from mfnet.model.errors import BadOption, Cancelled, NonFiniteLogits
from mfnet.model.inference.arrays.device import DeviceArrays
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.arrays.interface import Array, Arrays
from mfnet.model.inference.blend import BLENDS, window_weights
from mfnet.model.inference.prefetch import ahead
from mfnet.model.inference.sliding_window import Sweep
from mfnet.model.inference.windows import WindowPlan
from mfnet.model.raster.pairs.normalize import Scaling

side = st.integers(1, 70)
strides = st.integers(3, 16)
blends = st.sampled_from(BLENDS)
batches = st.integers(1, 5)
seeds = st.integers(0, 2**16)
shares = st.sampled_from([0, 0.5, 0.99])  # of pixels without data


@settings(max_examples=60)
@given(side, side, strides, blends, batches, seeds)
def test_classes_are_the_oracles_wherever_it_is_sure(
    height: int, width: int, stride: int, blend: str, batch: int, seed: int
) -> None:
    source, predict = random_source(height, width, seed), convolution(5, seed)
    plan = WindowPlan(height, width, 16, stride)
    sweep = Sweep(plan, predict, AS_IT_IS, classes=5, blend=blend, batch_size=batch)
    logits = whole_raster_logits(source, predict, plan, 5, blend)
    runner_up, best = np.sort(logits, axis=0)[-2:]
    sure = best - runner_up > 1e-4
    assert (run(sweep, source) == logits.argmax(0))[sure].all()
    assert sure.mean() > 0.9 or sure.size < 50


@settings(max_examples=60)
@given(side, side, strides, blends, batches, seeds)
def test_the_identity_network_returns_its_input(
    height: int, width: int, stride: int, blend: str, batch: int, seed: int
) -> None:
    source = random_source(height, width, seed)
    classes = np.random.default_rng(seed).integers(0, 3, (height, width))
    source.ortho[:] = np.eye(3, dtype=np.float32)[:, classes]
    plan = WindowPlan(height, width, 16, stride)
    sweep = Sweep(plan, identity, AS_IT_IS, classes=3, blend=blend, batch_size=batch)
    np.testing.assert_array_equal(run(sweep, source), classes)


@settings(max_examples=40)
@given(side, side, strides, seeds, st.floats(0, 1))
def test_nodata_stays_nodata_and_changes_nothing_else(
    height: int, width: int, stride: int, seed: int, share: float
) -> None:
    source = random_source(height, width, seed)
    source.valid[:] = np.random.default_rng(seed).random((height, width)) >= share
    plan = WindowPlan(height, width, 16, stride)
    classes = run(Sweep(plan, identity, AS_IT_IS, classes=3), source)
    np.testing.assert_array_equal(classes == NODATA, ~source.valid)
    expected = source.ortho.argmax(0)
    np.testing.assert_array_equal(classes[source.valid], expected[source.valid])


def test_windows_without_data_are_not_run() -> None:
    source = random_source(64, 64, seed=1)
    source.valid[:, :48] = False
    calls: list[int] = []

    def count(inputs: Mapping[str, Array]) -> Array:
        calls.append(len(inputs["ortho"]))
        return inputs["ortho"]

    run(Sweep(WindowPlan(64, 64, 16, 16), count, AS_IT_IS, classes=3, batch_size=4), source)
    assert calls == [4] * 4  # one batch of the fixed shape for each row of windows


@pytest.mark.parametrize("blend", BLENDS)
def test_two_crops_agree_wherever_their_windows_coincide(blend: str) -> None:
    """Nothing of a class depends on what lies outside a pixel's windows."""
    source, predict, stride = random_source(96, 96, seed=5), convolution(4, 5), 8
    crop = ArraySource(source.ortho[:, 32:], source.ndsm[:, 32:], source.valid[32:])
    whole = run(Sweep(WindowPlan(96, 96, 16, stride), predict, AS_IT_IS, 4, blend), source)
    part = run(Sweep(WindowPlan(64, 96, 16, stride), predict, AS_IT_IS, 4, blend), crop)
    np.testing.assert_array_equal(whole[32 + 16 :], part[16:])


@settings(max_examples=60)
@given(
    side, side, strides, blends, batches, seeds, st.lists(st.integers(1, 69), max_size=3), shares
)
def test_parts_are_the_rows_of_the_whole(
    height: int,
    width: int,
    stride: int,
    blend: str,
    batch: int,
    seed: int,
    cuts: list[int],
    share: float,
) -> None:
    source, predict = random_source(height, width, seed), convolution(5, seed)
    source.valid[:] = np.random.default_rng(seed).random((height, width)) >= share
    plan = WindowPlan(height, width, 16, stride)
    whole = run(Sweep(plan, predict, AS_IT_IS, 5, blend, batch), source)
    bounds = [0, *sorted({cut for cut in cuts if cut < height}), height]
    for first, stop in pairwise(bounds):
        part = Sweep(plan.part(range(first, stop)), predict, AS_IT_IS, 5, blend, batch)
        np.testing.assert_array_equal(run(part, source), whole[first:stop])


@settings(max_examples=40)
@given(side, side, strides, blends, st.integers(2, 64), seeds, shares)
def test_the_batch_size_changes_no_class(
    height: int, width: int, stride: int, blend: str, batch: int, seed: int, share: float
) -> None:
    source, predict = random_source(height, width, seed), convolution(6, seed)
    source.valid[:] = np.random.default_rng(seed).random((height, width)) >= share
    plan = WindowPlan(height, width, 16, stride)
    one, many = (Sweep(plan, predict, AS_IT_IS, 6, blend, size) for size in (1, batch))
    np.testing.assert_array_equal(run(many, source), run(one, source))


def test_a_row_of_windows_is_cut_into_even_batches() -> None:
    """31 windows in batches of at most 10: four of eight, the last filled up by one window."""
    calls: list[tuple[int, int]] = []

    def count(inputs: Mapping[str, Array]) -> Array:
        calls.append(tuple(inputs["ortho"].shape[:2]))
        return inputs["ortho"]

    plan = WindowPlan(16, 16 * 31, 16, 16)
    run(Sweep(plan, count, AS_IT_IS, classes=3, batch_size=10), random_source(16, 16 * 31, seed=0))
    assert calls == [(8, 3)] * 4


BOTH_KINDS = (HostArrays(), DeviceArrays(torch.device("cpu")))
kinds = st.sampled_from(BOTH_KINDS)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), seeds, kinds)
def test_the_class_is_the_first_of_the_highest(
    k: int, height: int, width: int, seed: int, arrays: Arrays
) -> None:
    scores = np.random.default_rng(seed).integers(-3, 3, (k, height, width)).astype(np.float32)
    classes = arrays.download(arrays.highest(arrays.constant(scores)))()
    np.testing.assert_array_equal(classes, scores.argmax(0))


@settings(max_examples=40)
@given(side, side, strides, blends, batches, seeds, shares)
def test_tensors_give_the_map_that_numpys_arrays_give(
    height: int, width: int, stride: int, blend: str, batch: int, seed: int, share: float
) -> None:
    """One engine: with the identity for a network, every sum is the same to the last bit."""
    source = random_source(height, width, seed)
    source.valid[:] = np.random.default_rng(seed).random((height, width)) >= share
    scalings = {"ortho": Scaling(0.7, -0.2, (0.1, 0.2, 0.3)), "ndsm": Scaling(1, 0)}
    plan = WindowPlan(height, width, 16, stride)
    host, device = (
        list(Sweep(plan, identity, scalings, 3, blend, batch, arrays, confidence=True).run(source))
        for arrays in BOTH_KINDS
    )
    for one, other in zip(host, device, strict=True):
        np.testing.assert_array_equal(one.classes_hW, other.classes_hW)
        # The exponential is not rounded alike everywhere.
        percent = np.abs(one.confidence_hW.astype(int) - other.confidence_hW)
        assert percent.max(initial=0) <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_digital_numbers_are_scaled_as_the_model_says(dtype: str) -> None:
    """Read back what the network was given: normalised, and 0 where nothing is known."""
    random, seen = np.random.default_rng(0), []
    source = random_source(40, 50, seed=0)
    numbers = random.integers(0, 250, (3, 40, 50)).astype(dtype)
    valid = random.random((40, 50)) > 0.1

    def keep(inputs: Mapping[str, Array]) -> Array:
        seen.append(inputs["ortho"].copy())
        return inputs["ortho"]

    scalings = {"ortho": Scaling(0.01, -0.5), "ndsm": Scaling(1, 0)}
    plan = WindowPlan(40, 50, 10, 10)
    run(Sweep(plan, keep, scalings, 3, batch_size=5), ArraySource(numbers, source.ndsm, valid))
    rows = [np.concatenate(list(row), axis=2) for row in seen]
    expected = np.where(valid, numbers * np.float64(0.01) - 0.5, 0)
    np.testing.assert_allclose(np.concatenate(rows, axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.3, 2.5])
def test_confidence_is_the_softmax_of_the_mean_logits(temperature: float) -> None:
    source, predict = random_source(40, 40, seed=3), convolution(4, 3)
    source.valid[:5] = False
    plan = WindowPlan(40, 40, 16, 8)
    sweep = Sweep(
        plan, predict, AS_IT_IS, 4, blend="hann", confidence=True, temperature=temperature
    )
    bands = list(sweep.run(source))
    percent = np.concatenate([band.confidence_hW for band in bands])
    classes = np.concatenate([band.classes_hW for band in bands])
    assert (classes == run(Sweep(plan, predict, AS_IT_IS, 4), source)).all()
    masked = ArraySource(source.ortho * source.valid, source.ndsm * source.valid, source.valid)
    logits = whole_raster_logits(masked, predict, plan, 4, "hann")
    softmax = np.exp(logits / temperature) / np.exp(logits / temperature).sum(0)
    assert (percent[:5] == NODATA).all()
    assert np.abs(percent[5:] - 100 * softmax.max(0)[5:]).max() <= 0.5 + 1e-3


def test_progress_counts_to_the_number_of_windows_and_cancelling_stops_at_once() -> None:
    source, seen = random_source(64, 64, seed=2), []
    plan = WindowPlan(64, 64, 16, 8)

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    run(Sweep(plan, identity, AS_IT_IS, 3, progress=progress), source)
    assert seen[-1] == (len(plan), len(plan))
    assert seen == sorted(set(seen))

    stop = threading.Event()
    sweep = Sweep(
        plan, identity, AS_IT_IS, 3, progress=lambda *_: stop.set(), cancelled=stop.is_set
    )
    with pytest.raises(Cancelled):
        run(sweep, source)


def test_logits_that_are_not_finite_fail_naming_the_windows() -> None:
    def broken(inputs: Mapping[str, Array]) -> Array:
        raise NonFiniteLogits("the network returned NaN or Inf in float32")

    with pytest.raises(
        NonFiniteLogits, match="NaN or Inf in float32 in one of the windows at row 0"
    ):
        run(Sweep(WindowPlan(32, 32, 16, 16), broken, AS_IT_IS, 3), random_source(32, 32, seed=0))


def test_no_blend_is_zero_anywhere() -> None:
    for blend in BLENDS:
        assert window_weights(blend, 256).min() > 0
    with pytest.raises(BadOption, match="no blend 'max'; there are: mean, hann"):
        window_weights("max", 256)


def test_ahead_keeps_order_and_closes_what_it_was_given() -> None:
    closed = threading.Event()

    def numbers() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            closed.set()

    assert list(ahead(n for n in range(10))) == list(range(10))
    for number in ahead(numbers()):
        if number == 3:
            break
    assert closed.wait(timeout=10)


def test_ahead_hands_on_what_its_stage_raises() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise OSError("disk gone")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(items)


@pytest.mark.parametrize("arrays", BOTH_KINDS)
def test_what_goes_up_comes_down(arrays: Arrays) -> None:
    numbers = np.arange(12, dtype=np.uint16).reshape(3, 4)
    upload = arrays.upload({"ortho": numbers})
    np.testing.assert_array_equal(arrays.download(upload.wait()["ortho"])(), numbers)
