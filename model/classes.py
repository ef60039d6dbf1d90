"""Class schemes: what the numbers in a class raster mean, and how they look."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain, count

from pydantic import BaseModel, ConfigDict, Field

from mfnet.model.errors import BadOption

NODATA = 255
"""The value of a pixel without a class, in every class raster and in labels to be ignored."""


class LandClass(BaseModel):
    """One class of a scheme; its value in a raster is its position in the scheme."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="for programs")
    title: str = Field(description="for people")
    color: str = Field(pattern=r"^#[0-9a-f]{6}$")
    foreground: bool = Field(default=True, description="counts in mF1 and mIoU")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0 to 255."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)


class ClassScheme(BaseModel):
    """An ordered set of classes; pixel value i is `classes[i]`, 255 is nodata."""

    model_config = ConfigDict(frozen=True)

    name: str
    classes: tuple[LandClass, ...] = Field(min_length=2, max_length=NODATA)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names in the order of their values."""
        return tuple(c.name for c in self.classes)

    def find(self, text: object) -> int:
        """The value of the class that a person means.

        Args:
            text: Its name, title or value. Case, blanks around it, and blanks, hyphens and
                underscores inside count only where two classes differ by nothing else.

        Raises:
            BadOption: No class, or several; the message lists all, and names the nearest.
        """
        if text in self.names:
            return self.names.index(str(text))
        meant = set(self._meant(text))
        if len(meant) == 1:
            return meant.pop()
        listed = ", ".join(f"{value} {name}" for value, name in enumerate(self.names))
        if meant:
            names = " or ".join(self.names[value] for value in sorted(meant))
            raise BadOption(
                f"class {text!r} may be {names}; expected one of {listed}", name=str(text)
            )
        nearest = self._nearest(str(text))
        raise BadOption(
            f"no class {text!r}; expected one of {listed}; the nearest is {nearest!r}",
            name=str(text),
            nearest=nearest,
        )

    def _meant(self, text: object) -> Iterator[int]:
        """The classes with this value, name or title."""
        words = _plain(text) if isinstance(text, str) else ""
        for value, item in enumerate(self.classes):
            by_word = bool(words) and words in (_plain(item.name), _plain(item.title))
            # not `words`: -3 is no 3
            if by_word or text == value or str(text).strip() == str(value):
                yield value

    def _nearest(self, text: str) -> str:
        """Name of the class whose name or title is most like a text."""
        known = {_plain(item.title): item.name for item in self.classes}
        known |= {_plain(item.name): item.name for item in self.classes}
        return known[get_close_matches(_plain(text), known, n=1, cutoff=0.0)[0]]


def scheme_of(titles: Sequence[str], name: str, colors: Sequence[str | None] = ()) -> ClassScheme:
    """A scheme of classes that somebody has named, in any language.

    Args:
        titles: For people, in the order of their values.
        name: Of the scheme.
        colors: `#rrggbb` of each; what is missing or None gets a colour of its own.

    Raises:
        BadOption: Fewer than two classes or too many, an empty title, or one that comes twice.
    """
    plain = [_plain(title) for title in titles]
    if not 2 <= len(titles) <= NODATA:
        raise BadOption(f"{len(titles)} classes; expected 2 to {NODATA}")
    for value, words in enumerate(plain):
        if not words or words in plain[:value]:
            raise BadOption(
                f"class {value} is called {titles[value]!r}; expected a name that no other has"
            )
    names: list[str] = []
    for value, title in enumerate(titles):
        wanted = program_name(title) or f"class_{value}"
        more = (f"{wanted}_{number}" for number in count(2))
        names.append(next(name for name in chain([wanted], more) if name not in names))
    given = [*colors, *[None] * (len(titles) - len(colors))]
    shown = [color or _COLORS[value % len(_COLORS)] for value, color in enumerate(given)]
    classes = (
        LandClass(name=each, title=title.strip(), color=color)
        for each, title, color in zip(names, titles, shown, strict=True)
    )
    return ClassScheme(name=name, classes=tuple(classes))


_COLORS = (
    *("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#ff9da7"),
    *("#9c755f", "#bab0ac", "#1f77b4", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2"),
    *("#7f7f7f", "#bcbd22", "#17becf", "#aec7e8"),
)


def program_name(title: str) -> str:
    """A name for programs that is like a title; empty where it has no Latin letter or digit."""
    folded = unicodedata.normalize("NFKD", title.casefold())
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    name = "_".join(re.findall(r"[a-z0-9]+", plain))
    return name if name[:1].isalpha() or not name else f"class_{name}"


def _plain(text: str) -> str:
    """A text without case, blanks, hyphens and underscores; accents and ligatures in one form."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(folded.translate({ord("-"): " ", ord("_"): " "}).split())


# Colours of the ISPRS 2D Semantic Labeling benchmark.
ISPRS = ClassScheme(
    name="isprs",
    classes=(
        LandClass(name="impervious_surface", title="Impervious surface", color="#ffffff"),
        LandClass(name="building", title="Building", color="#0000ff"),
        LandClass(name="low_vegetation", title="Low vegetation", color="#00ffff"),
        LandClass(name="tree", title="Tree", color="#00ff00"),
        LandClass(name="car", title="Car", color="#ffff00"),
        LandClass(name="clutter", title="Clutter", color="#ff0000", foreground=False),
    ),
)

# Colours of MMHunan's label rasters.
MMHUNAN = ClassScheme(
    name="mmhunan",
    classes=(
        LandClass(name="cropland", title="Cropland", color="#c45a11"),
        LandClass(name="forest", title="Forest", color="#338158"),
        LandClass(name="grassland", title="Grassland", color="#b1cd3d"),
        LandClass(name="wetland", title="Wetland", color="#e45460"),
        LandClass(name="water", title="Water", color="#5b9ad6"),
        LandClass(name="unused_land", title="Unused land", color="#e1ae6e"),
        LandClass(name="built_up", title="Built-up area", color="#ef9f02"),
    ),
)
