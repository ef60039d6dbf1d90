"""HTTP through QGIS's own classes: its proxies, its certificates, its authentication store."""

import json
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsAuthMethodConfig,
    QgsBlockingNetworkRequest,
    QgsProcessingException,
)
from qgis.PyQt.QtCore import QByteArray, QFile, QIODevice, Qt, QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from .version import client_header

_STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute


class ServiceError(QgsProcessingException):
    """The service refuses, or does not answer.

    Args:
        message: For the user.
        status: Of HTTP; None where there was no answer.
    """

    def __init__(self, message, status=None):
        super().__init__(message)
        self.status = status


class Cancelled(QgsProcessingException):
    """The user has cancelled while a request was under way."""


@dataclass(frozen=True)
class Reply:
    """A good answer.

    Attributes:
        status: 200 to 299.
        body: Whole.
        headers: By lower-case name.
    """

    status: int
    body: bytes
    headers: dict

    def json(self):
        """The body's object."""
        return json.loads(self.body)


class Requests:
    """Requests to one service with one key; they wait, in whatever thread they are called."""

    def __init__(self, url, key=None, authcfg=None):
        """Nothing is sent yet.

        Args:
            url: Of the service, with or without a slash at its end.
            key: An API key.
            authcfg: Id of an entry in QGIS's authentication store, in place of a key.
        """
        self.url = url.rstrip("/")
        self._key = key
        self._authcfg = authcfg
        if authcfg and not key:
            self._key = _key_of(authcfg)

    def is_open_to_others(self):
        """Whether the key goes over a network unencrypted."""
        address = QUrl(self.url)
        here = address.host() in ("localhost", "::1") or address.host().startswith("127.")
        return address.scheme() == "http" and not here

    def get(self, path, feedback=None, headers=None):
        """GET; `path` begins with a slash."""
        return self._send("get", path, feedback, headers=headers)

    def delete(self, path):
        """DELETE; is not cut short when the user cancels, as it is how jobs are cancelled."""
        return self._send("deleteResource", path, None)

    def post(self, path, body, feedback=None, headers=None):
        """POST of an object as JSON."""
        content = QByteArray(json.dumps(body).encode())
        headers = {"Content-Type": "application/json", **(headers or {})}
        return self._send("post", path, feedback, content, headers)

    def put_file(self, path, file: Path, feedback=None, progress=None):
        """PUT of a file, which is read while it is sent.

        Args:
            path: Begins with a slash.
            file: To send.
            feedback: Cancels it.
            progress: Called with bytes sent and bytes in all.
        """
        device = QFile(str(file))
        if not device.open(QIODevice.OpenModeFlag.ReadOnly):
            raise QgsProcessingException(f"{file} cannot be read: {device.errorString()}")
        try:
            headers = {"Content-Type": "application/octet-stream"}
            return self._send("put", path, feedback, device, headers, progress)
        finally:
            device.close()

    def _send(self, verb, path, feedback, content=None, headers=None, progress=None):
        sender = QgsBlockingNetworkRequest()
        if self._authcfg and not self._key:
            sender.setAuthCfg(self._authcfg)
        if progress is not None:
            # Directly: what is queued for this thread comes when the run is over.
            sender.uploadProgress.connect(progress, Qt.ConnectionType.DirectConnection)
        request = self._request(path, headers)
        # Short ones are waited for, and cancelled after. One run that was cancelled as it asked for
        # its job's status did not end within a minute; that QGIS hung in the request is a guess.
        if verb == "get":
            sender.get(request, True)
        elif verb == "deleteResource":
            sender.deleteResource(request, feedback)
        elif verb == "post":
            sender.post(request, content, True, feedback)
        else:
            sender.put(request, content, feedback)
        if feedback is not None and feedback.isCanceled():
            raise Cancelled("cancelled")
        return self._checked(sender)

    def _request(self, path, headers):
        request = QNetworkRequest(QUrl(self.url + path))
        told = {"MFNet-Client": client_header(), **(headers or {})}
        if self._key:
            told["Authorization"] = f"Bearer {self._key}"
        for name, value in told.items():
            request.setRawHeader(name.encode(), value.encode())
        return request

    def _checked(self, sender):
        content = sender.reply()
        status, body = content.attribute(_STATUS), bytes(content.content())
        if status is None:
            reason = sender.errorMessage() or "it took too long"
            raise ServiceError(f"{self.url} does not answer: {reason}")
        if not 200 <= status < 300:
            raise ServiceError(_reason(self.url, status, body), status)
        names = (bytes(name) for name in content.rawHeaderList())
        headers = {
            name.decode().lower(): bytes(content.rawHeader(name)).decode("latin-1")
            for name in names
        }
        return Reply(status, body, headers)


def _reason(url, status, body):
    """The service's own words, where it has any."""
    try:
        problem = json.loads(body)
        said = problem.get("detail") or problem["title"]
        code = problem.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{url} answers {status}; is this the address of an MFNet service?"
    told = f"{said} ({code})" if code else said
    if status == 401:
        return f"{url} does not accept the key: {told}. Plugins > MFNet > Service… sets another"
    return told


def _key_of(authcfg):
    """The password of a Basic entry, which is where the plugin keeps a key; None for others.

    Raises:
        QgsProcessingException: There is no such entry, or the store cannot be opened.
    """
    manager, config = QgsApplication.authManager(), QgsAuthMethodConfig()
    if not manager.loadAuthenticationConfig(authcfg, config, True):
        raise QgsProcessingException(
            f"the key {authcfg!r} cannot be read from QGIS's authentication store: enter the "
            "master password, or set another under Plugins > MFNet > Service… (qgis_process reads "
            "the password from the file that QGIS_AUTH_PASSWORD_FILE names)"
        )
    return config.config("password") if config.method() == "Basic" else None
