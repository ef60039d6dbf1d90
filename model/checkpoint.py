"""The only place that reads or writes weights: a .safetensors file with the config as metadata."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.errors import BadCheckpoint
from model.library import CONFIG_KEY, FORMAT, FORMAT_KEY, find, read_config
from model.network.mfnet import MFNet


def load_model(name_or_path: str | Path, models_dir: Path | None = None) -> MFNet:
    """Loads a model for inference.

    Args:
        name_or_path: A name that `mfnet models list` shows, or the path of a .safetensors file.
        models_dir: Folder of further models.

    Returns:
        The network in evaluation mode, float32, on the CPU.

    Raises:
        UnknownModel: There is no such model.
        BadCheckpoint: The file is damaged, or its tensors are not those of its configuration.
    """
    path = find(name_or_path, models_dir)
    net = MFNet(read_config(path))
    try:
        tensors = load_file(path)
        net.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise BadCheckpoint(f"{path} cannot be loaded: {error}", path=str(path)) from error
    return net.eval()


def save(net: MFNet, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Writes a model atomically.

    Args:
        net: Its `config` goes along.
        path: The .safetensors file; replaced if it exists.
        dtype: How the weights are stored; half precision halves the file.
    """
    tensors = {
        name: tensor.to("cpu", dtype).contiguous()
        for name, tensor in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    metadata = {FORMAT_KEY: FORMAT, CONFIG_KEY: net.config.model_dump_json()}
    part = path.with_name(path.name + ".part")
    save_file(tensors, part, metadata)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
