"""The service's files: what each is called, every name made by us, and when it is kept.

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

Paths are those of this machine's data folder. Where the files are kept in a store of objects,
`share` sends there what others need, and `here` brings what is to be opened; where the data folder
keeps them, which all share, both do nothing.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mfnet.service.domain.map_outputs import TERRAIN
from mfnet.service.errors import StoreAway
from mfnet.service.files import sidecar_files, unsettled
from mfnet.service.files.incoming import IncomingFiles
from mfnet.service.files.model_store import ModelFiles
from mfnet.service.files.store import FolderStore, Store, remove_copies
from mfnet.service.settings import Settings

_log = logging.getLogger(__name__)
PART = ".part"
REMOVED = "removed"
_LINKED = "linked"


def storage_of(settings: Settings, data_dir: Path | None = None) -> "Storage":
    """The service's files as the settings say.

    Args:
        settings: Where they are kept.
        data_dir: Folder of this process; the settings' if not given.
    """
    root = data_dir or settings.data_dir
    if settings.storage is None:
        return Storage(root)
    try:
        from mfnet.service.files.s3_store import s3_store
    except ImportError as error:
        raise ImportError("MFNET_STORAGE needs obstore: pip install 'mfnet[s3]'") from error
    return Storage(root, s3_store(settings, root.resolve()))


class Storage:
    """The data folder, and where its files are kept.

    Args:
        data_dir: Created if missing.
        store: Keeps the files; the folder itself if not given.
    """

    def __init__(self, data_dir: Path, store: Store | None = None) -> None:
        self.root = data_dir.resolve()
        self.store = store or FolderStore(self.root)
        self.models = ModelFiles(self.root / "registry", self.store)
        self.incoming = IncomingFiles(self.root / "incoming")
        self.uploads.mkdir(parents=True, exist_ok=True)
        self._jobs.mkdir(parents=True, exist_ok=True)

    @property
    def is_remote(self) -> bool:
        """What lies in the data folder is this machine's alone until it is shared."""
        return self.store.is_remote

    def share(self, *paths: Path) -> None:
        """Sends files, and all that is in folders, to where every machine finds them."""
        if self.is_remote:
            self.store.keep(*paths)

    def here(self, path: Path) -> Path:
        """Brings a file, or all that is in a folder, to this machine, as far as it is kept."""
        if self.is_remote:
            with suppress(FileNotFoundError):
                self.store.fetch(path)
        return path

    def forget_copies(self) -> None:
        """Removes what was fetched or written here of uploads, tiles and jobs: for a process whose
        folder is its own, and which needs nothing of it any more."""
        if self.is_remote:
            for name in ("uploads", "jobs", "tiles", "pictures", "evaluation"):
                remove_copies((self.root / name).glob("*"))

    def forget_idle_copies(self, idle_s: float) -> None:
        """The same of what nobody has asked for, for so many seconds; what is still on its way to
        the store stays."""
        if not self.is_remote:
            return
        before = time.time() - idle_s
        for name in ("uploads", "jobs", "tiles", "pictures", "fetching"):
            for path in (self.root / name).rglob("*"):
                first = path.relative_to(self.root / name).parts[0]
                with suppress(FileNotFoundError):
                    status = path.stat()
                    idle = path.is_file() and max(status.st_atime, status.st_mtime) < before
                    if idle and not unsettled.is_changing(self.root / name / first):
                        path.unlink()

    # ---- uploads ---------------------------------------------------------------------------

    @property
    def uploads(self) -> Path:
        """The folder of uploads."""
        return self.root / "uploads"

    def upload(self, upload_id: str) -> Path:
        """The file of an upload."""
        return self.uploads / upload_id

    def upload_here(self, upload_id: str) -> Path:
        """The file of an upload, with what stands beside it, or its folder of tiles."""
        path = self.upload(upload_id)
        if not path.is_file():  # it comes last
            self.sidecars_here(upload_id)
        return self.here(path)

    def sidecars_here(self, upload_id: str) -> Path:
        """Where the file of an upload is, or would be; what stands beside it is here."""
        path = self.upload(upload_id)
        for each in sidecar_files.beside(path):
            self.here(each)
        return path

    def share_upload(self, upload_id: str) -> None:
        """Sends an upload to where every machine finds it, with what stands beside it."""
        path = self.upload(upload_id)
        self.share(*(each for each in sidecar_files.beside(path) if each.exists()), path)

    def remove_upload(self, upload_id: str) -> None:
        """Removes an upload's file and what stands beside it, or its folder of tiles."""
        path = self.upload(upload_id)
        sidecar_files.remove(path)
        if self.is_remote:
            self.store.remove(path, *sidecar_files.beside(path))

    @contextmanager
    def changing(self, upload_id: str) -> Iterator[None]:
        """Adds the upload to disk and database, or removes it, or leaves everything as it was."""
        with unsettled.changing(self.upload(upload_id)) as mark:
            self.share(mark)
            try:
                yield
            except StoreAway:
                raise  # files may be left over, and the mark tells of them
            except BaseException:
                self._unmark(mark)
                raise
            self._unmark(mark)

    def _unmark(self, mark: Path) -> None:
        if self.is_remote:
            with suppress(StoreAway):  # a mark too many is removed an hour later
                self.store.remove(mark)

    def settle_uploads(
        self, known: Callable[[Collection[str]], Collection[str]], idle_s: float
    ) -> None:
        """Removes the files of uploads that were being changed by somebody who is gone.

        Args:
            known: Which of some ids have a row.
            idle_s: For so many seconds.
        """
        unsettled.settle(self.uploads, known, PART, idle_s)
        if not self.is_remote:
            return
        before = time.time() - idle_s
        marks = [
            each.path
            for each in self.store.found(self.uploads)
            if each.path.suffix == unsettled.MARK and each.modified < before
        ]
        there = known([mark.stem for mark in marks]) if marks else ()
        for mark in marks:
            if mark.stem not in there:
                self.remove_upload(mark.stem)
            self.store.remove(mark)

    # ---- labelled tiles --------------------------------------------------------------------

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
        self.store.remove(self.tile(tile_id))

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
        return self.store.create(self.link_secret_file, secrets.token_bytes(32))

    # ---- jobs ------------------------------------------------------------------------------

    def jobs(self) -> list[str]:
        """Ids of the jobs that have files."""
        return sorted(self.contents())

    def contents(self) -> dict[str, set[str]]:
        """What there is of each job that has files: names of its attempts' folders, and others."""
        if not self.is_remote:
            return {
                each.name: {one.name for one in each.glob("*")} for each in self._jobs.glob("*")
            }
        found: dict[str, set[str]] = {}
        for each in self.store.found(self._jobs):
            job_id, name, *_ = each.path.relative_to(self._jobs).parts
            found.setdefault(job_id, set()).add(name)
        return found

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
        """The training run of the newest attempt before `epoch`, brought here."""
        runs = self.store.folders(self._jobs / job_id / "run")
        epochs = [int(folder.name) for folder in runs if folder.name.isdecimal()]
        before = max((n for n in epochs if n < epoch), default=None)
        return None if before is None else self.here(self.run(job_id, before))

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
        self.store.remove(self.pictures(owner_id))

    @property
    def scenes(self) -> Path:
        """Where whoever runs the service puts evaluation scenes."""
        return self.root / "evaluation"

    def begin(self, job_id: str, epoch: int) -> Path:
        """An empty folder for attempt `epoch`."""
        folder = self.folder(job_id, epoch)
        folder.mkdir(parents=True)
        return folder

    def results_here(self, job_id: str, epoch: int) -> Path:
        """The folder of what attempt `epoch` wrote, with all its files."""
        return self.here(self.folder(job_id, epoch))

    def result_names(self, job_id: str, epoch: int) -> list[str]:
        """Names of the files that attempt `epoch` wrote, whether they are here or not."""
        return [each.path.name for each in self.store.found(self.folder(job_id, epoch))]

    def share_parts(self, job_id: str) -> None:
        """Sends the finished parts that are here to where whoever joins them finds them."""
        if not self.is_remote:
            return
        folder = self.parts(job_id)
        there = {each.path for each in self.store.found(folder)}
        hidden = (part for part in folder.rglob(".*") if part.is_dir())  # not whole yet
        unfinished = {file for part in hidden for file in part.rglob("*")}
        files = {file for file in folder.rglob("*") if file.is_file()}
        self.store.keep(*sorted(files - there - unfinished))

    def seal(self, job_id: str, epoch: int) -> None:
        """Make what the attempt wrote survive this machine, before the database names it."""
        self.store.keep(self.folder(job_id, epoch))

    def link_results(self, job_id: str, epoch: int, to_job: str) -> bool:
        """Gives a job what attempt `epoch` of another wrote, as its first attempt; False where
        that is being removed. No result is ever written to again.

        A mark tells that the files were there before the job's row: see `linked`."""
        folder = self.begin(to_job, 1)
        (folder.parent / _LINKED).touch()
        self.share(folder.parent / _LINKED)
        try:
            names = self.result_names(job_id, epoch)
            for name in names:
                self.store.copy(self.folder(job_id, epoch) / name, folder / name)
        except FileNotFoundError:
            names = []
        if not names:
            self.keep_only(to_job, None)
            return False
        if not self.is_remote:
            self.seal(to_job, 1)
        return True

    def linked(self, idle_s: float) -> list[str]:
        """The jobs whose results were linked so many seconds ago; a row should be there by now."""
        before = time.time() - idle_s
        if self.is_remote:
            marks = (each for each in self.store.found(self._jobs) if each.path.name == _LINKED)
            return [each.path.parent.name for each in marks if each.modified < before]
        found = []
        for mark in self._jobs.glob(f"*/{_LINKED}"):
            with suppress(FileNotFoundError):  # another worker has settled it
                if mark.stat().st_mtime < before:
                    found.append(mark.parent.name)
        return found

    def settle_linked(self, job_id: str) -> None:
        """Takes note that the row of a job with linked results is there."""
        self.store.remove(self._jobs / job_id / _LINKED)

    def discard(self, job_id: str, epoch: int) -> None:
        """Remove what attempt `epoch` wrote; what a store keeps that is away goes with the job."""
        with _removed_later(job_id):
            self.store.remove(self.folder(job_id, epoch))

    def mark_removed(self, job_id: str) -> None:
        """Take note that the job's row goes now, and its files with it."""
        folder = self._jobs / job_id
        if self.is_remote:
            folder.mkdir(exist_ok=True)
        if folder.is_dir():
            (folder / REMOVED).touch()
            self.share(folder / REMOVED)

    def keep_only(self, job_id: str, epoch: int | None) -> None:
        """Remove parts and attempts of the job, but for one attempt, if `epoch` is not None.

        Of a store that is away the workers remove them later.
        """
        with _removed_later(job_id):
            self._keep_only(job_id, epoch)

    def _keep_only(self, job_id: str, epoch: int | None) -> None:
        job = self._jobs / job_id
        others = [each for each in self.store.folders(job) if each.name != str(epoch)]
        if others:
            self.store.remove(*others)
        if self.is_remote:
            remove_copies(each for each in job.glob("*") if each.name != str(epoch))
        if epoch is None:
            self.store.remove(job)
            self.remove_pictures(job_id)

    @property
    def _jobs(self) -> Path:
        return self.root / "jobs"


@contextmanager
def _removed_later(job_id: str) -> Iterator[None]:
    try:
        yield
    except StoreAway as error:
        _log.warning("job %s: files that nobody needs stay for now: %s", job_id, error)
