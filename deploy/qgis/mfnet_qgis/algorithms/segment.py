"""mfnet:segment: two layers become a class raster."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from qgis.core import (
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from .. import connection
from ..layer_files import joined, raster_file, vector_file
from .base import MfnetAlgorithm, check_output, fetch_map, polygon_layer

ORTHO, HEIGHT, TERRAIN, MODEL, EXTENT = "ORTHO", "HEIGHT", "TERRAIN", "MODEL", "EXTENT"
PIXEL_SIZE, MORE, OUTPUT, JOB = "PIXEL_SIZE", "MORE", "OUTPUT", "JOB"
CONFIDENCE, LEAST_SURE, STATISTICS = "CONFIDENCE", "LEAST_SURE", "STATISTICS"
AREA, ZONES, ZONE_AREAS, POLYGONS = "AREA", "ZONES", "ZONE_AREAS", "POLYGONS"

_ROLES = {ORTHO: "ortho", HEIGHT: "height", TERRAIN: "dtm"}
_TILES = {ORTHO: "ORTHO_TILES", HEIGHT: "HEIGHT_TILES", TERRAIN: "TERRAIN_TILES"}
_POLYGON_ROLES = {AREA: "aoi", ZONES: "zones"}
_SENT, _MAPPED = 20, 95  # percent of the progress bar
# Heights around the extent: resampling on the orthophoto's grid looks beyond its rim.
_MARGIN_PX = 16
_ENDINGS = {OUTPUT: ".tif", CONFIDENCE: ".tif", LEAST_SURE: ".gpkg", STATISTICS: ".json"}
_ENDINGS.update({ZONE_AREAS: ".gpkg", POLYGONS: ".gpkg"})
_EXTRA = {
    CONFIDENCE: "confidence.tif",
    LEAST_SURE: "least_sure.gpkg",
    ZONE_AREAS: "zones.gpkg",
    POLYGONS: "polygons.gpkg",
    STATISTICS: "statistics.json",
}


class Segment(MfnetAlgorithm):
    """Sends layers, waits for the map, fetches it."""

    ID = "segment"
    TITLE = "Segment an orthophoto and heights"
    HELP = (
        "Sends an orthophoto and a height raster to an MFNet service and loads the land-cover map "
        "that it makes of them, with the classes' names and colours.\n\n"
        "Heights are metres above ground (nDSM); with a terrain layer they may be a surface "
        "model, from which the terrain is subtracted. CRS, extent and resolution of the layers "
        "may differ: the map lies on the orthophoto's grid. Further tiles of a layer are joined "
        "with it.\n\n"
        "Polygons may limit the map to an area, or be zones, for each of which the area of each "
        "class is told.\n\n"
        "What is unusual about the rasters is shown in the log as warnings. A layer that the "
        "service has already is not sent again. Cancelling here cancels the job there.\n\n"
        "More inputs are those of the service's documentation, as JSON: "
        '{"height_unit": "ft", "bands": [4, 1, 2]}'
    )

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declares the parameters."""
        layer = QgsProcessingParameterRasterLayer
        self.addParameter(layer(ORTHO, "Orthophoto"))
        self.addParameter(layer(HEIGHT, "Heights above ground, or a surface"))
        self.addParameter(layer(TERRAIN, "Terrain, to subtract from a surface", optional=True))
        model = QgsProcessingParameterString(MODEL, "Model", defaultValue="town")
        if known := connection.known_models():
            model.setMetadata({"widget_wrapper": {"value_hints": known}})
        self.addParameter(model)
        self.addParameter(QgsProcessingParameterExtent(EXTENT, "Only this extent", optional=True))
        self.addParameter(polygon_layer(AREA, "Only inside of these polygons"))
        self.addParameter(polygon_layer(ZONES, "Zones, such as parcels"))
        self._add_advanced()
        self.addParameter(QgsProcessingParameterRasterDestination(OUTPUT, "Map"))
        self._add_extra_outputs()
        self.addOutput(QgsProcessingOutputString(JOB, "Job"))
        self.add_connection()

    def _add_advanced(self):
        tiles = [
            QgsProcessingParameterMultipleLayers(
                _TILES[name], title, QgsProcessing.SourceType.TypeRaster, optional=True
            )
            for name, title in (
                (ORTHO, "Further tiles of the orthophoto"),
                (HEIGHT, "Further tiles of the heights"),
                (TERRAIN, "Further tiles of the terrain"),
            )
        ]
        more = QgsProcessingParameterString(
            MORE, "More inputs, as JSON", optional=True, multiLine=True
        )
        pixel = QgsProcessingParameterNumber(
            PIXEL_SIZE,
            "Pixel size of online layers, in units of their CRS",
            QgsProcessingParameterNumber.Type.Double,
            optional=True,
            minValue=1e-9,
        )
        for parameter in (*tiles, pixel, more):
            parameter.setFlags(
                parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced
            )
            self.addParameter(parameter)

    def _add_extra_outputs(self):
        for kind, name, title in (
            (QgsProcessingParameterRasterDestination, CONFIDENCE, "Confidence, percent"),
            (QgsProcessingParameterVectorDestination, LEAST_SURE, "Where the model is least sure"),
            (QgsProcessingParameterVectorDestination, ZONE_AREAS, "Areas of the classes by zone"),
            (QgsProcessingParameterVectorDestination, POLYGONS, "The map as polygons"),
        ):
            self.addParameter(kind(name, title, optional=True, createByDefault=False))
        self.addParameter(
            QgsProcessingParameterFileDestination(
                STATISTICS,
                "Areas of the classes, and how the rasters were read",
                "JSON (*.json)",
                optional=True,
                createByDefault=False,
            )
        )

    def prepareAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Copies polygons, with edits that are not saved yet: in the thread that owns them."""
        self._folder = TemporaryDirectory(prefix="mfnet-qgis-")
        self._polygons = {}
        for name, role in _POLYGON_ROLES.items():
            layer = self.parameterAsVectorLayer(parameters, name, context)
            if layer is not None:
                own = Path(self._folder.name) / name
                own.mkdir()
                self._polygons[role] = vector_file(layer, own, context)
        return True

    def run_with(self, parameters, context, feedback):
        """The run; see the module."""
        inputs = self._options(parameters, context)
        outputs = self._wanted(parameters, context)
        if ZONE_AREAS in outputs and "zones" not in self._polygons:
            raise QgsProcessingException("areas by zone are wanted; expected a layer of zones, too")
        service = self.service(parameters, context, feedback)
        with self._folder:
            for role, file in self._polygons.items():
                inputs[role] = service.upload(file, 0, 0)["id"]
            folder = Path(self._folder.name)
            inputs.update(self._send(parameters, context, feedback, service, folder))
        if CONFIDENCE in outputs or LEAST_SURE in outputs:
            inputs["confidence"] = True
        if POLYGONS in outputs:
            inputs["polygons"] = True
        job = service.submit(inputs)
        feedback.pushInfo(f"Job {job}")
        service.wait(job, _SENT, _MAPPED)
        fetch_map(service, job, Path(outputs[OUTPUT]))
        for name, file in _EXTRA.items():
            if name in outputs:
                service.download(job, file, Path(outputs[name]))
        feedback.setProgress(100)
        return {**outputs, JOB: job}

    def _options(self, parameters, context):
        """Inputs that are no layers."""
        more = self.parameterAsString(parameters, MORE, context).strip()
        try:
            inputs = json.loads(more or "{}")
        except ValueError:
            inputs = None
        if not isinstance(inputs, dict):
            raise QgsProcessingException(
                f'More inputs: found {more[:60]!r}; expected JSON such as {{"height_unit": "ft"}}'
            )
        return {**inputs, "model": self.parameterAsString(parameters, MODEL, context)}

    def _wanted(self, parameters, context):
        """Paths of what is to be written, by parameter."""
        paths = {
            name: self.parameterAsOutputLayer(parameters, name, context)
            for name in (OUTPUT, CONFIDENCE, LEAST_SURE, ZONE_AREAS, POLYGONS)
        }
        paths[STATISTICS] = self.parameterAsFileOutput(parameters, STATISTICS, context)
        wanted = {name: path for name, path in paths.items() if path}
        for name, path in wanted.items():
            check_output(Path(path), _ENDINGS[name])
        return wanted

    def _send(self, parameters, context, feedback, service, folder):
        """Uploads the layers; returns their ids by the inputs' names."""
        layers = {
            name: layer
            for name in _ROLES
            if (layer := self.parameterAsRasterLayer(parameters, name, context)) is not None
        }
        for name in (ORTHO, HEIGHT):
            if name not in layers:
                raise QgsProcessingException(self.invalidRasterError(parameters, name))
        sent, pixel_size = {}, None
        if parameters.get(PIXEL_SIZE) not in (None, ""):
            pixel_size = self.parameterAsDouble(parameters, PIXEL_SIZE, context)
        for index, (name, layer) in enumerate(layers.items()):
            extent, margin = None, 0 if name == ORTHO else _MARGIN_PX
            if parameters.get(EXTENT) not in (None, ""):
                extent = self.parameterAsExtent(parameters, EXTENT, context, layer.crs())
            own = folder / name
            own.mkdir()
            tiles = self.parameterAsLayerList(parameters, _TILES[name], context)
            whole = joined([layer, *tiles], own)
            file = raster_file(whole, own, feedback, extent, margin, pixel_size)
            start, end = (_SENT * each / len(layers) for each in (index, index + 1))
            sent[_ROLES[name]] = service.upload(file, start, end)["id"]
        return sent
