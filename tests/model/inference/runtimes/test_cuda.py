"""What a GPU computes: the authors' numbers, the processor's classes, the same bytes twice.

Skipped where there is no GPU; `make gpu-check` runs them.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden.cases import load_case
from numpy.typing import NDArray

from mfnet.model.errors import NonFiniteLogits
from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import load_model
from mfnet.model.weights.import_released import import_released
from mfnet.training.synthetic.town import draw_town, write_town

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]

TOLERANCE = {"fp32": 1e-5, "bf16": 5e-2}
SIDE_PX = 700


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    write_town(folder, draw_town(500_001, SIDE_PX))
    return folder


@pytest.fixture(scope="module")
def net() -> MFNet:
    return load_model("town-small")


def mapped(net: MFNet, town: Path, out: Path, device: str, precision: str, batch: int) -> bytes:
    runtime = TorchRuntime(net, device, precision)
    options = SegmentOptions(device=device, precision=precision, batch_size=batch)
    segment(town / "ortho.tif", town / "ndsm.tif", runtime, out, options=options)
    return out.read_bytes()


def classes(content: bytes) -> NDArray[np.uint8]:
    import rasterio

    with rasterio.MemoryFile(content) as memory, memory.open() as raster:
        read: NDArray[np.uint8] = raster.read(1)
    return read


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", ["mmadapter_small", "mmlora_small"])
def test_golden_numbers(name: str, precision: str) -> None:
    case = load_case(name)
    runtime = TorchRuntime(import_released(case.state_dict), "cuda", precision)
    ours = runtime.logits({name: image.cuda() for name, image in case.inputs.items()})
    expected = case.expected["logits"]
    difference = ours[:, :, ::16, ::16].double().cpu().numpy() - expected
    assert np.linalg.norm(difference) < TOLERANCE[precision] * np.linalg.norm(expected)


def test_in_fp32_it_gives_the_processors_classes(net: MFNet, town: Path, tmp_path: Path) -> None:
    one = classes(mapped(net, town, tmp_path / "a.tif", "cuda", "fp32", 16))
    other = classes(mapped(net, town, tmp_path / "b.tif", "cpu", "fp32", 16))
    assert (one == other).mean() >= 0.9999


def test_in_bf16_nearly_all_of_them(net: MFNet, town: Path, tmp_path: Path) -> None:
    one = classes(mapped(net, town, tmp_path / "a.tif", "cuda", "bf16", 16))
    other = classes(mapped(net, town, tmp_path / "b.tif", "cuda", "fp32", 16))
    assert (one == other).mean() >= 0.995


def test_the_same_run_gives_the_same_bytes(net: MFNet, town: Path, tmp_path: Path) -> None:
    runs = [mapped(net, town, tmp_path / f"{n}.tif", "cuda", "bf16", 16) for n in range(2)]
    assert runs[0] == runs[1]


def test_what_is_not_finite_is_refused(net: MFNet) -> None:
    runtime = TorchRuntime(net, "cuda", "bf16")
    window = {m.name: torch.full((1, m.bands, 256, 256), torch.nan) for m in net.config.modalities}
    with pytest.raises(NonFiniteLogits):
        runtime({name: image.cuda() for name, image in window.items()})
