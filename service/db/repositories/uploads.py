"""Uploads in the database."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, func, or_, select, tuple_
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Key, Upload


class UploadRepository:
    """The uploads of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        upload_id: str,
        owner: str,
        name: str,
        *,
        size: int,
        sha256: str,
        report: dict[str, Any],
    ) -> Upload:
        """A file that came whole and was found usable.

        Args:
            upload_id: Chosen by the caller, who named the file after it.
            owner: Id of the sender's key.
            name: What the sender calls it.
            size: Bytes.
            sha256: Of these bytes, in hex.
            report: What the inspection says of it.
        """
        upload = Upload(
            id=upload_id,
            owner=owner,
            name=name,
            bytes=size,
            sha256=sha256,
            report=report,
            created=self._session.execute(select(clock())).scalar_one(),
        )
        self._session.add(upload)
        self._session.flush()
        return upload

    def get(self, upload_id: str, owner: str | None = None) -> Upload | None:
        """The upload, if it exists and belongs to `owner` (None: to anybody)."""
        query = select(Upload).where(Upload.id == upload_id)
        if owner is not None:
            query = query.where(Upload.owner == owner)
        return self._session.scalars(query).one_or_none()

    def named(self, owner: str, name: str) -> Upload | None:
        """The owner's newest upload of this name."""
        query = select(Upload).where(Upload.owner == owner, Upload.name == name)
        newest = query.order_by(Upload.created.desc(), Upload.id.desc()).limit(1)
        return self._session.scalars(newest).one_or_none()

    def newest(self, owner: str, names: Sequence[str]) -> dict[str, str]:
        """Ids of the owner's newest uploads of these names, which are case-folded as theirs count.

        Every name has an ending of ASCII letters.
        """
        # Databases fold these alone alike: SQLite leaves an Ü as it is, PostgreSQL a ß.
        ending = func.lower(Upload.name).endswith
        endings = dict.fromkeys(name[name.rindex(".") :] for name in names)
        query = select(Upload.name, Upload.id).where(
            Upload.owner == owner, or_(*(ending(each, autoescape=True) for each in endings))
        )
        oldest_first = self._session.execute(query.order_by(Upload.created, Upload.id))
        found = {name.casefold(): upload_id for name, upload_id in oldest_first}
        return {name: found[name] for name in names if name in found}

    def page(
        self,
        owner: str | None = None,
        *,
        limit: int = 100,
        sha256: str | None = None,
        after: str | None = None,
    ) -> Sequence[Upload]:
        """Uploads, newest first.

        Args:
            owner: Only this owner's; None for all.
            limit: At most so many.
            sha256: Only those of this content, in lower-case hex.
            after: Id of the last upload of the page before.
        """
        query = select(Upload).order_by(Upload.created.desc(), Upload.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(Upload.owner == owner)
        if sha256 is not None:
            query = query.where(Upload.sha256 == sha256)
        if after is not None and (last := self.get(after, owner)) is not None:
            query = query.where(tuple_(Upload.created, Upload.id) < tuple_(last.created, last.id))
        return self._session.scalars(query).all()

    def bytes_of(self, owner: str, *, alone: bool = False) -> int:
        """Bytes of all uploads of an owner.

        Args:
            owner: Id of a key.
            alone: Nobody else asks so until this transaction, which writes, ends.
        """
        if alone:
            self._session.execute(select(Key.id).where(Key.id == owner).with_for_update())
        query = select(func.coalesce(func.sum(Upload.bytes), 0)).where(Upload.owner == owner)
        return int(self._session.execute(query).scalar_one())

    def known(self, ids: Collection[str]) -> set[str]:
        """Which of these ids are uploads."""
        return set(self._session.scalars(select(Upload.id).where(Upload.id.in_(ids))))

    def remove(self, upload_id: str) -> None:
        """Forget the upload; its file is the caller's to remove."""
        self._session.execute(delete(Upload).where(Upload.id == upload_id))
