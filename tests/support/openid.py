"""A real OpenID Connect issuer on loopback, which signs in whoever is named.

    python openid.py

runs it on a free port, prints the port, and ends with its standard input.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

_BACK = "http://127.0.0.1/back"


class Issuer:
    """The issuer.

    Attributes:
        url: Its address, and its name in tokens.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def token(self, subject: str, /, client: str = "mfnet", **claims: Any) -> str:
        """An ID token for somebody, as a program gets it by which they sign in."""
        with httpx.Client(base_url=self.url, trust_env=False) as browser:
            browser.put(f"/users/{subject}", json=claims).raise_for_status()
            asked = {"client_id": client, "redirect_uri": _BACK, "response_type": "code"}
            asked["scope"] = "openid profile email"
            entered = browser.post("/oauth2/authorize", params=asked, data={"sub": subject})
            (code,) = parse_qs(urlsplit(entered.headers["location"]).query)["code"]
            told = {"grant_type": "authorization_code", "code": code, "redirect_uri": _BACK}
            given = browser.post("/oauth2/token", data=told, auth=(client, "secret"))
            token: str = given.raise_for_status().json()["id_token"]
            return token


@contextmanager
def running() -> Iterator[Issuer]:
    """One in a process of its own: the library warns of its own age, which is an error here."""
    command = [sys.executable, "-W", "ignore", __file__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdin
        assert process.stdout
        yield Issuer(f"http://127.0.0.1:{int(process.stdout.readline())}")
        process.stdin.close()


def _serve() -> None:
    """Like issuers in use, it lets pages of other origins ask it, which have no secret."""
    import logging
    import re
    import threading

    import oidc_provider_mock
    from oidc_provider_mock._app import AuthorizationCodeGrant, RefreshTokenGrant
    from werkzeug.serving import make_server

    for grant in (AuthorizationCodeGrant, RefreshTokenGrant):
        grant.TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "none"]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = oidc_provider_mock.app()
    app.add_url_rule("/favicon.ico", "icon", lambda: ("", 204))

    @app.after_request
    def for_pages(response: Any) -> Any:
        response.headers["Access-Control-Allow-Origin"] = "*"
        if response.mimetype == "text/html":  # its style would come from the internet
            response.set_data(re.sub("<link[^>]*>", "", response.get_data(as_text=True)))
        return response

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    _serve()
