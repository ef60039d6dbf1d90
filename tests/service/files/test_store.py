"""What `Store` promises, of the folder and of a store that speaks S3; and that one under faults."""

import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from faulty_relay import FAULTS, FaultyRelay
from obstore.store import S3Store as Bucket
from s3_server import s3rver

from mfnet.service.errors import StoreAway
from mfnet.service.files.s3_store import S3Store, s3_store
from mfnet.service.files.store import FolderStore, Store
from mfnet.service.settings import Settings

LARGE = random.Random(1).randbytes((17 << 20) + 5)
"""In three pieces."""


def settings_for(address: str, name: str) -> Settings:
    return Settings(
        storage=f"s3://bucket/{name}",
        storage_endpoint=address,
        storage_key_id="S3RVER",
        storage_secret="S3RVER",
    )


@pytest.fixture(scope="session")
def other_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store of another make."""
    with s3rver(tmp_path_factory.mktemp("s3rver")) as address:
        yield address


@pytest.fixture(params=["folder", "s3", "other_s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store on `tmp_path`."""
    if request.param == "folder":
        return FolderStore(tmp_path)
    return s3_store(settings_for(request.getfixturevalue(request.param), tmp_path.name), tmp_path)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def lose_copies(store: Store, *paths: Path) -> None:
    """As on another machine."""
    for path in paths if store.is_remote else ():
        path.unlink()


def test_what_is_kept_is_there_on_every_machine(store: Store, tmp_path: Path) -> None:
    large, small = write(tmp_path / "uploads/a", LARGE), write(tmp_path / "jobs/j/1/b.tif", b"map")
    empty = write(tmp_path / "jobs/j/1/deep/empty", b"")
    store.keep(large, tmp_path / "jobs/j/1")
    kept = {each.path: each.bytes for each in store.found(tmp_path / "jobs")}
    assert kept == {small: 3, empty: 0}
    modified = [path.stat().st_mtime for path in (large, small)]
    lose_copies(store, large, small, empty)
    if store.is_remote:
        (tmp_path / "jobs").rename(tmp_path / "elsewhere")
    assert store.fetch(large).read_bytes() == LARGE
    assert [path.name for path in sorted(store.fetch(tmp_path / "jobs/j/1").iterdir())] == [
        "b.tif",
        "deep",
    ]
    assert small.read_bytes() == b"map"
    assert [path.stat().st_mtime for path in (large, small)] == modified  # told apart by it
    assert [store.stat(path).modified for path in (large, small)] == modified
    assert store.stat(large).bytes == len(LARGE)
    assert b"".join(store.read(large)) == LARGE
    assert b"".join(store.read(large, 7, 1 << 21)) == LARGE[7 : 1 << 21]
    assert not list(tmp_path.glob("fetching/*"))


def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    assert list(store.found(tmp_path / "folder")) == store.folders(tmp_path / "folder") == []
    store.remove(tmp_path / "a", tmp_path / "folder")
    for ask in (store.fetch, store.keep, store.stat, lambda path: list(store.read(path))):
        with pytest.raises(FileNotFoundError):
            ask(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        store.copy(tmp_path / "a", tmp_path / "b")
    assert list(store.found(tmp_path)) == []


def test_what_is_removed_is_gone_and_its_neighbours_stay(store: Store, tmp_path: Path) -> None:
    names = ("jobs/j/1/a", "jobs/j/2/a", "jobs/jj/1/a", "uploads/u", "uploads/u.tfw", "uploads/uu")
    files = [write(tmp_path / name, name.encode()) for name in names]
    store.keep(*files)
    assert [path.name for path in store.folders(tmp_path / "jobs/j")] == ["1", "2"]
    store.copy(files[1], tmp_path / "jobs/k/1/a")
    store.remove(tmp_path / "jobs/j", tmp_path / "uploads/u")
    found = {each.path.relative_to(tmp_path).as_posix() for each in store.found(tmp_path)}
    assert found == {"jobs/jj/1/a", "jobs/k/1/a", "uploads/u.tfw", "uploads/uu"}
    assert not files[0].exists()
    assert b"".join(store.read(tmp_path / "jobs/k/1/a")) == b"jobs/j/2/a"


def test_of_two_who_create_a_file_one_is_first(store: Store, tmp_path: Path) -> None:
    assert store.create(tmp_path / "secret", b"first") == b"first"
    assert store.create(tmp_path / "secret", b"second") == b"first"


def test_a_store_of_objects_gives_links(s3: str, tmp_path: Path) -> None:
    store = s3_store(settings_for(s3, tmp_path.name), tmp_path)
    store.keep(write(tmp_path / "classes.tif", b"map"))
    link = store.link(tmp_path / "classes.tif", 60)
    assert link is not None
    answer = httpx.get(link, headers={"Range": "bytes=1-"})
    assert (answer.status_code, answer.content) == (206, b"ap")
    assert answer.headers["content-type"] == "image/tiff"
    assert FolderStore(tmp_path).link(tmp_path / "classes.tif", 60) is None


@pytest.mark.parametrize("fault", FAULTS)
def test_under_faults_the_bytes_are_the_same_and_nothing_is_left_over(
    fault: str, relay: FaultyRelay, s3: str, tmp_path: Path
) -> None:
    store = s3_store(settings_for(relay.address, tmp_path.name), tmp_path)
    relay.meet([fault, None, None, None, fault, None, None])
    large, small = write(tmp_path / "u/large", LARGE), write(tmp_path / "u/small", b"small")
    store.keep(large, small)
    store.copy(small, tmp_path / "u/copy")
    lose_copies(store, large, small)
    assert store.fetch(large).read_bytes() == LARGE
    assert store.fetch(tmp_path / "u/copy").read_bytes() == b"small"
    store.remove(large)
    assert relay.met.count(fault) > 3
    plain = s3_store(settings_for(s3, tmp_path.name), tmp_path)
    assert {each.path.name: each.bytes for each in plain.found(tmp_path)} == {"copy": 5, "small": 5}
    assert not list(tmp_path.glob("fetching/*"))


def test_a_store_that_is_away_is_said_to_be(tmp_path: Path, s3: str) -> None:
    wrong = Settings(
        storage="s3://no-such-bucket",
        storage_endpoint=s3,
        storage_key_id="key",
        storage_secret="secret",
    )
    with pytest.raises(StoreAway, match="NoSuchBucket"):
        s3_store(wrong, tmp_path).keep(write(tmp_path / "a", b"a"))


def test_half_a_file_is_never_seen(relay: FaultyRelay, tmp_path: Path) -> None:
    bucket = Bucket(
        "bucket",
        prefix=tmp_path.name,
        config={"endpoint": relay.address, "access_key_id": "key", "secret_access_key": "secret"},
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    store = S3Store(tmp_path, bucket)
    large = write(tmp_path / "large", LARGE)
    store.keep(large)
    large.unlink()
    relay.meet([None, "cut answer", *["503"] * 5])
    with pytest.raises(StoreAway):
        store.fetch(large)
    assert "cut answer" in relay.met
    assert not large.exists()
    assert not list(tmp_path.glob("fetching/*"))
    relay.meet([])
    assert store.fetch(large).read_bytes() == LARGE
