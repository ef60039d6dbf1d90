"""A POST to an address that a stranger has named: to the public internet alone, or nowhere.

The name is looked up once, what was found is checked, and the connection goes to what was checked.
Redirects are not followed, proxies not used, and no more than the answer's head is read.
"""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, urlsplit

_CONNECT_S = 10.0
_WHOLE_S = 20.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotReached(Exception):
    """The address was not called, or did not answer as it should."""


def check_uri(uri: str, *, private: bool) -> SplitResult:
    """An address that may be called, as far as it can be told without asking anybody.

    Args:
        uri: Of http or https.
        private: Whether it may be of a private network, or of this machine.

    Raises:
        NotReached: It may not.
    """
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise NotReached("expected an address of http or https") from None
    plain = uri.isascii() and uri.isprintable() and " " not in uri
    if parts.scheme not in ("http", "https") or not host or not plain or port == 0:
        raise NotReached("expected an address of http or https")
    if parts.username is not None:
        raise NotReached("expected an address without a name and password")
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        literal = None
    named_here = host == "localhost" or host.endswith(".localhost")
    if not private and (named_here or (literal is not None and not _is_public(literal))):
        raise NotReached(f"{host} is no address of the public internet")
    return parts


def post(uri: str, body: bytes, headers: Mapping[str, str], *, private: bool) -> None:
    """Sends `body`; returns where it was answered with 2xx.

    Raises:
        NotReached: It was not, or may not be called.
    """
    parts = check_uri(uri, private=private)
    host = str(parts.hostname)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        connection = _connect(host, port, private=private)
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = context.wrap_socket(connection, server_hostname=host)
        status = _send(connection, parts, body, headers)
    except (OSError, HTTPException) as error:
        raise NotReached(f"{host}: {type(error).__name__}: {error}") from error
    if not 200 <= status < 300:
        raise NotReached(f"{host} answered {status}, expected 2xx")


def _connect(host: str, port: int, *, private: bool) -> socket.socket:
    """A connection to one of the addresses of a name, all of which are checked."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, (address, *_rest) in found:
        if not private and not _is_public(ipaddress.ip_address(str(address).partition("%")[0])):
            raise NotReached(f"{host} is {address}, no address of the public internet")
    refused: OSError | None = None
    for family, kind, protocol, _, checked in found[:4]:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(_CONNECT_S)
        try:
            connection.connect(checked)
        except OSError as error:
            connection.close()
            refused = error
        else:
            return connection
    raise refused or OSError("no address")


def _send(
    connection: socket.socket, parts: SplitResult, body: bytes, headers: Mapping[str, str]
) -> int:
    """The status of the answer; whoever answers drop by drop is hung up on."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    client = HTTPConnection(str(parts.hostname))
    client.sock = connection
    hang_up = threading.Timer(_WHOLE_S, _shut, [connection])
    hang_up.start()
    try:
        client.request("POST", target, body, {**headers, "Host": parts.netloc})
        return client.getresponse().status
    finally:
        hang_up.cancel()
        client.close()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is of the public internet, also where an IPv6 address stands for an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            within = address.teredo[1]
        if address in _NAT64:
            within = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if within is not None:
            return _is_public(within)
    return address.is_global and not address.is_multicast
