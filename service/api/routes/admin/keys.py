"""`/keys`: who may use the service. For admins, but for a caller's own and those that are of it."""

import logging
from datetime import datetime
from typing import cast

from fastapi import APIRouter, Request, Response

from mfnet.service.api.auth import CallerOf
from mfnet.service.api.dependencies import ServicesOf
from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.tables import Key
from mfnet.service.errors import Forbidden, LastAdmin, NoSuchKey
from mfnet.service.schemas.jobs import moment
from mfnet.service.schemas.keys import KeyInfo, KeyList, MadeKey, NewKey, Role

router = APIRouter(prefix="/keys", tags=["keys"])

_log = logging.getLogger(__name__)


@router.get("")
def list_keys(services: ServicesOf, caller: CallerOf) -> KeyList:
    """All keys for an admin, the revoked ones too, without the keys themselves; for others their
    own and those that are of it."""
    with services.database.reading() as session:
        return KeyList(keys=[key_info(key) for key in KeyRepository(session).all(caller.scope)])


@router.get("/mine")
def get_own_key(services: ServicesOf, caller: CallerOf) -> KeyInfo:
    """The key that this request came with, or that it is of: its name and role."""
    with services.database.reading() as session:
        return key_info(KeyRepository(session).get(caller.key_id))


@router.post("", status_code=201)
def create_key(
    body: NewKey, request: Request, response: Response, services: ServicesOf, caller: CallerOf
) -> MadeKey:
    """Make a key. The answer shows it, this once. Who is no admin makes readers of their own."""
    of_key = body.of or (caller.key_id if body.role == "reader" else None)
    if caller.scope is not None and (body.role != "reader" or of_key != caller.key_id):
        raise Forbidden("this takes a key with the role admin; your own key may have readers")
    if caller.scope is not None and caller.shares:  # a reader would outlive the caller's key
        raise Forbidden("this takes a key with the role admin: yours is one of a group's")
    with services.database.writing() as session:
        keys = KeyRepository(session)
        if of_key is not None and keys.shared(of_key, body.role) is None:
            raise NoSuchKey(f"of: no key {of_key!r} that may be shared so", key=of_key)
        key, secret = keys.create(body.name, body.role, days=body.days, of_key=of_key)
        made = MadeKey(**key_info(key).model_dump(), secret=secret)
        AuditLog(session).note(caller.name, "key created", made.id, role=made.role, name=made.name)
    _log.info("%s made the %s key %s…", caller.name, made.role, made.prefix)
    response.headers["Location"] = str(request.url_for("revoke_key", key_id=made.id))
    return made


@router.delete("/{key_id}")
def revoke_key(key_id: str, services: ServicesOf, caller: CallerOf) -> KeyInfo:
    """End a key's life, and that of those that are of it, at once. What was made with it stays. Who
    is no admin ends readers of their own."""
    with services.database.writing() as session:
        keys = KeyRepository(session)
        living = {key.id: key for key in keys.living()}
        if caller.scope is not None:
            readers = [key for key in living.values() if key.role == "reader"]
            living = {key.id: key for key in readers if key.of_key == caller.scope}
        if key_id not in living:
            raise NoSuchKey(f"no key {key_id!r} that is not revoked", key=key_id)
        if keys.is_last_admin(key_id):
            raise LastAdmin("this is the last admin's key; make another one first", key=key_id)
        revoked = keys.revoke(key_id)
        if revoked is None:  # another request was faster
            raise NoSuchKey(f"no key {key_id!r} that is not revoked", key=key_id)
        told = key_info(revoked)
        AuditLog(session).note(caller.name, "key revoked", key_id, name=told.name)
    _log.info("%s revoked the key %s…", caller.name, told.prefix)
    return told


def key_info(key: Key) -> KeyInfo:
    """The key as the API tells of it."""
    return KeyInfo(
        id=key.id,
        name=key.name,
        role=cast(Role, key.role),
        prefix=key.prefix,
        created=moment(key.created),
        revoked=_moment(key.revoked),
        expires=_moment(key.expires),
        used=_moment(key.used),
        of=key.of_key,
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)
