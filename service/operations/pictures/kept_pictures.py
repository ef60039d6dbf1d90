"""Pictures that are drawn once, by a child process, and then kept.

Each folder of them has an index, which says what `mfnet pictures` said of them.
"""

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

INDEX = "pictures.json"
VALUES = "values.bin"
"""A map's numbers at the pictures' pixels; not for download."""


def kept(folder: Path, draw: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What pictures a folder holds, drawn now where nobody has asked for them before.

    They are drawn into a folder of its own, which then appears whole; of two at once one is kept.

    Args:
        folder: Where they are, or will be.
        draw: Draws into an empty folder; says what it drew.
    """
    if not (folder / INDEX).is_file():
        _make(folder, draw)
    told: dict[str, Any] = json.loads((folder / INDEX).read_text())
    return told


def picture_in(folders: list[Path], name: str) -> Path | None:
    """A picture by its name; None if there is none."""
    files = {path.name: path for folder in folders for path in folder.glob("*")}
    return None if name in (INDEX, VALUES) else files.get(name)


def _make(folder: Path, draw: Callable[[Path], dict[str, Any]]) -> None:
    part = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    part.mkdir(parents=True)
    try:
        told = draw(part)
        (part / INDEX).write_text(json.dumps(told))
        part.rename(folder)
    except OSError:
        if not (folder / INDEX).is_file():  # nobody else was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
