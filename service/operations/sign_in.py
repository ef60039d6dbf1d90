"""From an OpenID Connect token to a key's row: whoever signs in so owns things as a key does.

The row is made by the first token, and its role and name follow the later ones within a minute;
what a request may do goes by its own token. Revoking the row shuts them out, whatever the issuer
says.
"""

import time
from collections.abc import Mapping
from typing import Any

from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.domain.subject import Subject
from mfnet.service.errors import SignInAway, Unauthorized
from mfnet.service.operations.context import Services
from mfnet.service.runtime.openid import IssuerAway, TokenRefused

_EVERY_S = 60.0
_NAMES = ("preferred_username", "email", "name", "sub")
_GROUPS = ("groups", "roles")
_LONGEST_NAME = 200


def is_token(services: Services, secret: str) -> bool:
    """Whether this is to be looked at as a token: three parts, and an issuer is set."""
    return services.issuer is not None and secret.count(".") == 2


def sign_in(services: Services, token: str) -> Subject:
    """Whom a token names; there is a row for them then.

    Raises:
        Unauthorized: It is not valid, or not for this service.
        SignInAway: The issuer does not answer, and its keys are not known yet.
    """
    assert services.issuer is not None
    try:
        claims = services.issuer.claims(token)
    except TokenRefused as error:
        raise Unauthorized(f"this token is not accepted: {error}; sign in again") from None
    except IssuerAway:
        raise SignInAway("who signs people in does not answer; try again in a minute") from None
    subject = _subject(claims, services.settings.oidc_admins)
    now = time.monotonic()
    if now - services.signed_in.get(subject.id, -_EVERY_S) >= _EVERY_S:
        _enrol(services, services.issuer.issuer, subject)
        services.signed_in[subject.id] = now  # not before: others find the row then
    return subject


def _enrol(services: Services, issuer: str, subject: Subject) -> None:
    """There is a row for them; it says who they are now, for lists and the audit log."""
    with services.database.writing() as session:
        key, before = KeyRepository(session).enrol(subject)
        if before != key.role:
            action = "key created" if before is None else "role changed"
            AuditLog(session).note(issuer, action, key.id, role=key.role, name=key.name)


def _subject(claims: Mapping[str, Any], admins: str) -> Subject:
    name = next(str(claims[each]) for each in _NAMES if claims.get(each))
    named = [group for each in _GROUPS for group in _listed(claims.get(each))]
    return Subject(
        id=f"{claims['iss']} {claims['sub']}",
        name="".join(each for each in name if each.isprintable())[:_LONGEST_NAME],
        role="admin" if admins and admins in named else "user",
    )


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(each) for each in value] if isinstance(value, list) else []
