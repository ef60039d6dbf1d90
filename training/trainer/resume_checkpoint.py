"""What a run leaves on the disk so that a later process can go on with it."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mfnet.model.atomic_files import replacing
from mfnet.model.errors import BadCheckpoint, BadRecipe
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.sam_base import LOAD_ERRORS
from mfnet.training.trainer.run_state import Run, changed_facts

PARTS = ("optimizer", "schedule")


def save_state(run: Run, path: Path) -> None:
    """Writes what `load_state` reads; until it is whole on the disk, the earlier file stays.

    Frozen weights are left out: the run's origin has them. Random numbers need no state, they
    follow from the seed and the step.
    """
    state: dict[str, Any] = {name: getattr(run, name).state_dict() for name in PARTS}
    state |= {"net": _changing(run.net), "average": run.average.net.state_dict()}
    state["average"] = {name: state["average"][name] for name in state["net"]}
    state |= {"step": run.step, "facts": run.facts()}
    # torch's own file would stay open after an error.
    with replacing(path) as part, part.open("wb") as file:
        torch.save(state, file)
        file.flush()


def load_state(run: Run, path: Path) -> None:
    """Lets a run at step 0 go on from where `save_state` was called.

    Raises:
        BadCheckpoint: The file is damaged, or no state of a run.
        BadRecipe: It is of a run of another recipe, or from other weights; says what differs.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        then, now = state["facts"], run.facts()
    except (*LOAD_ERRORS, KeyError, TypeError) as error:
        raise BadCheckpoint(
            f"{path} is no state of a training run; train without --resume into another folder"
        ) from error
    if differing := changed_facts(then, now):
        raise BadRecipe(
            f"the run in {path.parent} cannot go on, its recipe has changed: "
            f"{'; '.join(differing)}; give the recipe as it was, or train into another folder"
        )
    for name in PARTS:
        getattr(run, name).load_state_dict(state[name])
    for net, tensors in ((run.net, state["net"]), (run.average.net, state["average"])):
        net.load_state_dict({**net.state_dict(), **tensors})
    run.step = run.average.updates = state["step"]


def _changing(net: MFNet) -> dict[str, Tensor]:
    """The tensors of a network that training changes."""
    frozen = {name for name, weight in net.named_parameters() if not weight.requires_grad}
    return {name: tensor for name, tensor in net.state_dict().items() if name not in frozen}
