"""A layer as a GeoTIFF that can be sent: its own file where that says it all, else a copy."""

import math
from contextlib import contextmanager
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsProcessingException,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
    QgsVectorFileWriter,
)
from qgis.PyQt.QtCore import Qt

from .http_requests import Cancelled

_DRAWN_PX = 100_000_000
_OPTIONS = ["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER", "NUM_THREADS=ALL_CPUS"]


def raster_file(
    layer: QgsRasterLayer, folder: Path, feedback, extent=None, margin_px=0, pixel_size=None
):
    """The file of a raster layer, or a GeoTIFF made of it.

    A copy is made of virtual rasters and other formats, of a layer whose CRS was set to another
    than its file's, and where only an extent is wanted. It keeps pixels, nodata and masks.

    Args:
        layer: Of a file, or an online layer, of which an extent is drawn.
        folder: For the copy.
        feedback: Cancels it.
        extent: In the layer's CRS; widened to whole pixels. None for all of the layer.
        margin_px: Pixels around the extent.
        pixel_size: Of an online layer, in units of its CRS.

    Raises:
        QgsProcessingException: No file, or the extent lies elsewhere.
    """
    if layer.providerType() != "gdal":
        return _drawn(layer, folder, feedback, extent, pixel_size)
    source = layer.dataProvider().dataSourceUri()
    with _errors_of_gdal(layer):
        dataset = gdal.Open(source)
        same_crs = layer.crs() == layer.dataProvider().crs()
        is_geotiff = dataset.GetDriver().ShortName == "GTiff" and Path(source).is_file()
        if is_geotiff and same_crs and extent is None:
            return Path(source)
        window = None if extent is None else _window(dataset, layer, extent, margin_px)
        crs = None if same_crs else layer.crs().toWkt()
        return _copied(layer, dataset, folder, feedback, window, crs)


def joined(layers, folder: Path):
    """One layer of several tiles: a virtual raster of their files, or the layer itself of one.

    Args:
        layers: Of files, in one CRS and with the same bands.
        folder: For the virtual raster.

    Raises:
        QgsProcessingException: A layer without a file, or tiles that do not belong together.
    """
    first, *others = layers
    if not others:
        return first
    for layer in layers:
        if layer.providerType() != "gdal":
            raise QgsProcessingException(f"{layer.name()}: has no file, so it is no tile of others")
        if layer.crs() != first.crs() or layer.bandCount() != first.bandCount():
            raise QgsProcessingException(
                f"{layer.name()}: {layer.bandCount()} bands in {layer.crs().authid()}; expected "
                f"those of {first.name()}: {first.bandCount()} in {first.crs().authid()}"
            )
    path = folder / f"{_plain(first.name())}.vrt"
    with _errors_of_gdal(first):
        gdal.BuildVRT(str(path), [layer.dataProvider().dataSourceUri() for layer in layers])
    whole = QgsRasterLayer(str(path), first.name())
    whole.setCrs(first.crs())
    return whole


def _copied(layer, dataset, folder, feedback, window, crs):
    """A GeoTIFF with the pixels, nodata and masks of a data set, or of a window of it."""
    copy = folder / f"{_plain(layer.name())}.tif"
    feedback.pushInfo(f"{layer.name()}: copied to a GeoTIFF before it is sent")
    try:
        gdal.Translate(
            str(copy),
            dataset,
            format="GTiff",
            creationOptions=_OPTIONS,
            srcWin=window,
            outputSRS=crs,
            callback=lambda *_: 0 if feedback.isCanceled() else 1,
        )
    finally:
        if feedback.isCanceled():
            raise Cancelled("cancelled")
    return copy


@contextmanager
def _errors_of_gdal(layer):
    """GDAL raises its errors inside, whatever QGIS has set, and outside they are ours."""
    before = gdal.GetUseExceptions()
    gdal.UseExceptions()
    try:
        yield
    except RuntimeError as error:
        raise QgsProcessingException(f"{layer.name()}: cannot be read: {error}") from error
    finally:
        if not before:
            gdal.DontUseExceptions()


