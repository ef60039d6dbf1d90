"""Where log lines go: standard error, so that standard output is for what was asked for.

A line says which request or job it is about, wherever it is written meanwhile; so those of one
request, or of one job over several workers, are found by its id.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_about: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed


def configure(level: str, form: Literal["text", "json"] = "text") -> None:
    """Write the lines of at least this level, of all libraries, in one format."""
    handler = logging.StreamHandler()
    handler.addFilter(_note)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
    # Alembic tells of every start that there was nothing to do.
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def about(**what: str) -> Iterator[None]:
    """Lines that are written meanwhile, by this thread or task, are about this.

    Args:
        what: `request` or `job`, and its id.
    """
    before = _about.set({**_about.get(), **what})
    try:
        yield
    finally:
        _about.reset(before)


def _note(record: logging.LogRecord) -> bool:
    record.about = _about.get()
    return True


class _Json(logging.Formatter):
    """A line of JSON: time, level, logger, message, and what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
