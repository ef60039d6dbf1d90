"""Overlap of two stages: the next item is made while the caller works on this one."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


def ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yields what `items` yields, in order, running `items` in a thread one item ahead.

    When the caller stops early, `items` is closed once the item under way is done.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        pending = thread.submit(next, items, _END)
        try:
            while (item := pending.result()) is not _END:
                pending = thread.submit(next, items, _END)
                yield cast(T, item)
        finally:
            pending.exception()  # waits: a running generator cannot be closed
            items.close()
