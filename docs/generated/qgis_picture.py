"""Makes the picture of the plugin in QGIS: `python docs/generated/qgis_picture.py`.

Not part of the site's build: the picture is tracked. Draws a town, starts a service, and opens
QGIS's own window on a screen in memory (Xvfb); in it the plugin makes the map and shows its panel.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mfnet.service.demo.server import serving

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "qgis.jpg"
SIZE = "1200x700"
DISPLAY = ":87"

# Runs inside QGIS, as its option --code has it.
IN_WINDOW = """
import os
from pathlib import Path
import processing
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QDockWidget, QToolBar
from qgis.utils import iface, loadPlugin, plugins, startPlugin

folder = Path(os.environ["PICTURE_FOLDER"])

def draw():
    if "mfnet_qgis" not in plugins:
        loadPlugin("mfnet_qgis")
        startPlugin("mfnet_qgis")
    for dock in iface.mainWindow().findChildren(QDockWidget):
        dock.setVisible(dock.objectName() == "Layers")
    ortho = QgsRasterLayer(str(folder / "ortho.tif"), "ortho")
    height = QgsRasterLayer(str(folder / "ndsm.tif"), "ndsm")
    told = processing.run("mfnet:segment", {
        "ORTHO": ortho, "HEIGHT": height, "OUTPUT": str(folder / "map.tif")})
    land_cover = QgsRasterLayer(told["OUTPUT"], "Land cover")
    for layer in (height, ortho, land_cover):
        QgsProject.instance().addMapLayer(layer)
    tree = QgsProject.instance().layerTreeRoot()
    for layer in (height, ortho):
        tree.findLayer(layer.id()).setExpanded(False)
    iface.setActiveLayer(land_cover)
    for bar in iface.mainWindow().findChildren(QToolBar):
        bar.setVisible(bar.objectName() in ("mFileToolBar", "mMapNavToolBar"))
    plugins["mfnet_qgis"].show_panel()
    panel = plugins["mfnet_qgis"].panel
    panel.refresh()
    def shoot():
        if not panel.table.rowCount() or iface.mapCanvas().isDrawing():
            QTimer.singleShot(300, shoot)
            return
        panel.table.selectRow(0)
        QgsApplication.processEvents()
        iface.mainWindow().grab().save(os.environ["PICTURE"], quality=82)
        os._exit(0)
    iface.mainWindow().resize(*map(int, os.environ["PICTURE_SIZE"].split("x")))
    iface.mainWindow().resizeDocks([panel], [370], Qt.Horizontal)
    QTimer.singleShot(500, lambda: iface.mapCanvas().setExtent(land_cover.extent()))
    QTimer.singleShot(2500, shoot)

QTimer.singleShot(2000, draw)
"""


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as name, serving() as service:
        folder = Path(name)
        town = [sys.executable, "-m", "mfnet.model.cli.main", "town", str(folder)]
        subprocess.run([*town, "--size", "1024", "--seed", "11"], check=True)
        (folder / "run").mkdir(mode=0o700)
        script = folder / "window.py"
        script.write_text(IN_WINDOW)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "LANG": "C.UTF-8",
            "DISPLAY": DISPLAY,
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "QGIS_PLUGINPATH": str(ROOT / "deploy" / "qgis"),
            "MFNET_URL": str(service.base_url),
            "MFNET_KEY": service.headers["Authorization"].removeprefix("Bearer "),
            "PICTURE": str(PICTURE),
            "PICTURE_FOLDER": name,
            "PICTURE_SIZE": SIZE,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        qgis = shutil.which("qgis.bin") or "qgis"
        options = ["--nologo", "--noversioncheck", "--profiles-path", str(folder / "profile")]
        screen = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1280x1024x24"])
        try:
            command = [qgis, *options, "--code", str(script)]
            subprocess.run(command, env=environment, timeout=240, check=True)
        finally:
            screen.terminate()
            screen.wait()


if __name__ == "__main__":
    main()
