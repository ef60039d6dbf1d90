"""The `datetime` parameter of OGC API: an instant, or an interval that may be open at one end."""

from datetime import datetime
from typing import NamedTuple

from mfnet.service.errors import BadInterval

_OPEN = ("", "..")
_TOLD_S = 1e-6  # the API rounds the times that it tells to this; what it told must be found


class Interval(NamedTuple):
    """Both ends belong to it, in seconds since 1970, UTC; None where it is open."""

    start: float | None = None
    end: float | None = None


def interval(text: str) -> Interval:
    """Read `2026-01-31T12:00:00Z`, `START/END`, `START/..` or `../END`.

    Raises:
        BadInterval: It is none of these, is open at both ends, or ends before it starts.
    """
    first, slash, last = text.partition("/")
    try:
        start = None if first in _OPEN else _seconds(first)
        end = (None if last in _OPEN else _seconds(last)) if slash else start
    except (ValueError, OverflowError):
        raise _bad(text) from None
    if start is None and end is None:
        raise _bad(text)
    if start is not None and end is not None and start > end:
        raise _bad(text)
    return Interval(
        None if start is None else start - _TOLD_S, None if end is None else end + _TOLD_S
    )


def _seconds(text: str) -> float:
    """RFC 3339: a date, a time, and an offset or Z. A blank was a plus in the address."""
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    if moment.tzinfo is None:
        raise ValueError
    return moment.timestamp()


def _bad(text: str) -> BadInterval:
    return BadInterval(
        f"datetime: got {text!r}, expected an instant such as 2026-01-31T12:00:00Z, or an interval "
        "START/END, START/.. or ../END",
        datetime=text,
    )
