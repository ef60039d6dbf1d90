"""Makes the tutorial's pictures by its own commands: `python docs/generated/tutorial_pictures.py`.

Not part of the site's build: the pictures are tracked, and made anew when a map would look
different.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from mfnet.model.raster.vectors.geopackage_reader import GeoPackage

IMAGES = Path(__file__).resolve().parents[1] / "images"
COMMANDS = (
    "mfnet town town --seed 7 --size 2048",
    "mfnet predict town/ortho.tif town/ndsm.tif -o town/classes.tif --least-sure town/unsure.gpkg "
    "--model town-small",
)


def main() -> None:
    """Run the tutorial's commands in a folder of their own and draw what they made."""
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
        town = Path(folder) / "town"
        with rasterio.open(town / "ortho.tif") as source:
            ortho = np.moveaxis(source.read(), 0, -1)
            left, bottom, right, top = source.bounds
        extent = (left, right, bottom, top)
        with rasterio.open(town / "ndsm.tif") as source:
            heights = source.read(1, masked=True).filled(0)
        with rasterio.open(town / "classes.tif") as source:
            classes = source.read(1)
        statistics = json.loads((town / "classes_statistics.json").read_text())
        with GeoPackage(town / "unsure.gpkg") as package:
            squares, ranks = package.read(package.layer(None), "rank")
    draw_pair(ortho, heights)
    draw_map(ortho, classes, statistics["classes"])
    draw_least_sure(ortho, extent, zip(squares, ranks, strict=True))


def draw_pair(ortho: np.ndarray, heights: np.ndarray) -> None:
    """What goes in: the orthophoto, and the heights above ground."""
    figure, (left, right) = panels(2)
    left.imshow(ortho)
    left.set_title("ortho.tif")
    shown = right.imshow(heights, vmin=0)
    figure.colorbar(shown, ax=right, shrink=0.8, format="{x:g} m")
    right.set_title("ndsm.tif: height above ground")
    save(figure, "tutorial-pair.jpg")


def draw_map(ortho: np.ndarray, classes: np.ndarray, legend: list[dict[str, Any]]) -> None:
    """What comes out: the map, alone and half transparent over the orthophoto."""
    colours = np.array([_rgb(each["color"]) for each in legend], np.uint8)
    figure, (left, right) = panels(2)
    left.imshow(colours[classes])
    left.set_title("classes.tif")
    right.imshow(ortho)
    right.imshow(colours[classes], alpha=0.5)
    right.set_title("half transparent over the orthophoto")
    handles = [Patch(facecolor=e["color"], edgecolor="grey", label=e["title"]) for e in legend]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(legend), frameon=False)
    save(figure, "tutorial-map.jpg")


def draw_least_sure(
    ortho: np.ndarray, extent: tuple[float, ...], squares: Iterable[tuple[Any, object]]
) -> None:
    """Where to look first: the places with the least confidence, by rank."""
    figure, (axes,) = panels(1)
    axes.imshow(ortho, extent=extent)
    for square, rank in squares:
        west, south, east, north = square.bounds
        corner, sides = (west, south), (east - west, north - south)
        axes.add_patch(Rectangle(corner, *sides, fill=False, color="yellow", linewidth=1.5))
        axes.text((west + east) / 2, (south + north) / 2, str(rank), color="yellow", ha="center")
    axes.set_title("unsure.gpkg over the orthophoto: 1 is the least sure")
    save(figure, "tutorial-unsure.jpg")


def panels(count: int) -> tuple[Figure, Any]:
    """A figure of square pictures side by side, without ticks."""
    figure = Figure(figsize=(5 * count, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, count, squeeze=False)[0]
    for each in axes:
        each.set_axis_off()
        each.title.set_fontsize(10)
    return figure, axes


def save(figure: Figure, name: str) -> None:
    """Write the picture among the documents' images."""
    figure.savefig(IMAGES / name, dpi=110, pil_kwargs={"quality": 85})


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


if __name__ == "__main__":
    main()
