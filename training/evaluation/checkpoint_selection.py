"""Which of a run's models is kept: by the validation windows, never by the test."""

from collections.abc import Sequence
from typing import Any


def best_check(log: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The check with the highest mIoU, the last of equals; None if no check has one.

    Args:
        log: Lines of a run's log.
    """
    checks = [line for line in log if line.get("miou") is not None]
    return max(reversed(checks), key=lambda line: line["miou"], default=None)


def kept_check(log: Sequence[dict[str, Any]], keep: str) -> dict[str, Any] | None:
    """The check whose model is kept; None before the first.

    Args:
        log: Lines of a run's log.
        keep: `best` or `last`; without any mIoU, the last is kept.
    """
    checks = [line for line in log if "miou" in line]
    best = best_check(log) if keep == "best" else None
    return best or (checks[-1] if checks else None)


def is_over(log: Sequence[dict[str, Any]], patience: int | None) -> bool:
    """Whether so many checks have gone by without a higher mIoU that a run is to end.

    Args:
        log: Lines of a run's log.
        patience: How many; None never ends it.
    """
    best = best_check(log)
    if patience is None or best is None:
        return False
    since = [line for line in log if "miou" in line and line["step"] > best["step"]]
    return len(since) >= patience


def is_kept(found: dict[str, Any], log: Sequence[dict[str, Any]], keep: str) -> bool:
    """Whether the model of a check takes the place of the one that is kept.

    Args:
        found: What the check found.
        log: The lines before it.
        keep: `best` or `last`; without any mIoU, the last is kept.
    """
    return kept_check([*log, found], keep) is found
