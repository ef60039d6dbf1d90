"""What Prometheus is told. Counted in the database whenever it asks: that holds for any number of
API processes and workers, and over restarts.

Durations are those of the jobs that have ended in the last hour, as quantiles: a histogram that
grows would have to be kept somewhere, and rows of jobs go when their owners remove them.
"""

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from mfnet.service.api.documents.process_descriptions import IDS
from mfnet.service.db.repositories.metric_counts import Totals
from mfnet.service.db.session import Database
from mfnet.service.domain.job import State

OF_LATE_S = 3600.0
_QUANTILES = (0.5, 0.95)


def exposition(database: Database, data_dir: Path) -> bytes:
    """All figures in Prometheus' text format."""
    registry = CollectorRegistry()
    with database.reading() as session:
        totals = Totals(session)
        _jobs(totals, registry)
        _durations(totals, registry)
        _holdings(totals, registry)
    disk = shutil.disk_usage(data_dir)
    _gauge("mfnet_data_folder_bytes", "Size of the data folder's disk", registry).set(disk.total)
    free = _gauge("mfnet_data_folder_free_bytes", "Free on the data folder's disk", registry)
    free.set(disk.free)
    build = _gauge("mfnet_build_info", "The program; always 1", registry, "version")
    build.labels(version("mfnet")).set(1)
    return generate_latest(registry)


def _jobs(totals: Totals, registry: CollectorRegistry) -> None:
    """What there is, what waits, what is at work, what failed why."""
    jobs = totals.jobs()
    by_state = _gauge("mfnet_jobs", "Jobs that are known", registry, "process", "state")
    length = _gauge("mfnet_queue_jobs", "Jobs that a worker could begin now", registry, "process")
    oldest = _gauge(
        "mfnet_queue_oldest_seconds", "Since the oldest of them was submitted", registry, "process"
    )
    for process in IDS:
        for state in State:
            by_state.labels(process, state).set(jobs.get((process, state), 0))
        queue = totals.queue(process)
        length.labels(process).set(queue.jobs)
        oldest.labels(process).set(queue.oldest_s)
    busy = _gauge("mfnet_busy_workers", "Workers with a job or a part at hand", registry)
    busy.set(totals.busy_workers())
    failed = _gauge("mfnet_failed_jobs", "Failed jobs that are known", registry, "process", "code")
    for (process, code), count in totals.failed().items():
        failed.labels(process, code).set(count)


def _durations(totals: Totals, registry: CollectorRegistry) -> None:
    """How long the jobs that have ended in the last hour took, and how much was mapped."""
    seconds = _gauge(
        "mfnet_job_seconds",
        "How long jobs that ended in the last hour waited and were worked on",
        registry,
        *("process", "stage", "quantile"),
    )
    ended = _gauge("mfnet_jobs_last_hour", "Jobs that ended in the last hour", registry, "process")
    megapixels = _gauge(
        "mfnet_megapixels_last_hour", "Of the orthophotos mapped in the last hour", registry
    )
    for process in IDS:
        recent = totals.ended(process, OF_LATE_S)
        ended.labels(process).set(len(recent.worked_s))
        for stage, values in (("wait", recent.waited_s), ("work", recent.worked_s)):
            for quantile in _QUANTILES if values else ():
                at = _quantile(values, quantile)
                seconds.labels(process, stage, str(quantile)).set(at)
        if recent.megapixels:
            megapixels.set(recent.megapixels)


def _holdings(totals: Totals, registry: CollectorRegistry) -> None:
    """What is kept, and what of it is odd."""
    uploads, size = totals.uploads()
    _gauge("mfnet_uploads", "Uploads that are kept", registry).set(uploads)
    _gauge("mfnet_upload_bytes", "Their bytes", registry).set(size)
    by_model = _gauge(
        "mfnet_drifted_jobs",
        "Jobs whose input is unlike what their model has seen in training",
        registry,
        "model",
    )
    for model, count in totals.drifted().items():
        by_model.labels(model).set(count)
    _gauge("mfnet_labelled_tiles", "Corrections to learn from", registry).set(totals.tiles())


def _gauge(name: str, told: str, registry: CollectorRegistry, *labels: str) -> Gauge:
    return Gauge(name, told, labels, registry=registry)


def _quantile(values: Sequence[float], quantile: float) -> float:
    """The smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)]
