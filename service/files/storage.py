"""The service's files: one folder, every name in it made by us.

    uploads/<upload id>           what was sent; with .part behind it while it arrives (`unsettled`
                                  tells of what else may stand beside it); a folder of tiles where
                                  several files are one raster (`tile_folders`)
    incoming/<upload id>/         what has come so far of an upload in pieces
    jobs/<job id>/<epoch>/        what one attempt wrote; the job's row names the one that counts
    jobs/<job id>/parts/          finished rows of a job that is cut, until it has come to its end
    jobs/<job id>/removed         the row goes, and all of this after it
    jobs/<job id>/run/<epoch>/    what one attempt at a retraining goes on from
    pictures/<id>/                a job or an upload drawn for the page; made again where missing
    tiles/<tile id>/labels.tif    what a correction of a map says, with its sidecars
    tiles/<tile id>/dtm.tif       the terrain of that map, where it was derived
    link_secret                   signs links that need no key
    registry/<sha256>.safetensors the registry's models (models/ is for what people bring, often)

An attempt has a folder of its own, so one that was taken over and wakes up again cannot touch
another's bytes. Nothing is a result until the database says so.
"""

import secrets
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from mfnet.service.domain.map_outputs import TERRAIN
from mfnet.service.files.incoming import IncomingFiles
from mfnet.service.files.model_store import ModelFiles
from mfnet.service.files.sync import link_or_copy, publish_once, sync

PART = ".part"
_REMOVED = "removed"
_LINKED = "linked"


