"""Units of height, as files and people write them."""

import math
import re

UNIT_NAMES = ("m", "dm", "cm", "mm", "ft", "us-ft")

_METRES = {
    "m": 1.0,
    "dm": 0.1,
    "cm": 0.01,
    "mm": 0.001,
    "ft": 0.3048,
    "us-ft": 1200 / 3937,
    "yd": 0.9144,
    "km": 1000.0,
}
# Letters and digits of a name, lower case: `US survey foot` is `ussurveyfoot`.
_SPELLINGS = {
    "m": "m metre metres meter meters mtr mtrs metro metros mètre mètres metri",
    "dm": "dm decimetre decimetres decimeter decimeters dezimeter",
    "cm": "cm centimetre centimetres centimeter centimeters zentimeter",
    "mm": "mm millimetre millimetres millimeter millimeters",
    "ft": "ft foot feet intft ftint internationalfoot internationalfeet footinternational "
    "feetinternational",
    "us-ft": "usft ftus ussurveyfoot ussurveyfeet usfoot usfeet footus feetus surveyfoot "
    "surveyfeet sft footussurvey feetussurvey",
    "yd": "yd yard yards",
    "km": "km kilometre kilometres kilometer kilometers",
}
_UNIT_OF = {spelling: unit for unit, all_ in _SPELLINGS.items() for spelling in all_.split()}
_SAYS_NOTHING = frozenset({"", "unknown", "none", "na", "unitless", "unspecified", "dn"})
# What stands behind the unit's name in real files: `metres above ground`, `m (NAVD88)`.
_REMAINDER = re.compile(
    r"\b(above|over|under|below|of|agl|asl|amsl|msl|navd\w*|ngvd\w*|egm\w*|nap|dhhn\w*|ellips\w*|height)\b"
)
_PRIME_IS_FOOT = frozenset({"'", "′", "’"})


def metres_of(text: str) -> float | None:
    """Metres a unit, by its name or as a number of metres a step; None for a name unknown."""
    try:
        number = float(text)
    except ValueError:
        if text.strip() in _PRIME_IS_FOOT:
            return _METRES["ft"]
        unit = _UNIT_OF.get(_letters(text)) or _UNIT_OF.get(_letters(_head(text)))
        return None if unit is None else _METRES[unit]
    return number if 0 < number < math.inf else None


def says_nothing(text: str | None) -> bool:
    """Whether a unit tag is as good as absent: empty, `unknown`, …"""
    if text is None or text.strip() in _PRIME_IS_FOOT:
        return text is None
    return _letters(text) in _SAYS_NOTHING


def unit_name(metres: float) -> str:
    """What to call a unit: its name, or so many metres."""
    for unit, factor in _METRES.items():
        if math.isclose(metres, factor, rel_tol=1e-7):
            return unit
    return f"{metres:g} m"


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())


def _head(text: str) -> str:
    """The unit's own name, without brackets and what a height counts from."""
    lowered = re.sub(r"[\[(].*", "", text.casefold())
    match = _REMAINDER.search(lowered)
    return lowered[: match.start()] if match else lowered
