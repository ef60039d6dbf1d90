"""Files in a store that speaks S3, by obstore: see `Store` for what each method promises.

What is sent carries a checksum that the store compares. Requests that fail are sent again for some
minutes (5xx, connections that end); an answer that ends early is gone on with where it ended. Large
files go in pieces, and appear when the last one has come. Of a process that is killed meanwhile the
pieces stay, unseen: have the bucket remove incomplete multipart uploads after a day.
"""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import S3Store as Bucket

from mfnet.service.errors import StoreAway
from mfnet.service.files.store import BLOCK_BYTES, Kept, remove_copies
from mfnet.service.settings import Settings

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Config

_PIECE_BYTES = 8 << 20
_MOST_PIECES = 9_000  # S3 takes 10,000
_MOST_COPIED_BYTES = 5 * 10**9  # S3 copies no more by itself
_AT_ONCE = 8
_TRIES = 5
"""Without a byte more."""
_QUICK_S = 5
"""Has it taken longer, obstore has tried for long enough."""
_LISTED = 1000
_Answer = TypeVar("_Answer")
_FETCHING = "fetching"
_RETRY_S = 30
"""For one request; a worker then asks again, for as long as it takes, and an API says so."""


def s3_store(settings: Settings, root: Path) -> "S3Store":
    """The store that the settings name.

    Args:
        settings: With `storage`.
        root: The data folder of this machine.
    """
    assert settings.storage is not None
    name, _, prefix = settings.storage.removeprefix("s3://").partition("/")
    given: S3Config = {
        "region": settings.storage_region,
        "checksum_algorithm": "SHA256",
        "virtual_hosted_style_request": False,
    }
    if settings.storage_endpoint is not None:
        given["endpoint"] = settings.storage_endpoint.rstrip("/")
    if settings.storage_key_id is not None and settings.storage_secret is not None:
        given["access_key_id"] = settings.storage_key_id
        given["secret_access_key"] = settings.storage_secret
    bucket = Bucket(
        name,
        prefix=prefix or None,
        config=given,
        client_options={"allow_http": True, "connect_timeout": timedelta(seconds=5)},
        retry_config={"retry_timeout": timedelta(seconds=_RETRY_S)},
    )
    return S3Store(root, bucket)


