"""The commands of training, run in this process."""

import json
from pathlib import Path

import pytest
import rasterio
import torch
from click.testing import Result
from safetensors.torch import load_file, save_file
from standins.folder import manifest, write_tile
from typer.testing import CliRunner

from mfnet.model.config import ENCODERS, EncoderConfig, ModelConfig
from mfnet.model.errors import BadOption, BadRecipe, OutputNotWritable, UnknownModel
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.catalog import read_config
from mfnet.model.weights.checkpoint import rewrite_config, save
from mfnet.training.cli import main
from mfnet.training.cli.main import app
from mfnet.training.config.recipe import parse_recipe, read_recipe
from mfnet.training.config.recipe_files import find_recipe
from mfnet.training.synthetic.town import draw_town, write_town

RECIPES = Path(main.__file__).parents[1] / "recipes"
RECIPE = """
name = "tiny"
[network]
encoder = "small"
train_encoder = true
window_px = 160
[data]
held_out_towns = 1
held_out_size_px = 256
[optimizer]
steps = 1
"""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> EncoderConfig:
    """The smallest encoder, which recipes may call "tiny"."""
    encoder = EncoderConfig(
        embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,), window_size=4, grid=10
    )
    monkeypatch.setitem(ENCODERS, "tiny", encoder)
    return encoder


@pytest.fixture
def model(tmp_path: Path, tiny: EncoderConfig) -> Path:
    """A model of the smallest shape, with random weights."""
    config = parse_recipe(RECIPE).model_config_for()
    path = tmp_path / "tiny.safetensors"
    save(MFNet(config.model_copy(update={"encoder": tiny})), path)
    return path


def test_town_writes_three_rasters_on_one_grid(tmp_path: Path) -> None:
    out = tmp_path / "town"
    done = CliRunner().invoke(app, ["town", str(out), "--seed", "4", "--size", "96"])
    assert done.exit_code == 0, done.output
    grids = set()
    for name in ("ortho", "ndsm", "truth"):
        with rasterio.open(out / f"{name}.tif") as raster:
            grids.add((raster.transform, raster.crs, raster.shape))
    assert len(grids) == 1


