"""What a subscriber is told of a job: its results, its failure or how far it is, as a client who
asks would be answered."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request

from mfnet.service.api.routes.job.jobs import status_info
from mfnet.service.api.routes.job.results import results_document
from mfnet.service.db.repositories.callbacks import DueCallback
from mfnet.service.domain.job import State


def payload_of(app: FastAPI) -> Callable[[DueCallback], dict[str, Any]]:
    """Makes what is told, with addresses as the job's own request had them."""

    def payload(due: DueCallback) -> dict[str, Any]:
        request = _request(app, due.subscriber["base"])
        if due.job.state is State.SUCCESSFUL:
            return results_document(due.job, app.state.services, request)
        told = status_info(due.job, request)
        return told.model_dump(mode="json", exclude_none=True)

    return payload


def _request(app: FastAPI, base: str) -> Request:
    """A request to the address that the service had when the job was asked for."""
    parts = urlsplit(base)
    scope = {
        "type": "http",
        "app": app,
        "router": app.router,
        "scheme": parts.scheme,
        "method": "GET",
        "path": "/",
        "root_path": parts.path.rstrip("/"),
        "query_string": b"",
        "headers": [(b"host", parts.netloc.encode())],
        "server": (parts.hostname, parts.port),
    }
    return Request(scope)
