"""Where published data sets are to be had: addresses, sizes and licences, and how they are fetched.

Addresses are their owners' own. Where an owner wants an account, his page is told, and nothing is
fetched.
"""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mfnet.model.engine_options import require_known
from mfnet.model.errors import BadOption, DataMismatch, DiskFull
from mfnet.model.weights.download import download

Progress = Callable[[str, int, int], None]
"""Called with what is done ("NAME, downloaded"), how much of it, and of how much."""


@dataclass(frozen=True)
class Archive:
    """A ZIP archive.

    Attributes:
        url: Where it is.
        size_gb: What its owner says of its size.
        sha256: What its owner says; None where that is nothing. Each member's own checksum, which
            ZIP has, is looked at in any case.
    """

    url: str
    size_gb: float
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class PublishedData:
    """A data set that a recipe of its name trains on.

    Attributes:
        title: For people.
        home: The owner's page.
        licence: Its name, and what it asks for in a word.
        licence_url: Its text.
        archives: To be fetched; none where the owner does not hand them out freely.
        by_hand: What to do then.
    """

    title: str
    home: str
    licence: str
    licence_url: str = ""
    archives: tuple[Archive, ...] = ()
    by_hand: str = ""

    @property
    def size_gb(self) -> float:
        """Of all archives."""
        return sum(archive.size_gb for archive in self.archives)


_IGN = "https://storage.gra.cloud.ovh.net/v1/AUTH_366279ce616242ebb14161b7991a8461/defi-ia/flair_data_1"
PUBLISHED: dict[str, PublishedData] = {
    # github.com/IGNF/FLAIR, FLAIR1/flair_1.md at 30b0666: addresses and sizes, no checksums.
    "flair": PublishedData(
        "FLAIR #1, France at 0.2 m: colours, infrared, heights, 19 classes (IGN)",
        "https://ignf.github.io/FLAIR/",
        "Licence Ouverte / Open Licence 2.0 of Etalab: name the source, IGN",
        "https://github.com/etalab/licence-ouverte/blob/master/open-licence.md",
        (
            Archive(f"{_IGN}/flair_labels_train.zip", 0.485),
            Archive(f"{_IGN}/flair_1_labels_test.zip", 0.124),
            Archive(f"{_IGN}/flair_1_aerial_test.zip", 13.4),
            Archive(f"{_IGN}/flair_aerial_train.zip", 50.7),
        ),
    ),
    # The owner's page: huggingface.co/datasets/torchgeo/geonrw names it, and the licence.
    "geonrw": PublishedData(
        "GeoNRW, North Rhine-Westphalia at 1 m: colours, elevation, 10 classes",
        "https://ieee-dataport.org/open-access/geonrw",
        "Creative Commons Attribution 4.0: name the source",
        "https://creativecommons.org/licenses/by/4.0/",
        by_hand="its owner wants an account: download it there, and unpack it into data/geonrw",
    ),
    # The owner's page and the licence: the README of SynRS3D, which lists its sources.
    "dfc2019": PublishedData(
        "DFC2019 (US3D), Jacksonville and Omaha at 0.3 m: colours, heights, 5 classes",
        "https://ieee-dataport.org/open-access/data-fusion-contest-2019-dfc2019",
        "Creative Commons Attribution 4.0: name the source",
        "https://creativecommons.org/licenses/by/4.0/",
        by_hand="its owner wants an account: download Train-Track1-RGB.zip and "
        "Train-Track1-Truth.zip there, and unpack them into data/dfc2019",
    ),
}
"""By the name of the recipe, which is its `data.kind`."""


def fetch(
    name: str,
    folder: Path,
    *,
    accepted: bool,
    keep: bool = False,
    published: PublishedData | None = None,
    progress: Progress = lambda what, done, total: None,
) -> list[str]:
    """Downloads and unpacks a data set; called again, goes on where it ended.

    Args:
        name: A key of `PUBLISHED`.
        folder: Where the recipe looks for it.
        accepted: The user has accepted the licence.
        keep: Keep the archives after they were unpacked.
        published: Another source than that of the name.
        progress: See `Progress`.

    Returns:
        The archives that were unpacked by this call.

    Raises:
        BadOption: No such data set, one that cannot be fetched, or a licence that is not accepted.
        DownloadFailed: The connection; calling again resumes.
        DataMismatch: An archive is not what it should be; it is removed.
        DiskFull: The folder's disk has less room than the data take.
    """
    require_known("data set", name, PUBLISHED)
    data = published or PUBLISHED[name]
    if not data.archives:
        raise BadOption(
            f"{name} ({data.title}) cannot be fetched: {data.by_hand}: {data.home} "
            f"({data.licence}, {data.licence_url})"
        )
    if not accepted:
        raise BadOption(
            f"{name} ({data.title}; {data.size_gb:.1f} GB) is under the {data.licence} "
            f"({data.licence_url}): --accept-licence downloads it",
            option="accept_licence",
        )
    waiting = [each for each in data.archives if not _mark(folder, each).exists()]
    if waiting:
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(folder, waiting, keep=keep)
    for archive in waiting:
        path = folder / archive.name

        def downloaded(done: int, total: int, what: str = archive.name) -> None:
            progress(f"{what}, downloaded", done, total)

        download(archive.url, path, archive.sha256, downloaded, altered=DataMismatch)
        _unpack(path, folder, progress)
        _mark(folder, archive).touch()
        if not keep:
            path.unlink()
    return [archive.name for archive in waiting]


def _mark(folder: Path, archive: Archive) -> Path:
    """A file that says that an archive was unpacked."""
    return folder / f".{archive.name}.unpacked"


def _require_room(folder: Path, waiting: list[Archive], *, keep: bool) -> None:
    """Room for all that is unpacked (TIFFs hardly shrink in a ZIP), and the largest archive."""
    sizes = [archive.size_gb for archive in waiting]
    had = sum(part.stat().st_size for part in folder.glob("*.zip*")) / 1e9
    needed = sum(sizes) * (2 if keep else 1) + (0 if keep else max(sizes)) - had
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        raise DiskFull(
            f"{folder}: {free:.1f} GB are free; expected about {needed:.1f} GB for "
            f"{len(waiting)} archives and what is in them: choose another --folder",
            free_gb=round(free, 1),
            needed_gb=round(needed, 1),
        )


def _unpack(path: Path, folder: Path, progress: Progress) -> None:
    """Unpacks what is not there yet, each file whole or not at all."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            for number, member in enumerate(members, start=1):
                target = folder / member.filename
                if not (target.is_file() and target.stat().st_size == member.file_size):
                    archive.extract(member, folder)  # takes no path out of the folder; checks CRCs
                if number % 100 == 0 or number == len(members):
                    progress(f"{path.name}, unpacked", number, len(members))
    except (zipfile.BadZipFile, EOFError) as error:
        path.unlink()
        raise DataMismatch(
            f"{path}: no whole ZIP archive ({error}); removed: run the command again",
            file=str(path),
        ) from error
