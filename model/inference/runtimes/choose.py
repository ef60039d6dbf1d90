"""Which runtime a model gets: the fastest that is installed for the device."""

import os
from importlib.util import find_spec
from pathlib import Path

from mfnet.model.engine_options import Device, RuntimeName, require_known
from mfnet.model.errors import BadOption, MissingExtra
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.weights.catalog import PACKAGED, exported, find, read_config

CACHE_VARIABLE = "MFNET_CACHE_DIR"


def open_runtime(
    model: str | Path,
    models_dir: Path | None = None,
    options: SegmentOptions | None = None,
) -> Runtime:
    """Loads a model where it will run.

    Args:
        model: A name that `mfnet models list` shows, or the path of a file.
        models_dir: Folder of further models, and of the frozen bases.
        options: Runtime, device and precision. The runtime `auto` is torch on CUDA; on a processor
            OpenVINO where the model is exported and OpenVINO is installed, torch elsewhere. The
            device `auto` is CUDA where there is one.

    Raises:
        UnknownModel: There is no such model.
        BadCheckpoint: The file is damaged.
        BaseMissing: The model needs SAM's weights, which are not installed.
        MissingExtra: What would run the model is not installed.
        BadOption: An unknown runtime, device or precision, or a device that there is not.
    """
    options = options or SegmentOptions()
    require_known("runtime", options.runtime, [each.value for each in RuntimeName])
    require_known("device", options.device, [each.value for each in Device])
    path = find(model, models_dir)
    config = read_config(path)
    if config.kind != "mfnet":
        from mfnet.model.inference.runtimes.rule import RuleRuntime

        return RuleRuntime(config)
    portable = exported(path)
    name = _chosen(options.runtime, options.device, path, portable)
    if name == "openvino":
        from mfnet.model.inference.runtimes.openvino_runtime import OpenVinoRuntime
        from mfnet.model.weights.onnx_file import check_harmless, check_whole

        assert portable is not None
        check_whole(portable)
        if portable.parent != PACKAGED:
            check_harmless(portable)
        return OpenVinoRuntime(portable, options.precision, cache_dir() / "openvino")
    from mfnet.model.inference.runtimes.torch_runtime import TorchRuntime
    from mfnet.model.weights.checkpoint import load_model

    return TorchRuntime(load_model(path, models_dir), options.device, options.precision)


def cache_dir() -> Path:
    """Where compiled networks are kept: `MFNET_CACHE_DIR`, or the user's own cache folder."""
    told = os.environ.get(CACHE_VARIABLE) or os.environ.get("XDG_CACHE_HOME")
    home = Path(told) if told else Path.home() / ".cache"
    return home if os.environ.get(CACHE_VARIABLE) else home / "mfnet"


def has_cuda() -> bool:
    """Whether this machine may have a CUDA device: looks for the driver, imports nothing."""
    return Path("/dev/nvidiactl").exists() or (os.name == "nt" and _has_windows_driver())


def _has_windows_driver() -> bool:
    return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32" / "nvcuda.dll").exists()


def _chosen(runtime: str, device: str, path: Path, portable: Path | None) -> str:
    torch, openvino = _installed("torch"), _installed("openvino")
    wants_cuda = device == "cuda" or (device == "auto" and torch and has_cuda())
    if runtime == "openvino" and device == "cuda":
        raise BadOption("OpenVINO runs on the processor; use device cpu or runtime torch")
    if runtime == "auto":
        # An export runs on the processor alone, also where there is a GPU that nobody asked for.
        export_alone = path.suffix == ".onnx" and device != "cuda"
        fits = openvino and portable is not None and not wants_cuda
        runtime = "openvino" if fits or export_alone else "torch"
    if runtime == "openvino":
        if not openvino:
            raise MissingExtra(
                "OpenVINO, which runs exported models, is missing: pip install openvino"
            )
        if portable is None:
            raise BadOption(
                f"OpenVINO runs exported models; {path.stem} is not exported: "
                f"mfnet models export {path.stem} {path.stem}.onnx, and give that file"
            )
        return "openvino"
    if not torch:
        raise MissingExtra(
            f"{path.name} runs on torch, which is not installed: pip install 'mfnet[train]' "
            "(or 'mfnet[gpu]'); or, where torch is, export it: "
            f"mfnet models export {path.stem} {path.stem}.onnx"
        )
    if path.suffix == ".onnx":
        raise BadOption(
            f"{path.name} is an export, which torch cannot run; use runtime openvino on device cpu"
        )
    return "torch"


def _installed(module: str) -> bool:
    return find_spec(module) is not None
