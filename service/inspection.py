"""A stranger's rasters are looked at by a child process: `mfnet inspect --json`, fenced in.

The API process itself never opens a raster. The child gets an environment of its own, with no
secret in it and GDAL reduced to the GeoTIFF driver, and limits on memory and time. It says what
the file is (exit status 0) or why it is refused (2). A child that a signal or the clock ended was
ended by the file.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.errors import Busy, InspectionBroken, Refused

Names = Mapping[str, str]

_WAITING = 16
"""Requests that may wait for one: each holds a thread, and 40 threads serve everybody."""

_GRACE_S = 10
"""For starting the interpreter, and for the child's own time limit to speak first."""

# Everything that GDAL up to 3.12 may have beside GTiff, COG and MEM. A TIFF's metadata and
# its sidecars can name files that these would open, some of them over the network.
_SKIPPED_DRIVERS = (
    "AAIGrid,ACE2,ADBC,ADRG,AIG,AIVector,AVCBin,AVCE00,AVIF,AirSAR,AmigoCloud,Arrow,BAG,BASISU,"
    "BIGGIF,BLX,BMP,BSB,BT,BYN,CAD,CALS,CEOS,COASP,COSAR,CPG,CSV,CSW,CTG,CTable2,Carto,DAAS,DDS,"
    "DERIVED,DGN,DIMAP,DIPEx,DOQ1,DOQ2,DTED,DXF,ECRGTOC,ECW,EEDA,EEDAI,EHdr,EIR,ELAS,ENVI,ERS,"
    "ESAT,ESRI Shapefile,ESRIC,ESRIJSON,EXR,EarthDataAccess,Elasticsearch,FAST,FIT,FlatGeobuf,"
    "GDALG,GFF,GIF,GML,GMLAS,GNMDatabase,GNMFile,GPKG,GPSBabel,GPX,GRASSASCIIGrid,GRIB,GS7BG,GSAG,"
    "GSBG,GSC,GTFS,GTI,GTX,GXF,GenBin,GeoJSON,GeoJSONSeq,GeoRSS,HANA,HDF4,HDF4Image,HDF5,"
    "HDF5Image,HEIF,HF2,HFA,HTTP,IDA,ILWIS,INGR,IRIS,ISCE,ISG,ISIS2,ISIS3,Idrisi,JAXAPALSAR,JDEM,"
    "JML,JP2ECW,JP2KAK,JP2OpenJPEG,JPEG,JPEGXL,JSONFG,KEA,KML,KMLSUPEROVERLAY,KRO,KTX2,L1B,LAN,"
    "LCP,LIBERTIFF,LIBKML,LOSLAS,LVBAG,Leveller,MAP,MBTiles,MFF,MFF2,MRF,MSGN,MSSQLSpatial,MVT,"
    "MapInfo File,MapML,Memory,MiraMonRaster,MiraMonVector,MongoDBv3,MrSID,MySQL,NAS,NDF,NGSGEOID,"
    "NGW,NITF,NOAA_B,NSIDCbin,NTv2,NUMPY,NWT_GRC,NWT_GRD,OAPIF,OCI,ODBC,ODS,OGCAPI,OGR_GMT,OGR_VRT,"
    "OSM,OZI,OpenFileGDB,PALSARJaxa,PAux,PCIDSK,PCRaster,PDF,PDS,PDS4,PGDUMP,PGeo,PLMOSAIC,PLSCENES,"
    "PMTiles,PNG,PNM,PRF,Parquet,PostGISRaster,PostgreSQL,R,RASTERLITE,RCM,RDB,RIK,RMF,ROI_PAC,"
    "RPFTOC,RRASTER,RS2,RST,Rasterlite,S102,S104,S111,S57,SAFE,SAGA,SAR_CEOS,SDTS,SENTINEL2,SGI,"
    "SIGDEM,SNAP_TIFF,SNODAS,SOSI,SQLite,SRP,SRTMHGT,STACIT,STACTA,SXF,Selafin,TGA,TIGER,TIL,"
    "TSX,Terragen,TileDB,TopoJSON,UK .NTF,USGSDEM,VDV,VFK,VICAR,VRT,WAsP,WCS,WEBP,WFS,WMS,WMTS,"
    "XLS,XLSX,XODR,XPM,XYZ,ZMap,Zarr,netCDF"
)

