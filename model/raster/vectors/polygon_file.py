"""What every file with polygons gives, whatever its format: layers, and the classes of polygons."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from mfnet.model.errors import BadPolygons

MAX_BYTES = 256 << 20
"""Of a file: its polygons are held in memory. Much more than anybody draws by hand."""

_KINDS = {int(shapely.GeometryType.POLYGON), int(shapely.GeometryType.MULTIPOLYGON)}


@dataclass(frozen=True)
class Layer:
    """A table of features.

    Attributes:
        name: Of the table.
        crs: Of the coordinates; None where the file names none that is known.
        geometry: The column of the geometries, where it has a name.
        columns: The other columns.
        features: Number of rows.
    """

    name: str
    crs: CRS | None
    geometry: str
    columns: tuple[str, ...]
    features: int


class PolygonFile(ABC):
    """An open file of polygons.

    Args:
        path: The file.

    Raises:
        BadPolygons: It is none, is damaged, or is too large.

    Attributes:
        path: As given.
        layers: Its tables of features.
    """

    kind: ClassVar[str]
    """With its article, for messages."""
    refusal: ClassVar[type[BadPolygons]] = BadPolygons
    """What is raised."""

    layers: tuple[Layer, ...]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._told: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - not every format keeps its file open
        """Close the file; a second time does nothing."""

    def remarks(self) -> list[str]:
        """What a person should know of the file, and of the polygons that were read of it."""
        return self._told

    def require_layer(self) -> None:
        """Raises `BadPolygons` where there is no table of features at all."""
        if not self.layers:
            raise self._bad("it has no layer of features; expected polygons")

    def layer(self, name: str | None, option: str = "layer") -> Layer:
        """The layer of a name, or the only one.

        Args:
            name: Of the layer; None where there is one alone.
            option: What chooses it, on the command line.

        Raises:
            BadPolygons: There is none, or several and no name.
        """
        self.require_layer()
        chosen = [layer for layer in self.layers if name in (None, layer.name)]
        if len(chosen) == 1:
            return chosen[0]
        names = [layer.name for layer in self.layers]
        found = f"{len(names)} layers" if name is None else f"no layer {name!r}"
        near = get_close_matches(name or "", names, n=1, cutoff=0.0)[0]
        raise self._bad(
            f"{found}; expected one of {', '.join(names)}: --{option} {quote(near)}",
            option=option.replace("-", "_"),
            nearest=near,
        )

    def read(self, layer: Layer, column: str) -> tuple[NDArray[np.object_], list[object]]:
        """Polygons of a layer in the order of the file, and a column's value for each.

        What has no geometry, or an empty one, is left out, and `remarks` tells of it.

        Args:
            layer: One of `layers`.
            column: Its name; case counts only where two columns differ by nothing else.

        Raises:
            BadPolygons: No such column, a geometry that is damaged or no polygon.
        """
        shapes, (values,) = self._checked(layer, [self._column(layer, column)])
        there = ~shapely.is_missing(shapes)
        self._tell(int((~there).sum()), shapes[there])
        return shapes[there], [value for value, kept in zip(values, there, strict=True) if kept]

    def read_whole(self, layer: Layer) -> tuple[NDArray[np.object_], dict[str, list[object]]]:
        """All features of a layer in the order of the file, with all of their columns.

        Args:
            layer: One of `layers`.

        Returns:
            Polygons, None where a feature has none or an empty one; and the values by column.

        Raises:
            BadPolygons: A geometry that is damaged or no polygon.
        """
        shapes, values = self._checked(layer, layer.columns)
        return shapes, dict(zip(layer.columns, values, strict=True))

    def _checked(
        self, layer: Layer, columns: Sequence[str]
    ) -> tuple[NDArray[np.object_], list[list[object]]]:
        with self._border():
            found, values = self._rows(layer, columns)
        shapes = np.array(found, object)
        shapes[shapely.is_empty(shapes)] = None
        self._require_polygons(layer, shapes[~shapely.is_missing(shapes)])
        return shapes, values

    @abstractmethod
    def _rows(
        self, layer: Layer, columns: Sequence[str]
    ) -> tuple[Sequence[Any], list[list[object]]]:
        """All geometries of a layer, None where there is none, and each column's values."""

    def _column(self, layer: Layer, column: str) -> str:
        if column in layer.columns:
            return column
        alike = [each for each in layer.columns if each.casefold() == column.casefold()]
        if len(alike) == 1:
            return alike[0]
        near = get_close_matches(column, layer.columns, n=1, cutoff=0.0)
        raise self._bad(
            f"the layer {layer.name!r} has no column {column!r}; expected it to hold each "
            f"polygon's class: it has {', '.join(layer.columns) or 'no column'}"
            + (f": --column {quote(near[0])}" if near else ""),
            option="column",
            nearest=next(iter(near), None),
        )

    def _require_polygons(self, layer: Layer, shapes: NDArray[np.object_]) -> None:
        if not len(shapes):
            raise self._bad(
                f"the layer {layer.name!r} holds no polygon; expected some: was it saved?"
            )
        kinds = set(np.unique(shapely.get_type_id(shapes)).tolist())
        if strange := kinds - _KINDS:
            names = ", ".join(shapely.GeometryType(kind).name.lower() for kind in sorted(strange))
            raise self._bad(f"the layer {layer.name!r} holds {names}; expected polygons alone")

    def _tell(self, empty: int, shapes: NDArray[np.object_]) -> None:
        self._told = []
        if empty:
            self._told.append(f"{self.path.name}: {empty:,} features without a geometry left out")
        invalid = shapes[~shapely.is_valid(shapes)]
        if len(invalid):
            self._told.append(
                f"{self.path.name}: {len(invalid):,} polygons are not valid (the first: "
                f"{shapely.is_valid_reason(invalid[0])}); where their outline crosses itself, a "
                "part may be taken for outside: look there (in QGIS, Vector › Geometry Tools › "
                "Check Validity)"
            )

    @contextmanager
    def _border(self) -> Iterator[None]:
        """Whatever is raised while the file is read counts as the file's fault."""
        try:
            yield
        except BadPolygons:
            raise
        except MemoryError:
            raise self._bad("reading it takes more memory than this process may take") from None
        except Exception as error:
            raise self._bad(
                f"{' '.join(str(error).split())[:300]}; expected {self.kind} that is whole: "
                "export it again"
            ) from error

    def _require_size(self, size: int) -> None:
        if size > MAX_BYTES:
            raise self._bad(f"it has {size:,} bytes; expected at most {MAX_BYTES:,}")

    def _bad(self, found: str, **params: Any) -> BadPolygons:
        return self.refusal(f"{self.path.name}: {found}", file=self.path.name, **params)


@contextmanager
def geometry_border(name: str) -> Iterator[None]:
    """The border to GEOS: what it cannot do with a stranger's polygons is the polygons' fault.

    Args:
        name: Of their file.

    Raises:
        BadPolygons: GEOS, or the memory, gave up.
    """
    try:
        yield
    except (MemoryError, shapely.errors.GEOSException) as error:
        found = " ".join(str(error).split())[:200]
        expected = "polygons with finite coordinates: mend them (in QGIS, Fix geometries)"
        if isinstance(error, MemoryError) or "bad_alloc" in found:
            found = "its polygons take more memory than this process may take"
            expected = "fewer: cut the file to the place that is mapped (ogr2ogr -clipsrc)"
        raise BadPolygons(f"{name}: {found}; expected {expected}", file=name) from None
