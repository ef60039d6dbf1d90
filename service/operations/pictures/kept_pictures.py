"""Pictures that are drawn once, by a child process, and then kept.

Each folder of them has an index, which says what `mfnet pictures` said of them.
"""

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mfnet.service.files.storage import Storage

INDEX = "pictures.json"
VALUES = "values.bin"
"""A map's numbers at the pictures' pixels; not for download."""
KNOWN = "known.png"
"""Where there is something to see; not for download either."""
_EDITION = 2
"""Of what is drawn; what an earlier program has kept is drawn again."""


def kept(storage: Storage, folder: Path, draw: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What pictures a folder holds, drawn now where nobody has asked for them before.

    They are drawn into a folder of its own, which then appears whole; of two at once one is kept.

    Args:
        storage: Of the service.
        folder: Where they are, or will be.
        draw: Draws into an empty folder; says what it drew.
    """
    index = storage.here(folder) / INDEX
    if index.is_file() and json.loads(index.read_text()).get("edition") != _EDITION:
        storage.store.remove(folder)
    if not index.is_file():
        _make(folder, draw)
        storage.share(folder)
    told: dict[str, Any] = json.loads(index.read_text())
    return told


def picture_in(storage: Storage, folders: list[Path], name: str) -> Path | None:
    """A picture by its name; None if there is none."""
    files = {path.name: path for folder in folders for path in storage.here(folder).glob("*")}
    return None if name in (INDEX, VALUES, KNOWN) else files.get(name)


def _make(folder: Path, draw: Callable[[Path], dict[str, Any]]) -> None:
    part = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    part.mkdir(parents=True)
    try:
        told = draw(part)
        (part / INDEX).write_text(json.dumps(told | {"edition": _EDITION}))
        part.rename(folder)
    except OSError:
        if not (folder / INDEX).is_file():  # nobody else was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
