"""A network as one ONNX file: what processors' runtimes and other programs run, without torch."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from mfnet.model.atomic_files import replacing
from mfnet.model.config import ModelConfig
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.onnx_file import CONFIG_KEY, SOURCE_KEY, sealed

LOGITS = "logits"
STACKED = "pixels"
"""Name of the only input of a stacked network."""


def export_onnx(
    net: MFNet,
    path: Path,
    *,
    source_sha256: str = "",
    stacked: bool = False,
    simplify: bool = True,
) -> None:
    """Writes a network atomically, one window a call.

    Args:
        net: In float32 on the CPU. Weights that half precision holds exactly are stored so.
        path: The .onnx file; replaced if it exists.
        source_sha256: Of the file that the network was loaded from.
        stacked: One input of all modalities' bands, reflectance before metres, 0 to 255 each, as
            the QGIS plugin Deepness gives them, with the metadata that it reads.
        simplify: Fold constants and merge operations, half of the time that this takes. OpenVINO
            does it for itself, to the same bytes; plain ONNX Runtime is an eighth slower without.
    """
    config = net.config
    module = _Stacked(net) if stacked else _Separate(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own making
        program = torch.onnx.export(
            module.eval(),
            module.example(),
            dynamo=True,
            input_names=module.names,
            output_names=[LOGITS],
            optimize=simplify,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model)
    _halve(model)
    told = {CONFIG_KEY: config.model_dump_json(), SOURCE_KEY: source_sha256}
    for key, value in (told | (_of_deepness(config) if stacked else {})).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    with replacing(path) as part:
        part.write_bytes(sealed(model.SerializeToString(deterministic=True)))
        part.chmod(0o644)


class _Separate(nn.Module):
    """A network with an input a modality."""

    def __init__(self, net: MFNet) -> None:
        super().__init__()
        self.net = net
        self.names = [modality.name for modality in net.config.modalities]
        side = net.config.window_px
        self._positions = net.encoder.positions(side, side)

    def example(self) -> tuple[Tensor, ...]:
        side = self.net.config.window_px
        return tuple(torch.zeros(1, m.bands, side, side) for m in self.net.config.modalities)

    def forward(self, *rasters: Tensor) -> Tensor:
        inputs: Mapping[str, Tensor] = dict(zip(self.names, rasters, strict=True))
        logits: Tensor = self.net(inputs, self._positions)
        return logits


class _Stacked(_Separate):
    """A network with one input of all bands, bytes as fractions of 255.

    Heights are in metres, which bytes hold up to 255 of.
    """

    def __init__(self, net: MFNet) -> None:
        super().__init__(net)
        self.names = [STACKED]
        scales, offsets = [], []
        for modality in net.config.modalities:
            unit = 1.0 if modality.unit == "reflectance" else 255.0
            span = modality.high - modality.low
            scales += [unit / span] * modality.bands
            offsets += [-modality.low / span] * modality.bands
        self.register_buffer("scale", torch.tensor(scales)[:, None, None])
        self.register_buffer("offset", torch.tensor(offsets)[:, None, None])

    def example(self) -> tuple[Tensor, ...]:
        return (torch.cat(super().example(), dim=1),)

    def forward(self, *rasters: Tensor) -> Tensor:
        (stack,) = rasters
        stack = stack * self.get_buffer("scale") + self.get_buffer("offset")
        inputs, first = {}, 0
        for modality in self.net.config.modalities:
            inputs[modality.name] = stack[:, first : first + modality.bands]
            first += modality.bands
        logits: Tensor = self.net(inputs, self._positions)
        return logits


def _of_deepness(config: ModelConfig) -> dict[str, str]:
    """Metadata of a segmentation model (the plugin's documentation, "Model metadata")."""
    classes = dict(enumerate(config.classes.names))
    told: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": classes,
        "tile_size": config.window_px,
        "tiles_overlap": 50,
    }
    if config.gsd_m is not None:
        told["resolution"] = 100 * config.gsd_m  # centimetres a pixel
    return {key: json.dumps(value) for key, value in told.items()}


def _strip(model: onnx.ModelProto) -> None:
    """Removes what the exporter notes for its own developers: stack traces with paths, shapes."""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    holders = [model.graph, *model.functions]
    parts = [part for each in holders for part in each.node]
    parts += [*model.graph.initializer, *model.graph.input, *model.graph.output]
    for part in [*holders, *parts]:
        part.ClearField("doc_string")
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]


def _halve(model: onnx.ModelProto) -> None:
    """Stores weights in half precision where they are the same numbers; a cast leads back."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if values.size < 64 or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
