"""The Processing provider `mfnet`."""

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.correct import Correct
from .algorithms.fetch_job import FetchJob
from .algorithms.inspect import Inspect
from .algorithms.segment import Segment
from .algorithms.segment_here import SegmentHere
from .algorithms.zonal_areas import ZonalAreas
from .local_engine import program
from .version import plugin_version


class MfnetProvider(QgsProcessingProvider):
    """What the plugin can do, for the toolbox, models, batches and qgis_process."""

    def loadAlgorithms(self):  # noqa: N802
        """Called by QGIS."""
        for algorithm in (Segment, Inspect, FetchJob, ZonalAreas, Correct):
            self.addAlgorithm(algorithm())
        if program() is not None:
            self.addAlgorithm(SegmentHere())

    def id(self):
        """As in `mfnet:segment`."""
        return "mfnet"

    def name(self):
        """As people see it."""
        return "MFNet"

    def versionInfo(self):  # noqa: N802
        """Of the plugin."""
        return plugin_version()

    def icon(self):
        """Of the provider and its algorithms."""
        return QIcon(str(Path(__file__).with_name("icon.svg")))

    def supportedOutputRasterLayerExtensions(self):  # noqa: N802
        """The service writes GeoTIFFs."""
        return ["tif"]

    def supportedOutputVectorLayerExtensions(self):  # noqa: N802
        """And GeoPackages."""
        return ["gpkg"]
