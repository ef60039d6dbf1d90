"""What the numbers of a map mean, from the statistics that were written with it."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mfnet.model.classes import ClassScheme, LandClass
from mfnet.model.errors import DataMissing


def read_scheme(statistics: Path) -> ClassScheme:
    """The classes of a map.

    Raises:
        DataMissing: The statistics are not there, or no statistics of a map.
    """
    try:
        told: dict[str, Any] = json.loads(statistics.read_text(encoding="utf-8"))
        known = LandClass.model_fields
        classes = [
            LandClass(**{key: value for key, value in item.items() if key in known})
            for item in told["classes"]
        ]
        return ClassScheme(name=told["scheme"], classes=tuple(classes))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise DataMissing(
            f"{statistics}: no statistics of a map ({type(error).__name__}); expected the JSON "
            "that was written with the map, beside it or named by --statistics",
            file=str(statistics),
        ) from error
