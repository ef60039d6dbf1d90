"""What is made of a map, and alignment, beside the tools that people use for it.

    python benchmarks/products.py [--size 6000] [--repeat 3] [--model town-small] [--only polygons]

The map is a drawn town of 1,536 pixels as the model maps it, mirrored until it is as large as asked
for; its heights lie 3.5 pixels to the right and 2 above. Zones are parcels of about 600 m². Peers
that are not installed are left out: gdal_polygonize and gdal_sieve come with Debian's python3-gdal.
scikit-image holds the whole pair several times, 2 GB at 6,000 pixels and 23 at 20,000, and is left
out where this machine has no room for that.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_origin
from report import RESULTS, Row, report

from mfnet.model.classes import ISPRS, NODATA
from mfnet.model.free_memory import free_memory

SEED, TOWN_PX, PIXEL_M, SHIFT_PX = 7, 1536, 0.125, (3.5, -2.0)
PARCEL_PX = 196
SIEVE_PX, SIMPLIFY_M = 50, 2 * PIXEL_M
SKIMAGE_BYTES = 56
"""A pixel, as measured at 6,000."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", default="town-small")
    parser.add_argument("--only", default="", help="the beginning of what is to be run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, help="with --run: what was drawn")
    parser.add_argument("--run", help="one contestant, in this process")
    args = parser.parse_args()
    if args.run:
        print(json.dumps(run(args.run, args.folder)))
        return
    from measure import take_turns_in_children  # brings torch, whose memory would count

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder, args.size, args.model)
        here = {
            name: ["--folder", str(folder), "--run", name]
            for name in CONTESTANTS
            if has(name, args.size) and name.startswith(args.only)
        }
        results = take_turns_in_children(Path(__file__), here, args.repeat)
        rows: list[Row] = [{"task": name, **result} for name, result in results.items()]
    conditions = {"size": args.size, "repeat": args.repeat, "model": args.model}
    report("products", rows, conditions=conditions, out=args.out)


def draw(folder: Path, size: int, model: str) -> None:
    """A pair, its map and its parcels."""
    from mfnet.model.inference.runtimes.choose import open_runtime
    from mfnet.model.inference.segment import segment
    from mfnet.training.synthetic.town import draw_town, write_town

    town = folder / "town"
    town.mkdir()
    write_town(town, draw_town(SEED, min(size, TOWN_PX)))
    small = segment(town / "ortho.tif", town / "ndsm.tif", open_runtime(model), town / "c.tif")
    assert small["nodata"]["pixels"] == 0
    for source, name, moved in (
        ("ortho", "ortho", (0, 0)), ("ndsm", "ndsm", SHIFT_PX), ("c", "classes", (0, 0)),
    ):  # fmt: skip
        with rasterio.open(town / f"{source}.tif") as raster:
            values = mirrored(raster.read(), size)
        write(folder / f"{name}.tif", values, moved, NODATA if name == "classes" else None)
    sides = np.arange(0, size, PARCEL_PX) * PIXEL_M
    left, low = (axis.ravel() for axis in np.meshgrid(sides + 5e5, 5.7e6 - sides))
    side = PARCEL_PX * PIXEL_M
    parcels = shapely.box(left + 0.03, low - side, left + side + 0.03, low)
    from pyogrio.raw import write as write_layer

    names = [np.array([str(n) for n in range(len(parcels))], object)]
    write_layer(
        folder / "parcels.gpkg", shapely.to_wkb(parcels), names, ["id"],
        geometry_type="Polygon", crs="EPSG:25832",
    )  # fmt: skip


def mirrored(values: NDArray[Any], size: int) -> NDArray[Any]:
    """(bands, size, size) without an edge where two copies meet."""
    side = values.shape[-1]
    at = np.arange(size)
    at = np.where(at // side % 2, side - 1 - at % side, at % side)
    return values[:, at][:, :, at]


def write(path: Path, values: NDArray[Any], moved: tuple[float, float], nodata: int | None) -> None:
    """A deflated GeoTIFF in tiles, moved by columns and rows."""
    corner = (5e5 + moved[0] * PIXEL_M, 5.7e6 - moved[1] * PIXEL_M)
    bands, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=bands, crs="EPSG:25832",
        dtype=values.dtype.name, transform=from_origin(*corner, PIXEL_M, PIXEL_M), nodata=nodata,
        tiled=True, blockxsize=512, blockysize=512, compress="deflate",
    ) as raster:  # fmt: skip
        raster.write(values)


# ---- contestants: each returns what it found, a number --------------------------------------


def polygons_of_ours(folder: Path) -> float:
    from mfnet.model.raster.products.polygons.map_polygons import write_map_polygons

    return write_map_polygons(folder / "classes.tif", folder / "ours.gpkg", ISPRS)


def simplified_of_ours(folder: Path) -> float:
    from mfnet.model.raster.products.polygons.map_polygons import write_map_polygons

    return write_map_polygons(
        folder / "classes.tif", folder / "simple.gpkg", ISPRS, simplify_m=SIMPLIFY_M
    )


def polygons_of_gdal(folder: Path) -> float:
    out = folder / "gdal.gpkg"
    out.unlink(missing_ok=True)
    # The variable makes SQLite wait for no disk: ours writes a file that may be thrown away, too.
    command(
        "gdal_polygonize", folder / "classes.tif", out, "land_cover",
        config={"OGR_SQLITE_SYNCHRONOUS": "OFF"},
    )  # fmt: skip
    from pyogrio import read_info

    return float(read_info(out, force_feature_count=True)["features"])


