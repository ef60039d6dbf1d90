"""The child that looks at a stranger's file, and the process that never does."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pyogrio.raw
import pytest
import rasterio
import shapely
from inspections import CHILDREN
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from mfnet.service.errors import Busy, InspectionBroken, Refused
from mfnet.service.files import sidecar_files, tile_folders
from mfnet.service.operations.inspection import file_inspection, inspection_child
from mfnet.service.operations.inspection.file_inspection import ENVIRONMENT, Inspector
from mfnet.service.operations.inspection.inspection_child import Children
from mfnet.training.synthetic.town import draw_town, write_town

PAIR = {"ortho": Path("o"), "height": Path("h")}


LIMITS = {
    "models_dir": Path("/nowhere"),
    "max_memory_mb": 1024,
    "max_seconds": 30,
    "at_once": 1,
    "children": CHILDREN,
}


def inspector(**changed) -> Inspector:
    return Inspector(**(LIMITS | changed))


@pytest.fixture
def child(monkeypatch):
    """Lets the child be a line of Python in place of `mfnet inspect`."""
    children = Children(ENVIRONMENT)
    monkeypatch.setitem(LIMITS, "children", children)

    def be(code: str) -> None:
        real = subprocess.Popen
        children.close()

        def start(command, **kwargs):
            assert command[1:6] == ["-I", "-X", "utf8", "-m", "mfnet.model.cli.fork_server"]
            server = (
                "from mfnet.model.cli import fork_server\n"
                "fork_server._import_ahead = lambda: None\n"
                f"fork_server.command.main = lambda: exec({code!r}, {{}})\n"
                "fork_server.main()"
            )
            return real([sys.executable, "-I", "-c", server, command[6]], **kwargs)

        monkeypatch.setattr(inspection_child, "Popen", start)

    yield be
    children.close()


def test_a_report_comes_back(child):
    child("print('{\"width\": 3}')")
    assert inspector().file(Path("a.tif"), {}) == {"width": 3}


def test_names_on_our_disk_are_nobodys_business(child):
    child('print(\'{"file": "0af3"}\')')
    assert inspector().file(Path("0af3"), {"0af3": 'a "b".tif'}) == {"file": 'a "b".tif'}


def test_a_refusal_comes_back_with_its_code(child):
    error = {"code": "raster.no_data", "message": "nothing there", "params": {"pixels": 0}}
    child(f"print({json.dumps({'error': error})!r}); raise SystemExit(2)")
    with pytest.raises(Refused, match="nothing there") as refused:
        inspector().file(Path("a.tif"), {})
    assert refused.value.to_dict() == error


@pytest.mark.parametrize(
    "code", ["import os; os.abort()", "import os; os.kill(os.getpid(), 9)", "while True: pass"]
)
def test_a_child_that_dies_or_hangs_was_killed_by_the_file(child, monkeypatch, code):
    monkeypatch.setattr(file_inspection, "_GRACE_S", 0)
    child(code)
    with pytest.raises(Refused) as refused:
        inspector(max_seconds=1).file(Path("a.tif"), {})
    assert refused.value.code == "raster.unreadable"


@pytest.mark.parametrize("code", ["raise SystemExit(1)", "1/0", "print('hello')"])
def test_a_child_that_fails_otherwise_is_our_fault(child, code):
    child(code)
    with pytest.raises(InspectionBroken):
        inspector().file(Path("a.tif"), {})


def test_the_child_knows_no_secret_and_no_folder_of_ours(child, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    child("import json, os; print(json.dumps({**os.environ, 'cwd': os.getcwd()}))")
    told = inspector().file(Path("a.tif"), {})
    told.pop("LC_CTYPE", None)  # Python's own, where the locale is C
    assert told == ENVIRONMENT | {"cwd": "/"}


@pytest.mark.filterwarnings("ignore", category=NotGeoreferencedWarning)
def test_a_sidecar_places_an_upload_and_is_called_what_its_sender_calls_it(tmp_path):
    raster, world, pam = tmp_path / "0af3", tmp_path / "77bd", tmp_path / "9c1e"
    form = {"driver": "GTiff", "count": 3, "height": 64, "width": 64, "dtype": "uint8"}
    with rasterio.open(raster, "w", **form) as file:
        file.write(np.random.default_rng(1).integers(0, 255, (3, 64, 64), dtype=np.uint8))
    names = {"0af3": "ortho.tif"}
    with pytest.raises(Refused, match=r"ortho\.tfw") as refused:
        inspector().file(raster, names)
    assert refused.value.code == "raster.not_georeferenced"

    world.write_text("0.5\n0\n0\n-0.5\n500000.25\n5699999.75\n")
    assert inspector().file(world, {"77bd": "ortho.tfw"}, "world")["suits"] == ["sidecar"]
    sidecar_files.link(raster, {"world": world})
    report = inspector().file(raster, names)
    assert "orthophoto" in report["suits"]
    assert report["raster"]["transform"] == [0.5, 0, 500_000, 0, -0.5, 5_700_000]
    assert "ortho.tfw" in json.dumps(report)

    pam.write_text("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><PAMDataset>&b;")
    with pytest.raises(Refused, match=r"ortho\.tif\.aux\.xml"):
        inspector().file(pam, {"9c1e": "ortho.tif.aux.xml"}, "pam")
    assert not any(ours in json.dumps(report) for ours in ("0af3", "77bd"))


def test_no_more_children_than_there_are_places():
    busy = inspector(max_seconds=0)
    busy._places.acquire()
    with pytest.raises(Busy):
        busy.file(Path("a.tif"), {})


def test_a_zip_without_tiles_waits_for_none_that_is_unpacked(tmp_path):
    busy = inspector(max_seconds=2)
    busy._unpacking.acquire()
    for name in ("parcels.shp", "dop.tif"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(name, b"x")
    assert busy.unpacked(tmp_path / "parcels.shp", tmp_path, {}, 1000) == []
    with pytest.raises(Busy):
        busy.unpacked(tmp_path / "dop.tif", tmp_path, {}, 1000)


def test_a_crowd_is_sent_away_at_once_and_holds_no_threads(monkeypatch):
    monkeypatch.setattr(file_inspection, "_WAITING", 1)
    busy, inspected = inspector(max_seconds=600), threading.Event()
    busy._places.acquire()
    busy._queue.acquire()  # the child that runs
    nothing = subprocess.CompletedProcess([], 0, "{}")
    monkeypatch.setattr(busy._children, "run", lambda *_: inspected.set() or nothing)
    second = threading.Thread(target=busy.file, args=(Path("a.tif"), {}))
    second.start()
    while busy._queue._value:
        assert second.is_alive()
    with pytest.raises(Busy):
        busy.file(Path("a.tif"), {})
    assert not inspected.is_set()
    busy._places.release()
    second.join(10)
    assert inspected.is_set()


def test_a_pair_is_looked_at_once(child):
    code = 'import os; print(\'{"remarks": ["%d"]}\' % os.getpid())'
    child(code)
    looking = inspector()

    def look(height="h", reading=(), names=(("h", "height.tif"),)):
        return looking.pair(PAIR | {"height": Path(height)}, "m", dict(reading), dict(names))

    first = look()
    first["remarks"].append("changed by whoever got it")
    again = look()
    assert again["remarks"] == first["remarks"][:1]
    others = [look(height="x"), look(reading={"white": 3}), look(names={"h": "another.tif"})]
    told = {other["remarks"][0] for other in others}
    assert len(told) == 3
    assert again["remarks"][0] not in told


def test_the_same_contents_are_looked_at_once_whatever_upload_they_came_in(child, tmp_path):
    child('import os; print(\'{"remarks": ["%d"]}\' % os.getpid())')
    looking, sums = inspector(), {"ortho": "1f", "height": "2e"}

    def look(height: str, names=("a.tif", "b.tif"), **options) -> str:
        files = {"ortho": tmp_path / "o", "height": tmp_path / height}
        called = dict(zip(("o", height), names, strict=True))
        return looking.pair(files, "m", options, called, sums)["remarks"][0]

    first = look("h")
    assert look("sent again") == first
    assert look("h", names=("a.tif", "c.tif")) != first
    assert look("h", white=3) != first
    (tmp_path / "sent again.tfw").write_text("")  # it lies elsewhere
    assert look("sent again") != first


def test_a_refusal_is_not_remembered(child):
    looking = inspector()
    child("raise SystemExit(3)")
    with pytest.raises(InspectionBroken):
        looking.pair(PAIR, "m", {}, {})
    child("print('{}')")
    assert looking.pair(PAIR, "m", {}, {}) == {}


def test_a_shift_is_measured_in_the_child(tmp_path):
    write_town(tmp_path, draw_town(900_004, 640))
    with rasterio.open(tmp_path / "ndsm.tif", "r+") as raster:
        raster.transform @= rasterio.Affine.translation(6, -4)
    model = str(Path("mfnet/model/weights/town-small.safetensors").resolve())
    files = {"ortho": tmp_path / "ortho.tif", "height": tmp_path / "ndsm.tif"}
    report = inspector().pair(files, model, {"align": True, "stride": 64}, {})
    assert report["estimate"]["windows"] == 7 * 7
    assert report["reading"]["options"]["height_shift"] == pytest.approx([6, -4], abs=1.1)
    (moved,) = [each for each in report["remarks"] if each["code"] == "pair.moved"]
    assert "inputs.height_shift" in moved["message"]


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory) -> dict[str, Path]:
    """A town as a drone sees it: an orthophoto and a surface model, on a slope above the sea."""
    folder = tmp_path_factory.mktemp("surveyed")
    write_town(folder, draw_town(900_003, 256))
    with rasterio.open(folder / "ndsm.tif") as raster:
        heights, profile = raster.read(1), raster.profile
    slope = 300 + 0.05 * np.arange(heights.shape[1], dtype=np.float32)
    with rasterio.open(folder / "dsm.tif", "w", **profile) as raster:
        raster.write(np.where(heights == -9999, heights, heights + slope), 1)
    return {"ortho": folder / "ortho.tif", "height": folder / "dsm.tif"}


def test_a_surface_alone_is_refused_with_the_input_that_helps(surveyed):
    model = "mfnet/model/weights/town-small.safetensors"
    look = partial(inspector().pair, surveyed, str(Path(model).resolve()))
    with pytest.raises(Refused, match=r"derive one with inputs\.dtm auto") as refused:
        look({}, {})
    assert refused.value.code == "pair.not_above_ground"
    report = look({"dtm": "auto", "largest_building": 30}, {})
    codes = [remark["code"] for remark in report["remarks"]]
    assert "dtm.to_derive" in codes
    assert report["drift"]["inputs"]["ndsm"][0]["p50"] is None
    with pytest.raises(Refused, match=r"^inputs\.largest_building is for .*: inputs\.dtm auto"):
        look({"largest_building": 30}, {})


def as_upload(tmp_path: Path, name: str, layers: dict[str, list], crs="EPSG:25832") -> Path:
    """Polygons as an upload: a file without an ending."""
    made, path = tmp_path / name, tmp_path / name.replace(".", "-")
    for layer, shapes in layers.items():
        pyogrio.raw.write(
            *(made, shapely.to_wkb(np.array(shapes, object)), [np.arange(len(shapes))], ["n"]),
            layer=layer, geometry_type="Unknown", crs=crs, append=made.exists(),
        )  # fmt: skip
    return made.rename(path)


def test_polygons_are_looked_at_with_their_pair(surveyed, tmp_path):
    with rasterio.open(surveyed["ortho"]) as raster:
        left, bottom, right, top = raster.bounds
    half = shapely.box(left, bottom, (left + right) / 2, top)
    away, names = shapely.box(0, 0, 1, 1), {}

    def look(role: str, name: str, layers: dict[str, list], **options) -> dict:
        file = as_upload(tmp_path, name, layers)
        names[file.name] = name
        model = str(Path("mfnet/model/weights/town-small.safetensors").resolve())
        files = surveyed | {role: file}
        return inspector().pair(files, model, {"dtm": "auto"} | options, names)

    report = look("aoi", "half.fgb", {"half": [half]})
    assert report["area"]["covered_percent"] == pytest.approx(50, abs=0.01)
    report = look("zones", "parcels.gpkg", {"a": [half], "b": [half, away]}, zones_layer="b")
    assert (report["zones"]["file"], report["zones"]["zones"]) == ("parcels.gpkg", 2)
    for role, name, layers, code, said in [
        ("aoi", "away.gpkg", {"a": [away]}, "zones.invalid", "away.gpkg covers no pixel"),
        ("zones", "off.gpkg", {"a": [away]}, "zones.invalid", "off.gpkg: not one zone lies on"),
        ("aoi", "two.gpkg", {"a": [half], "b": [half]}, "data.geopackage", "inputs.aoi_layer"),
        ("zones", "none.gpkg", {"a": [None]}, "data.geopackage", "holds no polygon"),
    ]:
        with pytest.raises(Refused) as refused:
            look(role, name, layers)
        assert (refused.value.code, said in refused.value.message) == (code, True), said


def test_a_zip_of_tiles_becomes_one_raster_and_the_odd_tile_is_named(surveyed, tmp_path):
    def look(upload: Path) -> tuple[list[str], dict]:
        folder = tile_folders.staged(upload)
        folder.mkdir()
        found = inspector().unpacked(upload, folder, {upload.name: "dop.zip"}, 1 << 30)
        tile_folders.settle(upload)
        called = tile_folders.names_of(upload.name, "dop.zip", {"tiles": found})
        return [each["name"] for each in found], inspector().file(upload, called)

    def pack(name: str, odd: str | None = None) -> None:
        with rasterio.open(surveyed["height"]) as raster:
            values, profile = raster.read(1), raster.profile
        profile |= {"width": 128, "tiled": False}
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for column in (0, 128):
                place = profile["transform"] @ rasterio.Affine.translation(column, 0)
                crs = odd if odd and column else profile["crs"]
                with MemoryFile() as memory:
                    told = profile | {"transform": place, "crs": crs}
                    with memory.open(**told) as tile:
                        tile.write(values[:, column : column + 128], 1)
                    archive.writestr(f"east/{column}.tif", memory.read())

    pack("a7")
    names, report = look(tmp_path / "a7")
    assert names == ["0.tif", "128.tif"]
    raster = report["raster"]
    assert (raster["file"], raster["height"], raster["width"]) == ("dop.zip", 256, 256)
    assert report["suits"][0] == "height raster"
    pack("b8", odd="EPSG:25833")
    with pytest.raises(Refused, match=r"^(0|128)\.tif: the CRS is") as refused:
        look(tmp_path / "b8")
    assert refused.value.code == "raster.tiles_differ"


def test_each_child_looks_at_one_file_and_whoever_forks_them_is_started_anew(child):
    child("import os; print('[%d, %d]' % (os.getpid(), os.getppid()))")
    looking = inspector()
    looking.keep_warm()
    ((server, _),) = LIMITS["children"]._server
    found = [looking.file(Path("a.tif"), {}) for _ in range(2)]
    assert len({number for pair in found for number in pair} | {server.pid, os.getpid()}) == 6
    server.kill()  # as the kernel does where memory is short
    server.wait()
    assert looking.file(Path("a.tif"), {})
    ((last, _),) = LIMITS["children"]._server
    looking.close()
    assert last.poll() is not None
    assert LIMITS["children"]._server == []


def test_a_child_holds_nothing_of_the_others(child):
    """It could speak to whoever forks the next one, or into another's report."""
    child(
        "import json, os\n"
        "kinds = [os.readlink(f'/proc/self/fd/{n}').partition(':')[0]\n"
        "         for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "print(json.dumps(sorted(kinds)))"
    )
    assert inspector().file(Path("a.tif"), {}) == ["/dev/null", "pipe", "pipe"]


