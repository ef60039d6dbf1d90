"""mfnet:fetchjob: the map of a job that was started before, here or elsewhere."""

from pathlib import Path

from qgis.core import QgsProcessingParameterRasterDestination, QgsProcessingParameterString

from .base import MfnetAlgorithm, check_output, fetch_map

JOB, OUTPUT = "JOB", "OUTPUT"


class FetchJob(MfnetAlgorithm):
    """Waits for a job if need be, and fetches its map."""

    ID = "fetchjob"
    TITLE = "Fetch the map of a job"
    HELP = (
        "Loads the map of a job by its id, with the classes' names and colours; waits for a job "
        "that is not finished. Cancelling here cancels it there."
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declares the parameters."""
        self.addParameter(QgsProcessingParameterString(JOB, "Job"))
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, "Map"))
        self.add_connection()

    def run_with(self, parameters, context, feedback):
        """The run; see the module."""
        job = self.parameterAsString(parameters, JOB, context).strip()
        path = self.parameterAsOutputLayer(parameters, OUTPUT, context)
        check_output(Path(path), ".tif")
        service = self.service(parameters, context, feedback)
        service.wait(job, 0, 90)
        fetch_map(service, job, Path(path))
        return {OUTPUT: path}