def sieve_of_ours(folder: Path) -> float:
    from mfnet.model.raster.products.sieve import Sieved, sieve

    done = Sieved()
    with rasterio.open(folder / "classes.tif") as raster:
        windows = [window for _, window in raster.block_windows(1) if window.col_off == 0]
        rows = (
            (
                each.row_off,
                raster.read(
                    1, window=((each.row_off, each.row_off + each.height), (0, raster.width))
                ),
            )
            for each in windows
        )
        for _ in sieve(rows, raster.width, SIEVE_PX, folder / "sieved.tif", done=done):
            pass
    return float(done.pixels)


def sieve_of_gdal(folder: Path) -> float:
    out = folder / "gdal_sieved.tif"
    out.unlink(missing_ok=True)
    command("gdal_sieve", "-q", "-st", SIEVE_PX, "-4", folder / "classes.tif", out)
    with rasterio.open(out) as sieved, rasterio.open(folder / "classes.tif") as raster:
        return float((sieved.read(1) != raster.read(1)).sum())


def zones_of_ours(folder: Path) -> float:
    from mfnet.model.raster.products.areas.zone_areas import read_zones, write_zone_areas

    zones = read_zones(folder / "parcels.gpkg")
    return float(len(write_zone_areas(folder / "classes.tif", zones, [folder / "z.gpkg"], ISPRS)))


def zones_of_exactextract(folder: Path) -> float:
    from exactextract import exact_extract
    from exactextract.feature import JSONFeatureSource
    from pyogrio.raw import read

    _, _, shapes, _ = read(folder / "parcels.gpkg")
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(shape))}
        for shape in shapely.from_wkb(shapes)
    ]
    with rasterio.open(folder / "classes.tif") as raster:
        found = exact_extract(raster, JSONFeatureSource(features), ["unique", "frac", "count"])
    return float(len(found))


def shift_of_ours(folder: Path) -> float:
    from mfnet.model.raster.pairs.alignment.measure_shift import measure_shift
    from mfnet.model.raster.pairs.pair import RasterPair

    with RasterPair.open(folder / "ortho.tif", folder / "ndsm.tif") as pair:
        found = measure_shift(pair)
    assert found is not None
    return off(found.columns, found.rows)


def shift_of_skimage(folder: Path) -> float:
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from skimage.filters import sobel
    from skimage.registration import phase_cross_correlation

    with rasterio.open(folder / "ortho.tif") as ortho, rasterio.open(folder / "ndsm.tif") as there:
        grid = {"transform": ortho.transform, "height": ortho.height, "width": ortho.width}
        with WarpedVRT(there, crs=ortho.crs, resampling=Resampling.bilinear, **grid) as heights:
            edges = sobel(np.clip(heights.read(1), 0, 12) / 12)
        picture = sobel(ortho.read().mean(axis=0, dtype=np.float32) / 255)
    rows, columns = phase_cross_correlation(edges, picture, upsample_factor=10)[0]
    return off(float(columns), float(rows))


def off(columns: float, rows: float) -> float:
    """Pixels by which a shift is wrong."""
    return float(np.hypot(columns - SHIFT_PX[0], rows - SHIFT_PX[1]))


CONTESTANTS: dict[str, Callable[[Path], float]] = {
    "polygons: mfnet": polygons_of_ours,
    "polygons: gdal_polygonize": polygons_of_gdal,
    "polygons, simplified: mfnet": simplified_of_ours,
    "islands: mfnet": sieve_of_ours,
    "islands: gdal_sieve": sieve_of_gdal,
    "zones: mfnet": zones_of_ours,
    "zones: exactextract": zones_of_exactextract,
    "shift: mfnet": shift_of_ours,
    "shift: scikit-image": shift_of_skimage,
}


def has(name: str, size: int) -> bool:
    """Whether a contestant is installed, and has room."""
    tool = name.split(": ")[1]
    if tool == "scikit-image" and size**2 * SKIMAGE_BYTES > (free_memory() or 0):
        return False
    return not tool.startswith("gdal_") or found_command(tool) is not None


def found_command(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(f"{tool}.py")


_command_mb = 0.0


def command(tool: str, *arguments: object, config: dict[str, str] | None = None) -> None:
    """Runs a command of GDAL's, in an environment that knows nothing of ours, and watches it."""
    global _command_mb
    name = found_command(tool)
    assert name is not None
    settings = {"PATH": "/usr/bin:/bin", **(config or {})}
    words = [name, *map(str, arguments)]
    with subprocess.Popen(words, env=settings, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            _command_mb = max(_command_mb, peak_mb(child.pid))
            time.sleep(0.005)
    assert child.returncode == 0, words


def peak_mb(process: int | str = "self") -> float:
    """The most resident memory that a process has had, in 10⁶ bytes; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def run(name: str, folder: Path) -> dict[str, float]:
    """Seconds, the peak memory of this process or of the command it runs, and what was found."""
    start = time.perf_counter()
    found = CONTESTANTS[name](folder)
    seconds = time.perf_counter() - start
    return {"s": seconds, "peak MB": _command_mb or peak_mb(), "found": found}


if __name__ == "__main__":
    main()
