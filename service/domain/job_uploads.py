"""Which inputs of a map's job are uploads, and the word that stands in the place of one."""

from collections.abc import Mapping, Sequence
from typing import Any

RASTERS = ("ortho", "height", "dtm")
"""Inputs that are uploads of rasters, by their roles."""

POLYGONS = ("aoi", "zones")
"""Inputs that are uploads of polygons."""

UPLOADS = (*RASTERS, *POLYGONS)

AUTO = "auto"
"""In the terrain model's place: it is derived from the surface model."""


def uploads_of(inputs: Mapping[str, Any], roles: Sequence[str] = UPLOADS) -> dict[str, Any]:
    """The uploads that inputs name, by role: as they were sent, or the ids of a job's row."""
    return {
        role: inputs[role]
        for role in roles
        if inputs.get(role) is not None and not (role == "dtm" and inputs[role] == AUTO)
    }


def derives_terrain(inputs: Mapping[str, Any]) -> bool:
    """Whether the terrain model is still to be made."""
    return bool(inputs.get("dtm") == AUTO)
