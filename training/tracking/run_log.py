"""What a run says of itself while it runs: lines of JSON, and TensorBoard's files."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from mfnet.model.atomic_files import replacing
from mfnet.training.tracking.disk_errors import writing
from mfnet.training.tracking.tensorboard import curves

LOG = "log.jsonl"


class RunLog:
    """The log of a run.

    Args:
        folder: Gets `log.jsonl`, and TensorBoard's files where that is installed; must exist.
        after_step: Lines of later steps are dropped: a process that was killed wrote them, and
            they come again.

    Raises:
        DiskFull: On entering or writing.
    """

    def __init__(self, folder: Path, after_step: int) -> None:
        self._kept = [line for line in read_log(folder) if line["step"] <= after_step]
        self._folder = folder
        self._open = ExitStack()

    def __enter__(self) -> Self:
        path = self._folder / LOG
        with writing(path):
            with replacing(path) as part:
                part.write_text("".join(json.dumps(line) + "\n" for line in self._kept))
            self._lines = self._open.enter_context(path.open("a"))
            self._events = self._open.enter_context(curves(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, found: dict[str, Any]) -> None:
        """Adds a line.

        Args:
            found: JSON values; has "step". Numbers in it, and in dicts in it, become curves.
        """
        group = "training" if "loss" in found else "validation"
        with writing(self._folder / LOG):
            self._lines.write(json.dumps(found, allow_nan=False) + "\n")
            self._lines.flush()
            self._events.add(found["step"], dict(_curves(found, group)))


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a folder's log; the last may have been cut by a kill."""
    path = folder / LOG
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _curves(values: dict[str, Any], group: str) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _curves(value, f"{group}/{name}")
        elif isinstance(value, int | float) and name not in ("step", "steps"):
            yield f"{group}/{name}", value
