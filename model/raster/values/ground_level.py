"""Are these metres above ground? Judged by a sample's distribution: wild pixels do not matter."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfnet.model.errors import NotAboveGround, UnclearUnit
from mfnet.model.raster.remark import Remark
from mfnet.model.raster.values.fill_values import ABSOLUTE_M

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

# No forest or town stands this high as a whole: the tallest trees reach 115 m, and a canopy of
# redwoods still shows its floor here and there.
MAX_P1_M = 60.0
MAX_P50_M = 100.0
# Half of a place cannot lie far below its own ground; ellipsoidal heights at sea do.
MIN_P50_M = -10.0
# Of heights above ground, 1 % are near it but in a closed forest.
USUAL_P1_M = (-5.0, 5.0)

# Where the highest hundredth of heights above ground lies: from a place with something higher than
# a hedge to one of tall buildings or trees. Towers above that are asked for.
_HIGH_M = (2.5, 60.0)
_TOWERS_M = 100.0
# Integers this low are metres: as decimetres nothing of the place would reach 2.5 m.
_SURELY_METRES = 25
# Nothing near the ground: these count from elsewhere, whatever their unit is.
_FAR_FROM_ZERO = 0.2
_UNITS = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001}

_LEAST_PIXELS = 1024
"""Fewer are a piece of a roof or a tree as well as of a place: nothing is concluded from them."""
_LEVEL_BIN_M = 0.5
_LEVEL_SHARE, _LOWER_SHARE = 0.15, 0.01
_LEVEL_ASKED_M, _LEVEL_TOLD_M = 1.0, 0.4
_BELOW_ASKED, _BELOW_TOLD = 0.15, 0.02


@dataclass(frozen=True)
class Source:
    """Where heights above ground come from, for judgement and messages.

    Attributes:
        file: The height raster's name.
        with_dtm: A terrain model has been subtracted.
        integers: They are stored as whole numbers.
        bits: Of a stored value.
        alike: Heights and terrain model are stored in the same way: both as whole numbers, or
            neither.
    """

    file: str
    with_dtm: bool = False
    integers: bool = False
    bits: int = 32
    alike: bool = True


def percentiles(heights: NDArray[np.floating]) -> dict[str, float]:
    """Percentiles of the finite heights.

    Args:
        heights: Metres, any shape; NaN where unknown.

    Returns:
        `p1` … `p99` to the centimetre; empty if nothing is finite.
    """
    finite = heights[np.isfinite(heights)]
    if finite.size == 0:
        return {}
    values: Sequence[float] = np.percentile(finite.astype(np.float64), PERCENTILES).tolist()
    return {f"p{p}": round(v, 2) for p, v in zip(PERCENTILES, values, strict=True)}


def decide_unit(heights: NDArray[np.floating], source: Source) -> tuple[float, list[Remark]]:
    """Metres a unit of heights that nobody has named the unit of.

    Integers above ground are metres, decimetres, centimetres or millimetres, and the highest
    hundredth of a place lies between 2.5 and 60 m: mostly one unit fits. Foot and metre are too
    near to each other to be told apart so.

    Args:
        heights: A sample above ground, in that unit; NaN where unknown.
        source: Where they come from.

    Raises:
        UnclearUnit: Several units fit, or none.
        NotAboveGround: In metres most would be higher than any place on Earth.
    """
    found = percentiles(heights)
    if np.isfinite(heights).sum() < _LEAST_PIXELS:
        return 1.0, []
    if found["p50"] > ABSOLUTE_M[1]:
        _refuse_absolute(found, source)  # read as metres, none of them would be left to judge
    if found["p5"] > _FAR_FROM_ZERO * found["p99"] or found["p99"] <= 0:
        return 1.0, []  # not above ground, which `check_above_ground` says
    high = found["p99"]
    if high <= (_SURELY_METRES if source.integers else _TOWERS_M):
        return 1.0, []
    fitting = [unit for unit, m in _UNITS.items() if _HIGH_M[0] <= high * m <= _HIGH_M[1]]
    # Eight bits are also steps of 0.2 m, or a picture of heights without any unit.
    if source.integers and source.bits > 8 and len(fitting) == 1 and source.alike:
        unit = fitting[0]
        numbers = "differences to the terrain model" if source.with_dtm else "whole numbers"
        message = (
            f"{source.file}: {numbers}, 99 % of them up to {high:.0f}, are read as {unit}, "
            f"which makes {high * _UNITS[unit]:.1f} m; --height-unit m if they are metres"
        )
        return _UNITS[unit], [Remark(code="height.unit", message=message)]
    guesses = " or ".join(
        f"--height-unit {unit} ({high * m:.1f} m)" for unit, m in _UNITS.items() if unit in fitting
    )
    guesses = guesses or "--height-unit dm, cm, mm, ft, or metres a step"
    certain = "" if "m" in fitting else f"; --height-unit m if they are metres ({high:.0f} m)"
    surface = "; if this is a surface model (DSM), pass --dtm DTM, or --dtm auto"
    if source.with_dtm:
        surface = "; --dtm-unit where the terrain model's is another"
    raise UnclearUnit(
        f"{source.file}: the unit of the heights is not declared, and 1 % of them are above "
        f"{high:.0f}; expected metres, or a unit in the file: choose {guesses}{certain}{surface}",
        file=source.file,
        option="height_unit",
        **found,
    )


def check_above_ground(
    heights: NDArray[np.floating], source: Source, *, confirmed: bool
) -> list[Remark]:
    """Refuses heights that do not count from the ground; says what is odd about others.

    Args:
        heights: A sample in metres, any shape; NaN where unknown.
        source: Where they come from.
        confirmed: The caller has said which level they count from.

    Raises:
        NotAboveGround: They are metres above the sea or an ellipsoid; or so it seems, and nobody
            has confirmed that they are not.
    """
    found = percentiles(heights)
    if not found:
        return [
            Remark(
                code="height.none",
                message=f"{source.file}: the sample holds no height: the map comes from the "
                "orthophoto alone",
            )
        ]
    _refuse_absolute(found, source)
    finite = heights[np.isfinite(heights)].astype(np.float64)
    if confirmed or len(finite) < _LEAST_PIXELS:
        return []
    level, share = _ground_level(finite)
    below = float((finite < -_LEVEL_ASKED_M).mean())
    if source.with_dtm:
        _refuse_wrong_terrain(found, below, source)
    lower = float((finite < level - _LEVEL_ASKED_M).mean())
    if below > _BELOW_ASKED or (
        level > _LEVEL_ASKED_M and share > _LEVEL_SHARE and lower < _LOWER_SHARE
    ):
        what = f"the ground seems to lie at {level:.1f} m, not at 0"
        if abs(level) <= _LEVEL_TOLD_M:
            what = f"{100 * below:.0f} % of the heights are more than 1 m below the ground"
        raise _refusal(what, _other_level(level, source), found, source)
    if found["p1"] > USUAL_P1_M[1]:
        raise _refusal(
            f"99 % of the heights are above {found['p1']:.1f} m",
            _other_level(None, source, "right as they are (a closed forest)"),
            found,
            source,
        )
    return _remarks(found, level, share, lower, below, source)


def _refuse_wrong_terrain(found: dict[str, float], below: float, source: Source) -> None:
    """Refuses a terrain model that is the surface model, or lies above it."""
    if found["p1"] == found["p99"] == 0:
        raise _refusal(
            "surface model and terrain model have the same heights",
            "pass the surface model (DSM) as HEIGHT and the terrain model (DTM) with --dtm; if "
            "nothing stands there, --height-offset 0",
            found,
            source,
        )
    if found["p75"] <= _LEVEL_ASKED_M and found["p5"] < -2.5 and below > 0.1:
        raise _refusal(
            f"the terrain model lies above the surface in {100 * below:.0f} % of the place",
            "pass the surface model as HEIGHT and the terrain model with --dtm: are they swapped? "
            "If both count from another level, say so with --height-offset METRES",
            found,
            source,
        )


def _refuse_absolute(found: dict[str, float], source: Source) -> None:
    high = found["p1"] > MAX_P1_M or found["p50"] > MAX_P50_M
    if high or found["p50"] < MIN_P50_M:
        advice = (
            "check that both files are in the units that they are read in (--height-unit, "
            "--dtm-unit) and count from the same level (--height-offset)"
            if source.with_dtm
            else "if this is a surface model (DSM), pass the terrain model with --dtm DTM, or "
            "derive one with --dtm auto; if they "
            f"count from another level, --height-offset {-found['p5']:.1f} or so; --height-unit if "
            "they are no metres"
        )
        raise _refusal(
            f"heights from {found['p1']:.1f} m to {found['p99']:.1f} m (1st and 99th percentile) "
            "cannot be metres above ground",
            advice,
            found,
            source,
        )


def _refusal(what: str, advice: str, found: dict[str, float], source: Source) -> NotAboveGround:
    return NotAboveGround(
        f"{source.file}: {what}; expected metres above ground: {advice}",
        file=source.file,
        option="height_offset" if source.with_dtm else "dtm",
        **found,
    )


def _other_level(level: float | None, source: Source, right: str = "right as they are") -> str:
    advice = (
        []
        if source.with_dtm
        else ["if this is a surface model (DSM), pass --dtm DTM, or --dtm auto"]
    )
    if level is not None:
        advice.append(f"if they count from another level, --height-offset {-level:.1f}")
    advice.append(f"if they are {right}, --height-offset 0")
    return "; ".join(advice)


def _ground_level(heights: NDArray[np.float64]) -> tuple[float, float]:
    """The middle of the densest half metre in the lower half, and its share of all."""
    ordered = np.sort(heights)
    lower = ordered[: max(1, (len(ordered) + 1) // 2)]
    inside = np.searchsorted(ordered, lower + _LEVEL_BIN_M, "right") - np.arange(len(lower))
    first = int(inside.argmax())
    members = ordered[first : first + int(inside[first])]
    return float(np.median(members)), float(inside[first] / len(ordered))


def _remarks(
    found: dict[str, float],
    level: float,
    share: float,
    lower: float,
    below: float,
    source: Source,
) -> list[Remark]:
    if found["p1"] == found["p99"]:
        message = (
            f"{source.file}: all heights are {found['p1']:.1f} m: the map comes from the "
            "orthophoto alone"
        )
        return [Remark(code="height.flat", message=message)]
    if found["p1"] < USUAL_P1_M[0]:
        message = (
            f"{source.file}: heights down to {found['p1']:.1f} m: is a nodata value undeclared?"
        )
        return [Remark(code="height.below_ground", message=message)]
    # A level above 0 that something lies below is a roof, a lawn on a hill, a hedge.
    off = level < -_LEVEL_TOLD_M or (level > _LEVEL_TOLD_M and lower < _LOWER_SHARE)
    if below > _BELOW_TOLD or (off and share > _LEVEL_SHARE):
        what = f"the ground lies at {level:.1f} m"
        if below > _BELOW_TOLD:
            what += f" and {100 * below:.0f} % of the heights are more than 1 m below 0"
        message = f"{source.file}: {what}; {_other_level(level, source)}"
        return [Remark(code="height.level", message=message)]
    return []
