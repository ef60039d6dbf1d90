"""What a file calls its bands: by colour interpretation, or in words."""

import re
from dataclasses import dataclass

COLOURS = ("red", "green", "blue")
_INTERPRETED = {
    **{colour: colour for colour in COLOURS},
    **{"nir": "near infrared", "rededge": "red edge", "pan": "panchromatic", "coastal": "coastal"},
    **{"swir": "infrared", "mwir": "infrared", "lwir": "infrared", "tir": "infrared"},
    **{"other_ir": "infrared", "otherir": "infrared"},
    **{"cyan": "cyan", "magenta": "magenta", "yellow": "yellow", "black": "black"},
    **{"hue": "hue", "saturation": "saturation", "lightness": "lightness"},
}
"""GDAL's colour interpretations that say something; gray is what it calls any first band."""
_WORDS = {
    **{colour: colour for colour in COLOURS},
    **{"nir": "near infrared", "nearinfrared": "near infrared", "infrared": "near infrared"},
    **{"ir": "near infrared", "rededge": "red edge"},
    **{"swir": "infrared", "mwir": "infrared", "lwir": "infrared", "tir": "infrared"},
    **{"thermal": "infrared", "coastal": "coastal", "yellow": "yellow"},
    **{"pan": "panchromatic", "panchromatic": "panchromatic"},
}
_LETTERS = {
    **{"r": "red", "g": "green", "b": "blue"},
    **{"n": "near infrared", "re": "red edge"},
}
_LETTER = re.compile(r"(?:(?:band|channel)\W*\d*\W*)?(r|g|b|n|re)\W*")
"""A letter by itself; B2 is the second band of many satellites, and says nothing."""


@dataclass(frozen=True)
class BandTags:
    """A band as its file describes it.

    Attributes:
        interpretation: GDAL's colour interpretation: red, gray, alpha, undefined, …
        description: Free text.
    """

    interpretation: str
    description: str | None = None

    @property
    def name(self) -> str | None:
        """red, green, blue, near infrared, …; None where nothing says it.

        By description before interpretation: GDAL interprets any three bands as red, green, blue
        that somebody has stored as a picture.
        """
        if self.interpretation == "alpha":
            return None
        return _in_words(self.description or "") or _INTERPRETED.get(self.interpretation)


def _in_words(description: str) -> str | None:
    """The one colour that a description names: "Blue", "Band 1 (Blue)", "red_edge", "NIR", "G"."""
    text = re.sub(r"[\W_]+", " ", description).strip().casefold()
    if letter := _LETTER.fullmatch(text):
        return _LETTERS[letter[1]]
    text = re.sub(r"\bred ?edge", "rededge", text)
    names = {_WORDS[word] for word in re.findall(r"[^\W\d]+", text) if word in _WORDS}
    if "coastal" in names:  # coastal blue, as satellites have it
        return "coastal"
    return names.pop() if len(names) == 1 else None
