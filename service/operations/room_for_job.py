"""What a job for a map will take, and whether there is as much."""

import shutil
from typing import Any

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.domain.job_estimate import estimate
from mfnet.service.errors import TooLittleDisk, TooLittleMemory
from mfnet.service.operations.context import Services
from mfnet.service.runtime.machine_memory import machine_memory
from mfnet.service.settings import Settings


def needed(
    services: Services, kept: dict[str, Any], report: dict[str, Any]
) -> dict[str, Any] | None:
    """What the job will take; None where the inspection does not say.

    Args:
        services: Of the API.
        kept: The inputs of the job's row.
        report: Of the inspection.
    """
    with services.database.reading() as session:
        lately = JobRepository(session).finished_lately()
    return estimate(report, kept, lately, services.settings.part_pixels)


def check_room(services: Services, takes: dict[str, Any], columns: int) -> None:
    """Whether there is room for a job.

    Args:
        services: Of the API.
        takes: As `needed` says.
        columns: Of the raster, pixels.

    Raises:
        TooLittleMemory, TooLittleDisk: More than there is.
    """
    _check_memory(services.settings, takes["memory_bytes"], columns)
    check_disk(services, takes["disk_bytes"])


def _check_memory(settings: Settings, needed: int, columns: int) -> None:
    there = settings.worker_memory_mb << 20
    if not there and settings.redis_url is None:
        there = machine_memory()
    if 0 < there < needed:
        raise TooLittleMemory(
            f"a raster of {columns:,} columns needs about {needed:,} bytes of memory, and a worker "
            f"has {there:,}: cut the raster into tiles of fewer columns (gdal_translate -srcwin), "
            "or ask whoever runs this service for a worker with more",
            needed_bytes=needed,
            worker_bytes=there,
        )


def check_disk(services: Services, needed: int) -> None:
    """Whether there is room for so many bytes, as far as that is known; raises `TooLittleDisk`."""
    if services.storage.is_remote:
        return
    free = shutil.disk_usage(services.storage.root).free
    if free < needed:
        raise TooLittleDisk(
            f"the results and what waits beside them need up to {needed:,} bytes, and the service "
            f"has {free:,} left: remove jobs and uploads, or ask whoever runs it",
            needed_bytes=needed,
            free_bytes=free,
        )
