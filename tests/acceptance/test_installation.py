"""The wheel in an empty environment, run from a folder whose files must not be imported."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
STRANGERS = (
    *("model", "training", "service", "mfnet", "engine", "tests"),
    *("json", "socket", "queue", "logging", "pickle", "random", "multiprocessing", "tempfile"),
    *("numpy", "torch", "rasterio", "celery", "pydantic", "sitecustomize"),
)
"""Names of ours, of the standard library and of what we depend on."""


USER = """
from pathlib import Path

import mfnet

model: mfnet.Model = mfnet.open_model("town-small")
report = mfnet.inspect("ortho.tif", Path("ndsm.tif"), reading=mfnet.ReadingOptions(white=255))
options = mfnet.SegmentOptions(stride=64, device="cpu")
done = mfnet.segment("ortho.tif", "ndsm.tif", "map.tif", model=model, options=options)
areas: dict[str, float | None] = {area.name: area.area_m2 for area in done.areas}
codes: list[str] = [remark.code for remark in done.remarks]
try:
    mfnet.inspect("none.tif", "ndsm.tif")
except mfnet.InputError as error:
    code: str = error.code
reveal_type(done.classes)
reveal_type(report.gsd_m)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if (ROOT / name).exists() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name, follow_symlinks=False)
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    subprocess.run([sys.executable, "-m", "pip", *build], cwd=source, check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel alone; what it depends on lies in ours."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", str(wheel)], check=True)
    # Files of paths in a folder that another such file names are not read: ours, that leads to
    # this checkout, is not.
    (site_packages(folder) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def site_packages(environment: Path) -> Path:
    (folder,) = environment.glob("lib/python*/site-packages")
    return folder


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """A folder of modules that leave a trace if one is imported."""
    folder = tmp_path / "strangers"
    folder.mkdir()
    for name in STRANGERS:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'trace')!r}, 'a').write(__name__)"
        )
    return folder


def test_mfnet_alone_is_installed(environment: Path) -> None:
    names = {path.name for path in site_packages(environment).iterdir()}
    assert {name for name in names if not name.endswith((".dist-info", ".pth"))} == {"mfnet"}


def test_the_wheel_holds_what_is_needed_beside_code(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"mfnet/py.typed", "mfnet/service/settings.py"} <= names
    for pattern in (
        "model/weights/*.safetensors",
        "model/weights/*.onnx",
        "training/recipes/*.toml",
        "training/datasets/splits/*.json",
        "service/db/migrations/**/*.py",
        "service/db/migrations/*.mako",
        "service/web/*.*",
        "service/web/app/*.js",
        "service/web/text/*.json",
        "service/web/vendor/*/*",
    ):
        wanted = {f"mfnet/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob(pattern)}
        assert wanted, pattern
        assert wanted <= names, pattern


def test_the_demo_runs_from_a_folder_of_strangers_modules(
    environment: Path, strangers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [str(environment / "bin/mfnet"), "demo", "--out", str(out)],
        cwd=strangers,
        env={k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (out / "classes.tif").exists()
    assert not (tmp_path / "trace").exists()


def test_towns_are_drawn_by_processes_in_a_folder_of_strangers_modules(
    environment: Path, strangers: Path, tmp_path: Path
) -> None:
    recipe = (ROOT / "training/recipes/town-small.toml").read_text()
    small = {"size_px": 256, "towns": 3, "held_out_towns": 1, "held_out_size_px": 256}
    for name, value in (small | {"steps": 1, "warmup_steps": 0, "batch_size": 1}).items():
        recipe = re.sub(rf"^{name} = .*$", f"{name} = {value}", recipe, flags=re.MULTILINE)
    (tmp_path / "recipe.toml").write_text(recipe)
    train = [str(environment / "bin/mfnet"), "train", str(tmp_path / "recipe.toml")]
    done = subprocess.run(
        [*train, "--out", str(tmp_path / "run")],
        cwd=strangers,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "trace").exists()


def test_a_type_checker_sees_the_types(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    mypy = [sys.executable, "-m", "mypy", "--python-executable", str(environment / "bin/python")]
    done = subprocess.run(
        [*mypy, "--strict", "user.py"], cwd=tmp_path, capture_output=True, text=True
    )
    told = [line.split(": note: ")[1] for line in done.stdout.splitlines() if ": note: " in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split('"')[1] for line in told] == ["pathlib.Path", "float | None"]
