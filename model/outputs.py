"""Files that a run writes: checked before the work, and whole or not there."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from model.errors import OutputNotWritable


def beside(path: Path, what: str) -> Path:
    """`maps/a.tif` and `statistics.json` make `maps/a_statistics.json`: maps may share a folder."""
    return path.with_name(f"{path.stem}_{what}")


def check_outputs(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Refuses before the work what could not be written after it, or only over something else."""
    taken = {path.resolve() for path in inputs if path is not None}
    for path in (path for path in outputs if path is not None):
        if path.resolve() in taken:
            reason = "it is another file of this run; choose another name"
        elif path.is_dir() or not os.access(path.parent, os.W_OK):
            reason = "choose a file in a folder that exists and is yours"
        else:
            taken.add(path.resolve())
            continue
        raise OutputNotWritable(f"{path}: cannot be written: {reason}", path=str(path))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a JSON file atomically."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w") as file:
            json.dump(value, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputNotWritable(f"{path}: cannot be written ({error.strerror})") from error
