"""What is wrong with a deployment, as far as a program beside it can tell; and what to do."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy import func, select

from mfnet.service.db.session import AWAY, Database, clock
from mfnet.service.db.tables import Job, Model
from mfnet.service.domain.job import FINAL, RETRAIN, SEGMENT, State
from mfnet.service.errors import StoreAway
from mfnet.service.files.storage import Storage
from mfnet.service.maintenance.named_files import named
from mfnet.service.maintenance.orphans import orphans
from mfnet.service.queue import JobNotifier
from mfnet.service.settings import Settings

_DAY_S = 24 * 3600.0
_LEAST_FREE = 0.05
_WAITED_S = 3600.0
_SHOWN = 5


class Finding(NamedTuple):
    """What one look found.

    Attributes:
        fine: Nothing has to be done.
        what: That was looked at, and what it is like.
        advice: What to do where it is not fine.
    """

    fine: bool
    what: str
    advice: str = ""


class Deployment(NamedTuple):
    """What is looked at."""

    settings: Settings
    database: Database
    storage: Storage
    notifier: JobNotifier


def diagnose(deployment: Deployment, *, deep: bool = False) -> Iterator[Finding]:
    """Findings, one after the other as they are made.

    Args:
        deployment: To be looked at.
        deep: Read every model's file, and count what belongs to nothing.
    """
    try:
        deployment.database.ping()
    except AWAY as error:
        yield Finding(
            False,
            f"the database does not answer: {str(error).splitlines()[0]}",
            "start it, or correct DATABASE_URL and its password",
        )
        yield from _data_folder(deployment)
        return
    if not deployment.database.is_newest():
        yield Finding(
            False,
            "the database has no tables, or those of another version of the program",
            "start the service, which brings them up to date; a newer one's need that program",
        )
        yield from _data_folder(deployment)
        return
    looks: list[Callable[[Deployment], Iterator[Finding]]] = [
        *(_clocks, _broker, _data_folder, _store, _named_files, _waiting, _failures),
        *((_models, _orphans) if deep else ()),
    ]
    for look in looks:
        yield from look(deployment)


def _clocks(deployment: Deployment) -> Iterator[Finding]:
    with deployment.database.reading() as session:
        behind = time.time() - (session.scalar(select(clock())) or 0)
        tables = session.connection().dialect.name
    yield Finding(
        abs(behind) < 60,
        f"database: {tables}, its clock {behind:+.1f} s from this machine's",
        "have both keep time (NTP); leases run by the database's clock, ages of files by this one",
    )


def _broker(deployment: Deployment) -> Iterator[Finding]:
    try:
        lengths = {kind: deployment.notifier.waiting(kind) for kind in (SEGMENT, RETRAIN)}
    except BrokerAway as error:
        yield Finding(
            False,
            f"the broker does not answer: {error}",
            "start it, or correct REDIS_URL and its password; no job is lost meanwhile",
        )
        return
    told = ", ".join(f"{count} messages for {kind}" for kind, count in lengths.items())
    yield Finding(True, f"broker: {told}")


def _data_folder(deployment: Deployment) -> Iterator[Finding]:
    root = deployment.storage.root
    try:
        with tempfile.NamedTemporaryFile(dir=root, suffix=".part") as file:
            file.write(b"x")
            os.fsync(file.fileno())
    except OSError as error:
        yield Finding(
            False,
            f"data folder: cannot be written to: {error}",
            f"let user {os.getuid()} write to {root}, or make room",
        )
        return
    usage = shutil.disk_usage(root)
    yield Finding(
        usage.free >= _LEAST_FREE * usage.total,
        f"data folder {root}: {usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free",
        "remove jobs and uploads that nobody needs, run mfnet admin gc, or give it a larger disk",
    )


def _store(deployment: Deployment) -> Iterator[Finding]:
    storage, name = deployment.storage, deployment.settings.storage
    if not storage.is_remote:
        return
    probe = storage.root / f"probe-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(b"x")
        storage.store.keep(probe)
        storage.store.remove(probe)
    except StoreAway as error:
        yield Finding(
            False,
            f"store {name}: {error}",
            "is its address right, is it up, and may our key read, write, list and remove there?",
        )
        return
    finally:
        probe.unlink(missing_ok=True)
    yield Finding(True, f"store {name}: takes and gives files")


def _named_files(deployment: Deployment) -> Iterator[Finding]:
    lacking, count = [], 0
    with deployment.database.snapshot() as session:
        there = _kept_paths(deployment.storage) if deployment.storage.is_remote else None
        for each in named(session, deployment.storage):
            count += 1
            found = (path.exists() if there is None else path in there for path in each.paths)
            if not all(found) and each.stands(session):
                lacking.append(each.what)
    told = ", ".join(lacking[:_SHOWN]) + (" …" if len(lacking) > _SHOWN else "")
    yield Finding(
        not lacking,
        f"files: {count - len(lacking)} of {count} that rows speak of are there"
        + (f"; not those of {told}" if lacking else ""),
        "is the data folder the right one, and mounted? Else take them from a backup",
    )


def _kept_paths(storage: Storage) -> set[Path]:
    """All files in a store of objects, and the folders that they are in."""
    files = {each.path for each in storage.store.found(storage.root)}
    return files | {folder for file in files for folder in file.parents}


def _waiting(deployment: Deployment) -> Iterator[Finding]:
    for kind in (SEGMENT, RETRAIN):
        with deployment.database.reading() as session:
            now = session.scalar(select(clock())) or 0
            oldest, count = session.execute(
                select(func.min(Job.created), func.count()).where(
                    Job.state == State.ACCEPTED, Job.process == kind
                )
            ).one()
            at_work = session.scalar(
                select(func.count()).where(
                    Job.state == State.RUNNING, Job.process == kind, Job.lease_until >= clock()
                )
            )
        waited = now - oldest if oldest is not None else 0
        yield Finding(
            waited < _WAITED_S or bool(at_work),
            f"jobs of {kind}: {at_work} at work, {count} waiting"
            + (f", the oldest for {waited / 60:.0f} minutes" if count else ""),
            "nobody works on them: start a worker"
            + (" (mfnet worker --work retrain)" if kind == RETRAIN else " (mfnet worker)"),
        )


def _failures(deployment: Deployment) -> Iterator[Finding]:
    with deployment.database.reading() as session:
        recent = session.scalars(
            select(Job).where(Job.state.in_(FINAL), Job.finished >= clock() - _DAY_S)
        ).all()
    ours = [job.error or {} for job in recent if job.state is State.FAILED]
    codes = sorted({str(e.get("code")) for e in ours if not e.get("input_fault")})
    faults = sum(not error.get("input_fault") for error in ours)
    yield Finding(
        not faults or 10 * faults < len(recent),
        f"the last day: {len(recent)} jobs ended, {faults} by a fault of the service"
        + (f" ({', '.join(codes[:_SHOWN])})" if codes else ""),
        "look at the workers' logs; docs/how-to/operate.md goes through the codes",
    )


def _models(deployment: Deployment) -> Iterator[Finding]:
    with deployment.database.reading() as session:
        known = session.scalars(select(Model.sha256).distinct()).all()
    models = deployment.storage.models
    altered = [s[:12] for s in known if models.kept_digest(s) not in (s, None)]
    yield Finding(
        not altered,
        f"models: {len(known) - len(altered)} of {len(known)} files are what was registered"
        + (f"; not {', '.join(altered)}" if altered else ""),
        "take them from a backup: a job that names one fails",
    )


def _orphans(deployment: Deployment) -> Iterator[Finding]:
    found = orphans(deployment.database, deployment.storage, _DAY_S)
    size = sum(orphan.bytes for orphan in found)
    yield Finding(
        not found,
        f"files that belong to nothing: {len(found)}, {size / 1e9:.2f} GB",
        "mfnet admin gc lists them, mfnet admin gc --remove removes them",
    )
