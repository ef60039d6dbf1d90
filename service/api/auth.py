"""Who asks: `Authorization: Bearer KEY`, and what that key may see.

A user sees what was made with the same key; an admin sees everybody's. What a caller may not see
does not exist for them: 404. What everybody may know of and only an admin may do: 403.
"""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.errors import Forbidden, Unauthorized
from mfnet.service.operations.caller import Caller

_bearer = HTTPBearer(auto_error=False, description="an API key, from `mfnet keys create`")


def caller(
    services: ServicesOf,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The request's caller; read from the database each time, so a revoked key is dead at once.

    Raises:
        Unauthorized: No key, an unknown one or a revoked one.
    """
    if credentials is None:
        raise Unauthorized("expected the header: Authorization: Bearer KEY")
    with services.database.reading() as session:
        key = KeyRepository(session).find(credentials.credentials)
    if key is None:
        raise Unauthorized("this key is not valid; ask whoever runs this service for another")
    return Caller(key.id, f"{key.name} ({key.id})", None if key.role == "admin" else key.id)


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
