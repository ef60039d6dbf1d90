"""From an admin's request to a retraining: the parent, the labelled tiles, the job."""

from pathlib import Path
from typing import Any

from mfnet.service.db.repositories.tiles import TileRepository
from mfnet.service.db.tables import Job, Model
from mfnet.service.domain.job import RETRAIN
from mfnet.service.errors import BadTrainingFolder, NoLabelledTiles, NoSuchTile, TilesDiffer
from mfnet.service.files.dataset_manifest import class_names
from mfnet.service.operations.caller import Caller
from mfnet.service.operations.context import Services
from mfnet.service.operations.submit_segmentation import Request, find_model
from mfnet.service.schemas.models import RetrainInputs
from mfnet.service.settings import Settings

_MANY = 10_000
_MANIFEST = "manifest.toml"


def submit(
    services: Services,
    caller: Caller,
    inputs: RetrainInputs,
    idempotency_key: str | None,
    chosen: dict[str, Any] | None = None,
) -> Job:
    """A new job, or the one that an earlier request with the same key made.

    Raises:
        Refused: There is no such parent.
        ModelAltered: The parent's file is gone, or another than when it was made.
        NoSuchTile: One of the tiles is not there.
        TilesDiffer: One of the tiles has other classes than the parent.
        NoLabelledTiles: There is nothing to learn from.
        BadTrainingFolder: The folder is not below the root, or holds no manifest.
        IdempotencyMismatch: The earlier request had other inputs.
    """
    request = Request(caller, RETRAIN, inputs, idempotency_key, chosen)
    if (first := request.first(services)) is not None:
        return first
    parent = find_model(services, inputs.model, inputs.model_sha256)
    services.storage.models.check(parent.sha256)
    tiles = _tiles(services, inputs, parent)
    folder = None if inputs.folder is None else str(_folder(services.settings, inputs.folder))
    if not tiles and folder is None:
        raise NoLabelledTiles(
            "there is no labelled tile of the model's classes to learn from; expected corrections "
            "of maps (`tiles`), or a folder of tiles with a manifest on the server (`folder`)"
        )
    kept = inputs.model_dump() | {"tiles": tiles, "folder": folder} | (chosen or {})
    return request.accept(services, kept, parent)


def _tiles(services: Services, inputs: RetrainInputs, parent: Model) -> list[str]:
    """The ids of the tiles, each once; all are those of the parent's classes."""
    classes = class_names(parent.config["classes"])
    with services.database.reading() as session:
        tiles = TileRepository(session)
        if inputs.tiles == "all":
            found = tiles.page(limit=_MANY)
            return [tile.id for tile in found if class_names(tile.report["scheme"]) == classes]
        for tile_id in inputs.tiles:
            tile = tiles.get(tile_id)
            if tile is None:
                raise NoSuchTile(f"no labelled tile {tile_id!r}", tile=tile_id)
            if (theirs := class_names(tile.report["scheme"])) != classes:
                raise TilesDiffer(
                    f"tile {tile_id} has the classes {', '.join(theirs)}; expected those of "
                    f"{parent.name}@{parent.version}, in the same order: {', '.join(classes)}",
                    tiles=[tile_id],
                )
        return list(dict.fromkeys(inputs.tiles))


def _folder(settings: Settings, named: str) -> Path:
    """The folder on the disk, links resolved; whatever is named, it lies below the root."""
    root = settings.training_root
    if root is None:
        raise BadTrainingFolder(
            "no folder of labelled tiles is open to retrainings; whoever runs this service sets "
            "MFNET_TRAINING_ROOT",
            folder=named,
        )
    try:
        folder = (root.resolve() / named).resolve()
        there = folder.is_relative_to(root.resolve()) and (folder / _MANIFEST).is_file()
    except (OSError, ValueError):  # a name that no file system takes
        there = False
    if not there:
        raise BadTrainingFolder(
            f"{named!r} is no folder with a {_MANIFEST} below MFNET_TRAINING_ROOT", folder=named
        )
    return folder
