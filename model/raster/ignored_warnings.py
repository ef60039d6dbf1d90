"""Warnings of libraries that are of no use to anybody here."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_FILTERS = threading.Lock()


@contextmanager
def ignored(category: type[Warning]) -> Iterator[None]:
    """In it, no warning of the category is shown; one thread at a time.

    Python's filters of warnings belong to the whole process: two threads that change them and set
    them back undo each other's change.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield
