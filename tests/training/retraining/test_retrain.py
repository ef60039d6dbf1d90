"""A model goes on learning: its recipe, taking over an earlier attempt, what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_runs import TINY, use_tiny

from mfnet.model.classes import MMHUNAN
from mfnet.model.config import Modality, ModelConfig
from mfnet.model.errors import BadManifest, BadRecipe, InputError, SceneAmongTiles
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.catalog import read_config
from mfnet.model.weights.checkpoint import load_model, save
from mfnet.training.evaluation.checkpoint_selection import kept_check
from mfnet.training.retraining.evaluation_scenes import file_hashes, open_scenes, require_unseen
from mfnet.training.retraining.retrain import _take_over, retrain
from mfnet.training.retraining.task import Task, recipe_for
from mfnet.training.synthetic.town import draw_town, write_town
from mfnet.training.tracking.run_log import LOG, read_log
from mfnet.training.trainer.loop import STATE

CHANGES = (
    *("check_every=2", "log_every=1", "optimizer.batch_size=1", "optimizer.warmup_steps=1"),
    *("evaluation.windows=2", "optimizer.learning_rate=1e-2"),
)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)
    monkeypatch.setattr(
        "mfnet.training.trainer.loop.commit", lambda: "0" * 40
    )  # somebody may commit meanwhile
    monkeypatch.setattr(
        "mfnet.training.retraining.evaluation_scenes.TOWNS", range(600_000, 600_001)
    )
    monkeypatch.setattr("mfnet.training.retraining.evaluation_scenes.TOWN_PX", 160)


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A tiny model that has learned nothing, with ranges of its own."""
    torch.manual_seed(0)
    ndsm = Modality(name="ndsm", bands=1, unit="metre", low=0.0, high=12.0)
    config = ModelConfig(name="mine", encoder=TINY, window_px=160, stride_px=80, gsd_m=0.125)
    config = config.model_copy(update={"modalities": (config.modalities[0], ndsm)})
    save(MFNet(config), tmp_path / "parent.safetensors")
    return tmp_path / "parent.safetensors"


def labelled(folder: Path, seeds: range = range(3), classes: str = "isprs") -> Path:
    lines = [f'classes = "{classes}"']
    for seed, end in zip(seeds, ("train", "validation", "test"), strict=True):
        write_town(folder / str(seed), draw_town(seed, 160))
        files = f'ortho = "{seed}/ortho.tif"\nheight = "{seed}/ndsm.tif"'
        lines += ["[[tiles]]", f'name = "{seed}"\n{files}\nlabels = "{seed}/truth.tif"']
        lines += [f'split = "{end}"']
    (folder / "manifest.toml").write_text("\n".join(lines) + "\n")
    return folder


def task(parent: Path, *tiles: Path, scenes: Path | None = None, **options: Any) -> Task:
    options = {"changes": CHANGES, "steps": 4} | options
    return Task(parent, "mine@1", tiles, scenes or parent.parent / "no scenes", **options)


def run(tmp_path: Path, what: Task, name: str, before: Path | None = None) -> dict[str, Any]:
    out = tmp_path / f"out-{name}"
    out.mkdir()
    return retrain(what, tmp_path / f"run-{name}", before, out, tmp_path, lambda *_: None)


def test_the_recipe_has_the_parents_network_and_the_labelled_tiles(
    parent: Path, tmp_path: Path
) -> None:
    recipe = recipe_for(task(parent, tmp_path / "a", tmp_path / "b"), read_config(parent))
    assert recipe.network.encoder == "tiny"
    assert recipe.network.height_range_m == (0.0, 12.0)
    assert (recipe.network.window_px, recipe.network.train_encoder) == (160, True)
    assert recipe.network.parent == str(parent)
    assert recipe.data.kind == "folder"
    assert (recipe.data.folder, recipe.data.also) == (tmp_path / "a", (tmp_path / "b",))
    assert (recipe.name, recipe.optimizer.steps, recipe.data.sampling) == ("mine", 4, "classes")


def test_a_parents_head_and_pixel_size_are_taken_over(parent: Path, tmp_path: Path) -> None:
    update = {"detail_channels": 16, "rescale": True}
    recipe = recipe_for(task(parent, tmp_path), read_config(parent).model_copy(update=update))
    assert recipe.network.detail_channels == 16
    assert (recipe.network.rescale, recipe.data.gsd_m, recipe.seen_at_m) == (True, 0.125, 0.125)