def _drawn(layer, folder, feedback, extent, pixel_size):
    """An extent of an online layer, as it is drawn: red, green, blue and alpha."""
    if extent is None or not pixel_size:
        raise QgsProcessingException(
            f"{layer.name()}: layers of the kind {layer.providerType()!r} have no extent and no "
            "pixels of their own to send; give the extent and a pixel size"
        )
    columns, rows = (math.ceil(side / pixel_size) for side in (extent.width(), extent.height()))
    if columns * rows > _DRAWN_PX:
        raise QgsProcessingException(
            f"{layer.name()}: {columns:,} x {rows:,} pixels; at most {_DRAWN_PX:,} are drawn of an "
            "online layer: a smaller extent or a larger pixel size"
        )
    left, top = extent.xMinimum(), extent.yMaximum()
    place = QgsRectangle(left, top - rows * pixel_size, left + columns * pixel_size, top)
    copy = folder / f"{_plain(layer.name())}.tif"
    feedback.pushInfo(f"{layer.name()}: drawing {columns:,} x {rows:,} pixels")
    pipe, writer = QgsRasterPipe(), QgsRasterFileWriter(str(copy))
    pipe.set(layer.dataProvider().clone())
    writer.setCreateOptions(_OPTIONS)
    context = QgsCoordinateTransformContext()
    blocks = QgsRasterBlockFeedback()
    # At once: this thread does nothing else while it draws.
    feedback.canceled.connect(blocks.cancel, Qt.ConnectionType.DirectConnection)
    error = writer.writeRaster(pipe, columns, rows, place, layer.crs(), context, blocks)
    if feedback.isCanceled():
        raise Cancelled("cancelled")
    problems = blocks.errors()
    if error != QgsRasterFileWriter.WriterError.NoError or problems:
        said = "; ".join(problems[:3]) or f"error {error}"
        raise QgsProcessingException(f"{layer.name()}: could not be drawn: {said}")
    return copy


def vector_file(layer, folder: Path, context):
    """A vector layer as a GeoPackage of its own, whatever it is kept in or still unsaved to."""
    copy = folder / f"{_plain(layer.name())}.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "corrections"
    told = QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, str(copy), context.transformContext(), options
    )
    if told[0] != QgsVectorFileWriter.WriterError.NoError:
        raise QgsProcessingException(f"{layer.name()}: no GeoPackage came of it: {told[1]}")
    return copy


def _window(dataset, layer, extent: QgsRectangle, margin_px):
    """Column, row, width and height of an extent, in whole pixels inside the raster."""
    left, pixel_w, skew_x, top, skew_y, pixel_h = dataset.GetGeoTransform()
    if skew_x or skew_y or pixel_h >= 0:
        raise QgsProcessingException(
            f"{layer.name()}: is not north-up, so that no extent can be cut out; leave it empty"
        )
    columns = [(extent.xMinimum() - left) / pixel_w, (extent.xMaximum() - left) / pixel_w]
    rows = [(extent.yMaximum() - top) / pixel_h, (extent.yMinimum() - top) / pixel_h]
    first, last = _whole(columns, dataset.RasterXSize, margin_px)
    upper, lower = _whole(rows, dataset.RasterYSize, margin_px)
    if first >= last or upper >= lower:
        raise QgsProcessingException(f"{layer.name()}: does not reach into the extent")
    return [first, upper, last - first, lower - upper]


def _whole(span, size, margin_px):
    # An edge that lies on a pixel's edge, but for the last digits, does not take the next pixel.
    start, stop = math.floor(span[0] + 1e-6) - margin_px, math.ceil(span[1] - 1e-6) + margin_px
    return max(0, start), min(size, stop)


def _plain(name):
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:80] or "layer"
