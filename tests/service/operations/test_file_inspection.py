"""The child that looks at a stranger's file, and the process that never does."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from mfnet.service.errors import Busy, InspectionBroken, Refused
from mfnet.service.files import sidecar_files
from mfnet.service.operations import file_inspection
from mfnet.service.operations.file_inspection import ENVIRONMENT, Inspector


def inspector(**changed) -> Inspector:
    limits = {
        "models_dir": Path("/nowhere"),
        "max_memory_mb": 1024,
        "max_seconds": 30,
        "at_once": 1,
    }
    return Inspector(**(limits | changed))


@pytest.fixture
def child(monkeypatch):
    """Lets the child be a line of Python in place of `mfnet inspect`."""

    def be(code: str) -> None:
        real = subprocess.run

        def run(command, **kwargs):
            assert command[1:6] == ["-I", "-X", "utf8", "-m", "mfnet.model.cli.main"]
            return real([sys.executable, "-I", "-c", code], **kwargs)

        monkeypatch.setattr(file_inspection.subprocess, "run", run)

    return be


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


def test_a_crowd_is_sent_away_at_once_and_holds_no_threads(monkeypatch):
    monkeypatch.setattr(file_inspection, "_WAITING", 1)
    busy, inspected = inspector(max_seconds=600), threading.Event()
    busy._places.acquire()
    busy._queue.acquire()  # the child that runs
    nothing = subprocess.CompletedProcess([], 0, "{}")
    monkeypatch.setattr(file_inspection, "_run", lambda *_: inspected.set() or nothing)
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


def test_gdal_is_left_with_the_geotiff_driver():
    """A driver that a later GDAL adds has to be added to the list, or fails here."""
    code = "import rasterio\nwith rasterio.Env() as env: print(*sorted(env.drivers()))"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["COG", "GTiff", "MEM"]
    assert ran.stderr == ""


def test_the_api_process_holds_neither_torch_nor_rasters(tmp_path):
    code = f"""
import asyncio, pathlib, sys
from service.app import create_app
from service.settings import Settings
app = create_app(Settings(data_dir=pathlib.Path({str(tmp_path)!r})))
async def start():
    async with app.router.lifespan_context(app):
        app.openapi()
asyncio.run(start())
print(*sorted({{"torch", "rasterio", "numpy", "model", "training"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