def test_a_candidate_comes_with_its_measurements_provenance_and_report(
    parent: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    aside: list[Path] = []

    def tell(*what: Any) -> None:
        told.append(what)
        aside.extend((tmp_path / "run").glob("mfnet-evaluate-*"))

    (tmp_path / "out").mkdir()
    what = task(parent, labelled(tmp_path / "a"), labelled(tmp_path / "b", range(5, 8)))
    found = retrain(what, tmp_path / "run", None, tmp_path / "out", tmp_path, tell)
    assert aside  # what a kill leaves of a measurement goes with the run
    assert not any(folder.exists() for folder in aside)
    config = read_config(Path(found["file"]))
    assert config.model_dump(mode="json") == found["config"]
    assert config.provenance["parent"] == "mine@1"
    assert len(config.provenance["tiles"]) == 2
    assert config.provenance["commit"] == "0" * 40
    assert str(tmp_path) not in config.model_dump_json()  # every user may read it
    assert len(config.provenance["tiles"][0]) == 10  # manifest, and three files of three tiles
    assert list(config.provenance["scenes"]) == ["town 600000"]
    assert config.provenance["gate"] == found["verdict"]
    gate = json.loads((tmp_path / "out" / "gate.json").read_text())
    assert set(gate["figures"]["parent"]) == {"evaluation scenes", "validation tiles"}
    assert "Retrained from mine@1" in (tmp_path / "out" / "report.html").read_text()
    done = [step for step, _, _ in told]
    assert done == sorted(done)
    assert all(step <= total for step, total, _ in told)
    steps = [what for _, _, what in told if what.startswith("training")]
    assert steps[0] == "training, step 1 of 4"
    first = told.index((1, told[0][1], steps[0]))
    read = [what for _, _, what in told[:first]]
    assert read.count("reading 0/ortho") == read.count("reading 5/labels") == 1
    assert not [what for _, _, what in told[first:] if what.startswith("reading")]
    verbs = {name.partition(" ")[0] for _, _, name in told}
    assert verbs == {"reading", "training,", "measuring"}


def test_an_attempt_goes_on_to_the_bit_and_leaves_the_one_before_as_it_was(
    parent: Path, tmp_path: Path
) -> None:
    what = task(parent, labelled(tmp_path / "a"))
    whole = run(tmp_path, what, "whole")
    # An attempt that ends after step 2, as a kill at step 3 leaves it.
    broken = tmp_path / "run-broken"

    class Killed(Exception):
        pass

    def kill(done: int, _total: int, _what: str) -> None:
        if done == 3:
            raise Killed

    (tmp_path / "out-broken").mkdir()
    with pytest.raises(Killed):
        retrain(what, broken, None, tmp_path / "out-broken", tmp_path, kill)
    left = {path.name: path.read_bytes() for path in broken.iterdir()}
    assert STATE in left
    resumed = run(tmp_path, what, "resumed", broken)
    assert {path.name: path.read_bytes() for path in broken.iterdir()} == left
    nets = [load_model(found["file"]).state_dict() for found in (whole, resumed)]
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    assert whole["config"] == resumed["config"]


def test_what_is_taken_over_from_a_run_that_is_still_written_to_goes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was given up ends a check while its files are copied: model first, then state.

    A model newer than the state is made again; an older one would be kept in place of the newer.
    """
    before, copy = tmp_path / "before", shutil.copyfile
    before.mkdir()
    files = [before / name for name in ("mine.safetensors", LOG, STATE)]
    for path in files:
        path.write_text("1")

    def copyfile(source: Path, target: Path) -> None:
        copy(source, target)
        for path in files:
            path.write_text("2")

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    _take_over(before, tmp_path / "run")
    model, log, state = (int((tmp_path / "run" / path.name).read_text()) for path in files)
    assert model >= log >= state


def test_training_ends_with_its_minutes_once_there_is_a_model(parent: Path, tmp_path: Path) -> None:
    """It ends after the check at step 4, and not in it: each check of the log has been written."""
    changes = (*CHANGES, "log_every=5")
    what = task(parent, labelled(tmp_path / "a"), changes=changes, steps=500, minutes=1e-6)
    found = run(tmp_path, what, "short")
    assert Path(found["file"]).is_file()
    checks = [line for line in read_log(tmp_path / "run-short") if "miou" in line]
    kept = kept_check(checks, "best")
    assert kept is not None
    report = (tmp_path / "out-short" / "report.html").read_text()
    words = "minutes were used up after 5 of 500 steps; the model is that of step"
    assert f"{words} {kept['step']}." in report
    state = torch.load(tmp_path / "run-short" / STATE, weights_only=True)
    assert state["step"] == checks[-1]["step"] == 4


def test_a_training_that_ends_with_its_minutes_is_looked_at_often(
    parent: Path, tmp_path: Path
) -> None:
    what = task(parent, tmp_path, changes=("check_every=100000", "log_every=100000"), minutes=1)
    recipe = recipe_for(what, read_config(parent))
    assert (recipe.check_every, recipe.log_every) == (50, 5)


@pytest.mark.parametrize("same", ["ortho.tif", "truth.tif"])
def test_a_scene_among_the_tiles_is_refused_before_anything_is_learned(
    parent: Path, tmp_path: Path, same: str
) -> None:
    tiles, scenes = labelled(tmp_path / "a"), labelled(tmp_path / "scenes", range(5, 8))
    shutil.copyfile(scenes / "6" / same, tiles / "0" / same)
    kind = {"ortho.tif": "ortho", "truth.tif": "labels"}[same]
    with pytest.raises(SceneAmongTiles, match=f"0/{kind} of the .* as 6/{kind} of the evaluation"):
        run(tmp_path, task(parent, tiles, scenes=scenes), "cheating")
    assert not (tmp_path / "run-cheating").exists()


def test_polygons_may_serve_scenes_and_other_tiles(tmp_path: Path) -> None:
    hashes = []
    for name in ("scene", "tile"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.gpkg").write_bytes(b"a whole region's")
        (folder / "a.tif").write_bytes(name.encode())
        lines = ['classes = "isprs"', "[[tiles]]", f'name = "{name}"', 'ortho = "a.tif"']
        (folder / "manifest.toml").write_text("\n".join([*lines, 'labels = "a.gpkg"', ""]))
        hashes.append(file_hashes(folder))
    assert hashes[0]["scene/polygons"] == hashes[1]["tile/polygons"]
    require_unseen(hashes[0], hashes[1:])


def test_labels_or_scenes_of_other_classes_are_refused(parent: Path, tmp_path: Path) -> None:
    good, other = labelled(tmp_path / "a"), labelled(tmp_path / "b", classes="mmhunan")
    with pytest.raises(BadManifest, match="the labelled tiles have cropland"):
        run(tmp_path, task(parent, other), "labels")
    with pytest.raises(BadManifest, match="the scenes in"):
        run(tmp_path, task(parent, good, scenes=other), "scenes")
    with pytest.raises(BadManifest, match="expected the same in the same order"):
        run(tmp_path, task(parent, good, other), "both")
    assert not (tmp_path / "run-labels").exists()


def test_without_scenes_of_its_classes_a_model_stays_a_candidate(tmp_path: Path) -> None:
    config = ModelConfig(name="mine", encoder=TINY, window_px=160, stride_px=80, classes=MMHUNAN)
    save(MFNet(config), tmp_path / "parent.safetensors")
    what = task(tmp_path / "parent.safetensors", labelled(tmp_path / "a", classes="mmhunan"))
    found = run(tmp_path, what, "hunan")
    assert not found["verdict"]["passed"]
    assert "evaluation scenes" in found["verdict"]["reason"]


def test_without_anything_kept_for_validation_a_model_stays_a_candidate(
    parent: Path, tmp_path: Path
) -> None:
    write_town(tmp_path / "a", draw_town(0, 160))
    (tmp_path / "a" / "manifest.toml").write_text(
        'classes = "isprs"\nsplit = { by = "block", block_px = 224, test = 0 }\n'
        '[[tiles]]\nname = "0"\northo = "ortho.tif"\nheight = "ndsm.tif"\nlabels = "truth.tif"\n'
    )
    found = run(tmp_path, task(parent, tmp_path / "a"), "few")
    assert not found["verdict"]["passed"]
    assert "no pixel of the validation tiles" in found["verdict"]["reason"]
    assert load_model(Path(found["file"])).config.temperature == 1
    assert "nothing is kept for validation" in (tmp_path / "out-few/report.html").read_text()


def test_a_recipe_or_an_encoder_that_nobody_knows_is_refused(parent: Path, tmp_path: Path) -> None:
    config = read_config(parent)
    with pytest.raises(BadRecipe, match=r"expected one of .*retrain"):
        recipe_for(task(parent, tmp_path, recipe="magic"), config)
    strange = config.model_copy(update={"encoder": TINY.model_copy(update={"embed_dim": 24})})
    with pytest.raises(BadRecipe, match="the encoder of 'mine' is none of"):
        recipe_for(task(parent, tmp_path), strange)


def test_scenes_are_told_apart_by_their_bytes(tmp_path: Path) -> None:
    config = ModelConfig(encoder=TINY, window_px=160)
    folder = labelled(tmp_path / "scenes")
    scenes = open_scenes(folder, config)
    assert len(scenes.areas) == 3
    assert len(scenes.sha256) == 10
    town = draw_town(0, 160)
    town.truth[0, 0] = (town.truth[0, 0] + 1) % 6
    write_town(folder / "0", town)
    again = open_scenes(folder, config).sha256
    assert {name for name in again if again[name] != scenes.sha256[name]} == {"0/labels"}
    towns = open_scenes(tmp_path / "none", config)
    assert towns.sha256 == open_scenes(tmp_path / "none", config).sha256
    assert np.unique(towns.areas[0].tile.truth(towns.areas[0].window)).size > 1


def test_without_one_labelled_pixel_there_is_nothing_to_learn(parent: Path, tmp_path: Path) -> None:
    folder = labelled(tmp_path / "a")
    for seed in range(3):
        town = draw_town(seed, 160)
        town.truth[:] = 255
        write_town(folder / str(seed), town)
    with pytest.raises(InputError, match="label"):
        run(tmp_path, task(parent, folder), "nothing")
    assert not (tmp_path / "run-nothing").exists()