def test_evaluate_prints_the_figures_and_records_them_in_the_model(
    tmp_path: Path, model: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    arguments = ["evaluate", str(model), str(recipe), "--json", "--record"]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    figures = json.loads(first.output.splitlines()[-1])
    assert figures["pixels"] == 256 * 256
    recorded = read_config(model)
    assert recorded.metrics == figures
    assert recorded.provenance["recipe"]["name"] == "tiny"
    arguments += ["--set", "name=another"]  # what it was trained by stays
    second = CliRunner().invoke(app, [*arguments, "--baseline", str(model)])
    assert second.exit_code == 0, second.output
    assert read_config(model).metrics["baseline"]["miou"] == figures["miou"]
    assert read_config(model).provenance["recipe"]["name"] == "tiny"


def test_recording_leaves_the_tensors_as_they_are(tmp_path: Path, model: Path) -> None:
    """Single precision stays, and a file without its base does not become a whole one."""
    tensors = load_file(model)
    config = read_config(model).model_copy(update={"metrics": {"miou": 0.5}})
    for kept in (tensors, {"decoder": tensors["decoder.merge_4.shares"].half()}):
        save_file(kept, model, {"format": "1", "mfnet": "{}"})
        rewrite_config(model, config)
        again = load_file(model)
        assert again.keys() == kept.keys()
        assert all(again[n].dtype == t.dtype and torch.equal(again[n], t) for n, t in kept.items())
        assert read_config(model) == config


def test_evaluate_finds_models_and_baselines_by_name(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    dtypes = {name: tensor.dtype for name, tensor in load_file(model).items()}
    monkeypatch.setenv("MFNET_MODELS_DIR", str(tmp_path))
    arguments = ["evaluate", "tiny", str(recipe), "--record", "--baseline", "tiny"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert read_config(model).metrics["baseline"]["name"] == "tiny"
    assert {name: tensor.dtype for name, tensor in load_file(model).items()} == dtypes
    refused = CliRunner().invoke(app, [*arguments, "--models-dir", str(tmp_path / "none")])
    assert isinstance(refused.exception, UnknownModel)


@pytest.fixture
def recipe(tmp_path: Path, tiny: EncoderConfig) -> Path:
    """Two steps on two small towns."""
    path = tmp_path / "recipe.toml"
    towns = "[data]\nsize_px = 256\ntowns = 2\nvalidation_towns = 1"
    text = RECIPE.replace('"small"', '"tiny"').replace("[data]", towns)
    path.write_text(text.replace("steps = 1", "steps = 2\nbatch_size = 1"))
    return path


def train(recipe: Path, out: Path, *options: str) -> Result:
    command = ["train", str(recipe), "--out", str(out), "--threads", "1", "--json", *options]
    return CliRunner().invoke(app, command)


def test_train_leaves_a_measured_model_and_evaluate_finds_the_same(
    tmp_path: Path, recipe: Path
) -> None:
    out = tmp_path / "run"
    trained = train(recipe, out, "--set", "optimizer.steps=3", "--set", "log_every=2")
    assert trained.exit_code == 0, trained.output
    lines = [json.loads(line) for line in trained.stdout.splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 3]
    assert [line["step"] for line in lines if "iou" in line] == [3]
    config = read_config(out / "tiny.safetensors")
    assert config.metrics == lines[-1]
    assert config.provenance["recipe"]["optimizer"]["steps"] == 3
    assert read_recipe(out / "recipe.toml") == read_recipe(
        recipe, ["optimizer.steps=3", "log_every=2"]
    )
    assert config.metrics["conditions"]["split"] == "test"
    assert config.provenance["step"] == 3
    assert config.provenance["calibration"]["temperature"] == config.temperature
    assert "test, 1 whole raster, stride 120" in (out / "report.html").read_text()
    command = ["evaluate", str(out / "tiny.safetensors"), str(out / "recipe.toml")]
    measured = CliRunner().invoke(app, [*command, "--threads", "1", "--json"])
    assert measured.exit_code == 0, measured.output
    assert json.loads(measured.stdout.splitlines()[-1]) == config.metrics


def test_a_run_in_the_same_folder_goes_on_or_is_refused(tmp_path: Path, recipe: Path) -> None:
    out = tmp_path / "run"
    first = train(recipe, out, "--resume")  # there is none: it starts
    assert first.exit_code == 0, first.output
    log = (out / "log.jsonl").read_text()
    again = train(recipe, out)
    assert isinstance(again.exception, BadOption)
    assert "--resume" in str(again.exception)
    resumed = train(recipe, out, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert (out / "log.jsonl").read_text() == log
    changed = train(recipe, out, "--resume", "--set", "optimizer.seed=9")
    assert isinstance(changed.exception, BadRecipe)


def test_train_starts_from_another_model(tmp_path: Path, recipe: Path, model: Path) -> None:
    done = train(recipe, tmp_path / "run", "--from", str(model), "--device", "cpu")
    assert done.exit_code == 0, done.output
    kept = read_config(tmp_path / "run" / "tiny.safetensors")
    assert kept.provenance["recipe"]["network"]["parent"] == str(model)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = train(recipe, tmp_path / "file" / "run")
    assert isinstance(refused.exception, OutputNotWritable)
    assert "file/run" in str(refused.exception)


def test_a_folder_of_ones_own_tiles_becomes_a_model(tmp_path: Path, tiny: EncoderConfig) -> None:
    folder = tmp_path / "tiles"
    names = ["0", "1", "2", "3"]
    for name in names:
        write_tile(folder, name, 160, 192)
    (folder / "manifest.toml").write_text(manifest(names))
    text = RECIPE.replace('"small"', '"tiny"').replace("held_out_towns = 1", 'kind = "folder"')
    text = text.replace("held_out_size_px = 256", f'folder = "{folder}"')
    (tmp_path / "recipe.toml").write_text(text)
    command = ["train", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "overall accuracy" in done.output
    config = read_config(tmp_path / "run" / "tiny.safetensors")
    assert config.classes.name == "isprs"
    assert len(config.metrics["conditions"]["tiles"]) == 1
    assert config.metrics["classes"]["building"]["area_error_m2"] is not None
    assert config.provenance["calibration"]["temperature"] == config.temperature


def test_a_folder_without_a_recipe_is_understood_told_and_trained_on(
    tmp_path: Path, tiny: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig(
        name="parent", encoder=tiny, window_px=160, stride_px=80, gsd_m=0.125, detail_channels=16,
        rescale=True,
    )  # fmt: skip
    save(MFNet(config), tmp_path / "parent.safetensors")
    folder = tmp_path / "tiles"
    for seed in range(6):
        write_town(folder / f"t{seed}", draw_town(seed, 160, 0.125))
        (folder / f"t{seed}" / "truth.tif").rename(folder / f"t{seed}" / "labels.tif")
    titles = ["Weg", "Haus", "Wiese", "Baum", "Auto", "Rest"]
    (folder / "classes.txt").write_text("\n".join(titles))
    command = ["train", str(folder), "--from", str(tmp_path / "parent.safetensors")]
    command += ["--out", str(tmp_path / "run"), "--set", "optimizer.steps=2"]
    command += ["--set", "optimizer.batch_size=1", "--set", "optimizer.precision=fp32"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "6 tiles: t0, t1, t2, t3, t4 and 1 more" in done.output
    assert "Haus (haus)" in done.output
    trained = read_config(tmp_path / "run" / "tiles.safetensors")
    assert [each.title for each in trained.classes.classes] == titles
    assert (trained.detail_channels, trained.rescale, trained.gsd_m) == (16, True, 0.125)


def test_recipes_are_listed_and_known_by_name() -> None:
    done = CliRunner().invoke(app, ["recipes", "--json"])
    found = json.loads(done.output)["recipes"]
    assert {"town", "vaihingen", "retrain"} <= set(found)
    assert all(title and len(title) < 120 for title in found.values())
    for name in found:
        assert find_recipe(name) == RECIPES / f"{name}.toml"
    with pytest.raises(BadRecipe, match="nearest is 'vaihingen'"):
        find_recipe("vaihigen")
    assert find_recipe("mine.toml") == Path("mine.toml")


def test_calibrate_writes_the_temperature_and_changes_nothing_else(
    recipe: Path, model: Path
) -> None:
    net = MFNet(read_config(model))
    with torch.no_grad():
        for weights in net.decoder.head[-1].parameters():
            weights *= 1000  # surer than it may be, whatever its weights
    save(net, model)
    tensors, before = load_file(model), read_config(model)
    command = ["calibrate", str(model), str(recipe), "--threads", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("temperature ")
    after = read_config(model)
    assert after.temperature > 2
    restored = {"temperature": 1.0, "provenance": before.provenance}
    assert after.model_copy(update=restored) == before
    assert all(torch.equal(t, tensors[name]) for name, t in load_file(model).items())


def test_evaluate_takes_the_validation_tiles_and_a_changed_recipe(
    recipe: Path, model: Path
) -> None:
    command = ["evaluate", str(model), str(recipe), "--threads", "1", "--json"]
    more = ["--split", "validation", "--set", "evaluation.stride_px=160"]
    done = CliRunner().invoke(app, [*command, *more])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["conditions"]["tiles"] == ["town 400000"]
    assert found["conditions"]["split"] == "validation"
    assert found["conditions"]["stride_px"] == 160


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_a_model_is_not_measured_with_heights_of_another_kind(command: str, model: Path) -> None:
    recipe = RECIPES / "vaihingen.toml"
    done = CliRunner().invoke(app, [command, str(model), str(recipe)])
    assert isinstance(done.exception, BadRecipe), done.output
    assert "per-raster" in str(done.exception)


def test_no_temperature_is_fitted_on_what_was_learned_from(model: Path) -> None:
    recipe = RECIPES / "vaihingen.toml"
    command = ["calibrate", str(model), str(recipe), "--set", "data.validation=in-training"]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, BadRecipe), done.output
    assert "learned from" in str(done.exception)
