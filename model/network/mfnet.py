"""MFNet: one encoder for all modalities, fusion, decoder.

Source: Ma, Zhang, Pun, Huang, "A Unified Framework with Multimodal Fine-Tuning for Remote Sensing
Semantic Segmentation", IEEE TGRS 2025.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mfnet.model.config import ModelConfig, suits_decoder
from mfnet.model.engine_options import require_known
from mfnet.model.errors import ModelInput
from mfnet.model.network.decoder import Decoder
from mfnet.model.network.detail import DetailHead
from mfnet.model.network.encoder import MultimodalEncoder, Positions, stack_modalities
from mfnet.model.network.fusion import FUSIONS


class MFNet(nn.Module):
    """Logits from normalised rasters.

    Args:
        config: The model's shape; its weights start random.

    Raises:
        BadOption: It names a mechanism or a fusion module that there is not.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels, modalities = config.encoder.out_chans, len(config.modalities)
        self.encoder = MultimodalEncoder(config.encoder, config.tuning, modalities)
        require_known("fusion module", config.fusion, FUSIONS)
        self.fusion = FUSIONS[config.fusion](channels, modalities)
        self.decoder = Decoder(
            channels, config.decode_channels, len(config.classes), self.fusion.maps
        )
        bands = sum(modality.bands for modality in config.modalities)
        self.detail = (
            DetailHead(bands, len(config.classes), config.detail_channels)
            if config.detail_channels
            else None
        )

    def forward(self, inputs: Mapping[str, Tensor], positions: Positions | None = None) -> Tensor:
        """Runs the network.

        Args:
            inputs: For each modality of the configuration, by name, (B, bands, H, W), normalised
                to about 0..1, with H and W as `ModelConfig.window_px` allows.
            positions: From `encoder.positions`, where the weights and the size stay the same.

        Returns:
            Logits, (B, K, H, W).

        Raises:
            ModelInput: A modality is missing, or has another shape than the model takes.
        """
        self._check(inputs)
        rasters = [inputs[m.name] for m in self.config.modalities]
        images = stack_modalities(rasters)
        levels = self.fusion(self.encoder(images, positions))
        logits_BKHW: Tensor = self.decoder(levels, height=images.shape[-2])
        return logits_BKHW if self.detail is None else self.detail(logits_BKHW, rasters)

    @classmethod
    def holding(cls, config: ModelConfig, state: Mapping[str, Tensor]) -> "MFNet":
        """A network that takes its tensors from `state`, and no memory of its own.

        Args:
            config: The model's.
            state: What `state_dict` returns, of one device and precision.

        Raises:
            RuntimeError: Tensors are missing, surplus or of other shapes.
            BadOption: As the constructor.
        """
        with torch.device("meta"):
            net = cls(config)
        net.load_state_dict(state, assign=True)
        return net.to(next(net.parameters()).device)  # what is no part of a state

    def converted(self, device: torch.device, dtype: torch.dtype) -> "MFNet":
        """This network elsewhere, or in another precision; shares what is so already."""
        state = {
            name: tensor.detach().to(device, dtype if tensor.is_floating_point() else None)
            for name, tensor in self.state_dict().items()
        }
        return type(self).holding(self.config, state).train(self.training)

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """What fine-tuning trains: the tuning of each block, the fusion and the heads."""
        for module in (self.encoder.tuning, self.fusion, self.decoder, self.detail):
            if module is not None:
                yield from module.parameters()

    def freeze(self) -> "MFNet":
        """Leaves gradients to the trainable parameters alone."""
        trainable = {id(p) for p in self.trainable_parameters()}
        for parameter in self.parameters():
            parameter.requires_grad_(id(parameter) in trainable)
        return self

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        for modality in self.config.modalities:
            if modality.name not in inputs:
                raise ModelInput(
                    f"the model needs {modality.name!r}; given: {', '.join(inputs) or 'nothing'}",
                    modality=modality.name,
                )
            shape = tuple(inputs[modality.name].shape)
            patch = self.config.encoder.patch_size
            sides_suit = all(suits_decoder(side, patch) for side in shape[2:])
            if len(shape) != 4 or shape[1] != modality.bands or not sides_suit:
                raise ModelInput(
                    f"{modality.name!r} has shape {shape}; expected (batch, {modality.bands}, "
                    "height, width) with height and width multiples of 32 from 160 upwards",
                    modality=modality.name,
                    shape=list(shape),
                )
        sizes = {m.name: tuple(inputs[m.name][:, 0].shape) for m in self.config.modalities}
        if len(set(sizes.values())) > 1:
            raise ModelInput(f"batch, height and width differ: {sizes}; expected the same of all")
