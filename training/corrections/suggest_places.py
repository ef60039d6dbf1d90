"""Which places of a survey to label next: unsure, and unlike those that are labelled.

Uncertainty alone picks the same thing many times over (twenty windows of one wood). So a place is
weighed by how unlike it is to all that were chosen before it, greedily (Sener and Savarese, Active
Learning for Convolutional Neural Networks, 2018, choose by distance alone).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mfnet.model.atomic_files import beside, check_outputs
from mfnet.model.classes import NODATA, ClassScheme
from mfnet.model.errors import DataMismatch, DataMissing, NoData
from mfnet.model.raster.products.map_scheme import read_scheme
from mfnet.model.raster.products.uncertainty_windows import outline
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.model.raster.vectors.geopackage_writer import write_polygons
from mfnet.model.raster.vectors.polygon_formats import open_polygons
from mfnet.training.corrections.window_features import Place, Survey, features, places
from mfnet.training.datasets.readers.label_polygons import PolygonLabels, Polygons

LAYER = "suggested"
_LEAST_KNOWN = 0.01
"""Of a window's pixels that labels must cover; less is a neighbour's rim."""


@dataclass(frozen=True)
class Suggestion:
    """A place to label.

    Attributes:
        rank: From 1, the best first.
        place: Where.
        unlike: Distance to the most similar place that is labelled or ranks before it: 1 where
            that is as far as two places of the survey are on average, or farther.
        score: Uncertainty times that.
        area_m2: Of its pixels with a class; None where it cannot be known.
        most: Title of the class with most pixels.
    """

    rank: int
    place: Place
    unlike: float
    score: float
    area_m2: float | None
    most: str


def suggest(
    surveys: Sequence[Survey],
    out: Path,
    *,
    number: int = 10,
    side_px: int = 256,
    labelled: Sequence[Path] = (),
) -> list[Suggestion]:
    """Writes the places to label next into a GeoPackage, the best first.

    The layer `suggested` has a square each with `rank`, `score`, `unsure`, `unlike` and `area_m2`.

    Args:
        surveys: Maps of one CRS and of the same classes.
        out: The GeoPackage; replaced if it exists.
        number: At most so many.
        side_px: Side of a window, in pixels of the map.
        labelled: Files with polygons where labels are; these places are not suggested again, nor
            is what is like them.

    Raises:
        DataMissing: A map has no confidence or no statistics beside it.
        DataMismatch: Maps of other classes or another CRS.
        NoData: Nothing is left to suggest.
        InputError: A file cannot be read.
    """
    used = [each for s in surveys for each in (s.classes, s.confidence, s.ortho, s.height)]
    check_outputs((*used, *labelled), (out,))
    scheme = _one_scheme(surveys)
    found = [place for each in surveys for place in places(each, len(scheme), side_px)]
    _require_one_crs(found)
    known = _known(found, labelled)
    if not found or known.all():
        raise NoData(
            f"none of the {len(found)} windows of {side_px} pixels a side is left to suggest: they "
            "have no data or are labelled; expected some: choose a smaller --side"
        )
    unsure = np.array([place.unsure for place in found])
    chosen = choose(unsure, features(found), known, number)
    told = [
        Suggestion(
            rank, found[index], unlike, score, _area_m2(found[index]), _most(found[index], scheme)
        )
        for rank, (index, unlike, score) in enumerate(chosen, start=1)
    ]
    _write(told, out)
    return told


def choose(
    unsure: NDArray[np.float64],
    features: NDArray[np.float64],
    known: NDArray[np.bool_],
    number: int,
) -> list[tuple[int, float, float]]:
    """Indices of places, how unlike each is to those before it, and its score; the best first.

    Args:
        unsure: (N,) 0 to 1.
        features: (N, F), of variance 1 a group.
        known: (N,) whether a place is labelled.
        number: At most so many.
    """
    # Two independent places lie sqrt(2 var) apart.
    typical = float(np.sqrt(2 * features.var(axis=0).sum())) or 1.0
    nearest = np.full(len(unsure), np.inf)
    free = ~known
    for each in np.flatnonzero(known):
        nearest = np.minimum(nearest, np.linalg.norm(features - features[each], axis=1))
    chosen: list[tuple[int, float, float]] = []
    while free.any() and len(chosen) < number:
        unlike = np.minimum(1.0, nearest / typical)
        # Where all are alike, as in a map of one class, the unsure one still comes first.
        scores = np.where(free, unsure * unlike + 1e-9 * unsure, -1.0)
        index = int(scores.argmax())
        chosen.append((index, float(unlike[index]), float(unsure[index] * unlike[index])))
        free[index] = False
        nearest = np.minimum(nearest, np.linalg.norm(features - features[index], axis=1))
    return chosen


def survey_of(
    classes: Path,
    ortho: Path | None = None,
    height: Path | None = None,
    reading: ReadingOptions | None = None,
) -> Survey:
    """A map with the confidence that `mfnet predict --confidence` writes beside it.

    Raises:
        DataMissing: There is none.
    """
    confidence = beside(classes, "confidence.tif")
    if not confidence.is_file():
        raise DataMissing(
            f"{confidence} is not there; expected the map's confidence: mfnet predict "
            f"--confidence -o {classes.name} writes both",
            file=str(confidence),
        )
    return Survey(classes, confidence, ortho, height, reading)


def _one_scheme(surveys: Sequence[Survey]) -> ClassScheme:
    schemes = [read_scheme(beside(each.classes, "statistics.json")) for each in surveys]
    for each, scheme in zip(surveys, schemes, strict=True):
        if scheme.names != schemes[0].names:
            raise DataMismatch(
                f"{each.classes.name} has the classes {', '.join(scheme.names)}, "
                f"{surveys[0].classes.name} {', '.join(schemes[0].names)}; expected maps of one "
                "model",
                file=str(each.classes),
            )
    return schemes[0]


def _require_one_crs(found: Sequence[Place]) -> None:
    for place in found:
        if place.grid.crs != found[0].grid.crs:
            raise DataMismatch(
                f"{place.survey.classes.name} lies in {place.grid.crs}, "
                f"{found[0].survey.classes.name} in {found[0].grid.crs}; expected one CRS: call "
                "the command once for each",
                file=str(place.survey.classes),
            )


def _known(found: Sequence[Place], labelled: Sequence[Path]) -> NDArray[np.bool_]:
    """(N,) whether polygons cover a part of a place."""
    known = np.zeros(len(found), bool)
    for path in labelled:
        with open_polygons(path) as opened:
            layer = opened.layer(None)
            shapes, _ = opened.read(layer, next(iter(layer.columns), ""))
        if layer.crs is None or not found:
            continue
        polygons = Polygons(path, layer.crs, shapes, np.zeros(len(shapes), np.uint8))
        drawn = {id(place.grid): PolygonLabels(polygons, place.grid) for place in found}
        for number, place in enumerate(found):
            covered = drawn[id(place.grid)].read(place.window) != NODATA
            known[number] |= covered.mean() >= _LEAST_KNOWN
    return known


def _write(told: Sequence[Suggestion], out: Path) -> None:
    columns: dict[str, list[int | float | None]] = {
        "rank": [each.rank for each in told],
        "score": [round(each.score, 4) for each in told],
        "unsure": [round(each.place.unsure, 4) for each in told],
        "unlike": [round(each.unlike, 4) for each in told],
        "area_m2": [each.area_m2 for each in told],
    }
    shapes: list[shapely.Polygon] = [outline(s.place.window, s.place.grid) for s in told]
    write_polygons(out, LAYER, shapes, columns, told[0].place.grid.crs)


def _area_m2(place: Place) -> float | None:
    window = place.window
    middle = window.row_off + window.height // 2, window.col_off + window.width // 2
    pixel = place.grid.pixel_area_m2(*map(int, middle))
    return None if pixel is None else round(place.pixels * pixel, 2)


def _most(place: Place, scheme: ClassScheme) -> str:
    return scheme.classes[int(place.classes.argmax())].title