ENVIRONMENT = {
    "GDAL_SKIP": _SKIPPED_DRIVERS,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no sidecar is looked for
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_CACHEMAX": "64",
    "GDAL_NUM_THREADS": "1",
    # Each thread of these reserves address space, which the child's limit counts.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""The child's whole environment; inside `rasterio.Env` these settings would come too late."""


class Inspector:
    """Runs inspections, a few at a time.

    Args:
        models_dir: Where `mfnet inspect --model` looks for models beside its own.
        max_memory_mb: Address space of a child.
        max_seconds: Time of a child.
        at_once: Children at a time. A few more wait as long as one may take, the rest come again.
    """

    def __init__(
        self, *, models_dir: Path, max_memory_mb: int, max_seconds: int, at_once: int
    ) -> None:
        self._models_dir = models_dir.resolve()
        self._max_seconds = max_seconds
        self._limits = ["--max-memory-mb", str(max_memory_mb), "--max-seconds", str(max_seconds)]
        self._places = threading.BoundedSemaphore(at_once)
        self._queue = threading.BoundedSemaphore(at_once + _WAITING)

    def file(self, path: Path, names: Names) -> dict[str, Any]:
        """The report on one raster, whatever its role.

        Args:
            path: The raster.
            names: What its sender calls it, by the name that it has on our disk.

        Raises:
            Refused: The file is at fault; code and message are the inspection's.
            InspectionBroken: We are.
            Busy: Too many inspections at once.
        """
        return self._inspect([str(path)], names)

    def pair(
        self, ortho: Path, height: Path, dtm: Path | None, model: str, names: Names
    ) -> dict[str, Any]:
        """The quick report on a pair for a model: headers, grids, a sample; not every block.

        Raises:
            Refused, InspectionBroken, Busy: As `file`.
        """
        arguments = [str(ortho), str(height), "--quick", "--model", model]
        arguments += ["--models-dir", str(self._models_dir)]
        if dtm is not None:
            arguments += ["--dtm", str(dtm)]
        return self._inspect(arguments, names)

    def _inspect(self, arguments: list[str], names: Names) -> dict[str, Any]:
        with _place(self._queue, 0), _place(self._places, self._max_seconds):
            child = _run([*arguments, "--json", *self._limits], self._max_seconds + _GRACE_S)
        return _reading(child, names)


@contextmanager
def _place(places: threading.BoundedSemaphore, seconds: float) -> Iterator[None]:
    """Hold one of the places; `Busy` where none becomes free in time."""
    if not places.acquire(timeout=seconds):
        raise Busy("too many files are being inspected; try again")
    try:
        yield
    finally:
        places.release()


def _run(arguments: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    # Isolated (-I): neither the working directory nor an environment variable adds code.
    command = [sys.executable, "-I", "-X", "utf8", "-m", "model.cli", "inspect", *arguments]
    try:
        return subprocess.run(
            command, env=ENVIRONMENT, cwd="/", capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise _file_killed_it(f"it took more than {seconds:.0f} seconds") from None


def _reading(child: subprocess.CompletedProcess[str], names: Names) -> dict[str, Any]:
    """What the child said: its report, or an exception with its error."""
    if child.returncode < 0:
        raise _file_killed_it(f"it ended by signal {-child.returncode}")
    if child.returncode not in (0, 2):
        raise InspectionBroken(f"mfnet inspect exited {child.returncode}: {child.stderr[-2000:]}")
    try:
        said: dict[str, Any] = json.loads(_renamed(child.stdout, names))
    except ValueError:
        raise InspectionBroken(f"mfnet inspect said no JSON: {child.stderr[-2000:]}") from None
    if child.returncode == 0:
        return said
    error = said["error"]
    raise Refused(error["code"], error["message"], **error["params"])


def _renamed(text: str, names: Names) -> str:
    """JSON with the senders' names in place of ours, which mean nothing to them."""
    for ours, theirs in names.items():
        text = text.replace(ours, json.dumps(theirs)[1:-1])
    return text


def _file_killed_it(how: str) -> Refused:
    return Refused(
        "raster.unreadable",
        f"the file could not be inspected: {how}. Rewrite it as a plain tiled GeoTIFF, for "
        "instance with gdal_translate -co TILED=YES",
    )
