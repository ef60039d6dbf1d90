"""The database's tables. Times are seconds since 1970, UTC, by the database's own clock."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mfnet.service.domain.job import State
from mfnet.service.domain.model_version import ModelState


def _words(states: type[StrEnum]) -> Enum:
    """A column of an enum's words."""
    return Enum(
        states, native_enum=False, length=16, values_callable=lambda e: [s.value for s in e]
    )


class Table(DeclarativeBase):
    """What all tables share: how Python types are stored."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's way to say it
        float: Double(),
        dict[str, Any]: JSON(none_as_null=True),
        list[dict[str, Any]]: JSON(none_as_null=True),
        State: _words(State),
        ModelState: _words(ModelState),
    }


class Key(Table):
    """An API key: who may ask for what. The key itself is shown once and never kept."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]  # reader | user | admin
    # Of the key, or of whom an OpenID Connect issuer knows: `oidc:` and that of their id there.
    sha256: Mapped[str] = mapped_column(unique=True)
    prefix: Mapped[str]  # the first characters, so that its owner recognises it in a list
    created: Mapped[float]
    revoked: Mapped[float | None] = mapped_column(default=None)
    served: Mapped[float | None] = mapped_column(default=None)  # a worker last began work of its
    expires: Mapped[float | None] = mapped_column(default=None)
    used: Mapped[float | None] = mapped_column(default=None)  # last, to a minute
    of_key: Mapped[str | None] = mapped_column(default=None)  # whose things it sees
    webhook_secret: Mapped[str | None] = mapped_column(default=None)  # its callbacks are signed so


class AuditEntry(Table):
    """Something that an admin did."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float]
    who: Mapped[str]  # the name and id of a key, or "command line"
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


class Upload(Table):
    """A file that came whole and was found usable; it lies under its id (see `Storage`)."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index("uploads_of_owner", "owner", "created"),
        Index("uploads_by_content", "owner", "sha256"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("keys.id"))
    name: Mapped[str]  # what its sender calls it; never part of a path
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    report: Mapped[dict[str, Any]]  # the inspection's
    created: Mapped[float]


class Job(Table):
    """A piece of work and how far it is; `service/domain/job.py` says what the states mean."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("jobs_of_owner", "owner", "created", "id"),
        Index("jobs_by_state", "state", "created"),
        Index("jobs_by_result", "owner", "result_key"),
        Index("jobs_of_batch", "batch"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("keys.id"))
    process: Mapped[str]
    state: Mapped[State]
    # As the front has checked them: `ortho`, `height` and `dtm` are ids of uploads, `model` is
    # NAME@VERSION and `model_sha256` its file (jobs of before the registry have a name alone);
    # everything else is an option of `mfnet.model.inference.segment.segment`, or of a retraining.
    inputs: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(default=None)
    request_sha256: Mapped[str | None] = mapped_column(default=None)  # of the inputs as sent

    epoch: Mapped[int] = mapped_column(default=0)  # rises with each claim, never falls
    # Claims that were not handed back, since the last of its parts was finished.
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(default=None)
    lease_until: Mapped[float | None] = mapped_column(default=None)
    result_epoch: Mapped[int | None] = mapped_column(default=None)  # names the results' folder
    parts_key: Mapped[str | None] = mapped_column(default=None)  # what its parts must agree in

    progress: Mapped[int] = mapped_column(default=0)  # 0 to 100, never falls
    seconds_left: Mapped[float | None] = mapped_column(default=None)  # at `updated`
    device: Mapped[str | None] = mapped_column(default=None)  # what computed the result
    message: Mapped[str] = mapped_column(default="")
    error: Mapped[dict[str, Any] | None] = mapped_column(default=None)  # jobs.Failure
    # How its rasters are read, and what is odd about them; None where there is nothing to say.
    remarks: Mapped[list[dict[str, Any]] | None] = mapped_column(default=None)
    # Its input against what its model has seen in training; None where there is nothing to say.
    drift: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    # What it was said to take when it was submitted (service/domain/job_estimate.py).
    estimate: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    # What its results depend on (service/operations/reused_results.py), and the earlier job that
    # they are taken over from, if they are; it may be gone.
    result_key: Mapped[str | None] = mapped_column(default=None)
    reused: Mapped[str | None] = mapped_column(default=None)
    batch: Mapped[str | None] = mapped_column(default=None)  # the job that it is a part of

    created: Mapped[float]
    started: Mapped[float | None] = mapped_column(default=None)
    updated: Mapped[float]
    finished: Mapped[float | None] = mapped_column(default=None)


class Callback(Table):
    """Who is to be told of a job (service/operations/callbacks.py)."""

    __tablename__ = "callbacks"
    __table_args__ = (Index("callbacks_by_time", "next_at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    subscriber: Mapped[dict[str, Any]]  # addresses by what is told, and `base`, the service's own
    told: Mapped[str]  # the state that was told last, or "done"
    attempts: Mapped[int]  # at telling the present one
    next_at: Mapped[float]
    failure: Mapped[str | None] = mapped_column(default=None)  # of the last attempt


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
    device: Mapped[str | None] = mapped_column(default=None)  # what computed it


class Model(Table):
    """A version of a model; its file lies under its sha256 (service/files/storage.py)."""

    __tablename__ = "models"
    __table_args__ = (
        Index(
            "one_active_version",
            "name",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1, 2, …
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[ModelState]
    config: Mapped[dict[str, Any]]  # the file's own, with metrics and provenance
    job_id: Mapped[str | None] = mapped_column(default=None)  # the retraining that made it
    created: Mapped[float]


class ModelEvent(Table):
    """Something that happened to a version, and who did it why."""

    __tablename__ = "model_events"
    __table_args__ = (
        ForeignKeyConstraint(["name", "version"], ["models.name", "models.version"]),
        Index("events_of_model", "name", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int]
    event: Mapped[str]  # registered | promoted | rolled back
    replaced: Mapped[int | None] = mapped_column(default=None)  # the version active until then
    who: Mapped[str]  # the name and id of a key, or "command line"
    why: Mapped[str]
    at: Mapped[float]


class Tile(Table):
    """A corrected map with what it was made of: labels for a retraining.

    It outlives its job, and its rasters cannot be removed before it
    (service/operations/labelled_tiles.py).
    """

    __tablename__ = "tiles"
    __table_args__ = (
        UniqueConstraint("job_id", "request_sha256"),
        Index("tiles_of_owner", "owner", "created"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("keys.id"))  # of the job
    job_id: Mapped[str]  # may be gone
    request_sha256: Mapped[str]  # of the correction as it was asked for
    ortho: Mapped[str] = mapped_column(ForeignKey("uploads.id"))
    height: Mapped[str] = mapped_column(ForeignKey("uploads.id"))
    dtm: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), default=None)
    white: Mapped[float | None] = mapped_column(
        default=None
    )  # of the orthophoto, where it was told
    sha256: Mapped[str]  # of the label raster (service/files/storage.py)
    report: Mapped[dict[str, Any]]  # of `mfnet correct`: the class scheme, what was changed
    provenance: Mapped[dict[str, Any]]  # the job, its model, who corrected with what
    created: Mapped[float]
