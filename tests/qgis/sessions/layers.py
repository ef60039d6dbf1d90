"""What is sent of layers that are no plain GeoTIFF.

    layers.py ORTHO FOLDER

Prints the paths, or what is said instead, as JSON. Runs under QGIS's Python.
"""

import json
import sys
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtGui import QColor, QImage

ortho, folder = sys.argv[1], Path(sys.argv[2])
application = QgsApplication([], False)
application.initQgis()

from mfnet_qgis.layer_files import raster_file  # noqa: E402 - needs an application

virtual = folder / "mosaic.vrt"
gdal.BuildVRT(str(virtual), [ortho]).FlushCache()
plain = QgsRasterLayer(ortho, "plain")
other_crs = QgsRasterLayer(ortho, "other")
other_crs.setCrs(QgsCoordinateReferenceSystem("EPSG:25833"))
# Four map tiles in their colours, of zoom level 18, behind an address as online layers have it.
half, zoom, column, row = 20037508.342789244, 18, 130_000, 90_000
for x, y in ((x, y) for x in (0, 1) for y in (0, 1)):
    tile = QImage(256, 256, QImage.Format.Format_RGB32)
    tile.fill(QColor(100 * x, 100 * y, 30))
    place = folder / "tiles" / str(zoom) / str(column + x) / f"{row + y}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    tile.save(str(place))
address = f"file://{folder}/tiles/%7Bz%7D/%7Bx%7D/%7By%7D.png"
online = QgsRasterLayer(f"type=xyz&url={address}&zmin={zoom}&zmax={zoom}", "online", "wms")
pixel = 2 * half / 2**zoom / 256
west, north = column * 256 * pixel - half, half - row * 256 * pixel
tiles = QgsRectangle(west, north - 512 * pixel, west + 512 * pixel, north)
left, top = plain.extent().xMinimum(), plain.extent().yMaximum()
inside = QgsRectangle(left + 1.01, top - 5, left + 3, top - 2)
layers = {
    "plain": (plain,),
    "virtual": (QgsRasterLayer(str(virtual), "a mosaic"),),
    "other CRS": (other_crs,),
    "extent": (QgsRasterLayer(ortho, "part"), inside),
    "with margin": (QgsRasterLayer(ortho, "more"), inside, 16),
    "elsewhere": (plain, QgsRectangle(0, 0, 1, 1)),
    "online": (online, tiles, 0, pixel),
    "all that is online": (online,),
    "much that is online": (online, tiles, 0, pixel / 100),
}
sent = {}
for name, (layer, *cut) in layers.items():
    try:
        sent[name] = str(raster_file(layer, folder, QgsProcessingFeedback(), *cut))
    except QgsProcessingException as error:
        sent[name] = str(error)
sys.stdout.write(json.dumps(sent) + "\n")
