"""Tables and values as Markdown."""

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

_WORD = re.compile(r"(a|[a-z]{2,})(?=[ ,;]|$)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a cell's bars are escaped and its line breaks become blanks."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def code(value: Any) -> str:
    """A value as inline code, the way a user types it."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= 10_000:
        return f"`{value}` ({value:,})"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{without_home(str(value))}`"


def without_home(text: str) -> str:
    """Text that is the same on every machine: the builder's home folder becomes `~`."""
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def sentence(text: str | None) -> str:
    """A description with a capital letter; a file's name or a unit at its start stays small."""
    text = " ".join((text or "").split())
    return text[:1].upper() + text[1:] if _WORD.match(text) else text


def several(kind: str) -> str:
    """The name of a type in the plural; the names of choices stay as they are."""
    return f"{kind}s" if kind in ("text", "whole number", "number", "path", "table") else kind


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
