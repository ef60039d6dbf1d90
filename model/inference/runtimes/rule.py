"""A rule of three lines in a network's place: what a network must beat. It has no weights.

High ground (more than 2.5 m) is tree where it is green and building where it is not; low ground is
vegetation where it is green and sealed where it is not. Green is an index of the colours, the mean
over 2 m of it: excess green, 2 G − R − B, or with near infrared NDVI, both above 0.

Shapes: B batch, K classes, S side of a window.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mfnet.model.classes import ISPRS, ClassScheme
from mfnet.model.config import ENCODERS, NDSM, ORTHO, ModelConfig
from mfnet.model.errors import BadOption
from mfnet.model.inference.arrays.host import HostArrays

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


class RuleRuntime:
    """Logits by the rule: the nearer to a threshold, the less sure. See `Runtime`.

    Args:
        config: Its `kind` is `rule` or `rule-infrared`.
        gsd_m: Size of a pixel of the windows to come.

    Raises:
        BadOption: The scheme has no class `building` or `tree`, or none for the ground.
    """

    name = "rule"
    device = "cpu"
    precision = "fp32"
    batch_size = 8

    def __init__(self, config: ModelConfig, gsd_m: float | None = None) -> None:
        self.config = config
        self.arrays = HostArrays()
        names = config.classes.names
        if not suits(config.classes):
            raise BadOption(
                f"the rule knows building, tree and the ground; the classes are {', '.join(names)}"
            )
        self._high = names.index("tree"), names.index("building")
        self._low = _index(names, _GREEN_LOW), _index(names, _GREY_LOW)
        self._side = max(1, round(SMOOTHED_M / (gsd_m or GSD_M))) | 1  # odd: a pixel in the middle

    @property
    def conditions(self) -> Mapping[str, str | int]:
        """See `Runtime`."""
        return {"numpy": np.__version__, "smoothed_px": self._side}

    @cached_property
    def fingerprint(self) -> str:
        """See `Runtime`."""
        return hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()

    def at(self, gsd_m: float | None) -> "RuleRuntime":
        """See `Runtime`."""
        return RuleRuntime(self.config, gsd_m)

    def __call__(self, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """See `Runtime`."""
        ndsm = next(m for m in self.config.modalities if m.name == "ndsm")
        metres = inputs["ndsm"][:, 0] * np.float32(ndsm.high - ndsm.low) + np.float32(ndsm.low)
        above = np.clip(metres - np.float32(HIGH_M), -4, 4)
        green = self._greenness(inputs["ortho"])
        shape = (above.shape[0], len(self.config.classes), *above.shape[1:])
        logits = np.full(shape, _LEAST, np.float32)
        for side, (of_green, of_grey) in ((above, self._high), (-above, self._low)):
            logits[:, of_green] = np.maximum(logits[:, of_green], side + green)
            logits[:, of_grey] = np.maximum(logits[:, of_grey], side - green)
        return logits

    def _greenness(self, ortho_B3SS: NDArray[np.float32]) -> NDArray[np.float32]:
        first, second, third = np.moveaxis(ortho_B3SS, 1, 0)
        if self.config.kind == "rule-infrared":  # near infrared, red, green
            index = 4 * (first - second) / np.maximum(first + second, np.float32(1e-3))
        else:
            index = 8 * (2 * second - first - third)
        within = self._side // 2
        smooth: NDArray[np.float32] = np.clip(index, -4, 4)
        for axis in (1, 2):
            pad = [(within, within) if axis == each else (0, 0) for each in range(3)]
            views = sliding_window_view(np.pad(smooth, pad, mode="edge"), self._side, axis=axis)
            smooth = views.mean(axis=-1, dtype=np.float32)
        return smooth


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
