"""The maps that asked for an entry in a catalogue, newest first, and those among them that are
searched for.

What a map's job wrote as `item.json` never changes while it is there: where and when it is are
remembered, and the files of those alone are read again that a search may find.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.tables import Job
from mfnet.service.domain.job import SEGMENT, State
from mfnet.service.domain.map_outputs import ITEM
from mfnet.service.operations.context import Services

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Item = dict[str, Any]

ASKED_FOR = "stac"
"""The input of a job whose map is to be in the catalogue."""

_AT_ONCE = 200
_REMEMBERED = 100_000


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

    def may_find(self, extent: "Extent") -> bool:
        """Whether an entry of this time and box may be one; without a place, it is in no area."""
        if self.start is not None and extent.seen < self.start:
            return False
        if self.end is not None and extent.seen > self.end:
            return False
        return self.area is None or _meet(self.area.bounds, extent.bounds)

    def finds(self, item: Mapping[str, Any]) -> bool:
        """Whether an entry that may be one is one: its outline, not its box alone."""
        from shapely.geometry import shape  # takes numpy along, which nothing else here wants

        return self.area is None or bool(shape(item["geometry"]).intersects(self.area))


class Extent(NamedTuple):
    """Where and when a map is.

    Attributes:
        seen: When the place looked so, seconds since 1970.
        bounds: West, south, east, north in degrees; None where nobody knows.
    """

    seen: float
    bounds: tuple[float, ...] | None


def search(
    services: Services, owner: str | None, wanted: Search, limit: int, after: str | None = None
) -> list[tuple[Job, Item]]:
    """At most so many jobs whose maps are wanted, newest first, each with its item.

    Args:
        services: Where jobs and their files are.
        owner: Whose; None for all.
        wanted: What they are to be.
        limit: At most so many.
        after: Id of the last job of the page before.
    """
    found: list[tuple[Job, Item]] = []
    for job in _jobs(services, owner, wanted.ids, after):
        with suppress(FileNotFoundError):  # its files were removed meanwhile
            path = _path(services, job)
            if wanted.may_find(_extent(path)) and wanted.finds(item := _read(path)):
                found.append((job, item))
        if len(found) == limit:
            break
    return found


def item_of(services: Services, job: Job) -> Item | None:
    """What a job wrote for the catalogue; None where it did not, or its files were removed."""
    if job.state is not State.SUCCESSFUL or not job.inputs.get(ASKED_FOR):
        return None
    try:
        return _read(_path(services, job))
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
                ids=ids,
                asked_for=ASKED_FOR,
            )
        yield from page
        if len(page) < _AT_ONCE:
            return
        after = page[-1].id


def _path(services: Services, job: Job) -> Path:
    assert job.result_epoch is not None
    return services.storage.here(services.storage.folder(job.id, job.result_epoch) / ITEM)


@lru_cache(_REMEMBERED)
def _extent(path: Path) -> Extent:
    item = _read(path)
    seen = datetime.fromisoformat(item["properties"]["datetime"]).timestamp()
    return Extent(seen, None if item["geometry"] is None else tuple(item["bbox"]))


def _read(path: Path) -> Item:
    item: Item = json.loads(path.read_bytes())
    return item


def _meet(one: Sequence[float], other: Sequence[float] | None) -> bool:
    """Whether two boxes do: west, south, east, north."""
    if other is None:
        return False
    across = one[0] <= other[2] and other[0] <= one[2]
    return across and one[1] <= other[3] and other[1] <= one[3]
