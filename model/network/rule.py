"""A rule of three lines in a network's place: what a network must beat. It has no weights.

High ground (more than 2.5 m) is tree where it is green and building where it is not; low ground is
vegetation where it is green and sealed where it is not. Green is an index of the colours, the mean
over 2 m of it: excess green, 2 G − R − B, or with near infrared NDVI, both above 0.

Shapes: B batch, K classes, S side of a window.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mfnet.model.classes import ISPRS, ClassScheme
from mfnet.model.config import ENCODERS, NDSM, ORTHO, ModelConfig
from mfnet.model.errors import BadOption

HIGH_M = 2.5
"""Above it stand buildings and trees."""

SMOOTHED_M = 2.0
"""The side of the square over which greenness is averaged."""

GSD_M = 0.2
"""Where a raster does not tell the size of its pixels."""

_LEAST = -20.0
"""The logit of a class that the rule never names."""

_GREEN_LOW = ("low_vegetation", "grass", "grassland", "ground")
_GREY_LOW = ("impervious_surface", "impervious", "ground", "bare_ground")
"""Names that low ground may have in a scheme, the first known one counts."""


class Rule(nn.Module):
    """Logits by the rule: the nearer to a threshold, the less sure.

    Args:
        config: Its `kind` is `rule` or `rule-infrared`.
        gsd_m: Size of a pixel of the windows to come.

    Raises:
        BadOption: The scheme has no class `building` or `tree`, or none for the ground.
    """

    def __init__(self, config: ModelConfig, gsd_m: float | None = None) -> None:
        super().__init__()
        self.config = config
        names = config.classes.names
        if not suits(config.classes):
            raise BadOption(
                f"the rule knows building, tree and the ground; the classes are {', '.join(names)}"
            )
        self._high = names.index("tree"), names.index("building")
        self._low = _index(names, _GREEN_LOW), _index(names, _GREY_LOW)
        self._side = max(1, round(SMOOTHED_M / (gsd_m or GSD_M))) | 1  # odd: a pixel in the middle

    def at(self, gsd_m: float | None) -> "Rule":
        """The rule for pixels of another size."""
        return Rule(self.config, gsd_m)

    def forward(self, inputs: Mapping[str, Tensor], positions: None = None) -> Tensor:
        """Logits (B, K, S, S) of normalised windows, as `MFNet.forward` takes them."""
        ndsm = next(m for m in self.config.modalities if m.name == "ndsm")
        metres = inputs["ndsm"][:, 0].float() * (ndsm.high - ndsm.low) + ndsm.low
        above = (metres - HIGH_M).clamp(-4, 4)
        green = self._greenness(inputs["ortho"].float())
        shape = (above.shape[0], len(self.config.classes), *above.shape[1:])
        logits = torch.full(shape, _LEAST, device=above.device)
        for side, (of_green, of_grey) in ((above, self._high), (-above, self._low)):
            logits[:, of_green] = torch.maximum(logits[:, of_green], side + green)
            logits[:, of_grey] = torch.maximum(logits[:, of_grey], side - green)
        return logits

    def positions(self, height: int, width: int) -> None:
        """The rule looks nothing up."""

    def converted(self, device: torch.device, dtype: torch.dtype) -> "Rule":
        """The rule itself: it runs in float32 wherever its inputs are."""
        return self

    def _greenness(self, ortho_B3SS: Tensor) -> Tensor:
        first, second, third = ortho_B3SS.unbind(1)
        if self.config.kind == "rule-infrared":  # near infrared, red, green
            index = 4 * (first - second) / (first + second).clamp(min=1e-3)
        else:
            index = 8 * (2 * second - first - third)
        within = self._side // 2
        padded = F.pad(index.clamp(-4, 4)[:, None], (within,) * 4, mode="replicate")
        return F.avg_pool2d(padded, self._side, stride=1)[:, 0]


def rule_config(*, infrared: bool = False, scheme: ClassScheme = ISPRS) -> ModelConfig:
    """What the rule is as a model.

    Args:
        infrared: For orthophotos of near infrared, red and green.
        scheme: With a class `building` and a class `tree`.
    """
    kind = "rule-infrared" if infrared else "rule"
    return ModelConfig(
        name=kind, kind=kind, encoder=ENCODERS["small"], modalities=(ORTHO, NDSM), classes=scheme
    )


def suits(scheme: ClassScheme) -> bool:
    """Whether the rule can name what a scheme has."""
    known = {*scheme.names}
    return {"building", "tree"} <= known and all(known & {*low} for low in (_GREEN_LOW, _GREY_LOW))


def _index(names: tuple[str, ...], wanted: Iterable[str]) -> int:
    return names.index(next(name for name in wanted if name in names))
