"""A manifest for a folder that has none: what was found, for a person to read and correct."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from mfnet.model.atomic_files import not_writable, replacing
from mfnet.model.classes import ISPRS
from mfnet.training.datasets.discovery.find_classes import FoundClasses, find_classes
from mfnet.training.datasets.discovery.find_tiles import FoundTile, FoundTiles, find_tiles
from mfnet.training.datasets.sources.folder_manifest import NAME, read_tile_list

TILES = "tiles.csv"
FEW = 6
"""With fewer tiles than this, blocks of them are kept for validation instead of tiles."""


@dataclass(frozen=True)
class Discovery:
    """What a folder was understood to hold.

    Attributes:
        tiles: Its tiles, and what did not become one.
        classes: Of their labels.
    """

    tiles: FoundTiles
    classes: FoundClasses

    def lines(self) -> list[str]:
        """The same for people."""
        tiles, classes = self.tiles, self.classes
        said = [f"{len(tiles.tiles)} tiles: {_some([tile.name for tile in tiles.tiles])}"]
        first = tiles.tiles[0]
        said.append(f"tile {first.name}: {', '.join(f'{k} {v}' for k, v in first.files.items())}")
        if tiles.incomplete:
            lacks = [f"{name} lacks {' and '.join(kinds)}" for name, kinds in _items(tiles)]
            said.append(f"left out: {_some(lacks)}")
        if tiles.unknown:
            said.append(f"not understood: {_some([str(path) for path in tiles.unknown])}")
        total = sum(classes.pixels.values()) or 1
        stored = {name: number for number, name in (classes.values or {}).items()}
        for each in classes.scheme.classes:
            count = classes.pixels.get(each.name, 0)
            number = f"{stored[each.name]} " if each.name in stored else ""
            said.append(f"class {number}{each.title} ({each.name}): {100 * count / total:.1f} %")
        if not classes.named:
            said.append(
                "the classes have no names: write classes.txt, a line a class, such as "
                "`1, Building, #ff0000`, remove manifest.toml, and run again"
            )
        return said


def discover(
    folder: Path,
    progress: Callable[[int], None] = lambda count: None,
    reading: Callable[[int, int], None] = lambda done, total: None,
) -> Discovery:
    """Finds out what a folder holds, and writes `manifest.toml` into it.

    Args:
        folder: Has no manifest.
        progress: Hears of the files looked at.
        reading: Hears of the label rasters that were read, and of how many there are.

    Raises:
        DataMissing: No tile was found.
        BadLabels: The labels are none.
        BadManifest: `tiles.csv`, which is taken where it is there, has rows that are none.
        OutputNotWritable: The folder takes no file.
    """
    tiles = _listed(folder) if (folder / TILES).is_file() else find_tiles(folder, progress)
    classes = find_classes(folder, [tile.files["labels"] for tile in tiles.tiles], reading)
    found = Discovery(tiles, classes)
    text = _toml(found, listed=(folder / TILES).is_file())
    try:
        with replacing(folder / NAME) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise not_writable(folder / NAME, error, len(text)) from error
    return found


def _listed(folder: Path) -> FoundTiles:
    entries = read_tile_list(folder / TILES)
    tiles = [
        FoundTile(
            entry.name,
            {
                kind: path
                for kind in ("ortho", "height", "dtm", "labels")
                if (path := getattr(entry, kind)) is not None
            },
        )
        for entry in entries
    ]
    lacking = {tile.name: ("labels",) for tile in tiles if "labels" not in tile.files}
    whole = tuple(tile for tile in tiles if tile.name not in lacking)
    return FoundTiles(whole, dict.fromkeys(lacking, ("labels",)), ())


def _toml(found: Discovery, *, listed: bool) -> str:
    classes = found.classes
    values: dict[str, Any] = {"name": classes.scheme.name}
    if classes.scheme == ISPRS:
        values["classes"] = ISPRS.name
    labels: dict[str, Any] = {}
    if classes.values is not None:
        labels["values"] = {str(number): name for number, name in classes.values.items()}
    if classes.column not in (None, "class"):
        labels["column"] = classes.column
    values["labels"] = labels
    by = "tile" if len(found.tiles.tiles) >= FEW else "block"
    values["split"] = {"by": by, "test": 0.15 if by == "tile" else 0.0}
    if by == "block":
        values["split"] |= {"block_px": 320}
    if listed:
        values["tiles"] = TILES
    if classes.scheme != ISPRS:
        values["classes"] = [
            {"name": each.name, "title": each.title, "color": each.color}
            for each in classes.scheme.classes
        ]
    if not listed:
        values["tiles"] = [
            {"name": tile.name, **{kind: path.as_posix() for kind, path in tile.files.items()}}
            for tile in found.tiles.tiles
        ]
    head = (
        "# Written by `mfnet train`, from the names of the files and what the labels hold.\n"
        "# Correct it where it is wrong, and run it again: docs/how-to/prepare-tiles.md says how.\n"
    )
    # The simple values come before the tables, as TOML wants it.
    ordered = {k: v for k, v in values.items() if not isinstance(v, dict | list)} | values
    return head + tomli_w.dumps(ordered)


def _items(tiles: FoundTiles) -> list[tuple[str, tuple[str, ...]]]:
    return [(name or "tile", tuple(kinds)) for name, kinds in tiles.incomplete.items()]


def _some(words: list[str]) -> str:
    more = f" and {len(words) - 5:,} more" if len(words) > 5 else ""
    return ", ".join(words[:5]) + more
