"""The web page's files, read once: what a browser gets of `service/web`, and under which addresses.

All lie under an address that holds their common hash, so a browser keeps them for ever and gets new
ones with a new version.
"""

import gzip
import hashlib
from html import escape
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import urlsplit

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_PAGE = "index.html"


def headers(issuer: str | None) -> dict[str, str]:
    """Of the answer that holds the page: its own scripts and styles, nothing inline, nobody else's;
    it asks the service, and the issuer that signs people in, if there is one."""
    parts = urlsplit(issuer or "")
    asked = f"'self' {parts.scheme}://{parts.netloc}" if issuer else "'self'"
    return {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' blob: data:; connect-src {asked}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    }


class Asset(NamedTuple):
    """A file that the page loads."""

    media_type: str
    body: bytes
    gzipped: bytes


class PageFiles:
    """All files of the page.

    Attributes:
        version: Their common hash.
    """

    def __init__(self) -> None:
        root = files("mfnet.service.web")
        found: dict[str, bytes] = {}
        folders = [("", root)]
        while folders:
            prefix, folder = folders.pop()
            for entry in folder.iterdir():
                if entry.is_dir():
                    folders.append((f"{prefix}{entry.name}/", entry))
                elif "." + entry.name.rpartition(".")[2] in _TYPES:
                    found[prefix + entry.name] = entry.read_bytes()
        self._page = found.pop(_PAGE).decode()
        digest = hashlib.sha256(self._page.encode())
        for name in sorted(found):
            digest.update(name.encode() + b"\0" + found[name])
        self.version = digest.hexdigest()[:16]
        self._assets = {
            name: Asset(_TYPES["." + name.rpartition(".")[2]], body, gzip.compress(body, mtime=0))
            for name, body in found.items()
        }

    def html(self, prefix: str, *, keys: bool, issuer: str = "", client: str = "") -> str:
        """The page.

        Args:
            prefix: Of all addresses, where a proxy adds one.
            keys: Whether the service asks for a key.
            issuer: OpenID Connect issuer that signs people in, if any.
            client: What it calls the service.
        """
        told = {"root": prefix, "version": self.version, "keys": "yes" if keys else "no"}
        told |= {"issuer": issuer, "client": client}
        page = self._page
        for name, value in told.items():
            page = page.replace(f"{{{name}}}", escape(value, quote=True))
        return page

    def asset(self, name: str) -> Asset | None:
        """A file by its path below `service/web`, if there is one."""
        return self._assets.get(name)
