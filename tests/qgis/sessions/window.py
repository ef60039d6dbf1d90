"""A user in QGIS's window: sets the service, cancels a job, sees it in the panel, loads a map.

    window.py URL KEY ORTHO HEIGHT FOLDER [PICTURE]

Prints what was seen, as JSON. Runs under QGIS's Python with the plugin's folder on its path.
"""

import json
import sys
import time
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QVariant

PATIENCE_S = 60
url, key, ortho, height, folder, *picture = sys.argv[1:]
application = QgsApplication([], True)
application.initQgis()
# What a user enters when QGIS asks for it.
application.authManager().setMasterPassword("master", True)

from mfnet_qgis import connection  # noqa: E402 - needs an application
from mfnet_qgis.jobs_panel import JobsPanel  # noqa: E402
from mfnet_qgis.provider import MfnetProvider  # noqa: E402
from mfnet_qgis.service_dialog import ServiceDialog  # noqa: E402

provider = MfnetProvider()
application.processingRegistry().addProvider(provider)
seen = {}
feedback = None


def until(condition):
    """Let the window live until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, (seen, feedback.textLog() if feedback else None)
        application.processEvents()
        time.sleep(0.01)


def drawn(path):
    """Polygons as docs/how-to/correct-a-map.md has them drawn, in a layer that is open."""
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    fields = QgsFields()
    fields.append(QgsField("class", QVariant.String))
    crs = layer.crs()
    QgsVectorFileWriter.create(
        path, fields, QgsWkbTypes.Polygon, crs, QgsCoordinateTransformContext(), options
    )
    polygons = QgsVectorLayer(path, "drawn", "ogr")
    QgsProject.instance().addMapLayer(polygons)
    left, top = layer.extent().xMinimum(), layer.extent().yMaximum()
    feature = QgsFeature(polygons.fields())
    feature["class"] = "building"
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - 16, left + 16, top)))
    assert polygons.startEditing()
    assert polygons.addFeature(feature)
    return polygons  # nobody has saved the edits yet


def changed(path):
    """The map as "Save As…, raw data" writes it, and then a class set by hand, as Serval does."""
    pipe = QgsRasterPipe()
    pipe.set(layer.dataProvider().clone())
    size = layer.width(), layer.height(), layer.extent(), layer.crs()
    error = QgsRasterFileWriter(path).writeRaster(pipe, *size, QgsCoordinateTransformContext())
    assert error == QgsRasterFileWriter.WriterError.NoError
    copy = QgsRasterLayer(path, "changed")
    provider = copy.dataProvider()
    block = provider.block(1, copy.extent(), copy.width(), copy.height())
    for row in range(block.height()):
        for column in range(block.width()):
            block.setValue(row, column, 1 if row < 100 else 255)
    assert provider.setEditable(True)
    assert provider.writeBlock(block, 1)
    assert provider.setEditable(False)
    return copy


def segment(more, feedback):
    """Start a segmentation as the toolbox does, in a task."""
    parameters = {"ORTHO": ortho, "HEIGHT": height, "MODEL": "town-small", "MORE": more}
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    algorithm = application.processingRegistry().algorithmById("mfnet:segment")
    path = str(Path(folder) / "window.tif")
    task = QgsProcessingAlgRunnerTask(algorithm, {**parameters, "OUTPUT": path}, context, feedback)
    ended = []
    task.executed.connect(lambda good, results: ended.append((good, results)))
    application.taskManager().addTask(task)
    return task, context, ended


# ---- the service ------------------------------------------------------------------------------
dialog = ServiceDialog()
dialog.url.setText(url)
dialog.key.setText("wrong")
dialog.test()
seen["wrong key"] = dialog.answer.text()
dialog.key.setText(key)
dialog.test()
seen["right key"] = dialog.answer.text()
seen["settings"] = [connection.saved().url, connection.saved().authcfg]

algorithm = application.processingRegistry().createAlgorithmById("mfnet:segment")
hints = algorithm.parameterDefinition("MODEL").metadata()["widget_wrapper"]["value_hints"]
seen["models offered"] = hints

# ---- a job that is cancelled --------------------------------------------------------------------
feedback = QgsProcessingFeedback()
task, context, ended = segment('{"stride": 16}', feedback)
until(lambda: ended or "Job " in feedback.textLog())
assert not ended, (ended, feedback.textLog())
feedback.cancel()
until(lambda: ended)
seen["cancelled"] = [ended[0][1], feedback.textLog()]

# ---- a job that is not --------------------------------------------------------------------------
feedback = QgsProcessingFeedback()
task, context, ended = segment("", feedback)
turns = 0
while not ended:
    application.processEvents()  # what a blocked window would not do
    turns += 1
    time.sleep(0.01)
seen["turns"] = turns
seen["made"] = ended[0][0]

# ---- the panel ----------------------------------------------------------------------------------
panel = JobsPanel()
panel.show()
panel.refresh()
until(lambda: panel.table.rowCount() >= 2)
seen["rows"] = [panel.table.item(row, 1).text() for row in range(2)]
panel.table.selectRow(1)
seen["offered for a cancelled one"] = [panel.load.isEnabled(), panel.cancel.isEnabled()]
panel.table.selectRow(0)
seen["offered for a good one"] = [panel.load.isEnabled(), panel.cancel.isEnabled()]
for path in picture:
    panel.resize(620, 240)
    panel.grab().save(path)
panel.load.click()
until(lambda: QgsProject.instance().mapLayers())
layer = next(iter(QgsProject.instance().mapLayers().values()))
seen["loaded"] = [entry.label for entry in layer.renderer().classes()]
# ---- a correction, before the edits are saved ---------------------------------------------------
feedback = QgsProcessingFeedback()
polygons = drawn(str(Path(folder) / "drawn.gpkg"))
job = panel._chosen()["jobID"]
algorithm = application.processingRegistry().createAlgorithmById("mfnet:correct")
results, good = algorithm.run({"JOB": job, "LABELS": polygons}, QgsProcessingContext(), feedback)
seen["tile"] = results.get("TILE") if good else feedback.textLog()
raster = changed(str(Path(folder) / "changed.tif"))
results, good = algorithm.run({"JOB": job, "LABELS": raster}, QgsProcessingContext(), feedback)
seen["tile of the whole map"] = results.get("TILE") if good else feedback.textLog()

panel.hide()
until(lambda: panel._task is None)
sys.stdout.write(json.dumps(seen) + "\n")
