"""Who asks: `Authorization: Bearer KEY`, or Basic with the key as the password for programs that
know nothing else, and what that key may see.

A user sees what was made with the same key, or with any key of the same group; an admin sees
everybody's; a reader sees what the key that it is of sees, and changes nothing. What a caller may
not see does not exist for them: 404. What everybody may know of and only an admin may do: 403.
"""

import base64
from contextlib import suppress
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from fastapi.security import (
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
)
from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy.orm import Session

from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.api.local_requests import require_local
from mfnet.service.api.shared_links import SHARED, Shared
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import Holder, KeyRepository
from mfnet.service.db.session import AWAY
from mfnet.service.db.tables import Job
from mfnet.service.domain.subject import Subject
from mfnet.service.errors import Forbidden, Unauthorized
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.sign_in import is_token, sign_in
from mfnet.service.operations.uploads import quotas

_READING = ("GET", "HEAD", "OPTIONS")
_READING_BY_POST = ("search_maps_by_body",)  # what is searched for stands in the body


class _Basic(HTTPBasic):
    """The framework's reads names in ASCII alone; what cannot be read is no key."""

    async def __call__(self, request: Request) -> HTTPBasicCredentials | None:  # type: ignore[override]
        scheme, given = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(given).decode().partition(":")
        except ValueError:
            return None
        return HTTPBasicCredentials(username=name, password=password)


_bearer = HTTPBearer(
    auto_error=False,
    description="an API key, from `mfnet keys create`, or a token of the OpenID Connect issuer",
)


_basic = _Basic(auto_error=False, description="any name, and an API key as the password")


async def _basic_password(
    credentials: Annotated[HTTPBasicCredentials | None, Depends(_basic)],
) -> str | None:
    return credentials.password if credentials is not None else None


async def secret(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    basic: Annotated[str | None, Depends(_basic_password)],
) -> str | Subject:
    """What the request brings as its key, not looked at yet, or whom its token names.

    Raises:
        Unauthorized: Nothing, though a key is needed, or a token that is not valid.
        SignInAway: A token, and its issuer does not answer.
        NotLocal: Nothing, and it is not from this machine.
    """
    found = bearer.credentials if bearer is not None else basic
    services: Services = request.app.state.services
    if found and is_token(services, found):
        limiter: CapacityLimiter = request.app.state.sign_ins
        return await to_thread.run_sync(sign_in, services, found, limiter=limiter)
    if not found and SHARED not in request.scope and not services.settings.keys:
        require_local(request, services.settings.origins)
        return ""
    if not found and SHARED not in request.scope:
        raise Unauthorized(
            "expected the header: Authorization: Bearer KEY, or Basic with the key as the password"
        )
    return found or ""


SecretOf = Annotated[str | Subject, Depends(secret)]


def caller(request: Request, services: ServicesOf, secret: SecretOf) -> Caller:
    """The request's caller; read from the database each time, so a revoked key is dead at once.

    Raises:
        Unauthorized: No key, an unknown one, one that is revoked or has expired.
        Forbidden: A reader's key, for a request that changes something.
        QuotaRequests: It asks too often.
    """
    shared: Shared | None = request.scope.get(SHARED)
    with services.database.reading() as session:
        if not secret and shared is not None:
            by_link = _by_link(KeyRepository(session), shared)
            quotas.count_request(services, by_link)
            return by_link
        found = find_holder(services, session, secret)
    return holder(request, services, found)


def find_holder(services: Services, session: Session, secret: str | Subject) -> Holder | None:
    """Whose key a request brings; of one that `secret` let pass without, the admin's."""
    keys = KeyRepository(session)
    return keys.first_admin() if _is_keyless(services, secret) else keys.find(secret)


def find_holder_and_job(
    services: Services, session: Session, secret: str | Subject, job_id: str
) -> tuple[Holder | None, Job | None]:
    """As `find_holder`, and a job if they may see it."""
    keys, jobs = KeyRepository(session), JobRepository(session)
    if _is_keyless(services, secret):
        return keys.first_admin(), jobs.get(job_id)
    if isinstance(secret, Subject):
        found = keys.find(secret)
        return found, found and jobs.get(job_id, None if found.is_admin else found.owner)
    return keys.find_with_job(secret, job_id)


def _is_keyless(services: Services, secret: str | Subject) -> bool:
    return not secret and not services.settings.keys


def _by_link(keys: KeyRepository, shared: Shared) -> Caller:
    """Whoever has a link: sees the job as its owner does, while the owner's key is valid."""
    if not keys.is_alive(shared.owner):
        raise Unauthorized("this link has ended; ask whoever gave it for another")
    return Caller(shared.owner, "a link", shared.owner)


def holder(request: Request, services: Services, found: Holder | None) -> Caller:
    """The caller, from the holder of their key; raises what `caller` does."""
    if found is None:
        raise Unauthorized("this key is not valid; ask whoever runs this service for another")
    key = found.key
    reads = request.method in _READING or request.scope["route"].name in _READING_BY_POST
    if key.role == "reader" and not reads:
        raise Forbidden("this key reads alone; expected one that may change things")
    scope = None if found.is_admin else found.owner
    caller = Caller(found.owner, f"{key.name} ({key.id})", scope, shares=key.of_key is not None)
    quotas.count_request(services, caller)
    if services.last_use.is_due(key.id):
        with suppress(*AWAY), services.database.writing() as session:
            KeyRepository(session).note_use(key.id)
    return caller


CallerOf = Annotated[Caller, Depends(caller)]


def admin(caller: CallerOf) -> Caller:
    """The request's caller, who is an admin.

    Raises:
        Forbidden: A user.
    """
    if caller.scope is not None:
        raise Forbidden("this takes a key with the role admin; ask whoever runs this service")
    return caller


AdminOf = Annotated[Caller, Depends(admin)]
