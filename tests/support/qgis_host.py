"""QGIS of the system, run in processes of its own: it lives under the system's Python."""

import fcntl
import json
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

PYTHON = "/usr/bin/python3"
PLUGINS = Path(__file__).parents[2] / "deploy" / "qgis"
INSTALLING = Path(__file__).parents[2] / "build" / "qgis-install.lock"
"""Held by `deploy/install-qgis.sh` while it installs behind the other checks."""
PATIENCE_S = 120

_DESCRIBE = """
import json, sys
from qgis.core import QgsApplication, QgsRasterLayer
application = QgsApplication([], False)
application.initQgis()
def described(path):
    layer = QgsRasterLayer(path, "map")
    renderer, provider = layer.renderer(), layer.dataProvider()
    told = {
        "valid": layer.isValid(),
        "renderer": renderer.type(),
        "nodata": provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else None,
        "crs": layer.crs().authid(),
    }
    if renderer.type() == "paletted":
        told["classes"] = [
            [entry.value, entry.label, entry.color.name(), entry.color.alpha()]
            for entry in renderer.classes()
        ]
    # What a user sees: the picture of the whole layer, and the alpha of each of its pixels.
    columns, rows = range(layer.width()), range(layer.height())
    block = renderer.block(1, layer.extent(), layer.width(), layer.height())
    told["pixels"] = [[block.color(row, column) for column in columns] for row in rows]
    return told
print(json.dumps([described(path) for path in sys.argv[1:]]))
"""


@cache
def missing() -> str | None:
    """Why tests with QGIS cannot run here, once it is not being installed; None if they can."""
    with suppress(FileNotFoundError), INSTALLING.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    if process() is None:
        return "no qgis_process on this machine: make test installs QGIS, as root on Debian"
    probe = subprocess.run(
        [PYTHON, "-c", "import qgis.core"], capture_output=True, timeout=PATIENCE_S
    )
    return None if probe.returncode == 0 else f"{PYTHON} has no PyQGIS (python3-qgis)"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of a QGIS without a screen, whose settings lie in the folder."""
    (folder / "run").mkdir(exist_ok=True, mode=0o700)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",  # an active virtual environment misleads QGIS
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder / "qgis"),
        "PYTHONDONTWRITEBYTECODE": "1",  # nothing appears in the plugin's folder
        **more,
    }


@cache
def process() -> str | None:
    """The program that runs algorithms, if there is one."""
    # Debian's wrapper `qgis_process` fails on the options that it adds by itself.
    return shutil.which("qgis_process.bin") or shutil.which("qgis_process")


class QgisProcess:
    """qgis_process with a profile of its own, and our plugin on its path.

    Args:
        folder: For the profile.
        variables: Of the environment.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.environment = environment(folder, QGIS_PLUGINPATH=str(PLUGINS), **variables)

    def enable(self) -> None:
        """Enable the plugin in the profile."""
        self._do("plugins", "enable", "mfnet_qgis")

    def run(self, algorithm: str, **parameters: object) -> subprocess.CompletedProcess[str]:
        """Run an algorithm; stdout and stderr hold what a user sees."""
        told = [f"--{name}={value}" for name, value in parameters.items()]
        return self._do("run", algorithm, *told)

    def _do(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(process()), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )


def run_pyqgis(script: str, *arguments: object, env: dict[str, str]) -> Any:
    """Run a script under QGIS's Python; returns the JSON that it prints last."""
    done = subprocess.run(
        [PYTHON, "-c", script, *map(str, arguments)],
        env=env,
        capture_output=True,
        timeout=PATIENCE_S,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def describe(folder: Path, *rasters: Path) -> list[dict[str, Any]]:
    """How QGIS opens rasters of a few pixels.

    Args:
        folder: For QGIS's settings.
        rasters: Opened one by one.

    Returns:
        Of each: valid, renderer, nodata, crs; classes as [value, label, colour, alpha] where the
        renderer is paletted; pixels as the rows of ARGB values that are drawn.
    """
    told: list[dict[str, Any]] = run_pyqgis(_DESCRIBE, *rasters, env=environment(folder))
    return told
