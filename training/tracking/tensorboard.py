"""Numbers by step for TensorBoard, written by its own writer where that is installed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Curves(Protocol):
    """Takes numbers by step."""

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve."""


@contextmanager
def curves(folder: Path) -> Iterator[Curves]:
    """A writer of TensorBoard's files in a folder; one that writes nothing where it is missing.

    `pip install 'mfnet[tensorboard]'` brings it. The run's log has the same numbers.
    """
    if find_spec("tensorboard") is None:
        yield _Nothing()
        return
    # Imported here: it takes a second, and warns of what it does not find.
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    try:
        yield _Events(writer)
    finally:
        writer.close()


class _Nothing:
    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Nobody looks."""


class _Events:
    def __init__(self, writer: "SummaryWriter") -> None:
        self._writer = writer

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve, and hands the file to the operating system."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
