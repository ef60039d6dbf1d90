"""`mfnet predict` as a process: a map and its events, or a refusal before the network is loaded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from command_line import Said, mfnet
from rio_cogeo import cog_validate

from mfnet.model.config import EncoderConfig, ModelConfig
from mfnet.model.raster.pairs.inspection import inspect_polygons

Make = Callable[..., Path]


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    """A folder with one model of random weights."""
    import torch

    from mfnet.model.network.mfnet import MFNet
    from mfnet.model.weights.checkpoint import save

    torch.manual_seed(0)
    encoder = EncoderConfig(
        embed_dim=32, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=8, grid=16
    )
    folder = tmp_path / "models"
    folder.mkdir()
    save(MFNet(ModelConfig(name="random", encoder=encoder)), folder / "random.safetensors")
    return folder


def predict(*arguments: object) -> Said:
    return mfnet("predict", *arguments, "--json", timeout_s=240)


def test_a_pair_becomes_a_map_with_its_statistics(
    photo: Make, heights: Make, models_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "map" / "classes.tif"
    out.parent.mkdir()
    options = ["--model", "random", "--models-dir", models_dir, "--device", "cpu"]
    unsure = out.with_name("unsure.gpkg")
    said = predict(photo(), heights(), "-o", out, *options, "--least-sure", unsure)
    assert (said.status, said.err) == (0, "")
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["stage"] for event in events[:-1]] == ["checking"] * 2 + ["segmenting"]
    assert events[-2]["done"] == events[-2]["total"] >= 1
    result = events[-1]
    assert result["files"]["classes"] == str(out)
    assert result["files"]["least_sure"] == str(unsure)
    assert sum(item["pixels"] for item in result["statistics"]["classes"]) == 48 * 48
    assert cog_validate(out, strict=True)[0]
    with rasterio.open(out) as raster:
        assert raster.shape == (48, 48)
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "classes.qml",
        "classes.tif",
        "classes.tif.aux.xml",
        "classes_confidence.tif",
        "classes_statistics.json",
        "unsure.gpkg",
    ]
    (layer,) = inspect_polygons(unsure).layers
    assert layer.features == 1
    assert result["statistics"]["drift"]["compared"] is False


def test_bad_input_is_refused_before_the_network_is_loaded(
    photo: Make, heights: Make, models_dir: Path, tmp_path: Path
) -> None:
    # A checkpoint without tensors would fail if it were loaded.
    config = ModelConfig(
        encoder=EncoderConfig(embed_dim=8, depth=1, num_heads=1, global_attn_indexes=(0,))
    )
    metadata = {"format": "1", "mfnet": config.model_dump_json()}
    header = json.dumps({"__metadata__": metadata}).encode()
    (models_dir / "empty.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    out = tmp_path / "classes.tif"
    damaged = photo(side=64, blockysize=16)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    for ortho, height, model, code in (
        (photo("a.tif"), heights("dsm.tif", base=300), "empty", "pair.not_above_ground"),
        (damaged, heights("wide.tif", side=64), "empty", "raster.unreadable"),
        (photo("a.tif"), heights(), "none", "model.unknown"),
    ):
        said = predict(ortho, height, "-o", out, "--model", model, "--models-dir", models_dir)
        assert said.status == 2, said
        assert json.loads(said.out.splitlines()[-1])["error"]["code"] == code
        assert "Traceback" not in said.err
        assert not out.exists()


def test_an_output_that_cannot_be_written_is_refused(
    photo: Make, heights: Make, models_dir: Path, tmp_path: Path
) -> None:
    said = predict(
        photo(),
        heights(),
        "-o",
        tmp_path / "none" / "classes.tif",
        "--model",
        "random",
        "--models-dir",
        models_dir,
    )
    assert said.status == 2
    error = json.loads(said.out.splitlines()[-1])["error"]
    assert error["code"] == "output.not_writable"


def test_each_pair_of_two_folders_goes_on_after_a_bad_one(
    photo: Make, heights: Make, tmp_path: Path
) -> None:
    for folder, make in (("orthos", photo), ("heights", heights)):
        (tmp_path / folder).mkdir()
        for name in ("north", "south", "west"):
            if (folder, name) != ("heights", "west"):
                make().rename(tmp_path / folder / f"{folder}_{name}.tif")
    (tmp_path / "orthos" / "orthos_north.tif").write_bytes(b"no raster")
    out = tmp_path / "maps"
    folders = (tmp_path / "orthos", tmp_path / "heights")
    said = predict(*folders, "--each", "-o", out, "--model", "rule", "--device", "cpu")
    assert said.status == 2
    assert sorted(path.name for path in out.glob("*.tif")) == ["orthos_south.tif"]
    last = json.loads(said.out.splitlines()[-1])
    assert last["event"] == "each"
    outcomes = [run.get("map", run.get("error", {}).get("code")) for run in last["maps"]]
    south = str(out / "orthos_south.tif")
    assert outcomes == ["raster.not_geotiff", south, "pair.no_overlap"]
    refused = predict(*folders, "--each", "-o", out, "--polygons", tmp_path / "p.gpkg")
    assert refused.status == 2
    assert "--polygons names a file of one map" in refused.err


@pytest.mark.parametrize("taken", ["tile", "zones"])
def test_no_file_of_a_run_is_written_over_what_it_reads(
    photo: Make, heights: Make, tmp_path: Path, taken: str
) -> None:
    """A tile of the orthophoto, and parcels that are called as the zones of the map would be."""
    (tmp_path / "tiles").mkdir()
    tile = photo().rename(tmp_path / "tiles" / "a.tif")
    parcels = tmp_path / "map_zones.gpkg"
    parcels.write_bytes(b"parcels")
    out = tile if taken == "tile" else tmp_path / "map.tif"
    before = tile.read_bytes()
    more = ["--zones", parcels] if taken == "zones" else []
    said = predict(tile.parent, heights(), "-o", out, "--model", "rule", *more)
    assert said.status == 2
    assert json.loads(said.out.splitlines()[0])["error"]["code"] == "output.not_writable"
    assert (tile.read_bytes(), parcels.read_bytes()) == (before, b"parcels")
