"""Labelled tiles: their rows, and the manifest that a retraining reads."""

import uuid
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Tile
from mfnet.service.errors import TilesDiffer
from mfnet.service.files.dataset_manifest import write_manifest
from mfnet.service.files.storage import Storage
from mfnet.training.datasets.sources.folder_manifest import read_manifest

SCHEME = {
    "name": "my town",
    "classes": [
        {"name": "road", "title": 'Road "A" 🛣', "color": "#808080", "foreground": True},
        {"name": "other", "title": "Other\n", "color": "#ff0000", "foreground": False},
    ],
}


@pytest.fixture
def uploads(database: Database, owner: str) -> list[str]:
    """Ids of three uploads."""
    ids = [uuid.uuid4().hex for _ in range(3)]
    with database.writing() as session:
        for upload_id in ids:
            UploadRepository(session).add(
                upload_id, owner, "a.tif", size=3, sha256=f"sha of {upload_id}", report={}
            )
    return ids


def add(database: Database, owner: str, uploads: list[str], **changed) -> Tile:
    values = {
        "job_id": "j1",
        "request_sha256": uuid.uuid4().hex,
        "ortho": uploads[0],
        "height": uploads[1],
        "sha256": "of labels",
        "report": {"scheme": SCHEME},
        "provenance": {"job": "j1"},
    }
    with database.writing() as session:
        return TileRepository(session).add(uuid.uuid4().hex, owner, **(values | changed))


def test_a_tile_is_its_owners_and_needs_its_rasters(database, owner, uploads):
    tile = add(database, owner, uploads)
    with database.reading() as session:
        tiles = TileRepository(session)
        assert tiles.get(tile.id).report == {"scheme": SCHEME}
        assert tiles.get(tile.id, owner) is not None
        assert tiles.get(tile.id, "another") is None
        assert [found.id for found in tiles.page(owner)] == [tile.id]
        assert tiles.page("another") == []
        assert [tiles.needing(upload) is not None for upload in uploads] == [True, True, False]
        assert tiles.corrected("j1", tile.request_sha256).id == tile.id
        assert tiles.corrected("j2", tile.request_sha256) is None


def test_the_database_itself_keeps_the_rasters_of_a_tile(database, owner, uploads):
    tile = add(database, owner, uploads, dtm=uploads[2])
    for upload in uploads:
        with pytest.raises(IntegrityError), database.writing() as session:
            UploadRepository(session).remove(upload)
    with database.writing() as session:
        TileRepository(session).remove(tile.id)
        UploadRepository(session).remove(uploads[0])
    with pytest.raises(IntegrityError):
        add(database, owner, uploads)  # the orthophoto is gone


def test_the_same_correction_makes_one_tile(database, owner, uploads):
    add(database, owner, uploads, request_sha256="same")
    with pytest.raises(IntegrityError):
        add(database, owner, uploads, request_sha256="same")


def test_a_manifest_names_the_files_and_their_sha256(database, owner, uploads, tmp_path):
    storage = Storage(tmp_path / 'da"ta')
    one = add(database, owner, uploads, white=4095.0)
    two = add(database, owner, uploads, dtm=uploads[2])
    with database.reading() as session:
        path = write_manifest(
            [one, two],
            UploadRepository(session),
            storage,
            tmp_path / "new",
            split={"by": "block", "seed": 3, "validation": 0.25},
            ends={two.id: "train"},
        )
    assert path == tmp_path / "new" / "manifest.toml"
    manifest = read_manifest(path.parent)
    assert manifest.scheme().model_dump()["classes"] == tuple(SCHEME["classes"])
    assert manifest.scheme().name == "my town"
    assert (manifest.split.by, manifest.split.seed, manifest.split.validation) == ("block", 3, 0.25)
    assert [(tile.name, tile.white, tile.split) for tile in manifest.tiles] == [
        (one.id, 4095.0, None),
        (two.id, None, "train"),
    ]
    last = manifest.tiles[1]
    assert (last.ortho, last.dtm) == (storage.upload(uploads[0]), storage.upload(uploads[2]))
    assert last.labels == storage.labels(two.id)
    assert last.sha256 == {
        "ortho": f"sha of {uploads[0]}",
        "height": f"sha of {uploads[1]}",
        "dtm": f"sha of {uploads[2]}",
        "labels": "of labels",
    }


def test_tiles_of_two_class_schemes_are_refused(database, owner, uploads, tmp_path: Path):
    ours = add(database, owner, uploads)
    titled = add(database, owner, uploads, report={"scheme": {**SCHEME, "name": "other"}})
    turned = {**SCHEME, "classes": SCHEME["classes"][::-1]}
    theirs = add(database, owner, uploads, report={"scheme": turned})
    with database.reading() as session:
        where = UploadRepository(session), Storage(tmp_path), tmp_path / "new"
        with pytest.raises(TilesDiffer, match=f"road, other, tile {theirs.id} other, road"):
            write_manifest([ours, theirs], *where)
        write_manifest([ours, titled], *where)
    assert read_manifest(tmp_path / "new").scheme().name == "my town"
