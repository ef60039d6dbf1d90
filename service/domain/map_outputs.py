"""Which files a map's job makes beside the map: by its inputs, and by the outputs that it chose."""

from collections.abc import Mapping, Sequence
from typing import Any

from mfnet.service.domain.option_names import as_inputs

CONFIDENCE = ("confidence.tif", "least_sure.gpkg")
QUALITY = ("quality.tif", "quality.json")
POLYGONS = ("polygons.gpkg", "polygons.fgb")
"""The first one if none was chosen."""
ZONES = ("zones.gpkg", "zones.csv")
TERRAIN = "dtm.tif"
ITEM = "item.json"


_OF_TERRAIN = ("dtm.derived", "dtm.unsure")
_TERRAIN_TO_COME = "dtm.to_derive"


def remarks_after(
    remarks: Sequence[Mapping[str, Any]] | None, statistics: Mapping[str, Any]
) -> list[dict[str, Any]] | None:
    """A job's remarks once its map is made; None where they stay as they are.

    How sure a terrain is that was derived is known only then.

    Args:
        remarks: Of the job's row.
        statistics: Of the map.
    """
    report = statistics.get("pair", {}).get("remarks", [])
    told = [
        {**each, "message": as_inputs(each["message"])}
        for each in report
        if each["code"] in _OF_TERRAIN
    ]
    if not told:
        return None
    return [*(dict(each) for each in remarks or () if each["code"] != _TERRAIN_TO_COME), *told]


def further_files(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of quality, polygons, zones and for a catalogue that are to be made.

    Args:
        inputs: Of the job's row, with the `outputs` that were chosen, if any were.
    """
    chosen = inputs.get("outputs")
    made = [*QUALITY] if inputs.get("quality") else []
    made += POLYGONS[: 1 if chosen is None else None] if inputs.get("polygons") else ()
    made += ZONES if inputs.get("zones") is not None else []
    made += [ITEM] if inputs.get("stac") else []
    return tuple(name for name in made if chosen is None or name in chosen)
