"""mfnet:inspect: what the service makes of rasters, before anything is mapped."""

import json
from pathlib import Path

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
)

from ..layer_files import raster_file
from .base import MfnetAlgorithm, working_folder

LAYERS, REPORT, REMARKS = "LAYERS", "REPORT", "REMARKS"


class Inspect(MfnetAlgorithm):
    """Sends layers and shows their reports."""

    ID = "inspect"
    TITLE = "Inspect rasters"
    HELP = (
        "Sends rasters to the service and shows in the log what is unusual about each; one that "
        "cannot be used is refused with the reason. A later segmentation does not send them "
        "again. Whether two of them fit together is told by the segmentation, before it begins."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declares the parameters."""
        self.addParameter(
            QgsProcessingParameterMultipleLayers(
                LAYERS, "Rasters", QgsProcessing.SourceType.TypeRaster
            )
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(
                REPORT, "Report", "JSON (*.json)", optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber(REMARKS, "Remarks"))
        self.add_connection()

    def run_with(self, parameters, context, feedback):
        """The run; see the module."""
        layers = self.parameterAsLayerList(parameters, LAYERS, context)
        if not layers:
            raise QgsProcessingException("no raster to inspect")
        service = self.service(parameters, context, feedback)
        reports = {}
        with working_folder() as folder:
            for index, layer in enumerate(layers):
                own = folder / str(index)
                own.mkdir()
                file = raster_file(layer, own, feedback)
                start, end = (100 * each / len(layers) for each in (index, index + 1))
                upload = service.upload(file, start, end)
                service.tell_report(upload)
                reports[layer.source()] = upload["report"]
        path = self.parameterAsFileOutput(parameters, REPORT, context)
        if path:
            Path(path).write_text(json.dumps(reports, indent=2), encoding="utf-8")
        count = sum(len(report.get("remarks") or []) for report in reports.values())
        return {REMARKS: count, **({REPORT: path} if path else {})}
