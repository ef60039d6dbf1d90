"""The only place that reads or writes weights: a .safetensors file with the config as metadata.

A checkpoint is full, or holds only what was trained, with the sha256 of the frozen base in its
configuration: ViT-H with MMLoRA then takes 27 MB instead of 2.5 GB.
"""

import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mfnet.model.atomic_files import replacing
from mfnet.model.classes import ClassScheme
from mfnet.model.config import ModelConfig
from mfnet.model.errors import BadCheckpoint, BadOption
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.catalog import (
    CONFIG_KEY,
    FORMAT,
    FORMAT_KEY,
    NAME,
    find,
    installed,
    read_config,
)
from mfnet.model.weights.import_released import import_released
from mfnet.model.weights.sam_base import LOAD_ERRORS, PREFIX, base_tensors, recognised_base


def new_model(config: ModelConfig, models_dir: Path | None = None) -> MFNet:
    """A network to be trained: its base loaded if the configuration names one, the rest random.

    Raises:
        BaseMissing: The base is not installed, or other weights of the same encoder are.
    """
    net = MFNet(config)
    if config.base is not None:
        tensors = base_tensors(config.base, config.encoder, models_dir)
        net.load_state_dict(tensors, strict=False)
    return net


def load_model(name_or_path: str | Path, models_dir: Path | None = None) -> MFNet:
    """Loads a network for inference.

    Args:
        name_or_path: A name that `mfnet models list` shows, or the path of a .safetensors file.
        models_dir: Folder of further models, and of the frozen bases.

    Returns:
        The network in evaluation mode, float32, on the CPU. The file is mapped into memory: its
        tensors are read when they are first used, and kept once.

    Raises:
        UnknownModel: There is no such model.
        BadCheckpoint: The file is damaged, its tensors are not those of its configuration, or it
            is a rule and no network.
        BaseMissing: It holds only what was trained, and its base is not installed.
    """
    path = find(name_or_path, models_dir)
    config = read_config(path)
    if config.kind != "mfnet":
        raise BadCheckpoint(
            f"{path.stem} is a rule without weights; expected a network", path=str(path)
        )
    if path.suffix != ".safetensors":
        raise BadCheckpoint(
            f"{path.name} is an export, which can only be run; expected a .safetensors file",
            path=str(path),
        )
    try:
        tensors = load_file(path)
        if config.base and not any(name.startswith(PREFIX) for name in tensors):
            tensors |= base_tensors(config.base, config.encoder, models_dir)
        net = MFNet.holding(config, {name: tensor.float() for name, tensor in tensors.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise BadCheckpoint(f"{path} cannot be loaded: {str(error)[:300]}") from error
    return net.eval()


def import_file(
    source: Path,
    name: str,
    models_dir: Path,
    *,
    classes: ClassScheme | None = None,
    base: str | None = None,
) -> Path:
    """Makes a model of a checkpoint of the paper's released code.

    Args:
        source: A .pth file, read with `weights_only=True`.
        name: What the model is called from now on.
        models_dir: Where it goes.
        classes: As of `import_released`.
        base: The encoder whose installed weights it was trained on: a key of `PUBLISHED`. Not
            given, those that are installed are compared with the checkpoint's.

    Returns:
        The model's file.

    Raises:
        BadOption: No name for a model, or that of one that there is; another number of classes.
        BadCheckpoint: No PyTorch checkpoint, or not of the released code; or it has other frozen
            weights than the base.
        BaseMissing: The base is not installed.
    """
    if not re.fullmatch(NAME, name):
        raise BadOption(f"{name!r} is no name; expected letters, digits, '_', '.' and '-'")
    if name in {path.stem for path in installed(models_dir)}:
        raise BadOption(f"there is a model {name!r} already; choose another name", name=name)
    try:
        state_dict = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
    except LOAD_ERRORS as error:
        raise BadCheckpoint(f"{source} is no readable PyTorch checkpoint") from error
    if not isinstance(state_dict, dict):
        raise BadCheckpoint(
            f"{source} holds a {type(state_dict).__name__}; expected tensors by name"
        )
    net = import_released(state_dict, name, classes)
    found = recognised_base(net.state_dict(), net.config.encoder, models_dir, base)
    net.config = net.config.model_copy(update={"base": found})
    models_dir.mkdir(parents=True, exist_ok=True)
    path = models_dir / f"{name}.safetensors"
    save(net, path)
    return path


def save(net: MFNet, path: Path, dtype: torch.dtype = torch.float32, *, full: bool = True) -> None:
    """Writes a model atomically.

    Args:
        net: Its `config` goes along.
        path: The .safetensors file; replaced if it exists.
        dtype: How the weights are stored; half precision halves the file.
        full: With the frozen base; without, `config.base` must say which it is.

    Raises:
        BadOption: Not full, and there is no base.
    """
    if not full and net.config.base is None:
        raise BadOption("the model names no base that it was trained on: save it whole")
    tensors = {
        name: tensor.to("cpu", dtype).contiguous()
        for name, tensor in net.state_dict().items()
        if not name.endswith("num_batches_tracked") and (full or not name.startswith(PREFIX))
    }
    _write(tensors, path, net.config)


def rewrite_config(path: Path, config: ModelConfig) -> None:
    """Replaces the configuration in a model's file atomically; the tensors stay as they are.

    Args:
        path: Whole or without its base, of any dtype.
        config: Of the same network: what is measured or said of it may differ.

    Raises:
        BadCheckpoint: The file is damaged.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadCheckpoint(f"{path} cannot be loaded: {str(error)[:300]}") from error
    _write(tensors, path, config)


def _write(tensors: dict[str, torch.Tensor], path: Path, config: ModelConfig) -> None:
    metadata = {FORMAT_KEY: FORMAT, CONFIG_KEY: config.model_dump_json()}
    with replacing(path) as part:
        save_file(tensors, part, metadata)
        _sort_metadata(part)
        part.chmod(0o644)  # safetensors makes files for their owner alone; a worker may be another


def _sort_metadata(path: Path) -> None:
    """Puts the header's metadata in the order of their keys: equal models are then equal files.

    safetensors writes them in an order of its own, which differs from run to run.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:  # the same characters in another order; blanks fill it up
            file.seek(8)
            file.write(text.ljust(length))
