"""Names and colours of a class raster for those who open it: inside the file and beside it."""

import xml.etree.ElementTree as ET

from mfnet.model.classes import ClassScheme

# GDAL's GDALRATFieldType and GDALRATFieldUsage (gdal_rat.h), by column of our attribute table.
_INTEGER, _STRING = "0", "2"
_COLUMNS = (
    ("Value", _INTEGER, "5"),
    ("Class", _STRING, "2"),
    ("Red", _INTEGER, "6"),
    ("Green", _INTEGER, "7"),
    ("Blue", _INTEGER, "8"),
)


def color_table(scheme: ClassScheme) -> dict[int, tuple[int, int, int, int]]:
    """Red, green, blue, alpha by pixel value."""
    return {value: (*item.rgb, 255) for value, item in enumerate(scheme.classes)}


def gdal_sidecar(scheme: ClassScheme) -> bytes:
    """Contents of `<raster>.aux.xml`: category names and an attribute table.

    GDAL, QGIS and ArcGIS look for them here; inside a TIFF only GDAL from 3.12 on.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    names = ET.SubElement(band, "CategoryNames")
    for item in scheme.classes:
        ET.SubElement(names, "Category").text = item.title
    band.append(_attribute_table(scheme))
    return _serialise(root)


def metadata_item(scheme: ClassScheme) -> bytes:
    """The attribute table as the item of a TIFF's GDAL metadata that GDAL 3.12 reads; ASCII."""
    item = ET.Element("Item", name="DEFAULT_RASTER_ATTRIBUTE_TABLE", sample="0", role="rat")
    item.append(_attribute_table(scheme))
    return bytes(ET.tostring(item, encoding="us-ascii", xml_declaration=False))


def _attribute_table(scheme: ClassScheme) -> ET.Element:
    table = ET.Element("GDALRasterAttributeTable", tableType="thematic")
    for index, (title, kind, usage) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        ET.SubElement(column, "Name").text = title
        ET.SubElement(column, "Type").text = kind
        ET.SubElement(column, "Usage").text = usage
    for value, item in enumerate(scheme.classes):
        row = ET.SubElement(table, "Row", index=str(value))
        for cell in (value, item.title, *item.rgb):
            ET.SubElement(row, "F").text = str(cell)
    return table


def qgis_style(scheme: ClassScheme) -> bytes:
    """Contents of `<raster stem>.qml`: a paletted legend of our classes alone.

    Without it QGIS lists all 256 entries of the colour table.
    """
    root = ET.Element("qgis", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for value, item in enumerate(scheme.classes):
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(value),
            color=item.color,
            label=item.title,
            alpha="255",
        )
    return b"<!DOCTYPE qgis>\n" + _serialise(root)


def _serialise(root: ET.Element) -> bytes:
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8")) + b"\n"
