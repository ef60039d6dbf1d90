"""A map's catalogue entry, read and validated by pystac with the schemas that come with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation import JsonSchemaSTACValidator
from rasterio.warp import transform_bounds
from typer.testing import CliRunner

from mfnet.model.classes import ISPRS
from mfnet.model.cli.main import app
from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.raster.products.stac_item import ModelAsset, write_stac_item
from mfnet.training.synthetic.town import draw_town, write_town

CONFIG = ModelConfig(
    name="Wald & Flur@3",
    encoder=EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    ),
)


def statistics(crs: str | None, transform: Affine) -> dict[str, Any]:
    """What `segment` says, as far as it is looked at."""
    raster = {"file": "ortho.tif", "crs": crs, "transform": tuple(transform)[:6]}
    raster |= {"height": 40, "width": 60, "gsd_m": None if crs is None else 0.5}
    classes = [
        {"name": each.name, "title": each.title, "color": each.color, "pixels": 400, "share": 1 / 6}
        for each in ISPRS.classes
    ]
    pair = {"ortho": raster, "height": raster | {"file": "ndsm.tif"}, "dtm": None}
    parameters = {"MFNET_MODEL": "wald@3", "MFNET_VERSION": "0.1.0", "MFNET_STRIDE": "128"}
    return {"classes": classes, "pair": pair, "parameters": parameters}


def written(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    files = {"classes": folder / "maps" / "classes.tif", "polygons": folder / "polygons.gpkg"}
    out = folder / "item.json"
    write_stac_item(out, told, CONFIG, files, ModelAsset("wald.safetensors"), 1_700_000_000.6)
    return validated(out)


def validated(path: Path) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(path.read_text())
    JsonSchemaSTACValidator().validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")
    return item


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:25832", Affine(0.5, 0, 500_000, 0, -0.5, 5_700_000)),
        ("EPSG:25832", Affine(0.5, 0, 500_000, 0, 0.5, 5_700_000)),  # south-up
        ("EPSG:4326", Affine(1e-5, 0, 9.1, 0, -1e-5, 48.7)),
    ],
)
def test_a_client_finds_the_place(crs: str, transform: Affine, tmp_path: Path) -> None:
    item = pystac.Item.from_dict(written(tmp_path, statistics(crs, transform)))
    x, y = transform * (np.array([0, 60]), np.array([0, 40]))
    expected = transform_bounds(crs, "EPSG:4326", min(x), min(y), max(x), max(y))
    assert item.bbox == pytest.approx(expected, abs=1e-5)
    assert item.geometry is not None
    ring = np.array(item.geometry["coordinates"][0])
    area = (ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1]).sum()
    assert area > 0  # against the clock, as RFC 7946 has it
    place = ProjectionExtension.ext(item)
    assert (place.code, place.shape) == (crs, [40, 60])
    assert place.transform == list(transform)[:6]


def test_a_client_finds_classes_model_and_files(tmp_path: Path) -> None:
    told = statistics("EPSG:25832", Affine(0.5, 0, 500_000, 0, -0.5, 5_700_000))
    plain = written(tmp_path, told)
    item = pystac.Item.from_dict(plain)
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2023-11-14T22:13:20+00:00"
    assert {role: asset.href for role, asset in item.assets.items()} == {
        "classes": "maps/classes.tif",
        "polygons": "polygons.gpkg",
        "model": "wald.safetensors",
    }
    classes = ClassificationExtension.ext(item.assets["classes"]).classes
    assert classes is not None
    assert [each.name for each in classes] == list(ISPRS.names)
    assert classes[1].color_hint == "0000FF"
    model = MLMExtension.ext(item)
    assert (model.mlm_name, model.architecture) == ("Wald-Flur-3", "MFNet")
    shapes = {each.name: each.input.shape for each in model.input}
    assert shapes == {"ortho": [-1, 3, 256, 256], "ndsm": [-1, 1, 256, 256]}
    assert item.properties["processing:software"] == {"mfnet": "0.1.0"}
    assert written(tmp_path, told) == plain


@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["site",UNIT["metre",1]]'])
def test_a_map_of_no_known_place_is_an_item_all_the_same(crs: str | None, tmp_path: Path) -> None:
    item = written(tmp_path, statistics(crs, Affine(1, 0, 0, 0, -1, 0)))
    assert item["geometry"] is None
    assert "bbox" not in item
    assert item["properties"]["proj:code"] is None


def test_predict_writes_one_beside_the_map(tmp_path: Path) -> None:
    write_town(tmp_path, draw_town(5, 256))
    (tmp_path / "out").mkdir()
    pair = [str(tmp_path / name) for name in ("ortho.tif", "ndsm.tif")]
    out, stac = tmp_path / "out" / "classes.tif", tmp_path / "item.json"
    command = ["predict", *pair, "-o", str(out), "--model", "town-small", "--stac", str(stac)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    validated(stac)
    item = pystac.Item.from_file(str(stac))
    with rasterio.open(tmp_path / item.assets["classes"].href) as raster:
        assert list(raster.shape) == ProjectionExtension.ext(item).shape
        counts = np.bincount(raster.read(1).ravel(), minlength=256)[:6]
    classes = item.assets["classes"].extra_fields["classification:classes"]
    assert [each["count"] for each in classes] == counts.tolist()
