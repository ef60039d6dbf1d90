"""Evaluation scenes: what every model of a service is measured on, and no model learns from."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from mfnet.model.classes import ISPRS, ClassScheme
from mfnet.model.config import ModelConfig
from mfnet.model.errors import BadManifest, SceneAmongTiles
from mfnet.model.raster.vectors.polygon_formats import SUFFIXES
from mfnet.model.weights.file_hash import sha256_of
from mfnet.training.datasets.sources.folder_manifest import NAME, Kind, read_manifest
from mfnet.training.datasets.sources.labelled_folder import Folder
from mfnet.training.datasets.sources.synthetic_towns import TownTile
from mfnet.training.datasets.tiles.interface import Area
from mfnet.training.synthetic.town import draw_town

TOWNS = range(600_000, 600_003)
"""Seeds of the packaged scenes; no recipe's."""
TOWN_PX = 512
_GSD_M = 0.125

Told = Callable[[str], None]
"""Called with the name of a file before it is read, which may take minutes."""


@dataclass(frozen=True)
class Scenes:
    """Labelled tiles, and what tells whether they are still the same.

    Attributes:
        areas: The tiles, whole.
        sha256: Of each file, or town, by name.
    """

    areas: Sequence[Area]
    sha256: dict[str, str]


def open_scenes(folder: Path, config: ModelConfig, told: Told = lambda name: None) -> Scenes:
    """The scenes of a folder with a manifest (docs/how-to/prepare-tiles.md); towns without one.

    Args:
        folder: Perhaps without a manifest, or not there.
        config: Of the model to be measured.
        told: Hears of each file that is read.

    Returns:
        None at all where there is no manifest, and the towns have other classes than the model.

    Raises:
        BadManifest: The folder's classes are not the model's.
    """
    if not (folder / NAME).is_file():
        same = config.classes.names == ISPRS.names
        return _towns(config.gsd_m or _GSD_M) if same else Scenes((), {})
    tiles = Folder(folder)
    require_same(config.classes, tiles.scheme, f"the scenes in {folder}")
    areas = [Area.whole(tiles.tile(entry).tile) for entry in tiles.manifest.tiles]
    return Scenes(areas, file_hashes(folder, told))


def file_hashes(folder: Path, told: Told = lambda name: None) -> dict[str, str]:
    """The sha256 of a manifest and of each tile's files, as `TILE/labels`: no path of a machine.

    Args:
        folder: Of tiles that have been opened: what the manifest says of a file is so.
        told: Hears of each file that is read.

    Returns:
        By `manifest.toml` and `TILE/KIND`: ortho, height, dtm and labels, which are `polygons`
        where they lie in a vector file.
    """
    sha256_once = cache(sha256_of)  # polygons may serve many tiles
    found = {NAME: sha256_of(folder / NAME)}
    for tile in read_manifest(folder).tiles:
        for kind in get_args(Kind):
            path: Path | None = getattr(tile, kind)
            if path is None:
                continue
            polygons = kind == "labels" and path.suffix.lower() in SUFFIXES
            name = f"{tile.name}/{'polygons' if polygons else kind}"
            told(name)
            found[name] = tile.sha256.get(kind) or sha256_once(folder / path)
    return found


def require_unseen(scenes: Mapping[str, str], tiles: Sequence[Mapping[str, str]]) -> None:
    """Refuses tiles with an orthophoto or label raster of a scene.

    Polygons do not count: those of a whole region serve scenes and other tiles.

    Args:
        scenes: `Scenes.sha256`.
        tiles: What `file_hashes` says of each folder of labelled tiles.

    Raises:
        SceneAmongTiles: There is one; names both.
    """
    learned = {digest: name for hashes in tiles for name, digest in hashes.items()}
    for scene, digest in scenes.items():
        if scene.endswith(("/ortho", "/labels")) and (tile := learned.get(digest)) is not None:
            raise SceneAmongTiles(
                f"{tile} of the labelled tiles is the same file as {scene} of the evaluation "
                "scenes; expected scenes that no model learns from: leave the tile out",
                tile=tile,
                scene=scene,
            )


def require_same(mine: ClassScheme, theirs: ClassScheme, what: str) -> None:
    """Refuses labels of other classes than the model's, BadManifest."""
    if mine.names != theirs.names:
        raise BadManifest(
            f"the model maps the classes {', '.join(mine.names)}; {what} have "
            f"{', '.join(theirs.names)}: expected the same ones in the same order"
        )


def _towns(gsd_m: float) -> Scenes:
    areas, sha256 = [], {}
    for seed in TOWNS:
        town = draw_town(seed, TOWN_PX, gsd_m)
        digest = hashlib.sha256()
        for raster in (town.ortho, town.ndsm, town.truth):
            digest.update(raster.tobytes())
        areas.append(Area.whole(TownTile.of(town)))
        sha256[f"town {seed}"] = digest.hexdigest()
    return Scenes(areas, sha256)
