"""Draws tiles of maps for whoever asks, line by line: `python -m mfnet.model.cli.tiles [MB]`.

Each line of standard input is a JSON object: `raster`, a file of the map; `look`, `classes` with
`statistics`, the map's, or `percent`; and `z`, `x`, `y`, or none of them for where the map lies.
With the looks `ortho` and `hillshade` come `pair`, the rasters by role, `reading`, how they are
read, and `pictures`, `step` and `stretch`, what `mfnet pictures` has made of them.
Each line of standard output is the answer: `png` in base64, `extent`, or `error`.

Whoever has strangers' rasters drawn limits the memory that it may take, and starts one for each
sender's.
"""

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from mfnet.model.classes import NODATA
from mfnet.model.cli.resource_limits import limit
from mfnet.model.raster.files.gdal_access import GDAL_OPTIONS
from mfnet.model.raster.products.pictures.map_tiles import draw_tile, tile_extent

if TYPE_CHECKING:
    from mfnet.model.raster.pairs.interpretation import Decisions
    from mfnet.model.raster.pairs.pair import RasterPair

_decided: "dict[str, Decisions]" = {}
_joined = ExitStack()
_whole: dict[str, dict[str, Path]] = {}
"""Rasters in tiles, joined for as long as we run: to look at each tile takes milliseconds."""


def main() -> None:
    """Answers until standard input ends."""
    limit(int(sys.argv[1]) if sys.argv[1:] else None, None)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    with _joined, rasterio.Env(**GDAL_OPTIONS):
        for line in sys.stdin:
            answers.write(json.dumps(_answer(json.loads(line))) + "\n")


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    raster = Path(asked["raster"])
    try:
        if "z" not in asked:
            return {"extent": tile_extent(raster)}
        place = (asked["z"], asked["x"], asked["y"])
        if "pair" in asked:
            png = _of_pair(asked, raster, place)
        else:
            colors = _percent() if asked["look"] == "percent" else _classes(asked["statistics"])
            png = draw_tile(raster, colors, *place)
    except Exception as error:  # of one map, which others are not to suffer from
        return {"error": f"{type(error).__name__}: {error}"}
    return {"png": base64.b64encode(png).decode()}


def _of_pair(asked: dict[str, Any], raster: Path, place: tuple[int, int, int]) -> bytes:
    from mfnet.model.cli.pair_tiles import Drawn, draw_pair_tile

    drawn = Drawn(Path(asked["pictures"]), asked["step"], tuple(asked["stretch"]))
    with _opened(asked["pair"], asked["reading"]) as pair:
        return draw_pair_tile(pair, drawn, raster, asked["look"], place)


@contextmanager
def _opened(rasters: dict[str, str], reading: dict[str, Any]) -> "Iterator[RasterPair]":
    """The pair; what was decided of it is kept, since that takes a sample of its pixels."""
    from mfnet.model.raster.pairs.join_tiles import joined
    from mfnet.model.raster.pairs.pair import RasterPair
    from mfnet.model.raster.values.reading_options import ReadingOptions

    which, options = json.dumps([rasters, reading]), ReadingOptions(**reading)
    paths = {role: Path(path) for role, path in rasters.items()}
    if which not in _whole:
        _whole[which] = _joined.enter_context(joined(paths, options))
    ready = _whole[which]
    with RasterPair.open(
        ready["ortho"],
        ready["height"],
        dtm=ready.get("dtm"),
        options=options,
        decisions=_decided.get(which),
    ) as pair:
        _decided[which] = pair.decisions
        yield pair


@lru_cache(maxsize=64)
def _classes(statistics: str) -> np.ndarray:
    """The colours of a map's classes, (256, 3) uint8."""
    legend = json.loads(Path(statistics).read_text())["classes"]
    colors = np.full((NODATA + 1, 3), 255, np.uint8)
    for value, each in enumerate(legend):
        colors[value] = [int(each["color"][i : i + 2], 16) for i in (1, 3, 5)]
    return colors


@lru_cache(maxsize=1)
def _percent() -> np.ndarray:
    """From dark to light by percent, as the pictures of a job have it, (256, 3) uint8."""
    from matplotlib import colormaps

    found: np.ndarray = colormaps["magma"](np.minimum(np.arange(256), 100) / 100, bytes=True)
    return found[:, :3]


if __name__ == "__main__":
    main()
