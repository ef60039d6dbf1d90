"""A coordinate reference system (CRS) that names grids or files opens none of them."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from mfnet.model.errors import RasterForbidden
from mfnet.model.raster.files.screening import screen
from mfnet.model.raster.georeferencing.crs_text import names_files
from tests.model.conftest import MakeTiff
from tests.model.programs import rio

BESSEL = (
    'GEOGCS["x",DATUM["y",SPHEROID["Bessel 1841",6377397.155,299.1528128]{}],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
)


def bonne(grids: str) -> str:
    """WKT of a projection that GeoTIFF has no number for; in metres around 9° E, 50° N."""
    datum = BESSEL.format(f',EXTENSION["PROJ4_GRIDS","{grids}"]')
    return (
        f'PROJCS["x",{datum},PROJECTION["Bonne"],PARAMETER["central_meridian",9],'
        'PARAMETER["standard_parallel_1",50],PARAMETER["false_easting",500000],UNIT["metre",1]]'
    )


@pytest.mark.parametrize(
    "text",
    [
        bonne("/etc/passwd"),
        bonne("conus,@null"),
        bonne("http://localhost:1/x.gsb").replace(
            'EXTENSION["PROJ4_GRIDS"', 'extension ( "proj4_grids" '
        ),
        BESSEL.format(",EXTENSION[PROJ4_GRIDS,/etc/passwd]"),
        'EXTENSION["PROJ4","+proj=longlat +nadgrids=/etc/passwd"]',
        'EXTENSION["PROJ4","+proj=merc +nadgrids=@nullx"]',
        'EXTENSION["PROJ4","+proj=defmodel +model=/etc/passwd"]',
        'METHOD["PROJ-based operation method: +proj=pipeline +step +proj=hgridshift +grids=a"]',
        'METHOD["PROJ tmerc nadgrids=/etc/passwd"]',
        'METHOD["NTv2"],PARAMETERFILE["Latitude and longitude difference file","/etc/passwd"]',
        "+proj=longlat +nadgrids=/etc/passwd",
        "+proj=utm +zone=32 +geoidgrids=http://localhost:1/x",
        "+init=epsg:25832",
    ],
)
def test_texts_that_name_files(text: str) -> None:
    assert names_files(text)


@pytest.mark.parametrize(
    "text",
    [
        *(CRS.from_epsg(code).to_wkt() for code in (3857, 25832, 4326, 31467, 4978)),
        "+proj=merc +a=6378137 +b=6378137 +nadgrids=@null +wktext",
        BESSEL.format("").replace('"y"', '"Unknown based on Bessel 1841 using nadgrids=conus"'),
        bonne("@null"),
        "GCS Name = unknown|Datum = Unknown based on Bessel 1841 using nadgrids=/etc/passwd|",
    ],
)
def test_texts_that_name_none(text: str) -> None:
    assert not names_files(text)


def with_esri_string(path: Path, wkt: str) -> Path:
    """Write WKT into a GeoTIFF as ESRI does: as the citation of the projected CRS."""
    raw = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", raw, 4)
    (count,) = struct.unpack_from("<H", raw, first)
    places = {
        struct.unpack_from("<H", raw, at)[0]: at
        for at in range(first + 2, first + 2 + 12 * count, 12)
    }
    _, length, at = struct.unpack_from("<HII", raw, places[34735] + 2)
    keys = struct.unpack_from(f"<{length}H", raw, at)
    _, length, at = struct.unpack_from("<HII", raw, places[34737] + 2)
    texts = bytes(raw[at : at + length]).rstrip(b"\0")
    told = f"ESRI PE String = {wkt}|".encode()
    entries = {keys[i]: keys[i : i + 4] for i in range(4, len(keys), 4)}
    entries[3073] = (3073, 34737, len(told), len(texts))
    flat = [*keys[:3], len(entries), *(n for key in sorted(entries) for n in entries[key])]
    for tag, kind, number, payload in (
        (34735, 3, len(flat), struct.pack(f"<{len(flat)}H", *flat)),
        (34737, 2, len(texts + told) + 1, texts + told + b"\0"),
    ):
        struct.pack_into("<HHII", raw, places[tag], tag, kind, number, len(raw))
        raw += payload + b"\0" * (len(payload) % 2)
    path.write_bytes(raw)
    return path


def crafted(make_tiff: MakeTiff, name: str, grids: str) -> Path:
    """Heights in a CRS whose WKT, beside what GDAL would write, names grids."""
    plain = CRS.from_string("+proj=bonne +lat_1=50 +lon_0=9 +x_0=500000 +ellps=bessel")
    path = make_tiff(name, np.zeros((48, 48), "float32"), crs=plain, GEOTIFF_KEYS_FLAVOR="ESRI_PE")
    return with_esri_string(path, bonne(grids))


def test_a_crs_that_gdal_would_follow_to_a_file_is_refused(
    make_tiff: MakeTiff, tmp_path: Path
) -> None:
    with pytest.raises(RasterForbidden, match=r"a\.tif: its coordinate.*--crs EPSG:25832 a\.tif"):
        screen(crafted(make_tiff, "a.tif", "/etc/passwd"))
    rio("edit-info", "--crs", "EPSG:25832", tmp_path / "a.tif")
    assert screen(tmp_path / "a.tif").width == 48
    assert screen(crafted(make_tiff, "b.tif", "@null")).width == 48


RUN = """
import sys
from pathlib import Path
from mfnet.model.errors import InputError
from mfnet.model.raster.pairs.inspection import inspect_pair
ortho, *heights = map(Path, sys.argv[1:])
for path in heights:
    try:
        inspect_pair(ortho, path)
        print(path.stem, "read")
    except InputError as error:
        print(path.stem, error.code)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_that_a_crs_names_is_opened_or_connected(
    photo: Callable[..., Path], make_tiff: MakeTiff, tmp_path: Path
) -> None:
    """Each pair needs a transformation between the two CRSs; PROJ may use the network."""
    trap = tmp_path / "trap.gsb"
    trap.write_bytes(b"no grid")
    lonlat = Affine(5e-5, 0, 8.999, 0, -5e-5, 51.452)
    written = {
        "path": f"+proj=longlat +ellps=bessel +nadgrids={trap}",
        "address": "+proj=longlat +ellps=bessel +nadgrids=http://127.0.0.1:9/trap.gsb",
        "geoid": f"+proj=longlat +ellps=GRS80 +towgs84=1,2,3 +geoidgrids={trap} +vunits=m",
    }
    paths = [
        make_tiff(f"{name}.tif", np.zeros((48, 48), "float32"), lonlat, CRS.from_string(crs))
        for name, crs in written.items()
    ]
    paths += [
        crafted(make_tiff, "esri_path.tif", str(trap)),
        crafted(make_tiff, "esri_address.tif", "http://127.0.0.1:9/trap.gsb"),
        make_tiff("prj.tif", np.zeros((48, 48), "float32"), crs=None),
    ]
    (tmp_path / "prj.prj").write_text(bonne(str(trap)))
    log = tmp_path / "trace"
    done = subprocess.run(
        [
            *("strace", "-f", "-o", log, "-e", "trace=open,openat,connect,socket"),
            *(sys.executable, "-c", RUN, str(photo()), *map(str, paths)),
        ],
        env=os.environ | {"PROJ_NETWORK": "ON", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if "ptrace" in done.stderr.lower() and not done.stdout:
        pytest.skip("strace may not trace here")
    assert done.stdout.split("\n")[:-1] == [
        *("path read", "address read", "geoid read"),
        *("esri_path raster.forbidden", "esri_address raster.forbidden", "prj raster.bad_sidecar"),
    ]
    trace = log.read_text()
    assert "esri_path.tif" in trace  # it does record what is opened
    assert "proj.db" in trace
    assert "trap" not in trace
    assert "AF_INET" not in trace
