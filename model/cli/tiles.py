"""Draws tiles of maps for whoever asks, line by line: `python -m mfnet.model.cli.tiles`.

Each line of standard input is a JSON object: `raster`, a file of the map; `look`, `classes` with
`statistics`, the map's, or `percent`; and `z`, `x`, `y`, or none of them for where the map lies.
Each line of standard output is the answer: `png` in base64, `extent`, or `error`.
"""

import base64
import json
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from mfnet.model.classes import NODATA
from mfnet.model.raster.files.gdal_access import GDAL_OPTIONS
from mfnet.model.raster.products.pictures.map_tiles import draw_tile, tile_extent


def main() -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    with rasterio.Env(**GDAL_OPTIONS):
        for line in sys.stdin:
            answers.write(json.dumps(_answer(json.loads(line))) + "\n")


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    raster = Path(asked["raster"])
    try:
        if "z" not in asked:
            return {"extent": tile_extent(raster)}
        colors = _percent() if asked["look"] == "percent" else _classes(asked["statistics"])
        png = draw_tile(raster, colors, asked["z"], asked["x"], asked["y"])
    except Exception as error:  # of one map, which others are not to suffer from
        return {"error": f"{type(error).__name__}: {error}"}
    return {"png": base64.b64encode(png).decode()}


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