class S3Store:
    """A bucket, or what is below a prefix of it, as the place where files are kept.

    Args:
        root: The data folder of this machine.
        bucket: obstore's; the prefix is its own.
    """

    is_remote = True

    def __init__(self, root: Path, bucket: Bucket) -> None:
        self._root = root
        self._bucket = bucket

    def keep(self, *paths: Path) -> None:
        """See `Store`."""
        files = [file for path in paths for file in _files(path)]
        _all(self._put, files)

    def create(self, path: Path, content: bytes) -> bytes:
        """See `Store`."""
        try:
            return b"".join(self.read(path))
        except FileNotFoundError:
            pass
        key = self._key(path)
        with suppress(AlreadyExistsError):
            _ask(path, lambda: obstore.put(self._bucket, key, content, mode="create"))
        return b"".join(self.read(path))  # of a store that knows no condition: the last one's

    def fetch(self, path: Path) -> Path:
        """See `Store`. A file that is here is not asked for again: it cannot have changed."""
        if path.is_file():
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))  # for `CopiesOnDisk`
            return path
        if not path.is_dir():
            try:
                self._get(path)
            except FileNotFoundError:
                if path.suffix:  # no folder of ours has one
                    raise
            else:
                return path
        there = [each.path for each in self.found(path)]
        if not there and not path.is_dir():
            raise FileNotFoundError(path)
        _all(self._get, [each for each in there if not each.exists()])
        return path

    def stat(self, path: Path) -> Kept:
        """See `Store`."""
        kept = self._head(path)
        return Kept(path, kept["size"], int(kept["last_modified"].timestamp()))

    def found(self, folder: Path) -> Iterator[Kept]:
        """See `Store`."""
        listed = _ask(folder, lambda: self._listed(folder))
        for each in sorted(listed, key=lambda each: each["path"]):
            path = self._root / each["path"]
            yield Kept(path, each["size"], each["last_modified"].timestamp())

    def folders(self, folder: Path) -> list[Path]:
        """See `Store`."""
        key = self._key(folder)
        listed = _ask(folder, lambda: obstore.list_with_delimiter(self._bucket, key))
        return sorted(self._root / name for name in listed["common_prefixes"])

    def copy(self, source: Path, target: Path) -> None:
        """See `Store`: in the store, not through this machine, as far as it can."""
        if self._head(source)["size"] <= _MOST_COPIED_BYTES:
            keys = self._key(source), self._key(target)
            _ask(source, lambda: obstore.copy(self._bucket, *keys))
            return
        self.fetch(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        self.keep(target)

    def remove(self, *paths: Path) -> None:
        """See `Store`; copies on this machine go, too."""
        keys = [self._key(each.path) for path in paths for each in self.found(path)]
        keys += [self._key(path) for path in paths]
        for first in range(0, len(keys), _LISTED):
            some = keys[first : first + _LISTED]
            with suppress(FileNotFoundError):
                _ask(paths[0], partial(obstore.delete, self._bucket, some))
        remove_copies(paths)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """See `Store`."""
        kept = self._head(path)
        yield from self._stream(path, start, kept["size"] if stop is None else stop, kept["e_tag"])

    def link(self, path: Path, seconds: float) -> str | None:
        """See `Store`."""
        span = timedelta(seconds=seconds)
        return _ask(path, lambda: obstore.sign(self._bucket, "GET", self._key(path), span))

    # ---- below -----------------------------------------------------------------------------

    def _put(self, path: Path) -> None:
        """One file; here it gets the time that the store gives it, as it has wherever it is
        fetched: workers tell by it whether they have the same."""
        size = path.stat().st_size
        _ask(path, lambda: self._send(path, size))
        kept = self._head(path)
        if kept["size"] != size:
            raise StoreAway(
                f"{path.name}: the store has {kept['size']} bytes of {size}; is it one that speaks "
                "S3 in whole?"
            )
        _set_time(path, kept)

    def _send(self, path: Path, size: int) -> None:
        kind, _ = guess_type(path.name)
        try:
            obstore.put(
                self._bucket,
                self._key(path),
                path,
                attributes={"Content-Type": kind or "application/octet-stream"},
                chunk_size=max(_PIECE_BYTES, -(-size // _MOST_PIECES)),
                max_concurrency=4,
            )
        except FileNotFoundError as error:
            # No such bucket; or the pieces are one file already, and the answer to that was cut.
            raise GenericError(str(error)) from error

    def _head(self, path: Path) -> "ObjectMeta":
        return _ask(path, lambda: obstore.head(self._bucket, self._key(path)))

    def _listed(self, folder: Path) -> "list[ObjectMeta]":
        chunks = obstore.list(self._bucket, self._key(folder), chunk_size=_LISTED)
        return [each for chunk in chunks for each in chunk]

    def _get(self, path: Path) -> None:
        """One file; it appears whole."""
        kept = self._head(path)
        fetching = self._root / _FETCHING
        fetching.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = fetching / uuid.uuid4().hex
        try:
            with part.open("wb") as file:
                for block in self._stream(path, 0, kept["size"], kept["e_tag"]):
                    file.write(block)
            _set_time(part, kept)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)

    def _stream(self, path: Path, start: int, stop: int, e_tag: str | None) -> Iterator[bytes]:
        """A range of a file, gone on with where an answer ends early."""
        tries = 0
        while start < stop:
            began = start
            try:
                got = obstore.get(
                    self._bucket,
                    self._key(path),
                    options={"range": (start, stop), "if_match": e_tag},
                )
                for block in got.stream(min_chunk_size=BLOCK_BYTES):
                    yield (data := bytes(block))
                    start += len(data)
            except FileNotFoundError:
                raise
            except BaseError as error:
                tries = 0 if start > began else tries + 1
                if tries == _TRIES:
                    raise _away(path, error) from error
            else:
                if start == began:
                    raise StoreAway(f"{path.name}: the store's answer ends at byte {start}")

    def _key(self, path: Path) -> str:
        return "" if path == self._root else path.relative_to(self._root).as_posix()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    return [path]


def _all(do: Callable[[Path], None], paths: Sequence[Path]) -> None:
    """A few at a time; the first failure is raised when those under way are done."""
    if len(paths) < 2:
        for path in paths:
            do(path)
        return
    with ThreadPoolExecutor(min(_AT_ONCE, len(paths))) as pool:
        for _ in pool.map(do, paths):
            pass


def _set_time(path: Path, kept: "ObjectMeta") -> None:
    """Whole seconds: more of them a store tells in one answer and not in another."""
    modified = int(kept["last_modified"].timestamp())
    os.utime(path, ns=(time.time_ns(), modified * 10**9))


def _ask(path: Path, question: Callable[[], _Answer]) -> _Answer:
    """What the store answers; asked again where an answer was cut, which obstore does not do.

    Raises:
        FileNotFoundError, AlreadyExistsError: As the question does.
        StoreAway: It fails otherwise.
    """
    for left in reversed(range(_TRIES)):
        began = time.monotonic()
        try:
            return question()
        except AlreadyExistsError:
            raise
        except BaseError as error:
            if not left or time.monotonic() - began > _QUICK_S:
                raise _away(path, error) from error
    raise AssertionError


def _away(path: Path, error: Exception) -> StoreAway:
    return StoreAway(f"{path.name}: the store does not do what it is asked: {str(error)[:500]}")
