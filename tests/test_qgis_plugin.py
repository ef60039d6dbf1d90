"""The QGIS plugin as a package: what can be said of it without QGIS."""

import ast
import configparser
import fcntl
import os
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "deploy" / "qgis" / "mfnet_qgis"
# What the plugin repository refuses a plugin without.
REQUIRED = (
    *("name", "qgisMinimumVersion", "description", "about", "version", "author", "email"),
    *("homepage", "repository", "tracker"),
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("build")
    build = runpy.run_path(str(PLUGIN.parent / "build.py"))["build"]
    return zipfile.ZipFile(build(folder))


def test_the_zip_holds_one_folder_with_metadata_and_licence(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"mfnet_qgis"}
    assert {f"mfnet_qgis/{name}" for name in ("__init__.py", "metadata.txt", "LICENSE")} <= set(
        names
    )
    assert not [name for name in names if "__pycache__" in name]


def test_metadata_are_whole_and_of_this_version(archive: zipfile.ZipFile) -> None:
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read_string(archive.read("mfnet_qgis/metadata.txt").decode())
    general = metadata["general"]
    assert not [key for key in REQUIRED if not general.get(key)]
    assert general.getboolean("hasProcessingProvider")
    assert f"mfnet_qgis/{general['icon']}" in archive.namelist()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert general["version"] == project["version"]


def test_it_imports_nothing_but_what_qgis_brings() -> None:
    imported = set()
    for file in PLUGIN.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).split(".")[0])
    assert imported - sys.stdlib_module_names <= {"qgis", "osgeo"}


def test_what_waits_for_qgis_waits_for_its_installation(tmp_path: Path) -> None:
    """With programs in the place of apt's, where what installs ends when it is told to."""
    programs, script = tmp_path / "bin", tmp_path / "deploy" / "install-qgis.sh"
    for folder in (programs, script.parent):
        folder.mkdir()
    shutil.copy(ROOT / "deploy" / script.name, script)
    for name in ("bash", "dirname", "flock", "mkdir", "timeout", "cat"):
        (programs / name).symlink_to(str(shutil.which(name)))
    go_on = tmp_path / "go_on"
    os.mkfifo(go_on)
    for name, does in (("id", "echo 0"), ("apt-get", f'[ "$1" = update ] || cat {go_on}')):
        (programs / name).write_text(f"#!{programs / 'bash'}\n{does}\n")
        (programs / name).chmod(0o755)
    run = [str(script), "--behind"]
    subprocess.run(run, env={"PATH": str(programs)}, check=True, stdout=subprocess.DEVNULL)
    with (tmp_path / "build" / "qgis-install.lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        go_on.write_text("")
        fcntl.flock(lock, fcntl.LOCK_SH)
