"""Submits many maps by one request: a job for each pair, and one that stands for all of them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from mfnet.service.db.repositories import batches
from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import BATCH, SEGMENT, Failure, State
from mfnet.service.errors import (
    Busy,
    NotATile,
    OtherModel,
    Refused,
    ServiceError,
    TooLittleMemory,
    UploadNotFound,
)
from mfnet.service.operations.callbacks import new_secret
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.room_for_job import check_disk
from mfnet.service.operations.submit_segmentation import Prepared, Request, prepare
from mfnet.service.operations.uploads import quotas
from mfnet.service.schemas.batches import BatchInputs
from mfnet.service.schemas.jobs import SegmentInputs

_OF_A_PAIR = (Refused, UploadNotFound, NotATile, OtherModel, TooLittleMemory)
"""What is wrong with a pair, and keeps no other from being mapped."""
_AGAIN_S = 1.0


class _Pair(NamedTuple):
    """A pair that was looked at: what its job is made of, or why there is none."""

    inputs: SegmentInputs
    ready: Prepared | None
    failure: Failure | None


def submit(
    services: Services,
    caller: Caller,
    inputs: BatchInputs,
    idempotency_key: str | None,
    chosen: dict[str, Any],
    *,
    reuse: bool,
) -> Job:
    """A new batch with its jobs, or the one that an earlier request with the same key made.

    Args:
        services: Of the API.
        caller: Whose jobs.
        inputs: With the pairs as they were sent, addresses resolved.
        idempotency_key: The caller's name for the request, where there is one.
        chosen: `response` and `subscriber` of the request.
        reuse: Results that are there already are taken over.

    Raises:
        Refused, …: Each pair is at fault; the reason is the first one's.
        TooLittleDisk: There is no room for all of them.
        QuotaJobs: So many more may not wait.
        Busy: The service looks at too many other files, and went on doing so.
        IdempotencyMismatch: The earlier request had other inputs.
    """
    request = Request(caller, BATCH, inputs, idempotency_key, chosen)
    if (first := request.first(services)) is not None:
        return first
    of_maps = {} if inputs.map_outputs is None else {"outputs": dict.fromkeys(inputs.map_outputs)}
    with services.database.reading() as session:
        quotas.check_waiting(services, session, caller, len(inputs.pairs))
    with (
        _prepared(services, caller, inputs.pairs, of_maps, reuse=reuse) as pairs,
        services.database.writing() as session,
    ):
        quotas.check_waiting(services, session, caller, len(pairs))
        batch, new = JobRepository(session).submit(
            caller.key_id,
            BATCH,
            _kept(inputs, pairs) | chosen,
            *request.names,
            estimate=_together(pairs),
            webhook_secret=new_secret(),
        )
        jobs = [_enter(session, caller, pair) for pair in pairs] if new else []
        if new:
            batches.begin(session, batch, jobs)
    if not new:  # the same request came twice at once
        return request.repeated(batch)
    for job in jobs:
        if job.state is State.ACCEPTED:
            services.notifier.notify(job.id, SEGMENT)
    with services.database.reading() as session:
        return JobRepository(session).get(batch.id) or batch


@contextmanager
def _prepared(
    services: Services,
    caller: Caller,
    pairs: Sequence[SegmentInputs],
    of_maps: dict[str, Any],
    *,
    reuse: bool,
) -> Iterator[list[_Pair]]:
    """The pairs, looked at; linked results of which no row speaks at the end go again."""
    found: list[_Pair] = []
    try:
        errors: list[ServiceError] = []
        for pair in pairs:
            try:
                ready = _patiently(services, caller, pair, of_maps, reuse=reuse)
                found.append(_Pair(pair, ready, None))
            except _OF_A_PAIR as error:
                errors.append(error)
                failure = Failure(error.code, error.message, error.params, input_fault=True)
                found.append(_Pair(pair, None, failure))
        if len(errors) == len(pairs):
            raise errors[0]
        check_disk(services, sum(map(_disk_bytes, found)))
        yield found
    finally:
        linked = [each.ready.made.job_id for each in found if each.ready and each.ready.made]
        with services.database.reading() as session:
            lost = [each for each in linked if JobRepository(session).get(each) is None]
        for job_id in lost:
            services.storage.keep_only(job_id, None)


def _patiently(
    services: Services, caller: Caller, pair: SegmentInputs, of_maps: dict[str, Any], *, reuse: bool
) -> Prepared:
    """As `prepare`, asked again while others are looked at: all pairs before would be lost.

    Raises:
        Busy: For as long as an inspection may take.
    """
    until = time.monotonic() + services.settings.inspect_seconds
    while True:
        try:
            return prepare(services, caller, pair, of_maps, reuse=reuse)
        except Busy:
            if time.monotonic() > until:
                raise
        time.sleep(_AGAIN_S)


def _enter(session: Session, caller: Caller, pair: _Pair) -> Job:
    """The row of a pair's job."""
    jobs = JobRepository(session)
    if pair.ready is None:
        kept = _as_sent(pair.inputs) | {"model": pair.inputs.model}
        job, _ = jobs.submit(caller.key_id, SEGMENT, kept)
        assert pair.failure is not None
        batches.refuse(session, job, pair.failure)
        return job
    made = pair.ready.made
    if made is not None and jobs.get(made.earlier.id) is None:
        made = None
    job, _ = jobs.submit(caller.key_id, SEGMENT, pair.ready.kept, made=made, **pair.ready.row)
    return job


def _kept(inputs: BatchInputs, pairs: Sequence[_Pair]) -> dict[str, Any]:
    """The batch's own inputs, which can be sent again: uploads by their ids."""
    told = [_as_sent(pair.inputs) | _uploads(pair) for pair in pairs]
    chosen = {} if inputs.map_outputs is None else {"map_outputs": inputs.map_outputs}
    return {"pairs": told} | chosen


def _as_sent(inputs: SegmentInputs) -> dict[str, Any]:
    return inputs.model_dump(mode="json", exclude_defaults=True)


def _uploads(pair: _Pair) -> dict[str, str]:
    return {} if pair.ready is None else dict(pair.ready.uploads)


def _disk_bytes(pair: _Pair) -> int:
    """What is still to be written for a pair, as far as that is known."""
    if pair.ready is None or pair.ready.made is not None or pair.ready.row["estimate"] is None:
        return 0
    return int(pair.ready.row["estimate"]["disk_bytes"])


def _together(pairs: Sequence[_Pair]) -> dict[str, Any] | None:
    """What the maps will take one after the other."""
    known = [each.ready.row["estimate"] for each in pairs if each.ready is not None]
    if not known or None in known:
        return None
    summed = {
        name: sum(each[name] for each in known) for name in ("pixels", "windows", "disk_bytes")
    }
    seconds = [each["seconds"] for each in known]
    return summed | {
        "memory_bytes": max(each["memory_bytes"] for each in known),
        "seconds": None if None in seconds else round(sum(seconds), 1),
    }
