"""OpenVINO against torch, and what must not change a byte."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from mfnet.model.errors import BadOption, MissingExtra, NonFiniteLogits
from mfnet.model.inference.runtimes import choose, openvino_runtime
from mfnet.model.inference.runtimes.choose import open_runtime
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.runtimes.openvino_runtime import OpenVinoRuntime
from mfnet.model.inference.segment import segment
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.training.synthetic.town import draw_town, write_town

MODEL = "town-small"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compiled networks of this module alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(choose.CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("town")
    write_town(folder, draw_town(500_003, 448))
    return folder / "ortho.tif", folder / "ndsm.tif"


def mapped(
    pair: tuple[Path, Path], runtime: Runtime, out: Path, options: SegmentOptions | None = None
) -> NDArray[np.uint8]:
    segment(*pair, runtime, out, options=options)
    with rasterio.open(out) as classes:
        values: NDArray[np.uint8] = classes.read(1)
    return values


def windows(count: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    return {
        "ortho": rng.random((count, 3, 256, 256), dtype=np.float32),
        "ndsm": rng.random((count, 1, 256, 256), dtype=np.float32),
    }


def test_it_is_chosen_for_an_exported_model_on_a_processor() -> None:
    assert open_runtime(MODEL, options=SegmentOptions(device="cpu")).name == "openvino"


def test_logits_are_torchs_to_1e5() -> None:
    given = windows(2)
    ours, torchs = (
        open_runtime(MODEL, options=SegmentOptions(device="cpu", runtime=name))(given)
        for name in ("openvino", "torch")
    )
    assert np.abs(ours - torchs).max() < 1e-4 * np.abs(torchs).max()


def test_a_town_gets_the_classes_that_torch_gives(town: tuple[Path, Path], tmp_path: Path) -> None:
    maps = [
        mapped(town, open_runtime(MODEL, options=SegmentOptions(device="cpu", runtime=name)), out)
        for name, out in (("openvino", tmp_path / "a.tif"), ("torch", tmp_path / "b.tif"))
    ]
    assert (maps[0] == maps[1]).mean() >= 0.9999


def test_neither_batch_nor_neighbours_change_a_byte(town: tuple[Path, Path]) -> None:
    runtime, given = open_runtime(MODEL, options=SegmentOptions(device="cpu")), windows(5)
    together = runtime(given)
    for number in range(5):
        alone = runtime({name: values[number : number + 1] for name, values in given.items()})
        np.testing.assert_array_equal(alone[0], together[number])


def test_a_window_that_is_not_finite_in_bf16_is_computed_in_fp32_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without instructions for bf16 OpenVINO computes in float32: what is asked here is the same.
    monkeypatch.setattr(openvino_runtime, "_has_bf16", lambda core: True)
    bf16, fp32 = (
        open_runtime(MODEL, options=SegmentOptions(device="cpu", precision=precision))
        for precision in ("bf16", "fp32")
    )
    given = windows(3)
    before, exact = bf16(given), fp32(given)
    computed = OpenVinoRuntime._computed

    def overflowing(
        runtime: OpenVinoRuntime, inputs: dict[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        logits = computed(runtime, inputs)
        if runtime.precision == "bf16":
            logits[1, 0, 7] = np.inf
        return logits

    monkeypatch.setattr(OpenVinoRuntime, "_computed", overflowing)
    after = bf16(given)
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    np.testing.assert_array_equal(after[1], exact[1])


def test_bf16_is_refused_where_there_are_no_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenVINO takes float32 without a word, and the map would say what is not so."""
    monkeypatch.setattr(openvino_runtime, "_has_bf16", lambda core: False)
    with pytest.raises(BadOption, match=r"no instructions for bf16.*--precision fp32"):
        open_runtime(MODEL, options=SegmentOptions(device="cpu", precision="bf16"))


def test_what_is_not_finite_in_fp32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = np.full((1, 6, 256, 256), np.nan, np.float32)
    monkeypatch.setattr(OpenVinoRuntime, "_computed", lambda runtime, inputs: nan)
    with pytest.raises(NonFiniteLogits, match="float32"):
        open_runtime(MODEL, options=SegmentOptions(device="cpu"))(windows(1))


def test_compiled_networks_are_kept_whoever_writes_them(tmp_path: Path) -> None:
    """Three first starts at once; then a file that a full disk cut off."""
    program = f"""
import numpy as np
from mfnet.model.inference.runtimes.choose import open_runtime
runtime = open_runtime({MODEL!r})
window = {{"ortho": np.ones((1, 3, 256, 256), "f4"), "ndsm": np.ones((1, 1, 256, 256), "f4")}}
print(runtime(window).sum(dtype="f8"))
"""
    command = [sys.executable, "-P", "-c", program]
    environment = {**os.environ, choose.CACHE_VARIABLE: str(tmp_path)}
    pipe = subprocess.PIPE
    starts = [subprocess.Popen(command, env=environment, stdout=pipe) for _ in range(3)]
    told = {start.communicate()[0] for start in starts}
    (kept,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.truncate(kept, kept.stat().st_size // 2)
    told.add(subprocess.run(command, env=environment, stdout=pipe, check=True).stdout)
    assert len(told) == 1
    assert float(told.pop())


def test_a_map_is_made_without_torch(town: tuple[Path, Path], tmp_path: Path) -> None:
    """The whole way from the shell's command; so is what a machine without torch does."""
    program = f"""
import sys
from mfnet.model.cli.main import main
sys.argv = ["mfnet", "predict", {str(town[0])!r}, {str(town[1])!r}, "-o", "classes.tif"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = [m for m in ("torch", "torchvision", "segment_anything", "safetensors") if m in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "classes.tif").is_file()


def test_openvino_tells_nobody_that_it_runs(tmp_path: Path) -> None:
    """Its package connects to a statistics server on import, from a process that it forks."""
    program = f"""
import os, sys
seen = []
watched = ("socket.connect", "socket.getaddrinfo", "os.fork", "os.posix_spawn", "subprocess.Popen")
sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)
from mfnet.model.inference.runtimes.choose import open_runtime
assert open_runtime({MODEL!r}).name == "openvino"
assert not any(name.startswith("openvino_telemetry.") for name in sys.modules)
assert seen == [], seen
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()


@pytest.mark.parametrize(
    ("options", "missing", "word"),
    [
        ({"runtime": "torch"}, "torch", "mfnet\\[train\\]"),
        ({"runtime": "openvino"}, "openvino", "pip install openvino"),
    ],
)
def test_what_is_not_installed_is_named(
    options: dict[str, str], missing: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_installed", lambda module: module != missing)
    with pytest.raises(MissingExtra, match=word):
        open_runtime(MODEL, options=SegmentOptions(**options))


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ({"runtime": "tensorflow"}, "no runtime 'tensorflow'"),
        ({"device": "tpu"}, "no device 'tpu'"),
        ({"precision": "fp8"}, "no precision 'fp8'"),
        ({"runtime": "openvino", "device": "cuda"}, "runs on the processor"),
    ],
)
def test_unknown_options_are_refused(option: dict[str, str], word: str) -> None:
    with pytest.raises(BadOption, match=word):
        open_runtime(MODEL, options=SegmentOptions(**option))
