"""Tells subscribers of jobs: a POST for each state that they want to hear of, signed as Standard
Webhooks say, and tried again for a day and a half.

A row of the database says what was told last. Whoever dies between the telling and the row tells it
once more, with the same `webhook-id`.
"""

import base64
import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from mfnet.service.db.repositories.callbacks import CallbackRepository, DueCallback
from mfnet.service.db.session import AWAY, Database
from mfnet.service.domain.job import State
from mfnet.service.runtime import outbound

URIS = {
    State.RUNNING: "inProgressUri",
    State.SUCCESSFUL: "successUri",
    State.FAILED: "failedUri",
}
RETRY_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0)
"""Seconds after each attempt that failed."""

_EVERY_S = 1.0
_LEASE_S = 120.0
_PREFIX = "whsec_"
_log = logging.getLogger(__name__)

Payload = Callable[[DueCallback], dict[str, Any]]


def new_secret() -> str:
    """A secret to sign with, as Standard Webhooks write it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signed_headers(secret: str, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers that let a receiver see who has sent a body, and when.

    Args:
        secret: Of the owner's key.
        message_id: The same for each attempt at a message.
        at: Seconds since 1970.
        body: What is sent.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{message_id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }


class Callbacks:
    """Tells whoever is to be told.

    Args:
        database: What is to be told, and was.
        payload: What is sent.
        private: Whether addresses may be of private networks.
    """

    def __init__(self, database: Database, payload: Payload, *, private: bool) -> None:
        self._database = database
        self._payload = payload
        self._private = private
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)

    def start(self) -> None:
        """Begin, beside whatever else this process does."""
        self._thread.start()

    def stop(self) -> None:
        """End after the message at hand, which takes seconds; do not wait for it."""
        self._ended.set()

    def tell(self) -> None:
        """Tell all that is due."""
        with self._database.reading() as session:
            if not CallbackRepository(session).is_any_due():
                return
        with self._database.writing() as session:
            due = CallbackRepository(session).claim(_LEASE_S)
        for each in due:
            self._tell_one(each)

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            try:
                self.tell()
            except AWAY as error:
                _log.warning("callbacks wait, the database is away: %s", error)
            except Exception:
                _log.exception("fault while telling subscribers; will try again")

    def _tell_one(self, due: DueCallback) -> None:
        uri = due.subscriber.get(URIS[due.job.state])
        failure = None if uri is None else self._post(uri, due)
        with self._database.writing() as session:
            repository = CallbackRepository(session)
            if failure is None:
                repository.settle(due)
                return
            after_s = RETRY_S[due.attempts] if due.attempts < len(RETRY_S) else None
            repository.retry(due, failure, after_s)
        _log.warning("job %s: callback %d failed: %s", due.job.id, due.attempts + 1, failure)

    def _post(self, uri: str, due: DueCallback) -> str | None:
        """Sends it; returns why it could not be sent."""
        body = json.dumps(self._payload(due)).encode()
        told = f"msg_{due.job.id}_{due.job.state.value}"
        headers = signed_headers(due.secret, told, int(time.time()), body)
        headers |= {"Content-Type": "application/json", "User-Agent": "mfnet"}
        try:
            outbound.post(uri, body, headers, private=self._private)
        except outbound.NotReached as error:
            return str(error)
        return None
