"""One table from error to HTTP status, and problem+json (RFC 9457) for every one of them.

A problem of ours holds `code` and `params` beside the members of the RFC. Where OGC API -
Processes 1.0 names a `type`, that is used; elsewhere `about:blank`, for which the title is the
status' own phrase. The body of a 5xx says nothing of the inside: its `request_id` finds the line
in the log.
"""

import logging
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mfnet.service import errors
from mfnet.service.db.session import AWAY

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_BLANK = "about:blank"
_OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


class Answer(NamedTuple):
    """How a class of errors is answered."""

    status: int
    type: str = _BLANK


ANSWERS: dict[type[errors.ServiceError], Answer] = {
    errors.Unauthorized: Answer(401),
    errors.Forbidden: Answer(403),
    errors.NoSuchProcess: Answer(404, _OGC + "no-such-process"),
    errors.NoSuchJob: Answer(404, _OGC + "no-such-job"),
    errors.NoSuchUpload: Answer(404),
    errors.BadInterval: Answer(400),
    errors.NoSuchResult: Answer(404),
    errors.ResultNotReady: Answer(404, _OGC + "result-not-ready"),
    errors.ResultGone: Answer(410),
    errors.NoSuchModel: Answer(404),
    errors.ModelConflict: Answer(409),
    errors.ModelRefused: Answer(409),
    errors.ModelAltered: Answer(409),
    errors.BadName: Answer(400),
    errors.UploadEmpty: Answer(400),
    errors.UploadTooLarge: Answer(413),
    errors.UploadIncomplete: Answer(400),
    errors.BadChecksum: Answer(400),
    errors.ChecksumMismatch: Answer(422),
    errors.UploadInUse: Answer(409),
    errors.StorageFull: Answer(507),
    errors.NoSuchTile: Answer(404),
    errors.NotCorrectable: Answer(409),
    errors.RastersGone: Answer(409),
    errors.TileInUse: Answer(409),
    errors.TilesDiffer: Answer(422),
    errors.NoLabelledTiles: Answer(422),
    errors.BadTrainingFolder: Answer(422),
    errors.Refused: Answer(422),
    errors.InspectionBroken: Answer(500),
    errors.Busy: Answer(503),
    errors.IdempotencyMismatch: Answer(422),
    errors.JobFailed: Answer(422),
    errors.JobBroken: Answer(500),
    errors.NotReady: Answer(503),
}

_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="mfnet"'},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "10"},
}

# Codes for what the framework refuses by itself, before any code of ours runs.
_FRAMEWORK_CODES = {404: "route.unknown", 405: "route.method", 413: "request.too_large"}


def install(app: FastAPI) -> None:
    """Let `app` answer every error with problem+json."""
    app.add_exception_handler(errors.ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _framework_error)
    for away in AWAY:
        app.add_exception_handler(away, _database_away)
    app.add_exception_handler(DataError, _not_storable)


def internal_error(request_id: str) -> JSONResponse:
    """The answer to an exception that nobody foresaw."""
    return _problem(500, "internal", request_id=request_id)


def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.ServiceError)
    answer = ANSWERS[type(error)]
    request_id = request.state.request_id
    if answer.status >= 500:
        logger.error("request %s: %s: %s", request_id, error.code, error.message)
        return _problem(answer.status, error.code, kind=answer.type, request_id=request_id)
    told = {"detail": error.message, "params": error.params}
    return _problem(answer.status, error.code, kind=answer.type, **told)


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Without `input` and `ctx`: they repeat what was sent, at any size and of any type.
    found = [{"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"]} for e in error.errors()]
    where = ".".join(str(part) for part in found[0]["loc"])
    detail = f"{where}: {found[0]['msg']}"
    return _problem(400, "request.invalid", detail=detail, params={"errors": found})


def _framework_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _FRAMEWORK_CODES.get(error.status_code, f"http.{error.status_code}")
    response = _problem(error.status_code, code, detail=str(error.detail), params={})
    response.headers.update(error.headers or {})
    return response


def _database_away(request: Request, error: Exception) -> JSONResponse:
    return _service_error(request, errors.NotReady(str(error)))


def _not_storable(request: Request, error: Exception) -> JSONResponse:
    """PostgreSQL takes no NUL character, wherever in a request one stands."""
    logger.warning("request %s: %s", request.state.request_id, error)
    detail = "the request holds text that no database can: expected no NUL characters"
    return _problem(400, "request.invalid", detail=detail, params={})


def _problem(status: int, code: str, *, kind: str = _BLANK, **members: Any) -> JSONResponse:
    body = {"type": kind, "title": HTTPStatus(status).phrase, "status": status, "code": code}
    return JSONResponse(
        jsonable_encoder(body | members),
        status,
        _HEADERS.get(HTTPStatus(status)),
        media_type=MEDIA_TYPE,
    )
