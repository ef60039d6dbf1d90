"""What is sent of a file: itself, what stands beside it, and the names of both at the service."""

import hashlib
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from .http_requests import Cancelled

_BLOCK_BYTES = 8 << 20
_BESIDE_STEM = (".tfw", ".tifw", ".tfwx", ".wld", ".prj", ".aux.xml")
_BESIDE_NAME = (".aux.xml", ".msk")


@dataclass(frozen=True)
class Sending:
    """A file on its way.

    Attributes:
        file: Itself.
        sha256: Of its bytes, in hex.
        name: At the service.
        sidecars: What stands beside it and is read with it, by its name at the service.
    """

    file: Path
    sha256: str
    name: str
    sidecars: dict


def prepare(file: Path, feedback):
    """Read a file once, for its checksum, and find what stands beside it.

    Its name at the service holds a part of the checksum: the service reads a raster with what was
    sent before under its name, and another raster of the same name has other sidecars.

    Raises:
        Cancelled: By the user.
    """
    beside = _beside(file)
    sha256 = _sha256(file, feedback)
    digest = hashlib.sha256(sha256.encode())
    for ending, each in beside.items():
        digest.update(ending.encode() + each.read_bytes())
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in file.stem)[:100]
    stem, suffix = f"{plain}-{digest.hexdigest()[:8]}", file.suffix.lower()
    sidecars = {stem + ending.replace(file.suffix, suffix): each for ending, each in beside.items()}
    return Sending(file, sha256, stem + suffix, sidecars)


def _beside(file: Path):
    """The sidecars of a GeoTIFF, by what their names have behind its stem."""
    if file.suffix.lower() not in (".tif", ".tiff"):
        return {}
    endings = [*_BESIDE_STEM, *(file.suffix + ending for ending in _BESIDE_NAME)]
    found = {ending: file.with_name(file.stem + ending) for ending in endings}
    return {
        ending: each
        for ending, each in found.items()
        if each.is_file() and not _holds_statistics_alone(each)
    }


def _holds_statistics_alone(sidecar: Path):
    """Whether it is an .aux.xml as QGIS itself writes when it shows a layer, and says no more."""
    if not sidecar.name.lower().endswith(".aux.xml"):
        return False
    try:
        root = ET.parse(sidecar).getroot()
    except (ET.ParseError, OSError):
        return False
    bands = [child for band in root for child in band]
    return all(band.tag == "PAMRasterBand" for band in root) and all(
        child.tag == "Histograms"
        or (
            child.tag == "Metadata"
            and not child.attrib
            and all(item.get("key", "").startswith("STATISTICS_") for item in child)
        )
        for child in bands
    )


def _sha256(file: Path, feedback):
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            if feedback.isCanceled():
                raise Cancelled("cancelled")
            digest.update(block)
    return digest.hexdigest()
