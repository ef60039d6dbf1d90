"""mfnet:segmenthere: the same map by `mfnet` on this machine, where it is installed."""

from pathlib import Path

from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from .. import local_engine
from ..layer_files import raster_file
from .base import MfnetAlgorithm, check_output, working_folder

ORTHO, HEIGHT, TERRAIN, MODEL, EXTENT = "ORTHO", "HEIGHT", "TERRAIN", "MODEL", "EXTENT"
OUTPUT = "OUTPUT"

_MARGIN_PX = 16  # as in `segment`


class SegmentHere(MfnetAlgorithm):
    """Gives layers to the command line, in a process of its own."""

    ID = "segmenthere"
    TITLE = "Segment on this machine"
    HELP = (
        "Makes the same map as the segmentation by a service, with the program mfnet on this "
        "machine. It is found on the path, or by the setting mfnet/program."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declares the parameters."""
        layer = QgsProcessingParameterRasterLayer
        self.addParameter(layer(ORTHO, "Orthophoto"))
        self.addParameter(layer(HEIGHT, "Heights above ground, or a surface"))
        self.addParameter(layer(TERRAIN, "Terrain, to subtract from a surface", optional=True))
        self.addParameter(QgsProcessingParameterString(MODEL, "Model", defaultValue="town"))
        self.addParameter(QgsProcessingParameterExtent(EXTENT, "Only this extent", optional=True))
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, "Map"))

    def run_with(self, parameters, context, feedback):
        """The run; see the module."""
        out = Path(self.parameterAsOutputLayer(parameters, OUTPUT, context))
        check_output(out, ".tif")
        model = self.parameterAsString(parameters, MODEL, context)
        with working_folder() as folder:
            files = self._files(parameters, context, feedback, folder)
            terrain = ["--dtm", files[TERRAIN]] if TERRAIN in files else []
            arguments = [files[ORTHO], files[HEIGHT], *terrain, "--out", out, "--model", model]
            local_engine.run(["predict", *arguments], feedback)
        return {OUTPUT: str(out)}

    def _files(self, parameters, context, feedback, folder):
        """The layers' files by parameter."""
        files = {}
        for name in (ORTHO, HEIGHT, TERRAIN):
            layer = self.parameterAsRasterLayer(parameters, name, context)
            if layer is None and name != TERRAIN:
                raise QgsProcessingException(self.invalidRasterError(parameters, name))
            if layer is not None:
                extent = None
                if parameters.get(EXTENT) not in (None, ""):
                    extent = self.parameterAsExtent(parameters, EXTENT, context, layer.crs())
                own = folder / name
                own.mkdir()
                margin = 0 if name == ORTHO else _MARGIN_PX
                files[name] = raster_file(layer, own, feedback, extent, margin)
        return files
