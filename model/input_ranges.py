"""What a model has seen in training: the range of its inputs, tile by tile. Travels with it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

PERCENTILES = (1, 50, 99)


class Quantiles(NamedTuple):
    """Of a band's pixels, in the modality's unit: white is 1, heights are metres."""

    p1: float
    p50: float
    p99: float


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Frozen):
    """From low to high, both included."""

    low: float
    high: float

    def joined(self, other: "Range") -> "Range":
        """What holds both."""
        return Range(low=min(self.low, other.low), high=max(self.high, other.high))


class SeenBand(_Frozen):
    """A band of a modality, in its unit."""

    most: Range = Field(description="of 98 % of all pixels: from their 1 % to their 99 % quantile")
    p1: Range = Field(description="of the tiles' 1 % quantiles")
    p50: Range = Field(description="of the tiles' medians")
    p99: Range = Field(description="of the tiles' 99 % quantiles")

    def joined(self, other: "SeenBand") -> "SeenBand":
        """What holds both; roughly so for `most`, whose pixels are not known any more."""
        return SeenBand(
            most=self.most.joined(other.most),
            p1=self.p1.joined(other.p1),
            p50=self.p50.joined(other.p50),
            p99=self.p99.joined(other.p99),
        )


class Seen(_Frozen):
    """The inputs of a training."""

    bands: dict[str, tuple[SeenBand, ...]] = Field(description="by modality")
    gsd_m: Range | None = Field(default=None, description="ground sampling distances of the tiles")
    tiles: int = Field(description="that were sampled")

    def joined(self, other: "Seen") -> "Seen":
        """What a model has seen that went on learning: the parent's tiles, and its own."""
        both = {
            name: tuple(one.joined(two) for one, two in zip(bands, other.bands[name], strict=True))
            for name, bands in self.bands.items()
            if name in other.bands
        }
        known = [gsd for gsd in (self.gsd_m, other.gsd_m) if gsd is not None]
        return Seen(
            bands={**self.bands, **other.bands, **both},
            gsd_m=known[0].joined(known[-1]) if known else None,
            tiles=self.tiles + other.tiles,
        )


def quantiles(values: NDArray[np.floating]) -> Quantiles:
    """The quantiles of a band's pixels, of any shape, at least one."""
    return Quantiles(*np.percentile(values.astype(np.float64), PERCENTILES).tolist())


def seen_band(tiles: Sequence[NDArray[np.floating]]) -> SeenBand:
    """What was seen of a band.

    Args:
        tiles: Its pixels in each tile, of any shape, at least one.
    """
    each = [quantiles(values) for values in tiles]
    whole = quantiles(np.concatenate([values.ravel() for values in tiles]))
    return SeenBand(
        most=range_of((whole.p1, whole.p99)),
        p1=range_of(q.p1 for q in each),
        p50=range_of(q.p50 for q in each),
        p99=range_of(q.p99 for q in each),
    )


def range_of(values: Iterable[float]) -> Range:
    """The lowest and the highest, to six digits."""
    known = list(values)
    return Range(low=float(f"{min(known):.6g}"), high=float(f"{max(known):.6g}"))
