"""A map's entry in a catalogue: a STAC item beside its files, made of the map's statistics.

Source: STAC 1.1.0, and its extensions projection 2.0, classification 2.0, raster 2.0, processing
1.2 and mlm 1.4.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from mfnet.model.atomic_files import write_json
from mfnet.model.classes import NODATA
from mfnet.model.config import ModelConfig
from mfnet.model.raster.georeferencing.crs_text import names_files

_EXTENSIONS = {
    "projection": "2.0.0",
    "classification": "2.0.0",
    "raster": "2.0.0",
    "processing": "1.2.0",
    "mlm": "1.4.0",
}
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_GPKG = "application/geopackage+sqlite3"
_FLATGEOBUF = "application/vnd.flatgeobuf"
_ASSETS = {
    "classes": ("Classes", _COG, ["data"]),
    "confidence": ("Percent of the winning class", _COG, ["data"]),
    "least_sure": ("Where the model is least sure", _GPKG, ["data"]),
    "quality": ("What each pixel of the map rests on", _COG, ["data"]),
    "polygons": ("The map as polygons", _GPKG, ["data"]),
    "polygons_flatgeobuf": ("The map as polygons, FlatGeobuf", _FLATGEOBUF, ["data"]),
    "zones": ("What each class covers in each zone", _GPKG, ["data"]),
    "zones_table": ("The same without polygons", "text/csv", ["data"]),
    "statistics": ("Statistics", "application/json", ["metadata"]),
    "terrain": ("The terrain that was derived", "image/tiff; application=geotiff", ["data"]),
}
"""By role: title, media type, roles."""
_EDGE_POINTS = 9


@dataclass(frozen=True)
class ModelAsset:
    """Where the model is that made the map.

    Attributes:
        href: Of its file or description.
        media_type: Of what is there.
        artifact: How it was written, in mlm's words.
    """

    href: str
    media_type: str = "application/octet-stream"
    artifact: str = "safetensors.torch.save_file"


def write_stac_item(
    out: Path,
    statistics: Mapping[str, Any],
    config: ModelConfig,
    files: Mapping[str, Path],
    model: ModelAsset,
    seen: float,
) -> dict[str, Any]:
    """Writes a STAC item.

    Args:
        out: The JSON file; addresses of the others are relative to it.
        statistics: As `segment` returns them.
        config: The model's.
        files: By role: `classes`, and what else there is of `confidence`, `least_sure`, `quality`,
            `polygons`, `zones`, `zones_table`, `statistics` and `terrain`; others are left out.
        model: Where the model is.
        seen: When the place looked like this, seconds since 1970: when the orthophoto was written,
            if nobody knows better.

    Returns:
        The item.

    Raises:
        OutputNotWritable: The folder is missing, not writable or full.
    """
    raster = statistics["pair"]["ortho"]
    crs = None if raster["crs"] is None else CRS.from_user_input(raster["crs"])
    # The same map makes the same item, wherever and whenever it is made.
    name = sha256(dumps(statistics, sort_keys=True).encode()).hexdigest()[:16]
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            f"https://stac-extensions.github.io/{extension}/v{version}/schema.json"
            for extension, version in _EXTENSIONS.items()
        ],
        "id": f"land-cover-{name}",
        **_footprint(crs, raster),
        "properties": {
            "title": f"Land cover of {raster['file']}",
            "datetime": datetime.fromtimestamp(int(seen), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **({} if raster["gsd_m"] is None else {"gsd": raster["gsd_m"]}),
            **_projection(crs, raster),
            **_processing(statistics),
            **_model(config, statistics),
        },
        "links": [],
        "assets": _assets(out, statistics, files) | {"model": _model_asset(model)},
    }
    write_json(out, item)
    return item


def _footprint(crs: CRS | None, raster: Mapping[str, Any]) -> dict[str, Any]:
    """Geometry and bbox in degrees; none where nobody knows where the raster lies."""
    nowhere: dict[str, Any] = {"geometry": None}
    if crs is None or names_files(crs.to_wkt()):
        return nowhere
    along = np.linspace(0, 1, _EDGE_POINTS)[:-1]
    corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)], float)  # against the clock
    ring = np.concatenate([a + along[:, None] * (b - a) for a, b in pairwise(corners)])
    place = Affine(*raster["transform"])
    x, y = place * (ring[:, 0] * raster["width"], ring[:, 1] * raster["height"])
    try:
        degrees = np.round(np.array(transform(crs, CRS.from_epsg(4326), x, y)).T, 8)
    except Exception:  # a bare CPLE error: a building site's own CRS has no way to degrees
        return nowhere
    if not np.isfinite(degrees).all():
        return nowhere
    x, y = degrees.T
    if (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() < 0:  # south-up: with the clock
        degrees = degrees[::-1]
    points = degrees.tolist()
    return {
        "geometry": {"type": "Polygon", "coordinates": [[*points, points[0]]]},
        "bbox": [*degrees.min(axis=0).tolist(), *degrees.max(axis=0).tolist()],
    }


def _projection(crs: CRS | None, raster: Mapping[str, Any]) -> dict[str, Any]:
    code = None if crs is None else crs.to_epsg()
    known: dict[str, Any] = {"proj:code": None if code is None else f"EPSG:{code}"}
    if crs is not None and code is None:
        known["proj:wkt2"] = crs.to_wkt(version="WKT2_2019")
    return known | {
        "proj:shape": [raster["height"], raster["width"]],
        "proj:transform": list(raster["transform"]),
    }


def _processing(statistics: Mapping[str, Any]) -> dict[str, Any]:
    pair, parameters = statistics["pair"], dict(statistics["parameters"])
    parameters.pop("MFNET_REMARKS", None)  # they stand in the statistics
    sources = [pair[role]["file"] for role in ("ortho", "height", "dtm") if pair[role] is not None]
    return {
        "processing:level": "L4",
        "processing:lineage": f"land cover by {parameters['MFNET_MODEL']}, of "
        + " and ".join(sources),
        "processing:software": {"mfnet": parameters["MFNET_VERSION"]},
        "processing:expression": {"format": "mfnet", "expression": parameters},
    }


def _model(config: ModelConfig, statistics: Mapping[str, Any]) -> dict[str, Any]:
    """The model as mlm describes it; -1 is any number of windows."""
    side = config.window_px
    inputs = [
        {
            "name": modality.name,
            "description": f"{modality.bands} bands, {modality.unit}",
            "bands": [],
            "input": {
                "shape": [-1, modality.bands, side, side],
                "dim_order": ["batch", "channel", "height", "width"],
                "data_type": "float32",
            },
            "value_scaling": [
                {"type": "min-max", "minimum": modality.low, "maximum": modality.high}
            ],
        }
        for modality in config.modalities
    ]
    tasks = ["semantic-segmentation"]
    result = {
        "shape": [-1, len(config.classes), side, side],
        "dim_order": ["batch", "class", "height", "width"],
        "data_type": "float32",
    }
    output = {"name": "classes", "tasks": tasks, "bands": [], "result": result}
    plain = re.sub(r"[^a-zA-Z0-9_.-]+", "-", config.name).strip("_.-")
    return {
        "mlm:name": plain if re.match(r"[a-zA-Z].+", plain) else f"model-{plain or 'unnamed'}",
        "mlm:architecture": "MFNet" if config.kind == "mfnet" else "rule",
        "mlm:tasks": tasks,
        "mlm:framework": "PyTorch",
        "mlm:input": inputs,
        "mlm:output": [output | {"classification:classes": _classes(statistics)}],
    }


def _classes(statistics: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "value": value,
            "name": re.sub(r"[^0-9A-Za-z_-]+", "_", each["name"]) or f"class_{value}",
            "title": each["title"],
            "description": each["title"],
            "color_hint": each["color"].removeprefix("#").upper(),
        }
        for value, each in enumerate(statistics["classes"])
    ]


def _assets(
    out: Path, statistics: Mapping[str, Any], files: Mapping[str, Path]
) -> dict[str, dict[str, Any]]:
    assets: dict[str, dict[str, Any]] = {}
    for role, (title, media_type, roles) in _ASSETS.items():
        if role in files:
            href = os.path.relpath(files[role], out.parent).replace(os.sep, "/")
            media_type = _FLATGEOBUF if files[role].suffix == ".fgb" else media_type
            assets[role] = {"href": href, "title": title, "type": media_type, "roles": roles}
    gsd_m = statistics["pair"]["ortho"]["gsd_m"]
    resolution = {} if gsd_m is None else {"raster:spatial_resolution": gsd_m}
    for role in {"classes", "confidence"} & set(assets):
        assets[role] |= {"data_type": "uint8", "nodata": NODATA, **resolution}
    assets["classes"]["classification:classes"] = [
        described | {"percentage": round(100 * each["share"], 6), "count": each["pixels"]}
        for described, each in zip(_classes(statistics), statistics["classes"], strict=True)
    ]
    return assets


def _model_asset(model: ModelAsset) -> dict[str, Any]:
    return {
        "href": model.href,
        "title": "The model",
        "type": model.media_type,
        "roles": ["mlm:model"],
        "mlm:artifact_type": model.artifact,
    }
