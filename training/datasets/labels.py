"""Label rasters, and what is found when all labels of a data set are looked through."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from model.classes import NODATA, ClassScheme
from model.errors import BadLabels
from training.datasets.census import CELL_PX, Census, count_cells
from training.datasets.encoding import UNKNOWN, Encoding
from training.datasets.files import OpenFiles

STRIP_PX = 8 * CELL_PX
_NAMED = 5
_KEPT = 100


@dataclass
class Findings:
    """What is in a window of labels.

    Attributes:
        truth: (h, w) values of the scheme, 255 to be ignored.
        unknown: Pixels by the stored value that nobody knows.
        doubtful: Pixels that a person should know of.
    """

    truth: NDArray[np.uint8]
    unknown: Counter[str] = field(default_factory=Counter)
    doubtful: int = 0


class Labels(Protocol):
    """The truth of a tile, on the tile's grid."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def doubt(self) -> str:
        """What is odd about doubtful pixels."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(h, w) values of the scheme, 255 to be ignored."""

    def examine(self, window: Window) -> Findings:
        """The same, with what is odd about it."""


@dataclass(frozen=True)
class LabelRaster:
    """Labels in a TIFF of the tile's size."""

    path: Path
    encoding: Encoding
    files: OpenFiles

    @property
    def doubt(self) -> str:
        """See `Labels`."""
        return self.encoding.doubt

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`."""
        truth = self.encoding.decode(self._raw(window))
        truth[truth == UNKNOWN] = NODATA
        return truth

    def examine(self, window: Window) -> Findings:
        """See `Labels`."""
        return examine(self._raw(window), self.encoding)

    def _raw(self, window: Window) -> NDArray[np.generic]:
        return self.files.read(self.path, self.encoding.bands, window)


def examine(raw: NDArray[np.generic], encoding: Encoding) -> Findings:
    """Decodes stored values (bands, h, w) and says what was odd."""
    truth = encoding.decode(raw)
    strange = truth == UNKNOWN
    values, counts = np.unique(raw[:, strange], axis=1, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_KEPT]  # a picture in place of labels has millions
    named = [",".join(map(str, value)) for value in values.T[most].tolist()]
    unknown = Counter(dict(zip(named, counts[most].tolist(), strict=True)))
    truth[strange] = NODATA
    return Findings(truth, unknown, int(encoding.doubtful(raw).sum()))


@dataclass(frozen=True)
class Place:
    """Labels, and the part of them that belongs to an area.

    Attributes:
        labels: The labels.
        window: The part.
        valid: Says of a window where there is an orthophoto, (h, w): labels elsewhere do not count.
    """

    labels: Labels
    window: Window
    valid: Callable[[Window], NDArray[np.bool_]]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.window.height), int(self.window.width)


@dataclass(frozen=True)
class Survey:
    """What was found in the labels of some places.

    Attributes:
        cells: Of each place, as `count_cells` returns them.
        remarks: For people.
    """

    cells: list[NDArray[np.uint16]]
    remarks: list[str]


def survey(
    places: Sequence[Place], scheme: ClassScheme, *, threads: int = 1, whole: bool = True
) -> Survey:
    """Looks through labels.

    Args:
        places: Where they are.
        scheme: Of the data set.
        threads: To read with.
        whole: Every single place must have labels.

    Raises:
        BadLabels: A file has unknown values, or no label.
    """
    with ThreadPoolExecutor(max(1, threads)) as pool:
        found = list(pool.map(lambda place: _look_through(place, len(scheme)), places))
    # a file may serve several places, the blocks of a tile or the tiles of one GeoPackage
    unknown: dict[Path, Counter[str]] = defaultdict(Counter)
    doubtful: Counter[tuple[Path, str]] = Counter()
    for place, (_, strange, odd) in zip(places, found, strict=True):
        unknown[place.labels.path] += strange
        doubtful[place.labels.path, place.labels.doubt] += odd
    for path, values in unknown.items():
        if values:
            _refuse_unknown(path.name, values, scheme)
    remarks = [f"{path.name}: {n:,} pixels {doubt}" for (path, doubt), n in doubtful.items() if n]
    cells = [cells for cells, _, _ in found]
    return Survey(cells, [*remarks, *_unlabelled(places, cells, scheme, whole)])


def require_two_classes(census: Census, scheme: ClassScheme) -> None:
    """Refuses labels that nothing can be learned from, BadLabels."""
    present = [name for name, n in zip(scheme.names, census.pixels, strict=True) if n]
    if len(present) < 2:
        raise BadLabels(
            f"all labels are {present[0] if present else 'empty'}; expected at least two of "
            f"{', '.join(scheme.names)}"
        )


def _look_through(place: Place, classes: int) -> tuple[NDArray[np.uint16], Counter[str], int]:
    """Cells, unknown values and doubtful pixels of an area, read strip by strip."""
    strips, unknown, doubtful = [], Counter[str](), 0
    window = place.window
    for row in range(0, window.height, STRIP_PX):
        rows = min(STRIP_PX, window.height - row)
        strip = Window(window.col_off, window.row_off + row, window.width, rows)
        found = place.labels.examine(strip)
        truth = np.where(place.valid(strip), found.truth, np.uint8(NODATA))
        strips.append(count_cells(truth, classes))
        unknown += found.unknown
        doubtful += found.doubtful
    return np.concatenate(strips), unknown, doubtful


def _unlabelled(
    places: Sequence[Place], cells: Sequence[NDArray[np.uint16]], scheme: ClassScheme, whole: bool
) -> list[str]:
    """Remarks on places without labels; BadLabels if there must be none."""
    names = (p.labels.path.name for p, c in zip(places, cells, strict=True) if not c.any())
    remarks = []
    for name, count in Counter(names).items():
        if whole:
            raise BadLabels(
                f"{name}: not one pixel is labelled; expected some of {', '.join(scheme.names)}",
                file=name,
            )
        parts = "" if count == 1 else f" in {count} parts of it"
        remarks.append(f"{name}: not one pixel is labelled{parts}")
    return remarks


def _refuse_unknown(name: str, unknown: Counter[str], scheme: ClassScheme) -> None:
    listed = ", ".join(f"{value} ({n:,} pixels)" for value, n in unknown.most_common(_NAMED))
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    raise BadLabels(
        f"{name}: unknown values {listed}{more}; expected those of the scheme {scheme.name!r}",
        file=name,
        unknown=dict(unknown.most_common(_NAMED)),
    )
