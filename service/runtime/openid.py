"""Tokens that an OpenID Connect issuer has signed: whether one is, and what it says.

The issuer's keys are fetched from where its own description says, and kept. They are fetched again
when they are old, and when a token names one that is not among them; but at most every ten seconds,
whatever came of it, so that tokens that somebody makes up do not have us call the issuer. While it
does not answer, the keys that are known are good for a day.

Source: OpenID Connect Core 1.0, section 3.1.3.7; OpenID Connect Discovery 1.0, section 4.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from jwt import PyJWK, PyJWKSet

_log = logging.getLogger(__name__)

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures by a key of which the issuer alone has the private half."""
_PATIENCE_S = 5.0
_AGAIN_S = 10.0
_OLD_S = 300.0
_GOOD_S = 24 * 3600.0
_CLOCKS_APART_S = 30.0


class TokenRefused(Exception):
    """It is not for us, not signed by the issuer, or has ended."""


class IssuerAway(Exception):
    """The issuer's keys are not known, and it does not tell them."""


class OpenIdIssuer:
    """Checks tokens of one issuer, for one client.

    Args:
        issuer: Its address, as its tokens name it.
        client: Id under which the issuer knows this service: tokens are for it.
        clock: Seconds, never falling.
    """

    def __init__(
        self, issuer: str, client: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.issuer = issuer
        self.client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._known: PyJWKSet | None = None
        self._fetched = self._tried = -_GOOD_S

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says.

        Raises:
            TokenRefused: It is not valid, or not for this service.
            IssuerAway: The issuer's keys are not known and cannot be had.
        """
        import jwt

        try:
            return jwt.decode(
                token,
                self._key(jwt.get_unverified_header(token).get("kid")),
                algorithms=_ALGORITHMS,
                audience=self.client,
                issuer=self.issuer,
                leeway=_CLOCKS_APART_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(str(error)) from error

    def _key(self, name: object) -> "PyJWK":
        """The issuer's key of a name."""
        with self._lock:
            found, now = _named(self._known, name), self._clock()
            stale = found is None or now - self._fetched > _OLD_S
            if stale and now - self._tried >= _AGAIN_S:
                self._tried = now
                self._fetch()
                found = _named(self._known, name)
            if self._known is None or self._clock() - self._fetched > _GOOD_S:
                raise IssuerAway(f"{self.issuer} does not tell its keys")
        if found is None:
            raise TokenRefused("it is signed by a key that the issuer does not have")
        return found

    def _fetch(self) -> None:
        """Asks for the keys, where the issuer's description says they are."""
        from jwt import PyJWKSet, PyJWTError

        address = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            with httpx.Client(timeout=_PATIENCE_S) as client:
                described = client.get(address).raise_for_status().json()
                if described["issuer"] != self.issuer:
                    raise ValueError(f"it describes another issuer, {described['issuer']!r}")
                told = client.get(described["jwks_uri"]).raise_for_status().json()
            self._known, self._fetched = PyJWKSet.from_dict(told), self._clock()
        except (httpx.HTTPError, httpx.InvalidURL, OSError, PyJWTError) as error:
            _log.warning("%s does not tell its keys: %s", address, error)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s tells no keys: %s", address, error)


def _named(known: "PyJWKSet | None", name: object) -> "PyJWK | None":
    """The key of this name; a token may leave it out where the issuer has one key."""
    keys = [key for key in (known.keys if known else ()) if key.public_key_use in ("sig", None)]
    if name is None and len(keys) == 1:
        return keys[0]
    return next((key for key in keys if name is not None and key.key_id == name), None)
