"""Which class of its parent each class of a new model goes on from.

Classes of one's own are seldom called as the parent's, and yet a parent sees most of them as some
class of its own: a model of `Dach`, `Wald` and `Wiese` need not begin anew.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.network.mfnet import MFNet
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.evaluation.validation import mapped

HEAD = "decoder.head.3.weight"
"""The one parameter of the decoder whose shape the classes decide, (K, C, 1, 1)."""

DETAIL = "detail."
"""Parameters of the head at full resolution."""

WINDOWS = 24
"""Windows of the training tiles that the parent looks at."""


def parent_classes(scheme: ClassScheme, parent: MFNet, pool: Pool | None) -> dict[str, str]:
    """The parent's class for each class that has one.

    Args:
        scheme: The new classes.
        parent: The model to go on from.
        pool: The labelled tiles. A class of another name is taken to be what the parent sees most
            often where it is; without tiles it is none.
    """
    theirs = parent.config.classes.names
    found = {name: name for name in scheme.names if name in theirs}
    if pool is None or len(found) == len(scheme):
        return found
    counts = np.zeros((len(scheme), len(theirs)), np.int64)
    parent.eval()
    for index in range(WINDOWS):
        sample = pool.sample(index, parent.config.window_px, seed=0)
        labelled = sample.truth != NODATA
        seen = mapped(parent, sample)
        np.add.at(counts, (sample.truth[labelled], seen[labelled]), 1)
    for name, row in zip(scheme.names, counts, strict=True):
        if name not in found and row.any():
            found[name] = theirs[int(row.argmax())]
    return found


def inherited_weights(net: MFNet, parent: MFNet, classes: Mapping[str, str]) -> dict[str, Tensor]:
    """A parent's weights for a network whose classes differ; a class without a parent's is new.

    Args:
        net: The network, with first weights of its own.
        parent: The same but for the classes; perhaps without a head at full resolution.
        classes: From `parent_classes`.
    """
    mine, state = net.state_dict(), parent.state_dict()
    index = {
        net.config.classes.names.index(name): parent.config.classes.names.index(theirs)
        for name, theirs in classes.items()
    }
    weights = {name: state.get(name, own) for name, own in mine.items()}
    weights[HEAD] = _rows(mine[HEAD], state[HEAD], index)
    if net.detail is not None and parent.detail is not None:
        weights[f"{DETAIL}head.weight"] = _rows(
            mine[f"{DETAIL}head.weight"], state[f"{DETAIL}head.weight"], index
        )
        weights[f"{DETAIL}enter.weight"] = _entering(
            mine[f"{DETAIL}enter.weight"], state[f"{DETAIL}enter.weight"], index,
            len(net.config.classes), len(parent.config.classes),
        )  # fmt: skip
    return weights


def _rows(mine: Tensor, theirs: Tensor, index: Mapping[int, int]) -> Tensor:
    rows = mine.clone()
    for own, their in index.items():
        rows[own] = theirs[their]
    return rows


def _entering(
    mine: Tensor, theirs: Tensor, index: Mapping[int, int], classes: int, parents: int
) -> Tensor:
    """Of the head at full resolution (C, bands + K, 3, 3): it is given the logits, too.

    Where several classes go on from one, each has its share.
    """
    pixels, logits = theirs[:, :-parents], torch.zeros_like(mine[:, -classes:])
    shared = list(index.values())
    for own, their in index.items():
        logits[:, own] = theirs[:, their - parents] / shared.count(their)
    return torch.cat([pixels, logits], dim=1)
