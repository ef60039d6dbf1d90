"""What is a token of the issuer's, and when the issuer is asked."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mfnet.service.runtime.openid import IssuerAway, OpenIdIssuer, TokenRefused


class Standin(http.server.ThreadingHTTPServer):
    """An issuer that has the keys that a test gives it, and counts who asks for them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.described_as = self.url
        self.public: list[dict[str, Any]] = []
        self.told: Any = None  # in place of the keys
        self.asked = self.described = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Standin

    def do_GET(self) -> None:
        told: Any = {"keys": self.server.public}
        if self.path == "/.well-known/openid-configuration":
            told = {"issuer": self.server.described_as, "jwks_uri": f"{self.server.url}/keys"}
            self.server.described += 1
        else:
            self.server.asked += 1
            told = told if self.server.told is None else self.server.told
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def standin() -> Iterator[Standin]:
    """On a free port of loopback."""
    with Standin() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


ONE = rsa.generate_private_key(65537, 2048)
TWO = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, kid: str | None = None) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if key is ONE else jwt.algorithms.ECAlgorithm
    named = {} if kid is None else {"kid": kid}
    return {**kind.to_jwk(key.public_key(), as_dict=True), **named, "use": "sig"}


def token(url: str, key: Any = ONE, kid: str | None = None, **changed: Any) -> str:
    claims = {"iss": url, "sub": "anna", "aud": ["other", "mfnet"], "exp": time.time() + 60}
    told = {name: each for name, each in (claims | changed).items() if each is not None}
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(told, key, "RS256" if key is ONE else "ES256", headers=headers)


def test_a_token_says_whom_it_is_of(standin: Standin) -> None:
    standin.public = [public(ONE, "a"), public(TWO, "b")]
    issuer = OpenIdIssuer(standin.url, "mfnet")
    for key, kid in ((ONE, "a"), (TWO, "b")):
        assert issuer.claims(token(standin.url, key, kid))["sub"] == "anna"
    assert standin.asked == 1


def test_a_token_need_not_name_the_only_key(standin: Standin) -> None:
    standin.public = [public(TWO)]
    issuer = OpenIdIssuer(standin.url, "mfnet")
    assert issuer.claims(token(standin.url, TWO))["sub"] == "anna"
    standin.public = [public(ONE, "a"), public(TWO, "b")]
    with pytest.raises(TokenRefused, match="does not have"):
        OpenIdIssuer(standin.url, "mfnet").claims(token(standin.url, TWO))


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": time.time() - 3600},
        {"exp": None},
        {"nbf": time.time() + 3600},
        {"iss": "https://another.example"},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
    ],
    ids=["ended", "no end", "not yet", "issuer", "audience", "no audience", "nobody", "a number"],
)
def test_a_token_that_has_ended_or_is_for_others_is_refused(
    standin: Standin, changed: dict[str, Any]
) -> None:
    standin.public = [public(ONE, "a")]
    with pytest.raises(TokenRefused):
        OpenIdIssuer(standin.url, "mfnet").claims(token(standin.url, ONE, "a", **changed))


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_new_key_of_the_issuers_is_found_and_made_up_ones_do_not_make_us_ask(
    standin: Standin,
) -> None:
    standin.public, clock = [public(ONE, "a")], Clock()
    issuer = OpenIdIssuer(standin.url, "mfnet", clock)
    issuer.claims(token(standin.url, ONE, "a"))
    standin.public = [public(TWO, "b")]
    clock.now += 11
    assert issuer.claims(token(standin.url, TWO, "b"))["sub"] == "anna"
    for made_up in range(5):
        with pytest.raises(TokenRefused, match="does not have"):
            issuer.claims(token(standin.url, TWO, str(made_up)))
    assert standin.asked == 2


def test_known_keys_are_good_for_a_day_while_the_issuer_is_away(standin: Standin) -> None:
    standin.public, clock = [public(ONE, "a")], Clock()
    issuer = OpenIdIssuer(standin.url, "mfnet", clock)
    mine = token(standin.url, ONE, "a")
    issuer.claims(mine)
    for answer in ([], {"keys": []}, "<html>", {"keys": [{"kty": "odd"}]}, 7):
        clock.now += 3600
        standin.told = answer
        assert issuer.claims(mine)["sub"] == "anna"
    clock.now += 24 * 3600
    with pytest.raises(IssuerAway):
        issuer.claims(mine)
    standin.told = None
    clock.now += 11
    assert issuer.claims(mine)["sub"] == "anna"


def test_an_issuer_that_is_away_or_another_is_told_and_not_asked_at_once_again(
    standin: Standin,
) -> None:
    standin.public = [public(ONE, "a")]
    standin.described_as = "https://another.example"
    issuer, clock = None, Clock()
    for url in (standin.url, "http://127.0.0.1:9"):
        issuer = OpenIdIssuer(url, "mfnet", clock)
        for _ in range(2):
            with pytest.raises(IssuerAway):
                issuer.claims(token(url, ONE, "a"))
    assert standin.described == 1
