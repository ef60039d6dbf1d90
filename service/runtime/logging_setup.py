"""Where log lines go: standard error, so that standard output is for what was asked for."""

import logging


def configure(level: str) -> None:
    """Write the lines of at least this level, of all libraries, in one format."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=form)
    # Alembic tells of every start that there was nothing to do.
    logging.getLogger("alembic").setLevel(logging.WARNING)
