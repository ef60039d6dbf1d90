"""The border to GDAL: what it may do with a stranger's file, and what becomes of its errors."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from mfnet.model.errors import MfnetError, RasterTooLarge, RasterUnreadable
from mfnet.model.proj_data import require_proj_data
from mfnet.model.raster.files import remote

# What GDAL may look at beside the file itself: nothing. Sidecars (.aux.xml, .ovr, .msk, .tfw) can
# be XML that other drivers open.
GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "/vsimem/none",
    "GTIFF_VIRTUAL_MEM_IO": "NO",
}
OPEN_OPTIONS = {"OVERVIEW_LEVEL": "NONE", "GEOREF_SOURCES": "INTERNAL"}
CACHE_BYTES = 16 << 20
MOST_CACHE_BYTES = 1 << 30

# A raster that does not say where it lies is refused in our own words, or need not say it. Once for
# the process, since threads that set filters and set them back undo each other's.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


@contextmanager
def gdal(path: Path, cache_bytes: int | None = None) -> Iterator[None]:
    """The border to GDAL: our options inside, coded errors outside.

    rasterio lets through more than its own errors (TypeErrors, bare CPLE errors), so everything
    that is raised while a stranger's file is touched counts as that file's fault.

    Args:
        path: Of the file, for the message.
        cache_bytes: Size of GDAL's block cache, which the process has one of; inside of another
            `gdal` the larger one counts.
    """
    try:
        with _options(path, cache_bytes):
            yield
    except MfnetError:
        raise
    except MemoryError:
        raise RasterTooLarge(
            f"{path.name}: reading it needs more memory than this process may take; rewrite it "
            "with smaller tiles (gdal_translate -co TILED=YES)",
            file=path.name,
        ) from None
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split()).replace(str(path), path.name)
        if (behind := remote.known(path)) is not None:
            raise _not_fetched(path.name, behind.without_address(reason, path.name)) from error
        raise RasterUnreadable(
            f"{path.name}: truncated, damaged or not decodable ({reason[:300]}); copy it again "
            "from its source or rewrite it with gdal_translate",
            file=path.name,
        ) from error


def _not_fetched(name: str, reason: str) -> RasterUnreadable:
    return RasterUnreadable(
        f"{name}: cannot be read over the network ({reason[:300]}); expected a GeoTIFF there, by "
        "tiles and with ranges of bytes: is the address right, and does it need a key (GDAL's "
        "settings, such as AWS_ACCESS_KEY_ID)?",
        file=name,
    )


_thread = threading.local()


@contextmanager
def _options(path: Path, cache_bytes: int | None) -> Iterator[None]:
    """Our options for GDAL; where they hold in this thread already, nothing is done.

    To enter rasterio's environment and to leave it takes half a millisecond, and a sample of a
    raster is hundreds of reads.
    """
    size = getattr(_thread, "cache_bytes", None)
    if size is not None and (cache_bytes or 0) <= size:
        yield
        return
    cache = {} if cache_bytes is None else {"GDAL_CACHEMAX": cache_bytes}
    behind = remote.known(path)
    access = {} if behind is None else dict(behind.access)
    with rasterio.Env(**(GDAL_OPTIONS | access), **cache):
        require_proj_data()
        _thread.cache_bytes = cache_bytes or 0
        try:
            yield
        finally:
            _thread.cache_bytes = size
