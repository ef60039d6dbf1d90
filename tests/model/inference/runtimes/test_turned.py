"""The mean of a window's mirrored and turned views."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray

from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.model.errors import BadOption
from mfnet.model.inference.arrays.device import DeviceArrays
from mfnet.model.inference.arrays.host import HostArrays
from mfnet.model.inference.arrays.interface import Array
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.turned import TurnedRuntime, turned
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.inference.verify import Provenance, verify
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.training.synthetic.town import draw_town, write_town

SIDE = 8


class Ramp:
    """Weighs the pixels of a window by where they lie, so that each view gives other logits."""

    name, device, precision, batch_size, fingerprint = "ramp", "cpu", "fp32", 4, "f"
    config = ModelConfig(encoder=ENCODERS["small"])
    conditions: Mapping[str, str | int] = {"made": "here"}

    def __init__(self, arrays: HostArrays | DeviceArrays) -> None:
        self.arrays = arrays
        weights = np.random.default_rng(1).random((SIDE, SIDE), dtype=np.float32)
        self._weights = arrays.constant(weights)

    def at(self, gsd_m: float | None) -> Runtime:
        return self

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        return inputs["ortho"] * self._weights + inputs["ndsm"]


def window() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(2)
    return {
        "ortho": rng.random((2, 3, SIDE, SIDE), dtype=np.float32),
        "ndsm": rng.random((2, 1, SIDE, SIDE), dtype=np.float32),
    }


@pytest.mark.parametrize(("augmentation", "views"), [("flips", 4), ("turns", 8)])
def test_views_are_averaged_each_turned_back(augmentation: str, views: int) -> None:
    weights = np.random.default_rng(1).random((SIDE, SIDE), dtype=np.float32).astype(np.float64)
    around = [weights, weights[::-1], weights[:, ::-1], weights[::-1, ::-1]]
    around += [each.T for each in around]
    expected = window()["ortho"] * np.mean(around[:views], axis=0) + window()["ndsm"]
    found = TurnedRuntime(Ramp(HostArrays()), augmentation)(window())
    assert np.allclose(found, expected, rtol=1e-6)


def test_arrays_of_the_host_and_of_a_device_give_the_same_bits() -> None:
    device = DeviceArrays(torch.device("cpu"))
    here = TurnedRuntime(Ramp(HostArrays()), "turns")(window())
    tensors = {name: torch.from_numpy(values) for name, values in window().items()}
    there = TurnedRuntime(Ramp(device), "turns")(tensors)
    assert np.array_equal(here, there.numpy())


def test_one_view_is_the_runtime_itself_and_an_unknown_word_is_refused() -> None:
    ramp = Ramp(HostArrays())
    assert turned(ramp, "none") is ramp
    with pytest.raises(BadOption, match="'spin'; there are: none, flips, turns"):
        turned(ramp, "spin")


def test_a_map_of_many_views_says_so_and_can_be_verified(tmp_path: Path) -> None:
    write_town(tmp_path, draw_town(3, 256))
    inputs = tmp_path / "ortho.tif", tmp_path / "ndsm.tif"
    out = tmp_path / "classes.tif"
    options = SegmentOptions(device="cpu", tta="flips")
    segment(*inputs, open_runtime("town-small", options=options), out, options=options)
    with rasterio.open(out) as raster:
        assert raster.tags()["MFNET_TTA"] == "flips"
        many = raster.read(1)
    made = Provenance.of(out)
    with RasterPair.open(*inputs, options=made.reading) as pair:
        again = verify(out, pair, open_runtime("town-small", options=made.options), made, bands=1)
    assert (again.pixels, again.differing) == (64 * 256, 0)
    segment(*inputs, open_runtime("town-small"), out)
    with rasterio.open(out) as raster:
        assert "MFNET_TTA" not in raster.tags()
        assert (raster.read(1) != many).any()
