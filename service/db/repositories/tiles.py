"""Labelled tiles in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from mfnet.service.db.session import clock
from mfnet.service.db.tables import Tile


class TileRepository:
    """The labelled tiles of one transaction.

    Args:
        session: An open transaction: `Database.writing()` for whatever changes a row.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, tile_id: str, owner: str, **values: Any) -> Tile:
        """Keep a tile whose label raster is written; `values` are the table's other columns.

        Raises:
            sqlalchemy.exc.IntegrityError: One of its uploads was removed meanwhile, or the same
                correction of the same job came twice at once.
        """
        now = self._session.execute(select(clock())).scalar_one()
        tile = Tile(id=tile_id, owner=owner, created=now, **values)
        self._session.add(tile)
        self._session.flush()
        return tile

    def get(self, tile_id: str, owner: str | None = None) -> Tile | None:
        """The tile, if it exists and belongs to `owner` (None: to anybody)."""
        query = select(Tile).where(Tile.id == tile_id)
        if owner is not None:
            query = query.where(Tile.owner == owner)
        return self._session.scalars(query).one_or_none()

    def corrected(self, job_id: str, request_sha256: str) -> Tile | None:
        """The tile that the same correction of the job made before."""
        query = select(Tile).where(Tile.job_id == job_id, Tile.request_sha256 == request_sha256)
        return self._session.scalars(query).one_or_none()

    def page(self, owner: str | None = None, *, limit: int = 100) -> Sequence[Tile]:
        """Tiles, newest first; of all owners where `owner` is None."""
        query = select(Tile).order_by(Tile.created.desc(), Tile.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(Tile.owner == owner)
        return self._session.scalars(query).all()

    def needing(self, upload_id: str) -> Tile | None:
        """A tile that is made of this upload."""
        made_of = or_(Tile.ortho == upload_id, Tile.height == upload_id, Tile.dtm == upload_id)
        return self._session.scalars(select(Tile).where(made_of).limit(1)).one_or_none()

    def remove(self, tile_id: str) -> None:
        """Forget the tile; its files are the caller's to remove."""
        self._session.execute(delete(Tile).where(Tile.id == tile_id))
