"""Is a pair like what its model has seen in training? Told from a sample, before any computing.

The sample is the same for whoever looks (model/raster/files/sample_windows.py): `mfnet inspect`,
the service when a job is submitted, and each process that works on it say the same.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mfnet.model.config import ModelConfig
from mfnet.model.errors import NeedsHeights
from mfnet.model.input_ranges import Quantiles, Range, Seen, SeenBand, quantiles
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.pairs.report import BandInput, Drift, Remark

SHARE_LIMIT = 0.125
"""Share of pixels outside of where 98 % of the training's lie. Of the 160 towns that `town-small`
learned from, the worst has 0.114; half of the light, or feet for metres, make 0.15 and more."""
MARGIN = 0.05
"""Of `SeenBand.most`: how far a quantile may lie beyond those of the tiles."""
GSD_FACTOR = 1.25
"""How much finer or coarser than the tiles pixels may be."""
WITHOUT_HEIGHTS = "without_heights"
"""Of a model's recorded figures: IoU of classes `with` and `without` heights, and `measured_on`."""
_ROUNDING = 1e-4
"""Of `SeenBand.most`, whose limits are rounded: many pixels of 8 bits lie just on one."""

_TITLES = {"ortho": "the orthophoto", "ndsm": "the heights"}
_UNITS = {"ortho": "of white", "ndsm": "m"}
_ADVICE = {
    "ortho": "is it another camera, season or order of bands, or is white not what it is taken for "
    "(--white)?",
    "ndsm": "are they metres above ground, and is the terrain subtracted?",
}
_NAMES = {"p50": "the median", "p99": "the 99 % quantile", "p1": "the 1 % quantile"}


def drift(pair: RasterPair, config: ModelConfig) -> Drift:
    """Compares a pair with what a model has seen.

    Args:
        pair: Open.
        config: The model's; where it does not say what it has seen, nothing is compared.
    """
    sample = pair.sample()
    inputs: dict[str, list[BandInput]] = {}
    remarks = []
    for modality in config.modalities:
        unit = pair.white if modality.unit == "reflectance" else 1.0
        bands = sample[modality.name].astype(np.float32) / np.float32(unit)
        seen = (config.seen.bands if config.seen else {}).get(modality.name)
        known = seen or (None,) * len(bands)
        inputs[modality.name] = [_input(*each) for each in zip(bands, known, strict=True)]
        if seen is not None:
            facts = _facts(modality.name, inputs[modality.name], seen)
            remarks += _remark(modality.name, list(facts))
    if pair.height is None:
        remarks.append(_no_heights(config))
    if config.seen is not None:
        remarks += _gsd_remarks(pair.grid.gsd_m, config.seen)
    return Drift(
        inputs=inputs,
        gsd_m=pair.grid.gsd_m,
        compared=config.seen is not None,
        remarks=remarks,
    )


def require_heights(pair: RasterPair, config: ModelConfig) -> None:
    """Refuses a pair without heights to a rule, which knows nothing else.

    Raises:
        NeedsHeights: It is one.
    """
    if pair.height is None and config.kind != "mfnet":
        raise NeedsHeights(
            f"{pair.ortho.path.name}: no heights, and {config.name} maps by heights; expected a "
            "height raster, or a model that maps colour alone: --model town",
            model=config.name,
        )


def _no_heights(config: ModelConfig) -> Remark:
    """What a map by colour alone costs, as it was measured of the model."""
    told = config.metrics.get(WITHOUT_HEIGHTS)
    if told is None:
        cost = f"the file of {config.name} does not say how much worse the map is for it"
    else:
        cost = "; ".join(
            f"{title} IoU {100 * told['without'][name]:.0f} in place of "
            f"{100 * told['with'][name]:.0f} %"
            for name, title in (("building", "buildings:"), ("tree", "trees:"))
            if name in told["with"]
        )
        cost = f"{config.name} then maps worse ({cost}, measured on {told['measured_on']})"
    message = f"without heights {cost}; a surface model alone would do, too (--dtm auto)"
    return Remark(code="drift.no_heights", message=message)


def _input(values: NDArray[np.float32], seen: SeenBand | None) -> BandInput:
    """A band's pixels, (n,), in its unit."""
    if not values.size:
        return BandInput()
    found = quantiles(values)
    outside = None
    if seen is not None:
        most, edge = seen.most, _ROUNDING * (seen.most.high - seen.most.low)
        outside = float(((values < most.low - edge) | (values > most.high + edge)).mean())
    return BandInput(**_rounded(found), outside=outside)


def _rounded(found: Quantiles) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in found._asdict().items()}


def _facts(name: str, inputs: list[BandInput], seen: tuple[SeenBand, ...]) -> Iterator[str]:
    """What lies outside, the shares before the quantiles."""
    unit = _UNITS.get(name, "")
    for number, (found, known) in enumerate(zip(inputs, seen, strict=True), start=1):
        if found.outside is not None and found.outside > SHARE_LIMIT:
            yield (
                f"{100 * found.outside:.0f} % of the pixels{_of_band(number, seen)} lie outside of "
                f"{_said(known.most)} {unit}, where 98 % of what the model learned from lies"
            )
    for percentile, title in _NAMES.items():
        for number, (found, known) in enumerate(zip(inputs, seen, strict=True), start=1):
            margin = MARGIN * (known.most.high - known.most.low)
            value, usual = getattr(found, percentile), getattr(known, percentile)
            if value is not None and not usual.low - margin <= value <= usual.high + margin:
                yield (
                    f"{title}{_of_band(number, seen)} is {value:.3g} {unit}; in the tiles that the "
                    f"model learned from it is {_said(usual)}"
                )


def _remark(name: str, facts: list[str]) -> list[Remark]:
    if not facts:
        return []
    more = f" (and {len(facts) - 1} more)" if len(facts) > 1 else ""
    title = _TITLES.get(name, name)
    return [
        Remark(
            code=f"drift.{name}",
            message=f"{title}: {facts[0]}{more}: the map may be worse than the model's figures; "
            f"{_ADVICE.get(name, '')}",
        )
    ]


def _gsd_remarks(gsd_m: float | None, seen: Seen) -> list[Remark]:
    usual = seen.gsd_m
    if gsd_m is None or usual is None:
        return []
    if usual.low / GSD_FACTOR <= gsd_m <= usual.high * GSD_FACTOR:
        return []
    return [
        Remark(
            code="drift.gsd",
            message=f"pixels of {gsd_m:.3g} m; the model learned from pixels of {_said(usual)} m, "
            "and knows things by their size in pixels: resample the orthophoto (gdalwarp -tr), or "
            "choose another model",
        )
    ]


def _of_band(number: int, seen: tuple[SeenBand, ...]) -> str:
    return f" of band {number}" if len(seen) > 1 else ""


def _said(known: Range) -> str:
    if f"{known.low:.3g}" == f"{known.high:.3g}":
        return f"{known.low:.3g}"
    return f"{known.low:.3g} to {known.high:.3g}"
