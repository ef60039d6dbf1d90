"""The database's tables. Times are seconds since 1970, UTC, by the database's own clock."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Enum, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.jobs import State

_STATE = Enum(
    State, native_enum=False, length=16, values_callable=lambda states: [s.value for s in states]
)


class Table(DeclarativeBase):
    """What all tables share: how Python types are stored."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's way to say it
        float: Double(),
        dict[str, Any]: JSON(none_as_null=True),
        State: _STATE,
    }


class Key(Table):
    """An API key: who may ask for what. The key itself is shown once and never kept."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]  # user | admin
    sha256: Mapped[str] = mapped_column(unique=True)
    prefix: Mapped[str]  # the first characters, so that its owner recognises it in a list
    created: Mapped[float]
    revoked: Mapped[float | None] = mapped_column(default=None)
    served: Mapped[float | None] = mapped_column(default=None)  # a worker last began work of its


class Upload(Table):
    """A file that came whole and was found usable; it lies under its id (service/storage.py)."""

    __tablename__ = "uploads"
    __table_args__ = (Index("uploads_of_owner", "owner", "created"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("keys.id"))
    name: Mapped[str]  # what its sender calls it; never part of a path
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    report: Mapped[dict[str, Any]]  # the inspection's
    created: Mapped[float]


class Job(Table):
    """A piece of work and how far it is; `service/jobs.py` says what the states mean."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("jobs_of_owner", "owner", "created", "id"),
        Index("jobs_by_state", "state", "created"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("keys.id"))
    process: Mapped[str]
    state: Mapped[State]
    # As the front has checked them: `ortho`, `height` and `dtm` are ids of uploads, `model` is a
    # model's name, everything else is an option of `model.inference.segment.segment`.
    inputs: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(default=None)
    request_sha256: Mapped[str | None] = mapped_column(default=None)  # of the inputs as sent

    epoch: Mapped[int] = mapped_column(default=0)  # rises with each claim, never falls
    attempts: Mapped[int] = mapped_column(default=0)  # claims that were not handed back
    worker: Mapped[str | None] = mapped_column(default=None)
    lease_until: Mapped[float | None] = mapped_column(default=None)
    result_epoch: Mapped[int | None] = mapped_column(default=None)  # names the results' folder
    parts_key: Mapped[str | None] = mapped_column(default=None)  # what its parts must agree in

    progress: Mapped[int] = mapped_column(default=0)  # 0 to 100
    message: Mapped[str] = mapped_column(default="")
    error: Mapped[dict[str, Any] | None] = mapped_column(default=None)  # jobs.Failure

    created: Mapped[float]
    started: Mapped[float | None] = mapped_column(default=None)
    updated: Mapped[float]
    finished: Mapped[float | None] = mapped_column(default=None)


class Part(Table):
    """A range of rows of a job whose raster is cut up; any worker may compute it.

    It is claimed as jobs are, by `token` and `lease_until`; its files are found by its rows.
    """

    __tablename__ = "parts"
    __table_args__ = (Index("parts_by_finished", "finished", "job_id", "first_row"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    first_row: Mapped[int] = mapped_column(primary_key=True)
    stop_row: Mapped[int]  # one behind the last

    token: Mapped[int] = mapped_column(default=0)  # rises with each claim, never falls
    attempts: Mapped[int] = mapped_column(default=0)  # claims that were not handed back
    worker: Mapped[str | None] = mapped_column(default=None)
    lease_until: Mapped[float | None] = mapped_column(default=None)
    progress: Mapped[int] = mapped_column(default=0)  # 0 to 100
    finished: Mapped[float | None] = mapped_column(default=None)
