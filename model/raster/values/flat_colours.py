"""Flat colours that may stand for no data: black, white, pure ones, and the colour of a frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mfnet.model.raster.values.colour_bands import largest_number
from mfnet.model.raster.values.linked_runs import runs_of

Windows = Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]
"""Values (3, h, w) and validity (h, w) of some windows."""

_LOSSY = 4
"""Lossy compression of 8 bits leaves so much beside black; wider types are plain or are not."""
_FRAME_RUN_PX = 64
"""Along the rim, of a colour that is neither black nor white, and worth a look."""
_PAINTED = 0.2
"""Of neighbours in the sample, that are equal in a picture which is painted, not photographed."""
_SOFT = 24 / 255
"""Of white: what differs by less from a plain colour may be its shade."""
_ENDS = 4 / 255
"""Of white: colours so near to black or white are clipped ones."""
_SEEN_PX, _SEEN_SHADES = 64, 0.25
"""Plain pixels of a window of the sample, that make it worth looking for holes, and how many shades
of them may be beside them."""


@dataclass(frozen=True, eq=False)
class Flat:
    """A colour that may stand for no data.

    Attributes:
        name: For messages.
        levels: Numbers of the bands, (3,) each; near any of them it is plain.
        edge: How near.
        exact: The numbers that are exact; None: all that is plain.
        like: Whether it is as unlikely a thing as black, or as white.
        shaded: Pictures have shades of it beside it, if it is a thing.
        white: The digital number of white.
    """

    name: str
    levels: tuple[NDArray[np.float32], ...]
    edge: int
    exact: NDArray[np.float32] | None
    like: str
    shaded: bool
    white: float

    def apart(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """How far pixels (3, h, w) are from it, (h, w): in the band where they are farthest.

        Numbers below 0, which stand for no light, are black.
        """
        values = np.maximum(values, values.dtype.type(0))
        distances = [abs(values - level[:, None, None]).max(axis=0) for level in self.levels]
        return np.asarray(np.minimum.reduce(distances))

    def plain(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which valid pixels (h, w) it may be."""
        return np.asarray((self.apart(values) <= self.edge) & valid)

    def shades(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which valid pixels (h, w) are near it, plain or not."""
        return np.asarray((self.apart(values) <= _SOFT * self.white) & valid)

    def is_exact(self, values: NDArray[Any], plain: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the plain ones are so to the last digit."""
        if self.exact is None:
            return plain
        return np.asarray(plain & (values == self.exact[:, None, None]).all(axis=0))


def black(rim: Windows, white: float) -> Flat:
    return _grey("black", {0.0}, rim, white)


def white_of(rim: Windows, white: float) -> Flat:
    # Of 8 bits white is 255, whatever contrast the caller has asked for.
    dtype = rim[0][0].dtype
    levels = {largest_number(dtype)} | (set() if dtype == np.uint8 else {white})
    return _grey("white", levels, rim, white)


def _grey(name: str, levels: set[float], rim: Windows, white: float) -> Flat:
    """Of 8 bits, the level that most plain pixels of the rim have is exact: it may be 1 or 254."""
    triples = tuple(np.full(3, level, np.float32) for level in sorted(levels))
    if rim[0][0].dtype != np.uint8:
        return Flat(name, triples, 0, None, name, True, white)
    flat = Flat(name, triples, _LOSSY, triples[0], name, True, white)
    plain = np.concatenate([values[0][flat.plain(values, valid)] for values, valid in rim])
    level = int(np.bincount(plain).argmax()) if plain.size else int(triples[0][0])
    # Only black to the last digit is hardly ever a thing.
    like = "black" if level == 0 else "white"
    return Flat(name, triples, _LOSSY, np.full(3, level, np.float32), like, True, white)


def pure_colours(rim: Windows, white: float) -> Iterator[Flat]:
    """Magenta and the like, which no camera sees: as unlikely as black."""
    dtype = rim[0][0].dtype
    most = largest_number(dtype)
    for bands in product((0.0, most), repeat=3):
        if len(set(bands)) > 1:
            yield _flat(np.array(bands, np.float32), dtype, "black", white)


def frames(rim: Windows, plain: Sequence[Flat], white: float) -> Iterator[Flat]:
    """The other colour, if any, that the rim shows to the last digit for a while."""
    longest, colour = _FRAME_RUN_PX - 1, None
    for values, valid in rim:
        line, known = values.reshape(len(values), -1), valid.ravel()
        same = (line[:, 1:] == line[:, :-1]).all(axis=0) & known[1:] & known[:-1]
        starts, stops = runs_of(same)
        if len(starts) and (stops - starts).max() >= longest:
            longest = int((stops - starts).max())
            colour = line[:, starts[(stops - starts).argmax()]].astype(np.float32)
    if colour is None:
        return
    flat = _flat(colour, rim[0][0].dtype, "white", white)
    if all(other.apart(colour[:, None, None]).min() > other.edge for other in plain):
        yield flat


def flat_of(colour: NDArray[Any], white: float) -> Flat:
    """A colour (3,) that stands out in a picture; it has shades where it is nearly black or white.

    White to the last digit is a roof as well, where it is small.
    """
    level, most = colour.astype(np.float32), largest_number(colour.dtype)
    shaded = bool((level <= _ENDS * white).all() or (level >= min(white, most) * (1 - _ENDS)).all())
    like = "white" if (level >= most).all() else "black"
    return replace(_flat(level, colour.dtype, like, white), shaded=shaded)


def _flat(colour: NDArray[np.float32], dtype: np.dtype, like: str, white: float) -> Flat:
    name = f"({', '.join(f'{number:g}' for number in colour)})"
    edge = _LOSSY if dtype == np.uint8 else 0
    return Flat(f"flat {name}", (colour,), edge, colour, like, False, white)


def is_painted(flat: Flat, sample: Windows) -> bool:
    """Whether the rest of the picture is as flat: a drawing has no collar, but a background."""
    same = pairs = 0
    for values, valid in sample:
        other = valid & ~flat.plain(values, valid)
        beside = other[:, 1:] & other[:, :-1]
        same += int((beside & (values[:, :, 1:] == values[:, :, :-1]).all(axis=0)).sum())
        pairs += int(beside.sum())
    return same >= _PAINTED * pairs


def may_be_hole(flat: Flat, values: NDArray[Any], valid: NDArray[np.bool_]) -> bool:
    """Whether a window of the sample holds much of a colour, and little of its shades."""
    plain = int(flat.plain(values, valid).sum())
    shades = int(flat.shades(values, valid).sum()) - plain
    return plain >= _SEEN_PX and shades <= _SEEN_SHADES * plain