class Storage:
    """The data folder.

    Args:
        data_dir: Created if missing.
    """

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.resolve()
        self.models = ModelFiles(self.root / "registry")
        self.incoming = IncomingFiles(self.root / "incoming")
        self.uploads.mkdir(parents=True, exist_ok=True)
        self._jobs.mkdir(parents=True, exist_ok=True)

    @property
    def uploads(self) -> Path:
        """The folder of uploads."""
        return self.root / "uploads"

    def upload(self, upload_id: str) -> Path:
        """The file of an upload."""
        return self.uploads / upload_id

    def tile(self, tile_id: str) -> Path:
        """The folder of a labelled tile."""
        return self.root / "tiles" / tile_id

    def labels(self, tile_id: str) -> Path:
        """The label raster of a tile, on its orthophoto's grid."""
        return self.tile(tile_id) / "labels.tif"

    def derived_terrain(self, tile_id: str) -> Path:
        """The terrain model of a tile whose job derived it."""
        return self.tile(tile_id) / TERRAIN

    def remove_tile(self, tile_id: str) -> None:
        """Remove the files of a tile."""
        shutil.rmtree(self.tile(tile_id), ignore_errors=True)

    def remove_parts(self, idle_s: float) -> None:
        """Remove uploads and models that never came whole, and got no byte for `idle_s` seconds."""
        for part in (*self.uploads.glob(f"*{PART}"), *self.models.parts()):
            try:
                if part.stat().st_mtime < time.time() - idle_s:
                    part.unlink()
            except FileNotFoundError:
                continue  # it came whole just now, or its sender gave up

    @property
    def link_secret_file(self) -> Path:
        """Where `link_secret` lies, once somebody has asked for it."""
        return self.root / "link_secret"

    def link_secret(self) -> bytes:
        """What links without a key are signed with; made by whoever asks first."""
        path = self.link_secret_file
        if not path.exists():
            part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PART}")
            part.touch(mode=0o600)
            part.write_bytes(secrets.token_bytes(32))
            publish_once(part, path)
            part.unlink(missing_ok=True)
        return path.read_bytes()

    def jobs(self) -> list[str]:
        """Ids of the jobs that have files."""
        return [folder.name for folder in self._jobs.iterdir()]

    def folder(self, job_id: str, epoch: int) -> Path:
        """What attempt `epoch` of the job writes or has written."""
        return self._jobs / job_id / str(epoch)

    def parts(self, job_id: str) -> Path:
        """Where workers put finished parts, for whichever attempt comes to join them."""
        return self._jobs / job_id / "parts"

    def run(self, job_id: str, epoch: int) -> Path:
        """The training run of attempt `epoch`; the next one takes over what is in it."""
        return self._jobs / job_id / "run" / str(epoch)

    def run_before(self, job_id: str, epoch: int) -> Path | None:
        """The training run of the newest attempt before `epoch`."""
        epochs = [int(folder.name) for folder in (self._jobs / job_id / "run").glob("[0-9]*")]
        before = max((n for n in epochs if n < epoch), default=None)
        return None if before is None else self.run(job_id, before)

    def labelled(self, job_id: str) -> Path:
        """The manifest's folder of the tiles that a retraining takes."""
        return self._jobs / job_id / "tiles"

    def pictures(self, owner_id: str) -> Path:
        """The folder of the pictures of a job or an upload; there once they are whole."""
        return self.root / "pictures" / owner_id

    def preview(self, job_id: str) -> Path:
        """Where workers put pictures of finished rows; they stay as long as the job's pictures."""
        return self.pictures(job_id) / "rows"

    def remove_pictures(self, owner_id: str) -> None:
        """Remove the pictures of a job or an upload."""
        shutil.rmtree(self.pictures(owner_id), ignore_errors=True)

    @property
    def scenes(self) -> Path:
        """Where whoever runs the service puts evaluation scenes."""
        return self.root / "evaluation"

    def begin(self, job_id: str, epoch: int) -> Path:
        """An empty folder for attempt `epoch`."""
        folder = self.folder(job_id, epoch)
        folder.mkdir(parents=True)
        return folder

    def seal(self, job_id: str, epoch: int) -> None:
        """Make what the attempt wrote survive a power cut, before the database names it."""
        folder = self.folder(job_id, epoch)
        for path in (*folder.iterdir(), folder, folder.parent, self._jobs):
            sync(path)

    def link_results(self, job_id: str, epoch: int, to_job: str) -> bool:
        """Gives a job what attempt `epoch` of another wrote, as its first attempt; False where
        that is being removed. No result is ever written to again.

        A mark tells that the files were there before the job's row: see `linked`."""
        folder = self.begin(to_job, 1)
        (folder.parent / _LINKED).touch()
        try:
            for path in self.folder(job_id, epoch).iterdir():
                link_or_copy(path, folder / path.name)
        except FileNotFoundError:
            self.keep_only(to_job, None)
            return False
        self.seal(to_job, 1)
        return True

    def linked(self, idle_s: float) -> list[str]:
        """The jobs whose results were linked so many seconds ago; a row should be there by now."""
        found = []
        for mark in self._jobs.glob(f"*/{_LINKED}"):
            with suppress(FileNotFoundError):  # another worker has settled it
                if mark.stat().st_mtime < time.time() - idle_s:
                    found.append(mark.parent.name)
        return found

    def settle_linked(self, job_id: str) -> None:
        """Takes note that the row of a job with linked results is there."""
        (self._jobs / job_id / _LINKED).unlink(missing_ok=True)

    def discard(self, job_id: str, epoch: int) -> None:
        """Remove what attempt `epoch` wrote."""
        shutil.rmtree(self.folder(job_id, epoch), ignore_errors=True)

    def mark_removed(self, job_id: str) -> None:
        """Take note that the job's row goes now, and its files with it."""
        if (self._jobs / job_id).is_dir():
            (self._jobs / job_id / _REMOVED).touch()

    def is_removed(self, job_id: str) -> bool:
        """Whether somebody has begun to remove the job."""
        return (self._jobs / job_id / _REMOVED).exists()

    def keep_only(self, job_id: str, epoch: int | None) -> None:
        """Remove parts and attempts of the job, but for one attempt, if `epoch` is not None."""
        for folder in (self._jobs / job_id).glob("*"):
            if folder.name != str(epoch):
                shutil.rmtree(folder, ignore_errors=True)
        if epoch is None:
            shutil.rmtree(self._jobs / job_id, ignore_errors=True)
            self.remove_pictures(job_id)

    @property
    def _jobs(self) -> Path:
        return self.root / "jobs"
