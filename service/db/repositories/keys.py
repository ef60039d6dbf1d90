"""API keys in the database. Of a key only its SHA-256 is kept: it has 256 random bits of its own,
so a slow hash would protect nothing more."""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Job, Key
from mfnet.service.domain.subject import Subject

Role = Literal["reader", "user", "admin"]

_DAY_S = 24 * 3600
_SHOWN = 8  # characters of a key that a list shows: "mfn_" and four more


def _alive(key: type[Key]) -> ColumnElement[bool]:
    return and_(key.revoked.is_(None), or_(key.expires.is_(None), key.expires > clock()))


# Put together once: that takes as long as asking.
_OWNER = aliased(Key)
_FIND = (
    select(Key, _OWNER.role)
    .join(_OWNER, _OWNER.id == func.coalesce(Key.of_key, Key.id))
    .where(Key.sha256 == bindparam("sha256"), _alive(Key), _alive(_OWNER))
)
_FIND_WITH_JOB = _FIND.add_columns(Job).outerjoin(
    Job,
    and_(Job.id == bindparam("job_id"), or_(_OWNER.role == "admin", Job.owner == _OWNER.id)),
)


class Holder(NamedTuple):
    """Somebody with a key that is valid.

    Attributes:
        key: Theirs.
        role: Of the key whose things they see: the same, or that which theirs is of.
    """

    key: Key
    role: str

    @property
    def owner(self) -> str:
        """Id of the key whose things they see."""
        return self.key.of_key or self.key.id


class KeyRepository:
    """The keys of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self, name: str, role: Role, *, days: float | None = None, of_key: str | None = None
    ) -> tuple[Key, str]:
        """A new key.

        Args:
            name: Whose it is.
            role: A `reader` sees what another key sees, and changes nothing.
            days: After which it is no key any more; None for never.
            of_key: Id of that other key; of a user, that of the key whose things they share.

        Returns:
            Its row, and the key itself, which cannot be had again.
        """
        assert of_key is not None or role != "reader"
        secret = f"mfn_{secrets.token_urlsafe(32)}"
        now = self._session.execute(select(clock())).scalar_one()
        key = Key(
            id=uuid.uuid4().hex,
            name=name,
            role=role,
            sha256=_digest(secret),
            prefix=secret[:_SHOWN],
            created=now,
            expires=None if days is None else now + days * _DAY_S,
            of_key=of_key,
        )
        self._session.add(key)
        self._session.flush()
        return key, secret

    def get(self, key_id: str) -> Key:
        """The row of a key that exists."""
        return self._session.get_one(Key, key_id)

    def enrol(self, subject: Subject) -> str | None:
        """There is a row for whoever an issuer knows, with their name and role; its id if it is
        new. One that is revoked stays so."""
        named = update(Key).where(Key.sha256 == _digest(subject))
        values = {"name": subject.name, "role": subject.role}
        if self._session.scalar(named.values(values).returning(Key.id)) is not None:
            return None
        now = self._session.execute(select(clock())).scalar_one()
        key = Key(id=uuid.uuid4().hex, prefix="oidc", sha256=_digest(subject), created=now)
        key.name, key.role = subject.name, subject.role
        try:
            with self._session.begin_nested():
                self._session.add(key)
        except IntegrityError:  # their second request was faster
            return None
        return key.id

    def find(self, secret: str | Subject) -> Holder | None:
        """Whose key this is; None where it is unknown, revoked or expired, or of such a key."""
        row = self._session.execute(_FIND, {"sha256": _digest(secret)}).one_or_none()
        if row is None or not hmac.compare_digest(row[0].sha256, _digest(secret)):
            return None
        return Holder(row[0], row[1])

    def first_admin(self) -> Holder | None:
        """The oldest admin's key that is alive, for a service that asks for none."""
        query = (
            select(Key)
            .where(Key.role == "admin", _alive(Key))
            .order_by(Key.created, Key.id)
            .limit(1)
        )
        key = self._session.scalars(query).one_or_none()
        return None if key is None else Holder(key, key.role)

    def is_alive(self, key_id: str) -> bool:
        """Whether there is this key, neither revoked nor expired."""
        query = select(Key.id).where(Key.id == key_id, _alive(Key))
        return self._session.scalars(query).one_or_none() is not None

    def find_with_job(self, secret: str | Subject, job_id: str) -> tuple[Holder | None, Job | None]:
        """Whose key this is as `find` has it, and a job if they may see it: one query, for what is
        asked most often."""
        asked = {"sha256": _digest(secret), "job_id": job_id}
        row = self._session.execute(_FIND_WITH_JOB, asked).one_or_none()
        return (None, None) if row is None else (Holder(row[0], row[1]), row[2])

    def note_use(self, key_id: str) -> None:
        """The key is used now."""
        self._session.execute(update(Key).where(Key.id == key_id).values(used=clock()))

    def told(self, key_id: str) -> str:
        """What logs call the holder of a key: the name on it, and its id."""
        key = self._session.get(Key, key_id)
        return f"{key.name if key else ''} ({key_id})"

    def all(self, owner: str | None = None) -> Sequence[Key]:
        """Keys, oldest first, the revoked ones too.

        Args:
            owner: Only this one and those that are of it; None for all.
        """
        query = select(Key).order_by(Key.created, Key.id)
        if owner is not None:
            query = query.where(or_(Key.id == owner, Key.of_key == owner))
        return self._session.scalars(query).all()

    def living(self) -> Sequence[Key]:
        """Those that are not revoked or expired; nobody else changes one until this transaction
        ends."""
        query = select(Key).where(_alive(Key)).order_by(Key.created, Key.id)
        return self._session.scalars(query.with_for_update()).all()

    def shared(self, key_id: str, role: Role) -> Key | None:
        """The living key that a new one of this role may be of: one that is of no other, and an
        admin's for readers alone, since whoever shares it sees everybody's."""
        key = next((key for key in self.living() if key.id == key_id), None)
        allowed = {"reader": ("user", "admin"), "user": ("user",), "admin": ()}[role]
        return key if key is not None and key.of_key is None and key.role in allowed else None

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


def _digest(secret: str | Subject) -> str:
    if isinstance(secret, Subject):  # with a colon, as the digest of no key
        return f"oidc:{hashlib.sha256(secret.id.encode()).hexdigest()}"
    return hashlib.sha256(secret.encode()).hexdigest()
