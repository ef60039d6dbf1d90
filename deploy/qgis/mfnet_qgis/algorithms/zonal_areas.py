"""mfnet:zonalareas: what each class of a job's map covers in each of a layer's polygons."""

from pathlib import Path
from tempfile import TemporaryDirectory

from qgis.core import (
    QgsProcessingException,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..layer_files import vector_file
from .base import MfnetAlgorithm, check_output, polygon_layer

JOB, ZONES, OUTPUT = "JOB", "ZONES", "OUTPUT"
_RESULT = "zones.gpkg"


class ZonalAreas(MfnetAlgorithm):
    """Has the service make the same map once more, and sum it up by zone."""

    ID = "zonalareas"
    TITLE = "Areas of the classes in zones"
    HELP = (
        "Says how many square metres of each class lie in each polygon, such as a parcel: areas on "
        "the ellipsoid, pixels on a border by the share of them that lies inside.\n\n"
        "The service makes the map of the job once more, which takes as long as it did; the same "
        "figures come with the map itself where zones are given to the segmentation. The rasters "
        "of the job must still be there."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declares the parameters."""
        self.addParameter(QgsProcessingParameterString(JOB, "Job whose map is summed up"))
        self.addParameter(polygon_layer(ZONES, "Zones, such as parcels", optional=False))
        self.addParameter(QgsProcessingParameterVectorDestination(OUTPUT, "Areas by zone"))
        self.add_connection()

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Copies the zones, with edits that are not saved yet: in the thread that owns them."""
        layer = self.parameterAsVectorLayer(parameters, ZONES, context)
        if layer is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, ZONES))
        self._folder = TemporaryDirectory(prefix="mfnet-qgis-")
        self._zones = vector_file(layer, Path(self._folder.name), context)
        return True

    def run_with(self, parameters, context, feedback):
        """The run; see the module."""
        out = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        check_output(Path(out), ".gpkg")
        before = self.parameterAsString(parameters, JOB, context).strip()
        with self._folder:
            service = self.service(parameters, context, feedback)
            inputs = service.inputs_of(before)
            inputs["zones"] = service.upload(self._zones, 0, 10)["id"]
        job = service.submit(inputs, outputs=[_RESULT])
        feedback.pushInfo(f"Job {job}")
        service.wait(job, 10, 95)
        service.download(job, _RESULT, Path(out))
        return {OUTPUT: out}
