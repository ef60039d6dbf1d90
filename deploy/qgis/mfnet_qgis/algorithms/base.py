"""What all algorithms share: their connection, and where a map's files go."""

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterVectorLayer,
)

from .. import connection
from ..http_requests import Cancelled
from ..service import Service

STYLED = "classes.tif"
_BESIDE = {"classes.tif.aux.xml": ".tif.aux.xml", "classes.qml": ".qml"}


class MfnetAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that asks a service.

    Subclasses name themselves (`ID`, `TITLE`, `HELP`) and add their parameters.
    """

    ID = TITLE = HELP = ""

    def createInstance(self):  # noqa: N802
        """A fresh one for each run."""
        return type(self)()

    def name(self):
        """As in `mfnet:NAME`."""
        return self.ID

    def displayName(self):  # noqa: N802
        """In the toolbox."""
        return self.TITLE

    def shortHelpString(self):  # noqa: N802
        """Beside the parameters."""
        return self.HELP

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Runs in a thread of Processing's own."""
        try:
            return self.run_with(parameters, context, feedback)
        except Cancelled:
            return {}
        except QgsProcessingException as error:
            # A class of ours would be shown with its traceback.
            raise QgsProcessingException(str(error)) from None

    def run_with(self, parameters, context, feedback):
        """The work of the algorithm; returns its outputs."""
        raise NotImplementedError

    def add_connection(self):
        """The parameters that name another service, last."""
        for parameter in connection.parameters():
            self.addParameter(parameter)

    def service(self, parameters, context, feedback):
        """The service that is asked, which has been greeted."""
        url = self.parameterAsString(parameters, connection.URL, context)
        authcfg = self.parameterAsString(parameters, connection.AUTH, context)
        service = Service(connection.connect(url, authcfg), feedback)
        service.greet()
        return service


@contextmanager
def working_folder():
    """A folder for copies of layers, which goes when the run ends."""
    with TemporaryDirectory(prefix="mfnet-qgis-") as folder:
        yield Path(folder)


def check_output(path: Path, ending):
    """Refuses before the work what could not be written after it."""
    if path.suffix.lower() != ending:
        raise QgsProcessingException(
            f"{path}: the service writes {ending}; give the file that ending"
        )
    if not path.parent.is_dir():
        raise QgsProcessingException(f"{path}: there is no folder {path.parent}; make it first")


def polygon_layer(name, title, *, optional=True):
    """A parameter for a layer of polygons."""
    return QgsProcessingParameterVectorLayer(
        name, title, [QgsProcessing.SourceType.TypeVectorPolygon], optional=optional
    )


def fetch_map(service, job, to: Path):
    """Fetch a class raster with its names and its style, which QGIS finds beside it.

    Args:
        service: That has it.
        job: Id of a successful job.
        to: A path that ends with .tif.
    """
    # First the raster: a layer that shows an older one of this name is not given another's style.
    service.download(job, STYLED, to)
    for name, ending in _BESIDE.items():
        service.download(job, name, to.with_name(to.stem + ending))
