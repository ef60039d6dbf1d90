"""The maps that asked for an entry in a catalogue, newest first, and those among them that are
searched for.

What a map's job wrote as `item.json` never changes while it is there, so it is read once.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import SEGMENT, State
from mfnet.service.domain.map_outputs import ITEM
from mfnet.service.operations.context import Services

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_AT_ONCE = 200
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Search:
    """What entries are to be; all of them where nothing is asked.

    Attributes:
        area: What their outline meets, in degrees of longitude and latitude.
        start: When the place looked so, at the earliest; seconds since 1970.
        end: At the latest.
        ids: Only these.
    """

    area: "BaseGeometry | None" = None
    start: float | None = None
    end: float | None = None
    ids: Collection[str] | None = None

    def finds(self, entry: "Entry") -> bool:
        """Whether an entry is so; one that nobody knows the place of is in no area."""
        if self.start is not None and entry.seen < self.start:
            return False
        if self.end is not None and entry.seen > self.end:
            return False
        if self.area is None:
            return True
        return entry.outline is not None and bool(entry.outline.intersects(self.area))


@dataclass(frozen=True)
class Entry:
    """A map in the catalogue.

    Attributes:
        item: As its job wrote it; addresses are relative to it.
        seen: When the place looked so, seconds since 1970.
        outline: In degrees; None where nobody knows.
    """

    item: dict[str, Any]
    seen: float
    outline: "BaseGeometry | None"


def search(
    services: Services, owner: str | None, wanted: Search, limit: int, after: str | None = None
) -> list[tuple[Job, Entry]]:
    """At most so many jobs whose maps are wanted, newest first, each with its entry.

    Args:
        services: Where jobs and their files are.
        owner: Whose; None for all.
        wanted: What they are to be.
        limit: At most so many.
        after: Id of the last job of the page before.
    """
    found = []
    for job in _jobs(services, owner, wanted.ids, after):
        entry = entry_of(services, job)
        if entry is not None and wanted.finds(entry):
            found.append((job, entry))
            if len(found) == limit:
                break
    return found


def entry_of(services: Services, job: Job) -> Entry | None:
    """A job's entry; None where it asked for none, or its files were removed."""
    if job.state is not State.SUCCESSFUL or not job.inputs.get("stac"):
        return None
    assert job.result_epoch is not None
    try:
        return _read(services.storage.folder(job.id, job.result_epoch) / ITEM)
    except FileNotFoundError:
        return None


def _jobs(
    services: Services, owner: str | None, ids: Collection[str] | None, after: str | None
) -> Iterator[Job]:
    """Successful maps, a page at a time: no transaction is open while files are read."""
    while True:
        with services.database.reading() as session:
            page = JobRepository(session).page(
                *(owner,),
                limit=_AT_ONCE,
                after=after,
                states=[State.SUCCESSFUL],
                processes=[SEGMENT],
            )
        yield from (job for job in page if ids is None or job.id in ids)
        if len(page) < _AT_ONCE:
            return
        after = page[-1].id


@lru_cache(_REMEMBERED)
def _read(path: Path) -> Entry:
    from shapely.geometry import shape  # takes numpy along, which nothing else of the API wants

    item = json.loads(path.read_bytes())
    seen = datetime.fromisoformat(item["properties"]["datetime"]).timestamp()
    return Entry(item, seen, None if item["geometry"] is None else shape(item["geometry"]))
