"""Are these heights above ground? Judged by percentiles: single wild pixels do not matter."""

from collections.abc import Sequence

import numpy as np

from model.errors import NotAboveGround
from model.raster.report import Remark

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

# No forest or town stands this high as a whole: the tallest trees reach 115 m, and a canopy of
# redwoods still shows its floor here and there. A closed canopy of 45 m passes.
MAX_P1_M = 60.0
MAX_P50_M = 100.0
# Half of a place cannot lie far below its own ground; ellipsoidal heights at sea do.
MIN_P50_M = -10.0
# Allowed, but worth a word: nothing near the ground, or much below it.
USUAL_P1_M = (-5.0, 5.0)


def percentiles(heights: np.ndarray) -> dict[str, float]:
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


def check_above_ground(found: dict[str, float], name: str, *, with_dtm: bool) -> None:
    """Refuse heights that are metres above the sea or an ellipsoid.

    An absolute DSM of a place that lies lower than `MAX_P1_M` cannot be told from a closed forest,
    and passes, with a remark.

    Args:
        found: As `percentiles` returns them.
        name: Of the file, for the message.
        with_dtm: A terrain model has been subtracted.

    Raises:
        NotAboveGround: 1 % of the heights or more is above 60 m, or their median is above 100 m or
            below −10 m.
    """
    if not found:
        return
    high = found["p1"] > MAX_P1_M or found["p50"] > MAX_P50_M
    if not high and found["p50"] >= MIN_P50_M:
        return
    advice = (
        "check that height raster and --dtm count from the same level and in the same unit"
        if with_dtm
        else "if this is a surface model (DSM), pass the terrain model with --dtm DTM"
    )
    raise NotAboveGround(
        f"{name}: heights from {found['p1']:.1f} m to {found['p99']:.1f} m (1st and 99th "
        f"percentile) cannot be metres above ground; {advice}",
        file=name,
        **found,
    )


def height_remarks(found: dict[str, float]) -> list[Remark]:
    """What is allowed but worth a word."""
    if not found:
        return [
            Remark(code="height.none", message="the sample holds no height: all will be filled")
        ]
    low, high = USUAL_P1_M
    if found["p1"] > high:
        message = (
            f"99 % of the heights are above {found['p1']:.1f} m: right for a closed forest; if "
            "this is a surface model (DSM), pass the terrain model with --dtm DTM"
        )
        return [Remark(code="height.no_ground", message=message)]
    if found["p1"] < low:
        message = f"heights down to {found['p1']:.1f} m: is a nodata value undeclared?"
        return [Remark(code="height.below_ground", message=message)]
    return []
