"""Builds the QGIS plugin as the zip that QGIS and the plugin repository take.

    python deploy/qgis/build.py [FOLDER]

Needs nothing but Python. The same files make the same bytes.
"""

import configparser
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "mfnet_qgis"
LICENSE = HERE.parents[1] / "LICENSE"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build(folder: Path) -> Path:
    """Write `mfnet_qgis-VERSION.zip` into a folder, which is made if need be."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(PLUGIN / "metadata.txt", encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PLUGIN.name}-{metadata['general']['version']}.zip"
    files = {f"{PLUGIN.name}/LICENSE": LICENSE}
    for file in sorted(PLUGIN.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            files[file.relative_to(HERE).as_posix()] = file
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return path


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "build"
    sys.stdout.write(f"{build(target)}\n")
