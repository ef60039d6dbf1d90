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
_PERSON = "oidc:"  # no digest has a colon
_ABSENT_DAYS = 30.0
_SHOWN = 8  # characters of a key that a list shows: "mfn_" and four more


def _alive(key: type[Key]) -> ColumnElement[bool]:
    return and_(key.revoked.is_(None), or_(key.expires.is_(None), key.expires > clock()))


def _is_person(key: type[Key]) -> ColumnElement[bool]:
    """Whether it is the row of somebody whom an issuer signs in."""
    return key.sha256.startswith(_PERSON, autoescape=True)


def _lends(key: type[Key]) -> ColumnElement[bool]:
    """Whether others may use it for theirs: of a person, while they sign in now and then, as the
    issuer does not tell who has left."""
    seen = func.coalesce(key.used, key.created) > clock() - _ABSENT_DAYS * _DAY_S
    return and_(_alive(key), or_(~_is_person(key), seen))


_OWNER = aliased(Key)
# A user of another key, an admin's too, is a user; a reader sees what an admin sees, but not as a
# person's, whose role is that of each of their tokens.
_IS_ADMIN = or_(
    and_(Key.role == "admin", ~_is_person(Key)),
    and_(Key.role == "reader", _OWNER.role == "admin", ~_is_person(_OWNER)),
)
# Put together once: that takes as long as asking.
_FIND = (
    select(Key, _IS_ADMIN)
    .join(_OWNER, _OWNER.id == func.coalesce(Key.of_key, Key.id))
    .where(Key.sha256 == bindparam("sha256"), _alive(Key), _lends(_OWNER))
)
_FIND_WITH_JOB = _FIND.add_columns(Job).outerjoin(
    Job, and_(Job.id == bindparam("job_id"), or_(_IS_ADMIN, Job.owner == _OWNER.id))
)


class Holder(NamedTuple):
    """Somebody with a key that is valid.

    Attributes:
        key: Theirs.
        is_admin: They see everybody's things.
    """

    key: Key
    is_admin: bool

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

    def enrol(self, subject: Subject) -> tuple[Key, str | None]:
        """There is a row for whoever an issuer knows, with their name and role; one that is revoked
        stays so.

        Returns:
            The row, and the role that it had before; None if it is new.
        """
        query = select(Key).where(Key.sha256 == _digest(subject)).with_for_update()
        key, before = self._session.scalars(query).one_or_none(), None
        if key is not None:
            before, key.name, key.role = key.role, subject.name, subject.role
            return key, before
        now = self._session.execute(select(clock())).scalar_one()
        key = Key(
            id=uuid.uuid4().hex,
            name=subject.name,
            role=subject.role,
            sha256=_digest(subject),
            prefix="oidc",
            created=now,
        )
        try:
            with self._session.begin_nested():
                self._session.add(key)
        except IntegrityError:  # their second request was faster
            key = self._session.scalars(query).one()
            before = key.role
        return key, before

    def find(self, secret: str | Subject) -> Holder | None:
        """Whose key this is; None where it is unknown, revoked or expired, or of such a key."""
        if isinstance(secret, Subject):
            query = select(Key).where(Key.sha256 == _digest(secret), _alive(Key))
            key = self._session.scalars(query).one_or_none()
            return None if key is None else Holder(key, secret.role == "admin")
        row = self._session.execute(_FIND, {"sha256": _digest(secret)}).one_or_none()
        if row is None or not hmac.compare_digest(row[0].sha256, _digest(secret)):
            return None
        return Holder(row[0], row[1])

    def first_admin(self) -> Holder | None:
        """The oldest admin's key that is alive, for a service that asks for none."""
        query = (
            select(Key)
            .where(Key.role == "admin", _alive(Key), ~_is_person(Key))
            .order_by(Key.created, Key.id)
            .limit(1)
        )
        key = self._session.scalars(query).one_or_none()
        return None if key is None else Holder(key, is_admin=True)

    def is_alive(self, key_id: str) -> bool:
        """Whether there is this key, neither revoked nor expired, nor of a person who is gone."""
        query = select(Key.id).where(Key.id == key_id, _lends(Key))
        return self._session.scalars(query).one_or_none() is not None

    def find_with_job(self, secret: str, job_id: str) -> tuple[Holder | None, Job | None]:
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

    def is_last_admin(self, key_id: str) -> bool:
        """Whether no other key is an admin's for good; a person is one by their next token."""
        query = select(Key.id).where(Key.role == "admin", _alive(Key), ~_is_person(Key))
        return list(self._session.scalars(query)) == [key_id]

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
    if isinstance(secret, Subject):
        return _PERSON + hashlib.sha256(secret.id.encode(errors="surrogatepass")).hexdigest()
    return hashlib.sha256(secret.encode()).hexdigest()
