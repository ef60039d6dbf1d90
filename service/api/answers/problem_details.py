"""One table from error to HTTP status, and problem+json (RFC 9457) for every one of them.

A problem of ours holds `code` and `params` beside the members of the RFC. Where OGC API -
Processes 1.0 names a `type`, that is used; elsewhere `about:blank`, for which the title is the
status' own phrase. The body of a 5xx says nothing of the inside: its `request_id` finds the line
in the log.
"""

import logging
import math
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mfnet.service import errors
from mfnet.service.api.answers import wrong_requests
from mfnet.service.db.session import AWAY

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_BLANK = "about:blank"
_OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


class Answer(NamedTuple):
    """How a class of errors is answered.

    Attributes:
        status: Of HTTP.
        type: Of the problem.
        tells: A 5xx that the caller can do something about says what.
    """

    status: int
    type: str = _BLANK
    tells: bool = False


ANSWERS: dict[type[errors.ServiceError], Answer] = {
    errors.Unauthorized: Answer(401),
    errors.Forbidden: Answer(403),
    errors.SignInAway: Answer(503, tells=True),
    errors.NotLocal: Answer(403),
    errors.TooLittleMemory: Answer(422),
    errors.TooLittleDisk: Answer(507, tells=True),
    errors.NoSuchKey: Answer(404),
    errors.LastAdmin: Answer(409),
    errors.NoSuchProcess: Answer(404, _OGC + "no-such-process"),
    errors.NoSuchJob: Answer(404, _OGC + "no-such-job"),
    errors.NoSuchUpload: Answer(404),
    errors.BadInterval: Answer(400),
    errors.BadSearch: Answer(400),
    errors.NoSuchCollection: Answer(404),
    errors.NoSuchResult: Answer(404),
    errors.ResultNotReady: Answer(404, _OGC + "result-not-ready"),
    errors.ResultGone: Answer(410),
    errors.NoCallback: Answer(404),
    errors.BadCallback: Answer(400),
    errors.NoSuchModel: Answer(404),
    errors.OtherModel: Answer(422),
    errors.ModelConflict: Answer(409),
    errors.ModelRefused: Answer(409),
    errors.ModelAltered: Answer(409),
    errors.BadOutput: Answer(400),
    errors.UnknownParameter: Answer(400),
    errors.ForeignReference: Answer(400),
    errors.UploadNotFound: Answer(422),
    errors.BadRange: Answer(416),
    errors.NotImportable: Answer(422),
    errors.NotATile: Answer(422),
    errors.BadName: Answer(400),
    errors.UploadIsForm: Answer(415),
    errors.UploadEmpty: Answer(400),
    errors.UploadTooLarge: Answer(413),
    errors.UploadIncomplete: Answer(400),
    errors.BadPiece: Answer(400),
    errors.OtherTus: Answer(412),
    errors.WrongOffset: Answer(409),
    errors.BadChecksum: Answer(400),
    errors.ChecksumMismatch: Answer(422),
    errors.PieceMismatch: Answer(460),
    errors.UploadExpired: Answer(410),
    errors.UploadInUse: Answer(409),
    errors.StorageFull: Answer(507),
    errors.StoreAway: Answer(503),
    errors.QuotaBytes: Answer(507, tells=True),
    errors.QuotaJobs: Answer(429),
    errors.QuotaRequests: Answer(429),
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
    errors.BatchFailed: Answer(422),
    errors.NotReady: Answer(503),
}

_BEARER = 'Bearer realm="mfnet"'
_HEADERS: dict[int, dict[str, str]] = {
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "10"},
}

_PHRASES = {460: "Checksum Mismatch"}  # of tus, which HTTP knows nothing of

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
    if answer.status >= 500 and not answer.tells:
        logger.error("request %s: %s: %s", request_id, error.code, error.message)
        return _problem(answer.status, error.code, kind=answer.type, request_id=request_id)
    told = {"detail": error.message, "params": error.params}
    response = _problem(answer.status, error.code, kind=answer.type, **told)
    if answer.status == 401:
        response.headers["WWW-Authenticate"] = _challenge(request)
    if (retry_after_s := error.params.get("retry_after_s")) is not None:
        response.headers["Retry-After"] = str(math.ceil(retry_after_s))
    if isinstance(error, errors.BadRange):
        response.headers["Content-Range"] = f"bytes */{error.params['bytes']}"
    return response


def _challenge(request: Request) -> str:
    """Bearer and Basic; no Basic to a page's script, for which a browser would ask its user."""
    by_script = request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    return _BEARER if by_script else f'{_BEARER}, Basic realm="mfnet", charset="UTF-8"'


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
    detail = str(error.detail)
    if error.status_code in (404, 405) and (advice := wrong_requests.advice(request)):
        detail = f"{detail}: {advice}"
    response = _problem(error.status_code, code, detail=detail, params={})
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # the framework names the methods of one route alone
        response.headers["Allow"] = wrong_requests.allowed_methods(request)
    return response


def _database_away(request: Request, error: Exception) -> JSONResponse:
    return _service_error(request, errors.NotReady(str(error)))


def _not_storable(request: Request, error: Exception) -> JSONResponse:
    """PostgreSQL takes no NUL character, wherever in a request one stands."""
    logger.warning("request %s: %s", request.state.request_id, error)
    detail = "the request holds text that no database can: expected no NUL characters"
    return _problem(400, "request.invalid", detail=detail, params={})


def _problem(status: int, code: str, *, kind: str = _BLANK, **members: Any) -> JSONResponse:
    title = _PHRASES.get(status) or HTTPStatus(status).phrase
    body = {"type": kind, "title": title, "status": status, "code": code}
    return JSONResponse(
        jsonable_encoder(body | members),
        status,
        _HEADERS.get(status),
        media_type=MEDIA_TYPE,
    )
