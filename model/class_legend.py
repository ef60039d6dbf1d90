"""Lists of classes that people write: `classes.txt` beside labels, or what `--classes` names.

A line is a class: its title, with what the labels have for it before, and a colour to show it in
behind, both of which may be left out:

    1, Gebäude, #ff0000
    #00ff00, Wald
    Straße #808080

Tabs, semicolons or commas part the columns. The first line may be the head of a table.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfnet.model.errors import BadLabels

_COLOR = re.compile(r"#?[0-9a-fA-F]{6}")
_TITLE = re.compile(r"(.+?)(?:[\s,;]+(#[0-9a-fA-F]{6}))?")


@dataclass(frozen=True)
class LegendLine:
    """A class of a legend.

    Attributes:
        key: The number, or the colour as `#rrggbb`, that labels have; None in a list of titles.
        title: For people, in any language.
        color: To show it in, `#rrggbb`, if one is given.
    """

    key: str | None
    title: str
    color: str | None


def read_legend(path: Path) -> tuple[LegendLine, ...]:
    """The classes that a file lists, as they stand in it.

    Args:
        path: In UTF-8, or as Windows writes Western European text.

    Raises:
        OSError: It cannot be read.
        BadLabels: A line is no class, or two have one key.
    """
    stored = path.read_bytes()
    try:
        text = stored.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = stored.decode("cp1252", errors="replace")
    legend = tuple(_parsed(path.name, text))
    keys = [line.key for line in legend if line.key is not None]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise BadLabels(f"{path.name} names {', '.join(sorted(twice))} more than once")
    return legend


def _parsed(name: str, text: str) -> Iterator[LegendLine]:
    delimiter = next((mark for mark in "\t;," if mark in text), ",")
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    keys = [len(row) > 1 and _key(row[0]) is not None for row in rows]
    # The first line may be a head, and a word such as facade no colour.
    keyed = 2 * sum(keys) > len(keys) - (not keys[0]) if keys else False
    for number, (line, row) in enumerate(zip(lines, rows, strict=False)):
        if not keyed:
            found = _TITLE.fullmatch(line.strip())
            assert found is not None  # a line that is not empty always matches
            title, color = found.groups()
            yield LegendLine(None, title, color and color.lower())
        elif len(row) > 1 and (key := _key(row[0])) and row[1]:
            shown = _key(row[2]) if len(row) > 2 else None
            yield LegendLine(key, row[1], shown if shown and shown.startswith("#") else None)
        elif number > 0:
            raise BadLabels(
                f"{name}: {line.strip()!r} is no class; expected its number or colour, and its name"
            )


def _key(cell: str) -> str | None:
    """A number or `#rrggbb`; None where it is neither."""
    if _COLOR.fullmatch(cell):
        return f"#{cell.removeprefix('#').lower()}"
    return str(int(cell)) if cell.isdecimal() else None
