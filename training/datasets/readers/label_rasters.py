"""Label rasters, and what is found when all labels of a data set are looked through."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import BadLabels
from mfnet.training.datasets.readers.label_encoding import UNKNOWN, Encoding
from mfnet.training.datasets.readers.open_files import OpenFiles
from mfnet.training.datasets.readers.stored_labels import LabelFile, Stored, decode
from mfnet.training.datasets.tiles.class_census import CELL_PX, Census, count_cells

STRIP_PX = 8 * CELL_PX
_NAMED = 5
_KEPT = 100


@dataclass
class Findings:
    """What is in a window of labels.

    Attributes:
        truth: (h, w) values of the scheme, 255 to be ignored.
        unknown: Pixels by the stored value that nobody knows.
        odd: Pixels that a person should know of, by what is odd about them.
    """

    truth: NDArray[np.uint8]
    unknown: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)


class Labels(Protocol):
    """The truth of a tile, on the tile's grid."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    def expected(self, found: str) -> str:
        """What there may be in place of a stored value that nobody knows, for messages."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(h, w) values of the scheme, 255 to be ignored."""

    def examine(self, window: Window) -> Findings:
        """The same, with what is odd about it."""


@dataclass(frozen=True)
class LabelRaster:
    """Labels in a TIFF of the tile's size."""

    path: Path
    encoding: Encoding
    scheme: ClassScheme
    files: OpenFiles

    def expected(self, found: str) -> str:
        """See `Labels`."""
        return expected(found, self.encoding, self.scheme)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`."""
        return labelled(decode(self._stored(window), self.encoding).truth)

    def examine(self, window: Window) -> Findings:
        """See `Labels`."""
        return examine(self._stored(window), self.encoding, self.scheme)

    def _stored(self, window: Window) -> Stored:
        file = self.files.get(("labels", self.path), lambda: LabelFile(self.path))
        return file.read(window, self.encoding.bands)


def labelled(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decoded labels, what nobody knows being 255."""
    return np.where(truth == UNKNOWN, np.uint8(NODATA), truth)


def expected(found: str, encoding: Encoding, scheme: ClassScheme) -> str:
    """What there may be in place of an unknown value, and what leaves it out."""
    return f"{encoding.known(scheme)}; or {encoding.ignoring(found)} to leave {found} out"


def examine(stored: Stored, encoding: Encoding, scheme: ClassScheme) -> Findings:
    """Decodes stored values and says what was odd."""
    decoded = decode(stored, encoding)
    truth = decoded.truth
    unknown = _counted(stored.values[:, truth == UNKNOWN])
    odd = Counter({encoding.doubt: int((encoding.doubtful(stored.values) & stored.shown).sum())})
    declared = np.bincount(truth[decoded.declared], minlength=len(scheme)).tolist()
    for value, count in enumerate(declared):
        odd[declared_note(stored.nodata, value, encoding, scheme)] += count
    return Findings(labelled(truth), unknown, +odd)


def declared_note(
    nodata: tuple[float | None, ...], value: int, encoding: Encoding, scheme: ClassScheme
) -> str:
    """What to tell of pixels that are a class by the legend, and nodata by the file."""
    stored = as_text(np.array(nodata))
    return (
        f"have the value {stored}, which the file declares as nodata and the legend names "
        f"{scheme.names[value]!r}: they are that class; {encoding.ignoring(stored)} if they are "
        "unlabelled"
    )


def as_text(stored: NDArray[Any]) -> str:
    """A pixel's values (bands,) as they are told: 3, or 255,0,0."""
    numbers = stored.tolist()
    return ",".join(f"{n:g}" if isinstance(n, float) else str(n) for n in numbers)


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
    odd: dict[Path, Counter[str]] = defaultdict(Counter)
    for place, (_, strange, told) in zip(places, found, strict=True):
        unknown[place.labels.path] += strange
        odd[place.labels.path] += told
    for place in places:
        if values := unknown[place.labels.path]:
            _refuse_unknown(place.labels, values)
    remarks = [
        f"{path.name}: {n:,} pixels {what}"
        for path, told in odd.items()
        for what, n in told.items()
    ]
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


def absent_classes(census: Census, scheme: ClassScheme) -> list[str]:
    """A remark on the classes that have no pixel to learn from; nothing where all have."""
    absent = [name for name, n in zip(scheme.names, census.pixels, strict=True) if not n]
    if not absent:
        return []
    return [
        f"not one pixel of the training labels is {' or '.join(absent)}: the model will not find "
        "it; where it should, label some, or give another tile to training"
    ]


def _counted(stored: NDArray[Any]) -> Counter[str]:
    """How often each of some pixels' values (bands, n) occurs; the most frequent ones alone."""
    values, counts = np.unique(stored, axis=1, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_KEPT]  # a picture in place of labels has millions
    named = [as_text(value) for value in values.T[most]]
    return Counter(dict(zip(named, counts[most].tolist(), strict=True)))


def _look_through(
    place: Place, classes: int
) -> tuple[NDArray[np.uint16], Counter[str], Counter[str]]:
    """Cells, unknown values and odd pixels of an area, read strip by strip."""
    strips, unknown, odd = [], Counter[str](), Counter[str]()
    window = place.window
    for row in range(0, window.height, STRIP_PX):
        rows = min(STRIP_PX, window.height - row)
        strip = Window(window.col_off, window.row_off + row, window.width, rows)
        found = place.labels.examine(strip)
        truth = np.where(place.valid(strip), found.truth, np.uint8(NODATA))
        strips.append(count_cells(truth, classes))
        unknown += found.unknown
        odd += found.odd
    return np.concatenate(strips), unknown, odd


def _refuse_unknown(labels: Labels, unknown: Counter[str]) -> None:
    listed = ", ".join(f"{value} ({n:,} pixels)" for value, n in unknown.most_common(_NAMED))
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    expected = labels.expected(unknown.most_common(1)[0][0])
    raise BadLabels(
        f"{labels.path.name}: unknown values {listed}{more}; expected {expected}",
        file=labels.path.name,
        unknown=dict(unknown.most_common(_NAMED)),
    )


def _unlabelled(
    places: Sequence[Place], cells: Sequence[NDArray[np.uint16]], scheme: ClassScheme, whole: bool
) -> list[str]:
    """Remarks on places without labels; BadLabels if there must be none."""
    names = (p.labels.path.name for p, c in zip(places, cells, strict=True) if not c.any())
    remarks = []
    for name, count in Counter(names).items():
        if whole:
            raise BadLabels(
                f"{name}: not one pixel is labelled; expected some of {', '.join(scheme.names)}: "
                "is it the right file? If there is nothing to learn, leave the tile out",
                file=name,
            )
        parts = "" if count == 1 else f" in {count} parts of it"
        remarks.append(f"{name}: not one pixel is labelled{parts}")
    return remarks