def test_whoever_forks_children_ends_with_whoever_started_it():
    code = """
import time
from mfnet.service.operations.inspection.file_inspection import ENVIRONMENT
from mfnet.service.operations.inspection.inspection_child import Children
children = Children(ENVIRONMENT)
children.start()
print(children._server[0][0].pid, flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        waiting = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert psutil.wait_procs([waiting], 20)[1] == []


def test_gdal_is_left_with_geotiff_and_polygons_that_name_no_files():
    """A driver that a later GDAL adds has to be added to the list, or fails here."""
    code = "import rasterio\nwith rasterio.Env() as env: print(*sorted(env.drivers()), sep='|')"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ran.stdout.strip().split("|") == ["COG", "ESRI Shapefile", "GTiff", "MEM", "VRT"]
    assert ran.stderr == ""


def test_the_api_process_holds_neither_torch_nor_rasters(tmp_path):
    code = f"""
import asyncio, pathlib, sys
from mfnet.service.app import create_app
from mfnet.service.settings import Settings
app = create_app(Settings(data_dir=pathlib.Path({str(tmp_path)!r})))
async def start():
    async with app.router.lifespan_context(app):
        app.openapi()
asyncio.run(start())
heavy = {{"torch", "rasterio", "numpy", "mfnet.model.raster.files.geotiff"}}
print(*sorted(heavy & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
