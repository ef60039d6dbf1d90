"""Rasters that GDAL reads over the network, or out of archives: for the owner's command line alone.

Elsewhere an address is refused, as is whatever else is no file (`foreign_formats`). Here it is
given a name in a folder of the run: what a program says of it holds no user, key or query, and
whoever opens that name is led to GDAL's own reader.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mfnet.model.raster.files.foreign_formats import shown

READERS = {
    "https": "/vsicurl/https://",
    "http": "/vsicurl/http://",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}
"""By an address's scheme how GDAL's name of it begins."""

# Path writes one slash in the place of several.
_ADDRESS = re.compile(rf"({'|'.join(READERS)}):/+(.*)", re.S | re.I)
_INSIDE = re.compile(r"(https?|ftp):/+", re.I)
_FOR_THE_NETWORK = {"GDAL_HTTP_CONNECTTIMEOUT": "20", "GDAL_HTTP_LOW_SPEED_TIME": "60",
                    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000", "GDAL_HTTP_MAX_RETRY": "4",
                    "GDAL_HTTP_RETRY_DELAY": "1"}  # fmt: skip


@dataclass(frozen=True)
class Remote:
    """A raster that is no file.

    Attributes:
        gdal_name: What GDAL opens.
        blocks: Where blocks are kept that have been fetched, as long as the run lasts.
        fetched: Which these are.
    """

    gdal_name: str
    blocks: Path
    fetched: set[int] = field(default_factory=set)

    @property
    def access(self) -> Mapping[str, str]:
        """GDAL's options to open it: this one and no other."""
        return _FOR_THE_NETWORK | {"CPL_VSIL_CURL_ALLOWED_FILENAME": self.gdal_name}


_known: dict[Path, Remote] = {}


def known(path: Path) -> Remote | None:
    """What stands behind a path that `reachable` has given."""
    return _known.get(path)


def gdal_name(path: Path) -> str | None:
    """GDAL's name of an address or a path of its virtual file systems; None for a file."""
    text = path.as_posix()
    if address := _ADDRESS.fullmatch(text):
        return READERS[address[1].lower()] + address[2]
    if text.startswith("/vsi"):
        return _INSIDE.sub(r"\1://", text)
    return None


@contextmanager
def reachable(paths: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Paths by which rasters over the network can be opened like files.

    Args:
        paths: By role: files, addresses (`https://`, `s3://`, …) or paths of GDAL's (`/vsi…`).

    Yields:
        The same; in the place of what is no file a path that is known as long as this lasts.
    """
    named = {role: name for role, path in paths.items() if (name := gdal_name(path)) is not None}
    if not named:
        yield dict(paths)
        return
    ready = dict(paths)
    with TemporaryDirectory(prefix="mfnet-remote-") as folder:
        for role, name in named.items():
            own = Path(folder) / role
            own.mkdir()
            ready[role] = own / shown(paths[role]).split("?")[0]
            _known[ready[role]] = Remote(name, own / "blocks")
        try:
            yield ready
        finally:
            for role in named:
                _known.pop(ready[role])
