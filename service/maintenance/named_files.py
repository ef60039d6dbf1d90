"""Which files the rows of the database speak of.

Such a file is never written to again: it was there, whole, before its row was committed, and it is
removed after its row. So as long as a row is there, its files are whole.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mfnet.service.db.tables import Job, Model, Tile, Upload
from mfnet.service.files import sidecar_files
from mfnet.service.files.storage import Storage
from mfnet.service.files.store import Store


class Named(NamedTuple):
    """What a row speaks of.

    Attributes:
        what: The row, for people to read.
        paths: Files, or folders with all that is in them; they must be there.
        maybe: The same, which need not be there.
        stands: Whether the row is still there.
    """

    what: str
    paths: tuple[Path, ...]
    maybe: tuple[Path, ...]
    stands: Callable[[Session], bool]

    def files(self, store: Store) -> Iterator[Path]:
        """All files, those of folders among them.

        Raises:
            FileNotFoundError: One that must be there is not.
        """
        for path in self.paths:
            inside = [each.path for each in store.found(path)]
            yield from inside
            if not inside and not path.is_dir():
                yield store.stat(path).path
        for path in self.maybe:
            with suppress(FileNotFoundError):
                yield store.stat(path).path


def named(session: Session, storage: Storage) -> Iterator[Named]:
    """What each row of uploads, finished jobs, labelled tiles and models speaks of."""
    for upload in session.scalars(select(Upload.id)):
        file = storage.upload(upload)
        yield Named(
            f"upload {upload}", (file,), tuple(sidecar_files.beside(file)), _row(Upload, upload)
        )
    for job, epoch in session.execute(select(Job.id, Job.result_epoch)):
        if epoch is not None:
            yield Named(f"job {job}", (storage.folder(job, epoch),), (), _row(Job, job))
    for tile in session.scalars(select(Tile.id)):
        yield Named(f"tile {tile}", (storage.tile(tile),), (), _row(Tile, tile))
    for sha256 in session.scalars(select(Model.sha256).distinct()):
        file = storage.models.path(sha256)
        yield Named(f"model {sha256[:12]}", (file,), (file.with_suffix(".onnx"),), lambda _: True)


def _row(table: type[Upload | Job | Tile], row_id: str) -> Callable[[Session], bool]:
    return lambda session: session.get(table, row_id) is not None
