"""Tokens that an OpenID Connect issuer has signed: whether one is, and what it says.

The issuer's keys are fetched from where its own description says, kept, and fetched again when a
token names one that is not among them, at most every ten seconds: whoever makes tokens up must not
make us call the issuer.

Source: OpenID Connect Core 1.0, section 3.1.3.7; OpenID Connect Discovery 1.0, section 4.
"""

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from jwt import PyJWK, PyJWKClient, PyJWKSet

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Signatures by a key of which the issuer alone has the private half."""
_PATIENCE_S = 5.0
_REFRESH_S = 10.0
_CLOCKS_APART_S = 30.0


class TokenRefused(Exception):
    """It is not for us, not signed by the issuer, or has ended."""


class IssuerAway(Exception):
    """The issuer does not tell its keys."""


class OpenIdIssuer:
    """Checks tokens of one issuer, for one client.

    Args:
        issuer: Its address, as its tokens name it.
        client: Id under which the issuer knows this service: tokens are for it.
    """

    def __init__(self, issuer: str, client: str) -> None:
        self.issuer = issuer
        self.client = client
        self._lock = threading.Lock()
        self._keys: PyJWKClient | None = None
        self._refreshed = -_REFRESH_S

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
                self._key(token),
                algorithms=_ALGORITHMS,
                audience=self.client,
                issuer=self.issuer,
                leeway=_CLOCKS_APART_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWKClientConnectionError, httpx.HTTPError) as error:
            raise IssuerAway(str(error)) from error
        except jwt.PyJWTError as error:
            raise TokenRefused(str(error)) from error

    def _key(self, token: str) -> "PyJWK":
        import jwt

        named = jwt.get_unverified_header(token).get("kid")
        with self._lock:
            keys = self._keys or self._described()
            found = _named(keys.get_jwk_set(), named)
            if found is None and time.monotonic() - self._refreshed >= _REFRESH_S:
                self._refreshed = time.monotonic()
                found = _named(keys.get_jwk_set(refresh=True), named)
        if found is None:
            raise TokenRefused("it is signed by a key that the issuer does not have")
        return found

    def _described(self) -> "PyJWKClient":
        """Where its keys are, as the issuer describes itself."""
        import jwt

        address = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        told = httpx.get(address, timeout=_PATIENCE_S).raise_for_status()
        try:
            described = told.json()
            if described["issuer"] != self.issuer:
                raise IssuerAway(f"{address} is of another issuer, {described['issuer']!r}")
            self._keys = jwt.PyJWKClient(described["jwks_uri"], timeout=_PATIENCE_S)
        except (ValueError, KeyError, TypeError):
            raise IssuerAway(f"{address} describes no issuer") from None
        return self._keys


def _named(known: "PyJWKSet", name: object) -> "PyJWK | None":
    """The key of this name; a token may leave it out where the issuer has one key."""
    keys = [key for key in known.keys if key.public_key_use in ("sig", None)]
    if name is None and len(keys) == 1:
        return keys[0]
    return next((key for key in keys if name is not None and key.key_id == name), None)
