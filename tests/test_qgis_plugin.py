"""The QGIS plugin as a package: what can be said of it without QGIS."""

import ast
import configparser
import runpy
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
