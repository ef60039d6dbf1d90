"""Chosen tiles as a folder data set (docs/how-to/prepare-tiles.md) for a retraining."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w

from mfnet.service.db.repositories.uploads import UploadRepository
from mfnet.service.db.tables import Tile
from mfnet.service.errors import TilesDiffer
from mfnet.service.files.storage import Storage

End = Literal["train", "validation", "test"]


def write_manifest(
    tiles: Sequence[Tile],
    uploads: UploadRepository,
    storage: Storage,
    folder: Path,
    *,
    split: Mapping[str, str | int | float] | None = None,
    ends: Mapping[str, End] | None = None,
) -> Path:
    """Writes `manifest.toml` with the tiles' files where they lie, and their sha256.

    Args:
        tiles: At least one; all of one class scheme.
        uploads: Where the rasters' sha256 are known.
        storage: Where the files are.
        folder: Is made if it is missing.
        split: Keys of the manifest's table `[split]`; its defaults without it.
        ends: What a tile is for, by its id; the others are drawn.

    Returns:
        The manifest's path.

    Raises:
        TilesDiffer: Of different class schemes.
    """
    scheme = _scheme(tiles)
    manifest = {
        "name": scheme["name"],
        "classes": scheme["classes"],
        "split": dict(split or {}),
        "tiles": [
            _tile(tile, uploads, storage)
            | ({"split": ends[tile.id]} if ends and tile.id in ends else {})
            for tile in tiles
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.toml"
    path.write_text(tomli_w.dumps(manifest), encoding="utf-8")
    return path


def class_names(scheme: Mapping[str, Any]) -> list[str]:
    """The names of a scheme's classes, in the order of their values: what makes two the same."""
    return [item["name"] for item in scheme["classes"]]


def _scheme(tiles: Sequence[Tile]) -> dict[str, Any]:
    """The one class scheme of all tiles."""
    first: dict[str, Any] = tiles[0].report["scheme"]
    for tile in tiles:
        if class_names(other := tile.report["scheme"]) != class_names(first):
            raise TilesDiffer(
                f"tile {tiles[0].id} has the classes {', '.join(class_names(first))}, tile "
                f"{tile.id} {', '.join(class_names(other))}; expected tiles of one class scheme",
                tiles=[tiles[0].id, tile.id],
            )
    return first


def _tile(tile: Tile, uploads: UploadRepository, storage: Storage) -> dict[str, Any]:
    rasters = {"ortho": tile.ortho, "height": tile.height, "dtm": tile.dtm}
    files = {role: storage.upload_here(ref) for role, ref in rasters.items() if ref is not None}
    storage.here(storage.tile(tile.id))
    if (derived := storage.derived_terrain(tile.id)).exists():
        files["dtm"] = derived
    files["labels"] = storage.labels(tile.id)
    known = {role: uploads.get(ref) for role, ref in rasters.items() if ref is not None}
    sha256 = {role: upload.sha256 for role, upload in known.items() if upload is not None}
    return {
        "name": tile.id,
        **{role: str(path) for role, path in files.items()},
        **_reading(tile),
        "sha256": sha256 | {"labels": tile.sha256},
    }


def _reading(tile: Tile) -> dict[str, Any]:
    """How the job that was corrected read its rasters; of tiles of before, white alone."""
    if reading := tile.provenance.get("reading"):
        return {"reading": reading}
    return {} if tile.white is None else {"white": tile.white}
