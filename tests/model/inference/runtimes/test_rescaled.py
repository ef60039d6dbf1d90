"""Rasters of other pixel sizes, brought to the network's by factors of two."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.inference.arrays.device import DeviceArrays
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.arrays.interface import Array
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.rescaled import (
    RescaledRuntime,
    at_its_size,
    doubled,
    halved,
)
from mfnet.model.inference.segment import segment
from mfnet.training.synthetic.town import draw_town, write_town

CONFIG = ModelConfig(encoder=ENCODERS["small"], gsd_m=0.2, rescale=True)


class Identity:
    """Six classes out of the orthophoto's three bands, and the sizes that it was asked for."""

    name, device, precision, batch_size, fingerprint = "identity", "cpu", "fp32", 4, "f"

    def __init__(self, config: ModelConfig = CONFIG, arrays: object = None) -> None:
        self.config = config
        self.arrays = arrays or HostArrays()
        self.conditions: Mapping[str, str | int] = {}
        self.sides: set[int] = set()

    def at(self, gsd_m: float | None) -> Runtime:
        return at_its_size(self, gsd_m)

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        self.sides.add(inputs["ortho"].shape[-1])
        return inputs["ortho"][:, [0, 1, 2, 0, 1, 2]]


@pytest.mark.parametrize(
    ("gsd_m", "halvings"),
    [(0.2, 0), (0.25, 0), (0.15, 0), (0.1, 1), (0.12, 1), (0.05, 2), (0.4, -1), (0.5, -1),
     (1.0, -2), (0.001, 3), (30.0, -3), (None, 0)],
)  # fmt: skip
def test_the_nearest_factor_of_two_is_taken(gsd_m: float | None, halvings: int) -> None:
    assert CONFIG.halvings(gsd_m) == halvings
    assert CONFIG.model_copy(update={"rescale": False}).halvings(gsd_m) == 0


def test_a_batch_of_finer_rasters_is_no_larger_in_pixels() -> None:
    assert [at_its_size(Identity(), gsd_m).batch_size for gsd_m in (0.4, 0.1, 0.05)] == [4, 1, 1]


def test_a_model_that_does_not_ask_for_it_is_left_alone() -> None:
    plain = Identity(CONFIG.model_copy(update={"rescale": False}))
    assert at_its_size(plain, 0.05) is plain
    assert at_its_size(Identity(), 0.05).config.window_px == 1024
    assert at_its_size(Identity(), 0.4).config.window_px == 128


@pytest.mark.parametrize("halvings", [-2, -1, 1, 2])
def test_the_network_sees_windows_of_its_own_size_and_the_map_has_the_rasters(
    halvings: int,
) -> None:
    runtime = RescaledRuntime(inner := Identity(), 0.2 / 2**halvings)
    side = runtime.config.window_px
    logits = runtime({"ortho": np.random.default_rng(0).random((2, 3, side, side), np.float32)})
    assert logits.shape == (2, 6, side, side)
    assert inner.sides == {256}


def test_halving_is_the_mean_and_doubling_is_torchs_bilinear() -> None:
    x = np.random.default_rng(1).random((2, 3, 16, 16), np.float32)
    mean = x.reshape(2, 3, 8, 2, 8, 2).mean((3, 5), dtype=np.float64)
    np.testing.assert_allclose(halved(x), mean, rtol=1e-6)
    wide = torch.nn.functional.interpolate(
        torch.from_numpy(x), scale_factor=2, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(doubled(x, HostArrays()), wide.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("gsd_m", "side"), [(0.4, 128), (0.1, 512)])
def test_tensors_are_scaled_as_numpys_arrays_are(gsd_m: float, side: int) -> None:
    x = np.random.default_rng(2).random((1, 3, side, side), np.float32)
    of_tensors = RescaledRuntime(Identity(arrays=DeviceArrays(torch.device("cpu"))), gsd_m)
    ours = RescaledRuntime(Identity(), gsd_m)({"ortho": x})
    theirs = of_tensors({"ortho": torch.from_numpy(x)})
    np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("gsd_m", [0.05, 0.1, 0.4])
def test_a_map_lies_on_the_orthophotos_grid(gsd_m: float, tmp_path: Path) -> None:
    """With the identity for a network, each pixel's class is its brightest band, save at edges."""
    write_town(tmp_path, draw_town(5, 300, gsd_m))
    segment(tmp_path / "ortho.tif", tmp_path / "ndsm.tif", Identity(), tmp_path / "classes.tif")
    with (
        rasterio.open(tmp_path / "ortho.tif") as ortho,
        rasterio.open(tmp_path / "classes.tif") as raster,
    ):
        assert raster.transform == ortho.transform
        classes: NDArray[np.uint8] = raster.read(1)
        brightest = ortho.read().astype(float)
    runner_up, best = np.sort(brightest, axis=0)[-2:]
    sure = best - runner_up > 25
    assert (classes == brightest.argmax(0))[sure].mean() > 0.9
