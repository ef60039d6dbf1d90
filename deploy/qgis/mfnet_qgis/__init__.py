"""MFNet in QGIS: a Processing provider and a panel that talk to an MFNet service.

Needs nothing but QGIS: Qt's network through QGIS's own classes, and GDAL as QGIS brings it.
"""


def classFactory(iface):  # noqa: N802 - QGIS calls it so
    """The plugin; `iface` is None in qgis_process."""
    from .plugin import MfnetPlugin

    return MfnetPlugin(iface)
