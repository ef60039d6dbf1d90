"""Requests without a key, where whoever is at the machine needs none.

What reaches a loopback address need not come from who sits there: a proxy hands on what strangers
send, and a browser what any web page tells it to, also under a name that leads to this machine
(DNS rebinding). Such requests are refused.
"""

import ipaddress

from starlette.datastructures import Headers
from starlette.requests import Request

from mfnet.service.errors import NotLocal

_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_FOREIGN = ("cross-site", "same-site")


def is_loopback(host: str) -> bool:
    """Whether an address, or a host of a URL, is this machine's to itself."""
    name = host.strip("[]").partition("%")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def require_local(request: Request, origins: list[str]) -> None:
    """Check that a request comes from this machine, and from a page of ours if from one at all.

    Args:
        request: Without a key.
        origins: Whose pages may send such requests, too.

    Raises:
        NotLocal: It does not.
    """
    headers = request.headers
    if found := next((name for name in _OF_PROXIES if name in headers), None):
        raise _refused(f"it came through a proxy (header {found})")
    if request.client is None or not is_loopback(request.client.host):
        raise _refused("it came from another machine")
    if not is_loopback(request.url.hostname or ""):
        raise _refused(f"it was sent to {request.url.hostname!r}")
    if not _is_of_our_page(request, headers, origins):
        raise _refused("another site's page sent it")


def _is_of_our_page(request: Request, headers: Headers, origins: list[str]) -> bool:
    origin = headers.get("origin")
    if origin is None:  # a program, or a browser that reads
        return headers.get("sec-fetch-site") not in _FOREIGN
    return origin in (f"{request.url.scheme}://{request.url.netloc}", *origins)


def _refused(how: str) -> NotLocal:
    return NotLocal(
        f"{how}; a service without keys serves programs and browsers of its own machine alone, at "
        "127.0.0.1 or localhost: send a key, which this service takes, too"
    )
