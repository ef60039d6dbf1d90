"""How large the classes truly are: mapped areas, corrected by the errors of the model, with 95 %.

K classes, T tiles that the model was measured on and had not learned from.

Source: Olofsson, Foody, Herold, Stehman, Woodcock and Wulder, "Good practices for estimating area
and assessing accuracy of land change", Remote Sensing of Environment 148, 2014, equations 9 to 11;
with Cochran, "Sampling techniques", 1977, 11.6, for samples that come in clusters.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

BY_TILE = "confusion_by_tile"
"""Of a model's recorded figures: for each tile the pixels by true class (row) and mapped class."""
LEVEL = 0.95
_LEAST_TILES = 5


def estimate_areas(
    mapped_K: NDArray[np.float64], counts_TKK: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The estimates of the true areas, and their standard errors.

    The mapped classes are the strata: of what is mapped as one, so much is truly another as in the
    sample. Where each sampled pixel is a tile of its own, the standard error is that of Olofsson
    et al.; pixels of one tile err together, and count as what they are, one draw. It is that of
    the map which the tiles were drawn from.

    Args:
        mapped_K: Mapped area of each class.
        counts_TKK: Of each tile, pixels by true class (row) and mapped class (column).

    Returns:
        (K,) areas and (K,) standard errors in the unit of `mapped_K`; NaN where what is mapped as
        some class was met in fewer than two tiles.
    """
    of_tile_TK = counts_TKK.sum(axis=1)
    of_class_K = of_tile_TK.sum(axis=0)
    tiles_K = (of_tile_TK > 0).sum(axis=0)
    used = mapped_K > 0
    if (tiles_K[used] < 2).any():
        unknown = np.full(len(mapped_K), np.nan)
        return unknown, unknown.copy()
    weights_K = np.where(used, mapped_K, 0) / np.maximum(of_class_K, 1)
    shares_KK = counts_TKK.sum(axis=0) / np.maximum(of_class_K, 1)
    residuals_TKK = counts_TKK - shares_KK * of_tile_TK[:, np.newaxis]
    few_K = np.sqrt(tiles_K / np.maximum(tiles_K - 1, 1))
    by_tile_TK = residuals_TKK @ (weights_K * few_K)
    return shares_KK @ np.where(used, mapped_K, 0), np.sqrt((by_tile_TK**2).sum(axis=0))


def half_widths(errors_K: NDArray[np.float64], tiles: int) -> NDArray[np.float64]:
    """How far a map's true areas may lie from the estimates, with 95 %, where it has no tiles.

    Its place is one more draw: beside what the tiles leave open, it differs as one of them does
    from the others. For a map that is larger than a tile this is more than need be.

    Args:
        errors_K: Standard errors by `estimate_areas`.
        tiles: That these are of.
    """
    reach_K: NDArray[np.float64] = _quantile(tiles - 1) * np.sqrt(tiles + 1) * errors_K
    return reach_K


def add_estimates(
    statistics: dict[str, Any],
    metrics: Mapping[str, Any],
    model: str,
    *,
    colour_alone: bool = False,
) -> None:
    """Says in a map's statistics how large the classes truly are.

    Args:
        statistics: Of `ClassAreas.summary`. Each class gets `estimate`: `area_m2`, `low_m2` and
            `high_m2`, or None; and all together `estimates`: `level`, `tiles` and `measured_on`,
            or `missing`, the reason why there are none.
        metrics: What the model's file says of how it was measured.
        model: Its name.
        colour_alone: The map was made without heights.
    """
    classes = statistics["classes"]
    missing = _missing(metrics, model, [each["area_m2"] for each in classes])
    if colour_alone:
        missing = f"the map was made without heights, and {model} was measured with them"
    found: list[dict[str, float] | None] = [None] * len(classes)
    if missing is None:
        counts_TKK = np.array(metrics[BY_TILE], np.int64)
        mapped_K = np.array([each["area_m2"] for each in classes])
        areas_K, errors_K = estimate_areas(mapped_K, counts_TKK)
        if np.isfinite(areas_K).all():
            reach_K = half_widths(errors_K, len(counts_TKK))
            found = [_estimate(*each) for each in zip(areas_K, reach_K, strict=True)]
        else:
            missing = f"{model} was not measured on enough tiles with all classes of this map"
    for item, estimate in zip(classes, found, strict=True):
        item["estimate"] = estimate
    told = metrics.get("conditions", {})
    where = {key: told[key] for key in ("data", "split") if key in told}
    statistics["estimates"] = (
        {"level": LEVEL, "tiles": len(metrics[BY_TILE]), "measured_on": where}
        if missing is None
        else {"missing": missing}
    )


def _missing(
    metrics: Mapping[str, Any], model: str, areas_m2: Sequence[float | None]
) -> str | None:
    if not metrics.get(BY_TILE):
        return (
            f"the file of {model} does not say how it erred tile by tile "
            "(mfnet evaluate --record writes it)"
        )
    if len(metrics[BY_TILE]) < _LEAST_TILES:
        return f"{model} was measured on {len(metrics[BY_TILE])} tiles; {_LEAST_TILES} are needed"
    if any(area is None for area in areas_m2):
        return "the map's areas are unknown"
    return None


def _estimate(area_m2: float, reach_m2: float) -> dict[str, float]:
    low, high = max(0.0, area_m2 - reach_m2), area_m2 + reach_m2
    return {"area_m2": float(area_m2), "low_m2": float(low), "high_m2": float(high)}


def _quantile(freedom: int) -> float:
    """Student's t for `LEVEL`, by the expansion of Cornish and Fisher: right to 0.3 % from 4 on."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
