"""Computes parts of a finished map again: whether it is what its tags say it is."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from mfnet.model.classes import NODATA
from mfnet.model.engine_options import RuntimeName
from mfnet.model.errors import MapDiffers, NoMap, RasterMissing
from mfnet.model.inference.runtimes.interface import Runtime
from mfnet.model.inference.segment import Segmentation
from mfnet.model.inference.segment_options import SegmentOptions
from mfnet.model.raster.files.content_hash import content_sha256
from mfnet.model.raster.files.gdal_access import gdal
from mfnet.model.raster.pairs.pair import RasterPair
from mfnet.model.raster.products.sieve import beyond_sieve
from mfnet.model.raster.values.reading_options import ReadingOptions

_BAND_ROWS = 64
_READ_ROWS = 512
_CHOICES = [each.value for each in RuntimeName]  # a rule's is none


@dataclass(frozen=True)
class Provenance:
    """What a map's tags say of how it was made.

    Attributes:
        model: Name of the model.
        fingerprint: Of its weights, as the runtime loads them.
        files: Names of the inputs by role: `ortho`, `height`, perhaps `dtm`.
        sha256: Of their contents, by role; None of one that was read over the network.
        beside: Likewise, of the files that were read beside each.
        reading: How they were read.
        options: How the map was computed.
        in_area: Only an area of interest was mapped.
    """

    model: str
    fingerprint: str
    files: Mapping[str, str]
    sha256: Mapping[str, str | None]
    beside: Mapping[str, list[str]]
    reading: ReadingOptions
    options: SegmentOptions
    in_area: bool

    @classmethod
    def of(cls, path: Path) -> Self:
        """Reads the tags of a map.

        Raises:
            NoMap: They are not there, or do not make sense.
        """
        try:
            with gdal(path), rasterio.open(path) as raster:
                tags = raster.tags()
            inputs = json.loads(tags["MFNET_INPUTS"])
            reading = json.loads(tags["MFNET_READING"])
            return cls(
                model=tags["MFNET_MODEL"],
                fingerprint=tags["MFNET_MODEL_FINGERPRINT"],
                files={role: str(told["file"]) for role, told in inputs.items()},
                sha256={role: told["sha256"] for role, told in inputs.items()},
                beside={role: list(told["beside"]) for role, told in inputs.items()},
                reading=ReadingOptions(**reading.get("options", {})),
                options=SegmentOptions(
                    stride=int(tags["MFNET_STRIDE"]),
                    blend=tags["MFNET_BLEND"],
                    tta=tags.get("MFNET_TTA", "none"),
                    precision=tags["MFNET_PRECISION"],
                    runtime=tags["MFNET_RUNTIME"] if tags["MFNET_RUNTIME"] in _CHOICES else "auto",
                    sieve=int(tags["MFNET_SIEVE"]) if "MFNET_SIEVE" in tags else None,
                ),
                in_area="MFNET_AREA" in tags,
            )
        except (rasterio.RasterioIOError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoMap(
                f"{path}: does not say how it was made ({type(error).__name__}: {error}); expected "
                "a class raster that mfnet predict of this version wrote",
                file=str(path),
            ) from error

    def check_inputs(self, paths: Mapping[str, Path]) -> None:
        """Refuses files that are not those that the map was made of.

        Args:
            paths: By role.

        Raises:
            MapDiffers: Names the first.
            RasterMissing: One is not there.
        """
        for role, expected in self.sha256.items():
            if role not in paths or not paths[role].exists():
                raise RasterMissing(
                    f"{paths.get(role, role)}: the {role} that the map was made of is not there; "
                    "name the inputs: mfnet verify MAP ORTHO HEIGHT [--dtm DTM]",
                    file=self.files[role],
                )
            found = content_sha256(paths[role]) if expected else None
            if found != expected:
                raise MapDiffers(
                    f"{paths[role]}: not the {role} that the map was made of, which has sha256 "
                    f"{expected}; this one has {found}",
                    role=role,
                    got=found,
                    expected=expected,
                )


@dataclass(frozen=True)
class Verification:
    """What came out.

    Attributes:
        rows: That were computed again.
        pixels: How many of them were compared.
        differing: How many of those have another class.
        in_islands: Pixels that were not compared, since the map's sieve may have changed them.
    """

    rows: tuple[range, ...]
    pixels: int
    differing: int
    in_islands: int = 0


def verify(
    path: Path,
    pair: RasterPair,
    model: Runtime,
    made: Provenance,
    *,
    bands: int = 3,
    seed: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Computes bands of rows again, at random places, and compares them with the map.

    Of a sieved map, areas that are islands in a band are not compared.

    Args:
        path: The map.
        pair: What it was made of, read in the same way.
        model: What made it, in the runtime and precision of `made.options`.
        made: From the map's tags.
        bands: How many, of 64 rows each.
        seed: Draws the places; others each time if not given.
        progress: Called with the bands done and their total.

    Raises:
        MapDiffers: The model, a file beside an input, or the raster's size is another.
        NoMap: There is not one pixel to compare.
    """
    if model.fingerprint != made.fingerprint:
        raise MapDiffers(
            f"the model {model.config.name} is not the one that made the map: its weights are "
            f"{model.fingerprint[:12]}…, the map's are {made.fingerprint[:12]}…",
            got=model.fingerprint,
            expected=made.fingerprint,
        )
    again = Segmentation(pair, model, made.options)
    for role, told in again.inputs.items():
        if told["beside"] != made.beside[role]:
            raise MapDiffers(
                f"what stands beside {told['file']} (such as .tfw, .prj, .msk, .aux.xml) is not "
                f"what stood beside the {role} when the map was made",
                role=role,
            )
    height, rows, pixels, differing, in_islands = pair.grid.height, [], 0, 0, 0
    with gdal(path), rasterio.open(path) as raster:
        if raster.shape != (height, pair.grid.width):
            raise MapDiffers(
                f"the map has {raster.height} × {raster.width} pixels, the orthophoto "
                f"{height} × {pair.grid.width}"
            )
        mapped = _mapped_rows(raster) if made.in_area else range(height)
        for done, band in enumerate(_places(mapped, bands, random.Random(seed))):
            progress(done, bands)
            rows.append(band)
            there = raster.read(1, window=_rows(raster, band.start, len(band)))
            found = np.concatenate([each.classes_hW for each in again.map_rows(band)])
            compared = there != NODATA if made.in_area else np.ones_like(there, bool)
            known = int(compared.sum())
            if made.options.sieve is not None:
                compared &= beyond_sieve(found, made.options.sieve)
            pixels += int(compared.sum())
            in_islands += known - int(compared.sum())
            differing += int((compared & (there != found)).sum())
    progress(bands, bands)
    if pixels == 0:
        raise NoMap(f"{path}: no pixel with a class that could be compared", file=str(path))
    return Verification(tuple(rows), pixels, differing, in_islands)


def _mapped_rows(raster: DatasetReader) -> range:
    """From the first row with a class to the last; of a map of an area these are few."""
    found = [
        row + int(each)
        for row in range(0, raster.height, _READ_ROWS)
        for each in np.flatnonzero(
            (raster.read(1, window=_rows(raster, row, _READ_ROWS)) != NODATA).any(axis=1)
        )
    ]
    return range(found[0], found[-1] + 1) if found else range(0)


def _rows(raster: DatasetReader, row: int, rows: int) -> Window:
    return Window(0, row, raster.width, min(rows, raster.height - row))


def _places(among: range, bands: int, draw: random.Random) -> list[range]:
    """Bands that do not overlap, from the top: one at random in each equal share of the rows."""
    edges = np.linspace(among.start, among.stop, bands + 1).astype(int).tolist()
    places = []
    for first, stop in pairwise(edges):
        rows = min(_BAND_ROWS, stop - first)
        if rows > 0:
            top = draw.randint(first, stop - rows)
            places.append(range(top, top + rows))
    return places
