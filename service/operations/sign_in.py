"""From an OpenID Connect token to a key's row: whoever signs in so owns things as a key does.

The row is made by the first token, and its role and name follow the later ones. Revoking it shuts
them out, whatever the issuer says.
"""

import logging
from collections.abc import Mapping
from typing import Any

from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.domain.subject import Subject
from mfnet.service.errors import SignInAway, Unauthorized
from mfnet.service.operations.context import Services
from mfnet.service.runtime.openid import IssuerAway, TokenRefused

_log = logging.getLogger(__name__)

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
    except IssuerAway as error:
        _log.warning("%s does not answer: %s", services.issuer.issuer, error)
        raise SignInAway("who signs people in does not answer; try again in a minute") from None
    subject = _subject(claims, services.settings.oidc_admins)
    if services.enrolled.get(subject.id) != subject:
        with services.database.writing() as session:
            made = KeyRepository(session).enrol(subject)
            if made is not None:
                told = {"role": subject.role, "name": subject.name}
                AuditLog(session).note(services.issuer.issuer, "key created", made, **told)
        services.enrolled[subject.id] = subject
    return subject


def _subject(claims: Mapping[str, Any], admins: str) -> Subject:
    name = next(str(claims[each]) for each in _NAMES if claims.get(each))
    named = [group for each in _GROUPS for group in _listed(claims.get(each))]
    return Subject(
        id=f"{claims['iss']} {claims['sub']}",
        name="".join(each for each in name if each.isprintable())[:_LONGEST_NAME],
        role="admin" if admins and admins in named else "user",
    )


def _listed(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
