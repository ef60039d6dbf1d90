"""Chosen tiles as a folder data set (docs/how-to/prepare-tiles.md) for a retraining."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

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
    lines = [*_classes(_scheme(tiles)), "", "[split]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in (split or {}).items()]
    for tile in tiles:
        lines += ["", "[[tiles]]", *_tile(tile, uploads, storage)]
        if ends and tile.id in ends:
            lines.append(f"split = {_text(ends[tile.id])}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
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


def _classes(scheme: Mapping[str, Any]) -> list[str]:
    tables = ", ".join(
        "{ " + ", ".join(f"{key} = {_text(value)}" for key, value in item.items()) + " }"
        for item in scheme["classes"]
    )
    return [f"name = {_text(scheme['name'])}", f"classes = [{tables}]"]


def _tile(tile: Tile, uploads: UploadRepository, storage: Storage) -> list[str]:
    rasters = {"ortho": tile.ortho, "height": tile.height, "dtm": tile.dtm}
    files = {role: storage.upload(ref) for role, ref in rasters.items() if ref is not None}
    files["labels"] = storage.labels(tile.id)
    known = {role: uploads.get(ref) for role, ref in rasters.items() if ref is not None}
    sha256 = {role: upload.sha256 for role, upload in known.items() if upload is not None}
    sha256["labels"] = tile.sha256
    told = ", ".join(f"{role} = {_text(digest)}" for role, digest in sha256.items())
    return [
        f"name = {_text(tile.id)}",
        *(f"{role} = {_text(str(path))}" for role, path in files.items()),
        *_reading(tile),
        f"sha256 = {{ {told} }}",
    ]


def _reading(tile: Tile) -> list[str]:
    """How the job that was corrected read its rasters; of tiles of before, white alone."""
    reading = tile.provenance.get("reading") or {}
    if not reading:
        return [] if tile.white is None else [f"white = {tile.white!r}"]
    # JSON's numbers, strings, lists and booleans are TOML's, too.
    told = ", ".join(f"{name} = {_text(value)}" for name, value in reading.items())
    return [f"reading = {{ {told} }}"]


def _text(value: Any) -> str:
    """TOML has JSON's own form of these, but for its escapes of characters beyond the BMP."""
    return json.dumps(value, ensure_ascii=False)
