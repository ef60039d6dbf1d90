"""Rasters that GDAL reads over the network, or out of archives: for the owner's command line, and
for the service's engine where the service itself has put them.

Elsewhere an address is refused, as is whatever else is no file (`foreign_formats`). Here it is
given a name in a folder of the run: what a program says of it holds no user, key or query, and
whoever opens that name is led to GDAL's own reader.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

from mfnet.model.raster.files.foreign_formats import shown
from mfnet.model.raster.files.linked_file import LinkedFile

_VSICURL = "/vsicurl/"
READERS = {
    "https": f"{_VSICURL}https://",
    "http": f"{_VSICURL}http://",
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


class Content(NamedTuple):
    """What is known of a raster over the network without its being fetched.

    Attributes:
        sha256: Of all its bytes.
        bytes: How many; 0 where nobody knows.
    """

    sha256: str | None = None
    bytes: int = 0


@dataclass(frozen=True)
class Remote:
    """A raster that is no file.

    Attributes:
        gdal_name: What GDAL opens.
        blocks: Where blocks are kept that have been fetched, as long as the run lasts.
        fetched: Which these are.
        content: What it holds, as far as somebody knows.
        opener: Reads it in GDAL's place.
    """

    gdal_name: str
    blocks: Path
    fetched: set[int] = field(default_factory=set)
    content: Content = field(default_factory=Content)
    opener: LinkedFile | None = None

    @property
    def access(self) -> Mapping[str, str]:
        """GDAL's options to open it: this one and no other."""
        if self.opener is not None:
            return {}
        return _FOR_THE_NETWORK | {"CPL_VSIL_CURL_ALLOWED_FILENAME": self.gdal_name}

    def without_address(self, text: str, name: str) -> str:
        """A text of GDAL's with a name in the place of the address, which may hold a key."""
        for address in (self.gdal_name, self.gdal_name.rpartition("/")[2]):
            text = text.replace(address, name)
        return text


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
def reachable(
    paths: Mapping[str, Path], contents: Mapping[str, Content] = MappingProxyType({})
) -> Iterator[dict[str, Path]]:
    """Paths by which rasters over the network can be opened like files.

    Args:
        paths: By role: files, addresses (`https://`, `s3://`, …) or paths of GDAL's (`/vsi…`).
        contents: What rasters over the network hold, by role, where it is known: these, at
            addresses of `http` or `https`, GDAL itself does not reach for.

    Yields:
        The same; in the place of what is no file a path that is known as long as this lasts.
    """
    named = {role: name for role, path in paths.items() if (name := gdal_name(path)) is not None}
    if not named:
        yield dict(paths)
        return
    ready = dict(paths)
    with TemporaryDirectory(prefix="mfnet-remote-") as folder, ExitStack() as opened:
        for role, name in named.items():
            own = Path(folder) / role
            own.mkdir()
            path = ready[role] = own / shown(paths[role]).split("?")[0]
            if role in contents:
                _known[path] = _linked(name, path, own / "blocks", contents[role], opened)
            else:
                _known[path] = Remote(name, own / "blocks")
        try:
            yield ready
        finally:
            for role in named:
                _known.pop(ready[role])


def _linked(name: str, path: Path, blocks: Path, content: Content, opened: ExitStack) -> Remote:
    """What is read by us, not by GDAL, which may not reach the network then."""
    address = name.removeprefix(_VSICURL)
    file = LinkedFile(address, content.bytes, path)
    opened.callback(file.close)
    return Remote(str(path), blocks, content=content, opener=file)
