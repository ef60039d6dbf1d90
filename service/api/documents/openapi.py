"""The API's description of itself: OpenAPI 3.1 from the framework, with errors as they are, and the
same in 3.0, which clients of OGC API - Processes 1.0 read.
"""

from functools import cache
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from mfnet.service.schemas import openapi30

MEDIA_TYPE_30 = "application/vnd.oai.openapi+json;version=3.0"

_PROBLEM_JSON = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

# In place of the framework's own 422, which never comes.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be served", "content": _PROBLEM_JSON},
    "5XX": {"description": "A fault of the service's", "content": _PROBLEM_JSON},
}


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="of OGC API - Processes where it names one, else about:blank")
    title: str
    status: int
    code: str = Field(description="stable; for programs")
    detail: str | None = Field(default=None, description="got, expected, what to do")
    params: dict[str, Any] | None = Field(default=None, description="numbers behind the detail")
    request_id: str | None = Field(default=None, description="of a 5xx: stands in the log")


def install(app: FastAPI) -> None:
    """Have `app` describe itself so."""
    of_framework = app.openapi

    @cache
    def described() -> dict[str, Any]:
        told = of_framework()
        told["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return told

    app.openapi = described  # type: ignore[method-assign]


def of_version_30(app: FastAPI) -> dict[str, Any]:
    """The description in OpenAPI 3.0.3."""
    return openapi30.document(app.openapi())
