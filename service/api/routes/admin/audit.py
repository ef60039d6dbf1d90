"""`/audit`: what admins did, for admins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import URL

from mfnet.service.api.auth import AdminOf
from mfnet.service.api.dependencies import ServicesOf, known_parameters
from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.schemas.audit import AuditInfo, AuditList
from mfnet.service.schemas.jobs import Link, moment

router = APIRouter(tags=["keys"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Before = Annotated[int | None, Query(ge=1, le=2**31, description="only entries older than this")]


@router.get("/audit", response_model_exclude_none=True, dependencies=[Depends(known_parameters)])
def list_audit(
    request: Request,
    services: ServicesOf,
    _caller: AdminOf,
    limit: Limit = 100,
    before: Before = None,
) -> AuditList:
    """Keys made and revoked, models promoted and rolled back, retrainings, and what admins removed
    of others'; the newest first."""
    with services.database.reading() as session:
        found = AuditLog(session).page(limit=limit + 1, before=before)
    entries = [
        AuditInfo(
            id=each.id,
            at=moment(each.at),
            who=each.who,
            action=each.action,
            subject=each.subject,
            detail=each.detail,
        )
        for each in found[:limit]
    ]
    own = URL(str(request.url_for("list_audit"))).replace(query=request.url.query)
    links = [Link(href=str(own), rel="self", type="application/json")]
    if len(found) > limit:
        following = str(own.include_query_params(before=entries[-1].id))
        links.append(Link(href=following, rel="next", type="application/json"))
    return AuditList(entries=entries, links=links)
