"""API keys in the database. Of a key only its SHA-256 is kept: it has 256 random bits of its own,
so a slow hash would protect nothing more."""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Key

Role = Literal["user", "admin"]

_SHOWN = 8  # characters of a key that a list shows: "mfn_" and four more


class KeyRepository:
    """The keys of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, name: str, role: Role) -> tuple[Key, str]:
        """A new key.

        Returns:
            Its row, and the key itself, which cannot be had again.
        """
        secret = f"mfn_{secrets.token_urlsafe(32)}"
        key = Key(
            id=uuid.uuid4().hex,
            name=name,
            role=role,
            sha256=_digest(secret),
            prefix=secret[:_SHOWN],
            created=self._session.execute(select(clock())).scalar_one(),
        )
        self._session.add(key)
        self._session.flush()
        return key, secret

    def find(self, secret: str) -> Key | None:
        """The row of this key, unless it is unknown or revoked."""
        digest = _digest(secret)
        key = self._session.scalars(
            select(Key).where(Key.sha256 == digest, Key.revoked.is_(None))
        ).one_or_none()
        return key if key is not None and hmac.compare_digest(key.sha256, digest) else None

    def told(self, key_id: str) -> str:
        """What logs call the holder of a key: the name on it, and its id."""
        key = self._session.get(Key, key_id)
        return f"{key.name if key else ''} ({key_id})"

    def all(self) -> Sequence[Key]:
        """All keys, oldest first, the revoked ones too."""
        return self._session.scalars(select(Key).order_by(Key.created, Key.id)).all()

    def revoke(self, key_id: str) -> Key | None:
        """End the key's life; it is dead from this commit on. None where there is none alive."""
        statement = (
            update(Key)
            .where(Key.id == key_id, Key.revoked.is_(None))
            .values(revoked=clock())
            .returning(Key)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        return self._session.scalars(statement).one_or_none()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
