"""Somebody whom an OpenID Connect issuer knows."""

from typing import Literal, NamedTuple


class Subject(NamedTuple):
    """Whom a token names.

    Attributes:
        id: Of the issuer and of them there; never given to somebody else.
        name: For lists and logs.
        role: By the groups that the token names.
    """

    id: str
    name: str
    role: Literal["user", "admin"]
