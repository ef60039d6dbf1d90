"""Models in the database. Each change is a statement whose WHERE says what must hold before."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from mfnet.service.db.repositories.audit import AuditLog
from mfnet.service.db.session import clock
from mfnet.service.db.tables import Model, ModelEvent
from mfnet.service.domain.model_version import ModelState

_ACTIVE = ModelState.ACTIVE


class ModelRepository:
    """The models of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    # ---- what there is ---------------------------------------------------------------------

    def get(self, name: str, version: int | None = None) -> Model | None:
        """A version of a model; the active one where `version` is None."""
        one = Model.state == _ACTIVE if version is None else Model.version == version
        return self._session.scalars(select(Model).where(Model.name == name, one)).one_or_none()

    def all(self, name: str | None = None) -> Sequence[Model]:
        """All versions, of one model or of all, by name and the newest first."""
        query = select(Model).order_by(Model.name, Model.version.desc())
        if name is not None:
            query = query.where(Model.name == name)
        return self._session.scalars(query).all()

    def history(self, name: str) -> Sequence[ModelEvent]:
        """What happened to a model, the newest first."""
        query = select(ModelEvent).where(ModelEvent.name == name).order_by(ModelEvent.id.desc())
        return self._session.scalars(query).all()

    # ---- what changes ----------------------------------------------------------------------

    def add(
        self,
        name: str,
        sha256: str,
        size: int,
        config: dict[str, Any],
        *,
        who: str,
        why: str,
        job_id: str | None = None,
    ) -> Model:
        """The next version: a candidate; the first version of a name is active at once.

        Args:
            name: Of the model.
            sha256: Of its file.
            size: Of its file, bytes.
            config: As it stands in the file.
            who: Made or brought it.
            why: In words.
            job_id: The retraining that made it.

        Raises:
            sqlalchemy.exc.IntegrityError: Another version of this number came at the same time.
        """
        # One at a time: who waits here sees in the next statement what the other has added.
        self._session.execute(select(Model.version).where(Model.name == name).with_for_update())
        newest = select(func.max(Model.version)).where(Model.name == name)
        before = self._session.execute(newest).scalar_one()
        model = Model(
            name=name,
            version=1 if before is None else before + 1,
            sha256=sha256,
            bytes=size,
            state=_ACTIVE if before is None else ModelState.CANDIDATE,
            config=config,
            job_id=job_id,
            created=self._session.execute(select(clock())).scalar_one(),
        )
        self._session.add(model)
        self._session.flush()
        self._log(model, "registered", None, who, why)
        return model

    def promote(self, model: Model, replaces: int, who: str, why: str) -> bool:
        """Make a version the active one.

        Args:
            model: The version.
            replaces: Another version, the active one as far as the caller knows.
            who: Asks for it.
            why: In words.

        Returns:
            False where another is active by now; nothing is changed then.
        """
        return self._swap(model, replaces, "promoted", who, why)

    def roll_back(self, model: Model, who: str, why: str) -> Model | None:
        """Make the version active again that this one has replaced.

        Args:
            model: The active version, as far as the caller knows.
            who: Asks for it.
            why: In words.

        Returns:
            The version that is active now; None where another was active by now, or this one has
            replaced none. Nothing is changed then.
        """
        before = self.replaced_by(model)
        if before is None or not self._swap(before, model.version, "rolled back", who, why):
            return None
        return before

    def replaced_by(self, model: Model) -> Model | None:
        """The version that was active before this one, promotions being taken back one by one."""
        path: list[int] = []  # of versions that led to the active one
        for event in reversed(self.history(model.name)):
            if event.event == "promoted":
                assert event.replaced is not None
                path = [*(path or [event.replaced]), event.version]
            elif event.event == "rolled back":
                path.pop()
        if path[-1:] != [model.version] or len(path) < 2:
            return None
        return self.get(model.name, path[-2])

    # ---- below -----------------------------------------------------------------------------

    def _swap(self, model: Model, replaces: int, event: str, who: str, why: str) -> bool:
        """One version retires and another becomes active: both, or neither."""
        assert model.version != replaces
        if not self._set(model.name, replaces, ModelState.RETIRED, Model.state == _ACTIVE):
            return False
        changed = self._set(model.name, model.version, _ACTIVE)
        assert changed  # versions are never removed
        self._log(model, event, replaces, who, why)
        return True

    def _set(self, name: str, version: int, state: ModelState, *where: ColumnElement[bool]) -> bool:
        statement = (
            update(Model)
            .where(Model.name == name, Model.version == version, *where)
            .values(state=state)
            .returning(Model.version)
            .execution_options(synchronize_session=False)
        )
        return self._session.scalars(statement).one_or_none() is not None

    def _log(self, model: Model, event: str, replaced: int | None, who: str, why: str) -> None:
        self._session.add(
            ModelEvent(
                name=model.name,
                version=model.version,
                event=event,
                replaced=replaced,
                who=who,
                why=why,
                at=self._session.execute(select(clock())).scalar_one(),
            )
        )
        told = f"{model.name}@{model.version}"
        AuditLog(self._session).note(who, f"model {event}", told, replaced=replaced, why=why)
