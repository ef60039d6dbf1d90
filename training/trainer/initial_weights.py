"""The weights that a run starts from: SAM's, another model's, its encoder's alone, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mfnet.model.classes import ClassScheme
from mfnet.model.config import BaseWeights, ModelConfig
from mfnet.model.errors import BadRecipe
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.catalog import find, read_config
from mfnet.model.weights.checkpoint import load_model, new_model
from mfnet.model.weights.file_hash import sha256_of
from mfnet.model.weights.sam_base import installed_base
from mfnet.training.config.recipe import Recipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.trainer.parent_classes import inherited_weights, parent_classes


@dataclass(frozen=True)
class Origin:
    """Where a run's first weights come from.

    Args:
        models_dir: Where models and bases are.
        base: SAM's weights, unless the encoder is trained too.
        parent: The file of the model to go on from.
        encoder: The file of the model whose encoder takes the place of SAM's.
    """

    models_dir: Path | None = None
    base: BaseWeights | None = None
    parent: Path | None = None
    encoder: Path | None = None

    def facts(self) -> dict[str, str | None]:
        """What a run that goes on must agree in, JSON values: the weights' sha256."""
        return {
            "base": None if self.base is None else self.base.sha256,
            "parent": None if self.parent is None else sha256_of(self.parent),
            "encoder": None if self.encoder is None else sha256_of(self.encoder),
        }


def find_origin(recipe: Recipe, models_dir: Path | None = None) -> Origin:
    """Finds the weights that a recipe starts from; looks at no tensor.

    Raises:
        BaseMissing: The encoder is not to be trained, and no base of it is installed.
        UnknownModel: There is no such parent.
        BadRecipe: The parent, or the model whose encoder is the base, is another network than the
            recipe's; says what differs.
    """
    network = recipe.network
    if network.parent is not None:
        parent = find(network.parent, models_dir)
        config = read_config(parent)
        _require_same_network(config, recipe)
        return Origin(models_dir, None if network.train_encoder else config.base, parent)
    if network.base is not None:
        encoder = find(network.base, models_dir)
        _require_same_encoder(read_config(encoder), recipe)
        return Origin(models_dir, encoder=encoder)
    base = None if network.train_encoder else installed_base(network.encoder, models_dir)
    return Origin(models_dir, base)


def first_network(
    recipe: Recipe, scheme: ClassScheme, origin: Origin, pool: Pool | None = None
) -> tuple[MFNet, list[str]]:
    """The network at step 0, on the CPU.

    Args:
        recipe: Its seed decides what no file gives.
        scheme: The data's classes.
        origin: From `find_origin`.
        pool: What is learned from: shows which classes are the parent's by other names.

    Returns:
        The network, and what a person should know of it.
    """
    torch.manual_seed(recipe.optimizer.seed)
    config = recipe.model_config_for(base=origin.base, classes=scheme)
    if origin.parent is not None:
        net = MFNet(config)
        return net, _inherit(net, load_model(origin.parent, origin.models_dir), pool)
    net = new_model(config, origin.models_dir)
    if origin.encoder is not None:
        encoder = load_model(origin.encoder, origin.models_dir).encoder
        net.encoder.vit.load_state_dict(encoder.vit.state_dict())
    return net, []


def _inherit(net: MFNet, parent: MFNet, pool: Pool | None) -> list[str]:
    """Takes over a parent's weights; returns what differs."""
    classes = parent_classes(net.config.classes, parent, pool)
    net.load_state_dict(inherited_weights(net, parent, classes))
    return [
        *_of_classes(net.config, parent.config, classes),
        *_of_ranges(net.config, parent.config),
    ]


def _of_classes(config: ModelConfig, parent: ModelConfig, classes: Mapping[str, str]) -> list[str]:
    if config.classes.names == parent.classes.names:
        return []
    kept = [name for name, theirs in classes.items() if name == theirs]
    near = [f"{name} ({theirs})" for name, theirs in classes.items() if name != theirs]
    new = [name for name in config.classes.names if name not in classes]
    seen = f", begins with what the parent sees there for {', '.join(near)}" if near else ""
    return [
        f"the classes are {config.classes.name!r}, the parent's {parent.classes.name!r}: the head "
        f"is new for {', '.join(new) or 'none of them'}{seen}, and kept for "
        f"{', '.join(kept) or 'none'}"
    ]


def _of_ranges(config: ModelConfig, parent: ModelConfig) -> list[str]:
    return [
        f"{mine.name} of {mine.low:g} to {mine.high:g} become 0 to 1; for the parent "
        f"{theirs.low:g} to {theirs.high:g} did: it must learn that anew"
        for mine, theirs in zip(config.modalities, parent.modalities, strict=True)
        if (mine.low, mine.high) != (theirs.low, theirs.high)
    ]


def _require_same_network(parent: ModelConfig, recipe: Recipe) -> None:
    mine = recipe.model_config_for()
    differing = [
        f"{key} is {_said(getattr(mine, key))}, the parent's {_said(getattr(parent, key))}"
        for key in ("encoder", "tuning", "fusion", "decode_channels")
        if getattr(mine, key) != getattr(parent, key)
    ]
    if parent.detail_channels and parent.detail_channels != mine.detail_channels:
        # A head may be added to a parent without one; one that it has is not dropped unasked.
        differing.append(
            f"detail_channels is {mine.detail_channels}, the parent's {parent.detail_channels}"
        )
    names = [[modality.name for modality in config.modalities] for config in (mine, parent)]
    if names[0] != names[1]:
        differing.append(
            f"modalities are {', '.join(names[0])}, the parent's {', '.join(names[1])}"
        )
    if differing:
        raise BadRecipe(
            f"network.parent {recipe.network.parent!r} is another network: {'; '.join(differing)}; "
            "make the recipe's table 'network' as the parent's, or name another parent"
        )


def _require_same_encoder(base: ModelConfig, recipe: Recipe) -> None:
    mine = recipe.model_config_for().encoder
    if base.encoder != mine:
        raise BadRecipe(
            f"network.encoder is {_said(mine)}, that of network.base {recipe.network.base!r} is "
            f"{_said(base.encoder)}; expected the same"
        )
    if base.tuning != "none":
        raise BadRecipe(
            f"network.base {recipe.network.base!r} has the tuning {base.tuning!r}, without which "
            "its encoder is another; expected a model that was trained with tuning 'none'"
        )


def _said(value: object) -> str:
    return repr(value) if isinstance(value, str | int) else f"({value})"
