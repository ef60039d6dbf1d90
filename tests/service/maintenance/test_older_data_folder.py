"""A data folder that an earlier release has worked in, kept as it was, opens with today's program.

`support/deployments/data-folder-0005.tar.gz` was made by `mfnet serve` with tables of version 0005:
a key, a pair and a polygon as uploads, a map by the model `rule`, a correction of it, and a job
that nobody has begun. Add another one for each release; never make these anew.
"""

import io
import tarfile
from pathlib import Path

import pytest

from mfnet.service.db.repositories.jobs import JobRepository
from mfnet.service.db.repositories.keys import KeyRepository
from mfnet.service.db.repositories.stalled_jobs import Backlog
from mfnet.service.db.session import Database
from mfnet.service.domain.job import State
from mfnet.service.files.model_store import digest
from mfnet.service.files.storage import Storage
from mfnet.service.maintenance import backup, restore
from mfnet.service.maintenance.named_files import named

FOLDERS = sorted((Path(__file__).parents[2] / "support/deployments").glob("data-folder-*.tar.gz"))
KEY = "mfn_0GaO2oWla__nryRFy6Hc3EATN9ZAUJ2oy2m5yJrQxvA"  # of that folder alone
MAP_SHA256 = "54a29a2fe1ff232aa9d3acd1a1669d80d660a7001a119f3ee370418948fffb15"


def check(database: Database, storage: Storage) -> None:
    """All that its user had is there, and the job that waits is taken."""
    with database.reading() as session:
        holder = KeyRepository(session).find(KEY)
        assert holder is not None
        jobs = JobRepository(session).page(holder.owner, limit=10)
        for each in named(session, storage):
            assert list(each.files(storage.store)), each.what
        (waiting,) = Backlog(session).due()
    assert {job.state for job in jobs} == {State.ACCEPTED, State.SUCCESSFUL}
    done = next(job for job in jobs if job.result_epoch is not None)
    assert done.result_epoch is not None
    the_map = storage.folder(done.id, done.result_epoch) / "classes.tif"
    assert digest(the_map) == MAP_SHA256
    with database.writing() as session:
        assert JobRepository(session).claim(waiting, "w", 60, 3) is not None


@pytest.mark.parametrize("archive", FOLDERS, ids=lambda path: path.name)
def test_a_data_folder_of_an_earlier_release_goes_on(tmp_path: Path, archive: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    database, storage = (
        Database(f"sqlite:///{tmp_path}/data/mfnet.sqlite3"),
        Storage(tmp_path / "data"),
    )
    database.upgrade()
    assert database.is_newest()
    saved = io.BytesIO()
    backup.back_up(database, storage, tmp_path / "models", saved)
    check(database, storage)
    database.close()
    other, elsewhere = Database(f"sqlite:///{tmp_path}/other.sqlite3"), Storage(tmp_path / "other")
    saved.seek(0)
    assert restore.restore(other, elsewhere, tmp_path / "models", saved).rows["tiles"] == 1
    check(other, elsewhere)
    other.close()
