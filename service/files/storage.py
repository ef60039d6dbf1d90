"""The service's files: one folder, every name in it made by us.

    uploads/<upload id>           what was sent; with .part behind it while it arrives
    jobs/<job id>/<epoch>/        what one attempt wrote; the job's row names the one that counts
    jobs/<job id>/parts/          finished rows of a job that is cut, until it has come to its end
    jobs/<job id>/run/<epoch>/    what one attempt at a retraining goes on from
    tiles/<tile id>/labels.tif    what a correction of a map says, with its sidecars
    registry/<sha256>.safetensors the registry's models (models/ is for what people bring, often)

An attempt has a folder of its own, so one that was taken over and wakes up again cannot touch
another's bytes. Nothing is a result until the database says so.
"""

import shutil
import time
from pathlib import Path

from mfnet.service.files.model_store import ModelFiles
from mfnet.service.files.sync import sync

PART = ".part"


class Storage:
    """The data folder.

    Args:
        data_dir: Created if missing.
    """

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.resolve()
        self.models = ModelFiles(self.root / "registry")
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

    def discard(self, job_id: str, epoch: int) -> None:
        """Remove what attempt `epoch` wrote."""
        shutil.rmtree(self.folder(job_id, epoch), ignore_errors=True)

    def keep_only(self, job_id: str, epoch: int | None) -> None:
        """Remove parts and attempts of the job, but for one attempt, if `epoch` is not None."""
        for folder in (self._jobs / job_id).glob("*"):
            if folder.name != str(epoch):
                shutil.rmtree(folder, ignore_errors=True)
        if epoch is None:
            shutil.rmtree(self._jobs / job_id, ignore_errors=True)

    @property
    def _jobs(self) -> Path:
        return self.root / "jobs"
