"""Files of which no row speaks, and which nobody is about to enter.

What a killed process left is removed by the workers, as far as the database knows of it. What it
does not know stays, since the database may be the wrong one or an older backup: here somebody looks
at the list and decides.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from mfnet.service.db.session import Database
from mfnet.service.db.tables import Job, Model, Tile, Upload
from mfnet.service.files.storage import Storage

_FOLDERS = ("uploads", "jobs", "pictures", "tiles", "registry")


class Orphan(NamedTuple):
    """A file or folder that belongs to nothing.

    Attributes:
        path: Of it.
        bytes: That removing it gives back, at most: a file may have other names.
    """

    path: Path
    bytes: int

    def remove(self, storage: Storage) -> None:
        """Remove it, with all that is in it."""
        storage.store.remove(self.path)


def orphans(database: Database, storage: Storage, idle_s: float) -> list[Orphan]:
    """What belongs to nothing and has not been touched for a while.

    Args:
        database: The truth.
        storage: The data folder.
        idle_s: A file lies in its place before its row is committed; a day is plenty.
    """
    # The files first: what comes between the two is younger than `idle_s`.
    there = _kept(storage) if storage.is_remote else dict.fromkeys(_there(storage))
    with database.snapshot() as session:
        known = {
            "uploads": set(session.scalars(select(Upload.id))),
            "jobs": set(session.scalars(select(Job.id))),
            "pictures": {*session.scalars(select(Job.id)), *session.scalars(select(Upload.id))},
            "tiles": set(session.scalars(select(Tile.id))),
            "registry": set(session.scalars(select(Model.sha256))),
        }
    before = time.time() - idle_s
    lost = [path for path in there if _owner(path) not in known[path.parent.name]]
    sized = ((path, *(there[path] or _newest_and_size(path))) for path in lost)
    return [Orphan(path, size) for path, newest, size in sized if newest < before]


def _kept(storage: Storage) -> dict[Path, tuple[float, int] | None]:
    """What there is in a store of objects: the newest of its files, and their bytes in all."""
    found: dict[Path, tuple[float, int] | None] = {}
    for name in _FOLDERS:
        folder = storage.root / name
        for each in storage.store.found(folder):
            path = folder / each.path.relative_to(folder).parts[0]
            newest, size = found.get(path) or (0.0, 0)
            found[path] = (max(newest, each.modified), size + each.bytes)
    return found


def _there(storage: Storage) -> Iterator[Path]:
    for name in _FOLDERS:
        folder = storage.root / name
        yield from sorted(folder.iterdir()) if folder.is_dir() else ()


def _owner(path: Path) -> str:
    """The id that the name of a file or folder begins with; ids have no dots."""
    return path.name.partition(".")[0]


def _newest_and_size(path: Path) -> tuple[float, int]:
    files = [path, *(path.rglob("*") if path.is_dir() else ())]
    stats = [file.lstat() for file in files if file.exists()]
    newest = max((stat.st_mtime for stat in stats), default=time.time())
    return newest, sum(stat.st_size for stat in stats)
