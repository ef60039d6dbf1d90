"""What admins did, in the transaction that did it."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import AuditEntry

COMMAND_LINE = "command line"
"""Who acts at the machine itself."""


class AuditLog:
    """The log, for one transaction.

    Args:
        session: An open transaction: `Database.writing()` for `note`.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self, who: str, action: str, subject: str, **detail: str | int | None) -> None:
        """Add an entry.

        Args:
            who: Name and id of a key, or `COMMAND_LINE`.
            action: What was done, as a noun and a participle: `key created`.
            subject: Id or name of what it was done to.
            detail: What else is worth knowing; never a secret.
        """
        now = self._session.execute(select(clock())).scalar_one()
        entry = AuditEntry(at=now, who=who, action=action, subject=subject, detail=detail)
        self._session.add(entry)
        self._session.flush()

    def page(self, *, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Entries, the newest first.

        Args:
            limit: At most so many.
            before: Only entries older than this one.
        """
        query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditEntry.id < before)
        return self._session.scalars(query).all()
