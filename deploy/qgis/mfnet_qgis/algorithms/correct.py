"""mfnet:correct: what a user has corrected goes back to the service."""

from pathlib import Path
from tempfile import TemporaryDirectory

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterField,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterString,
    QgsVectorLayer,
)

from ..layer_files import raster_file, vector_file
from .base import MfnetAlgorithm

JOB, LABELS, FIELD, KEEP_MAP, TILE = "JOB", "LABELS", "FIELD", "KEEP_MAP", "TILE"


class Correct(MfnetAlgorithm):
    """Sends polygons or a changed class raster; a labelled tile comes of them."""

    ID = "correct"
    TITLE = "Send corrections of a map"
    HELP = (
        "Sends polygons, each with a class, or the changed class raster itself. The service makes "
        "a labelled tile of it, from which a retraining learns.\n\n"
        "A polygon's class is its name, title or number. Pixels that no polygon covers are not "
        "learned from, unless the map's class is to be kept there: say so only where you have "
        "looked at all of it."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declares the parameters."""
        kinds = [
            QgsProcessing.SourceType.TypeVectorPolygon,
            QgsProcessing.SourceType.TypeRaster,
        ]
        self.addParameter(QgsProcessingParameterString(JOB, "Job whose map is corrected"))
        self.addParameter(
            QgsProcessingParameterMapLayer(
                LABELS, "Polygons, or the class raster", defaultValue=None, types=kinds
            )
        )
        self.addParameter(
            QgsProcessingParameterField(
                FIELD, "Field with the class", "class", LABELS, optional=True
            )
        )
        self.addParameter(
            QgsProcessingParameterBoolean(
                KEEP_MAP, "Learn the map's class where no polygon lies", defaultValue=False
            )
        )
        self.addOutput(QgsProcessingOutputString(TILE, "Labelled tile"))
        self.add_connection()

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Copies polygons, with edits that are not saved yet: in the thread that owns them."""
        layer = self.parameterAsLayer(parameters, LABELS, context)
        self._folder = TemporaryDirectory(prefix="mfnet-qgis-")
        self._polygons = None
        if isinstance(layer, QgsVectorLayer):
            self._polygons = vector_file(layer, Path(self._folder.name), context)
        return True

    def run_with(self, parameters, context, feedback):
        """The run; see the module."""
        job = self.parameterAsString(parameters, JOB, context).strip()
        with self._folder:
            service = self.service(parameters, context, feedback)
            body = {}
            if self._polygons is not None:
                file = self._polygons
                body["column"] = self.parameterAsString(parameters, FIELD, context) or "class"
                body["keep_map"] = self.parameterAsBool(parameters, KEEP_MAP, context)
            else:
                layer = self.parameterAsRasterLayer(parameters, LABELS, context)
                if layer is None:
                    raise QgsProcessingException("expected polygons or a class raster")
                file = raster_file(layer, Path(self._folder.name), feedback)
            upload = service.upload(file, 0, 50)
        tile = service.correct(job, {"labels": upload["id"], **body})
        _tell(tile, feedback)
        return {TILE: tile["id"]}


def _tell(tile, feedback):
    """What was said and changed, class by class, and what is odd."""
    report = tile["report"]
    feedback.pushInfo(
        f"Labelled tile {tile['id']}: {report['labelled']:,} of {report['pixels']:,} pixels are "
        f"labelled, {report['changed']:,} differ from the map"
    )
    for item in report.get("classes") or []:
        if item["labelled"] or item["mapped"]:
            feedback.pushInfo(
                f"  {item['name']}: {item['mapped']:,} in the map there, {item['labelled']:,} now"
            )
    for remark in report.get("remarks") or []:
        feedback.pushWarning(f"{remark['message']} ({remark['code']})")
