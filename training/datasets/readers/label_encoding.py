"""How label rasters say classes: by numbers or by colours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mfnet.model.classes import NODATA, ClassScheme

UNKNOWN = 254
"""What `decode` gives for a value that it does not know; no scheme is that long."""
BLACK = (0, 0, 0)


class Encoding(Protocol):
    """From stored values to the scheme's.

    Attributes:
        bands: To be read, counted from 1.
        doubt: What is odd about the pixels that `doubtful` finds.
    """

    @property
    def bands(self) -> tuple[int, ...]: ...

    @property
    def doubt(self) -> str: ...

    def known(self, scheme: ClassScheme) -> str:
        """What stands for which class, for messages."""

    def ignoring(self, stored: str) -> str:
        """What makes a stored value unlabelled, for messages."""

    def decode(self, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Values of the scheme, 255 to be ignored, `UNKNOWN`: (h, w) from (bands, h, w)."""

    def doubtful(self, raw: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Where a pixel was read in a way that a person should know of, (h, w)."""


@dataclass(frozen=True)
class Numbers:
    """One band of class numbers.

    Args:
        values: What each stored number means; 255 means to be ignored.
        outside: Those of them that the owners' own mapping leaves without a class.
        ignore: What makes a stored number, {}, unlabelled, for messages.
    """

    values: Mapping[int, int]
    outside: tuple[int, ...] = ()
    ignore: str = f"{NODATA} in place of it"

    bands = (1,)

    @classmethod
    def of(cls, scheme: ClassScheme) -> "Numbers":
        """Each class's place in its scheme."""
        return cls({value: value for value in (*range(len(scheme)), NODATA)})

    @property
    def doubt(self) -> str:
        """Which numbers."""
        which = ", ".join(map(str, self.outside))
        return f"have the number {which}, which stands for no class: ignored"

    def known(self, scheme: ClassScheme) -> str:
        """See `Encoding`."""
        classes = {n: value for n, value in self.values.items() if value < len(scheme)}
        return ", ".join(f"{n} {scheme.names[value]}" for n, value in sorted(classes.items()))

    def ignoring(self, stored: str) -> str:
        """See `Encoding`."""
        return self.ignore.format(stored)

    def decode(self, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
        """See `Encoding`."""
        band: NDArray[Any] = raw[0]
        known = sorted(self.values)
        at = np.searchsorted(known, band).clip(max=len(known) - 1)
        truth: NDArray[np.uint8] = np.array([self.values[value] for value in known], np.uint8)[at]
        truth[np.asarray(known)[at] != band] = UNKNOWN
        return truth

    def doubtful(self, raw: NDArray[np.generic]) -> NDArray[np.bool_]:
        """See `Encoding`."""
        return np.isin(raw[0], self.outside)


@dataclass(frozen=True)
class Colours:
    """Three bands with the scheme's colours; black is to be ignored.

    Args:
        scheme: Whose colours.
        blurred: The file was resampled or compressed with loss: the class whose colour is nearest
            counts. Black is none of them, since halfway from red to blue is as near to it: such
            a file must be labelled all over.
    """

    scheme: ClassScheme
    blurred: bool = False

    bands = (1, 2, 3)
    doubt = "have a colour that is none of the classes', and were read as the nearest"

    def known(self, scheme: ClassScheme) -> str:
        """See `Encoding`."""
        named = [f"{','.join(map(str, c.rgb))} {c.name}" for c in scheme.classes]
        return ", ".join(named) + ", black for what is unlabelled"

    def ignoring(self, stored: str) -> str:
        """See `Encoding`."""
        return "black in place of it"

    def decode(self, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
        """See `Encoding`."""
        return self._nearest(raw) if self.blurred else self._exact(raw)

    def doubtful(self, raw: NDArray[np.generic]) -> NDArray[np.bool_]:
        """See `Encoding`."""
        if not self.blurred:
            return np.zeros(raw.shape[1:], bool)
        return self._exact(raw) >= len(self.scheme)

    def _exact(self, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
        values = {_packed(c.rgb): value for value, c in enumerate(self.scheme.classes)}
        numbers = Numbers({_packed(BLACK): NODATA, **values})
        return numbers.decode(_pack(raw)[None])

    def _nearest(self, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
        """By the distance in the colour cube; of two as near, the class that comes first."""
        colours_K3 = np.array([c.rgb for c in self.scheme.classes], np.float32)
        # |p - c|² less |p|², which is the same for all: whole numbers that float32 holds exactly
        squares_K11 = (colours_K3**2).sum(1)[:, None, None]
        apart_Khw = squares_K11 - 2 * np.tensordot(colours_K3, np.asarray(raw, np.float32), 1)
        nearest: NDArray[np.uint8] = apart_Khw.argmin(0).astype(np.uint8)
        return nearest


def _packed(rgb: tuple[int, int, int]) -> int:
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2]


def _pack(raw: NDArray[Any]) -> NDArray[np.int32]:
    red, green, blue = raw.astype(np.int32)
    packed: NDArray[np.int32] = red << 16 | green << 8 | blue
    return packed
