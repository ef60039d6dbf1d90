"""The finished rows of a map that is still computed, as strips that the engine has drawn."""

from pathlib import Path
from typing import NamedTuple

from mfnet.service.db.tables import Job
from mfnet.service.errors import NoSuchResult
from mfnet.service.operations.context import Services


class Strip(NamedTuple):
    """Rows of the map's picture.

    Attributes:
        name: Of the file.
        first_row: In the picture.
        rows: Of it.
    """

    name: str
    first_row: int
    rows: int


def strips(services: Services, job: Job) -> list[Strip]:
    """Those that there are, from the top; none before the first, and none of a finished map.

    Their files stay: who has just been told of one may still come for it.
    """
    if job.finished is not None:
        return []
    return _files(services, job)


def find(services: Services, job: Job, name: str) -> Path:
    """The file of a strip.

    Raises:
        NoSuchResult: There is none of this name.
    """
    if name not in {strip.name for strip in _files(services, job)}:
        raise NoSuchResult(f"no strip {name!r}; GET /jobs/{job.id}/preview again", name=name)
    return services.storage.preview(job.id) / name


def _files(services: Services, job: Job) -> list[Strip]:
    found = (
        path.name for path in services.storage.here(services.storage.preview(job.id)).glob("*.png")
    )
    return sorted((_strip(name) for name in found), key=lambda strip: strip.first_row)


def _strip(name: str) -> Strip:
    first_row, rows = map(int, name.removesuffix(".png").split("-"))
    return Strip(name, first_row, rows)
