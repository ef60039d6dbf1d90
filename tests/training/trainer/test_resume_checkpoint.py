"""A run goes on from what it left on the disk, to the bit; and a disk may run full."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from disk import Disk
from small_runs import TOML, changed, finished, held_out_pool, started, training_pool, use_tiny

from mfnet.model.errors import BadCheckpoint, BadRecipe, DiskFull
from mfnet.model.weights.catalog import read_config
from mfnet.training.config.recipe import parse_recipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.trainer import loop
from mfnet.training.trainer.resume_checkpoint import load_state, save_state


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny(monkeypatch)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return training_pool()


@pytest.fixture(scope="module")
def held_out() -> Pool:
    return held_out_pool()


def numbers(folder: Path) -> list[dict[str, Any]]:
    """The log of a run without its times."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds_a_step"} for line in lines]


@pytest.mark.parametrize(
    "optimizer",
    [
        {"batch_size": 2, "accumulation": 2},
        {"name": "sgd", "schedule": "steps", "milestones": [3], "precision": "bf16"},
    ],
    ids=["adamw", "sgd"],
)
def test_a_run_that_goes_on_is_the_unbroken_one_to_the_bit(
    tmp_path: Path, pool: Pool, held_out: Pool, optimizer: dict[str, Any]
) -> None:
    recipe = changed(TOML.replace("check_every = 5", "check_every = 2"), steps=4, **optimizer)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finished(recipe, pool, held_out, whole)

    def stop_at_three(found: dict[str, Any]) -> None:
        if found["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(started(recipe), pool, held_out, broken, report=stop_at_three)
    assert len(numbers(broken)) == 4  # three steps, a check behind the second
    with (broken / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "lo')  # a line that a kill has cut
    run = started(recipe)
    load_state(run, broken / "state.pt")
    assert run.step == 2
    loop.train(run, pool, held_out, broken)
    assert numbers(broken) == numbers(whole)
    one, other = (torch.load(f / "state.pt", weights_only=True) for f in (whole, broken))
    for part in ("net", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])


def test_a_run_of_another_recipe_does_not_go_on(tmp_path: Path, pool: Pool, held_out: Pool) -> None:
    finished(changed(steps=2), pool, held_out, tmp_path)
    other = started(changed(steps=1, learning_rate=0.5))
    words = r"steps was 2, is 1; optimizer\.learning_rate was 0\.01, is 0\.5; give"
    with pytest.raises(BadRecipe, match=words):
        load_state(other, tmp_path / "state.pt")


def test_a_run_that_has_ended_has_nothing_left_to_do(
    tmp_path: Path, pool: Pool, held_out: Pool
) -> None:
    path = finished(changed(steps=2), pool, held_out, tmp_path)
    content, log = path.read_bytes(), numbers(tmp_path)
    again = started(changed(steps=2))
    load_state(again, tmp_path / "state.pt")
    said: list[dict[str, object]] = []
    assert loop.train(again, pool, held_out, tmp_path, report=said.append) == path
    assert (said, path.read_bytes(), numbers(tmp_path)) == ([], content, log)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    run = started(parse_recipe(TOML))
    path = tmp_path / "state.pt"
    save_state(run, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadCheckpoint, match="train without --resume"):
        load_state(run, path)
    torch.save({"step": 3}, path)
    with pytest.raises(BadCheckpoint, match="no state of a training run"):
        load_state(run, path)


# ---- a disk that runs full --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "room"), [("tiny.safetensors", 0.5), ("state.pt", 1.5)], ids=["model", "state"]
)
def test_a_disk_that_runs_full_during_a_checkpoint_leaves_the_one_before(
    disk: Disk, pool: Pool, held_out: Pool, full: str, room: float
) -> None:
    """From the sixth step on there is room for half a model more, or for one and no state."""
    recipe = parse_recipe(TOML, ["evaluation.keep=last"])
    before: dict[str, bytes] = {}

    def shrink(found: dict[str, Any]) -> None:
        if found["step"] == 6 and not before:
            before[full] = (disk.path / full).read_bytes()
            model = (disk.path / "tiny.safetensors").stat().st_size
            disk.resize(disk.used() + int(room * model))

    with pytest.raises(DiskFull, match=f"{full}: the disk ran full.*--resume") as told:
        loop.train(started(recipe), pool, held_out, disk.path, report=shrink)
    assert told.value.code == "output.disk_full"
    assert (disk.path / full).read_bytes() == before[full]
    assert not list(disk.path.glob("*.part"))
    disk.resize(256 << 20)
    run = started(recipe)
    load_state(run, disk.path / "state.pt")
    assert run.step == 5
    assert read_config(loop.train(run, pool, held_out, disk.path)).name == "tiny"
