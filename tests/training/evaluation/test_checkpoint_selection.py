"""Which model of a run is kept, and that a run that goes on keeps the same."""

from pathlib import Path
from typing import Any

import pytest
from small_runs import TOML, held_out_pool, started, training_pool, use_tiny

from mfnet.training.config.recipe import Recipe, parse_recipe
from mfnet.training.datasets.tiles.interface import Pool
from mfnet.training.evaluation.checkpoint_selection import best_check, is_kept, is_over
from mfnet.training.tracking.run_log import read_log
from mfnet.training.trainer import loop
from mfnet.training.trainer.resume_checkpoint import load_state

MIOU = {2: 0.3, 4: 0.6, 6: 0.5, 8: 0.55}


def checks(*values: float | None) -> list[dict[str, Any]]:
    return [{"step": step, "miou": value} for step, value in enumerate(values)]


def test_the_best_check_has_the_highest_miou_and_is_the_last_of_equals() -> None:
    assert best_check([{"step": 1, "loss": 2.0}, *checks(0.2, 0.5, None, 0.5, 0.4)]) == {
        "step": 3,
        "miou": 0.5,
    }
    assert best_check(checks(None)) is None


def test_without_a_figure_the_last_is_kept() -> None:
    assert is_kept({"miou": None}, checks(None), "best")
    assert not is_kept({"miou": None}, checks(0.1), "best")
    assert is_kept({"miou": 0.1}, checks(0.2), "last")
    assert not is_kept({"miou": 0.1}, checks(0.2), "best")
    assert is_kept({"miou": 0.2}, checks(0.2), "best")


def test_a_run_is_over_when_so_many_checks_were_no_better() -> None:
    log = checks(0.2, 0.5, 0.4, 0.5, 0.45, 0.3)
    assert not is_over(log, None)
    assert is_over(log, 2)
    assert not is_over(log, 3)
    assert not is_over(log[:4], 1)
    assert not is_over(checks(None, None), 1)


@pytest.fixture(scope="module")
def pools() -> tuple[Pool, Pool]:
    return training_pool(), held_out_pool()


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Eight steps, a check each second one, whose figures are given."""
    use_tiny(monkeypatch)
    figures = dict.fromkeys(("mf1", "oa"), 0.0)
    steps = iter(MIOU.values())
    monkeypatch.setattr(loop, "check", lambda *_: {"miou": next(steps), **figures})
    return parse_recipe(TOML, ["check_every=2", "optimizer.steps=8"])


@pytest.mark.parametrize(("keep", "kept_at"), [("best", 4), ("last", 8)])
def test_the_model_of_the_best_check_is_kept(
    tmp_path: Path, pools: tuple[Pool, Pool], recipe: Recipe, keep: str, kept_at: int
) -> None:
    written: dict[int, bytes] = {}
    run = started(parse_recipe(recipe.toml(), [f"evaluation.keep={keep}"]))

    def note(found: dict[str, Any]) -> None:
        if "loss" in found and found["step"] % 2 and found["step"] > 1:
            written[found["step"] - 1] = (tmp_path / "tiny.safetensors").read_bytes()

    path = loop.train(run, *pools, tmp_path, report=note)
    written[8] = path.read_bytes()
    assert written[8] == written[kept_at]
    assert written[2] != written[4]


def test_a_run_ends_early_where_the_recipe_says_so(
    tmp_path: Path, pools: tuple[Pool, Pool], recipe: Recipe
) -> None:
    evaluation = recipe.evaluation.model_copy(update={"patience": 1})
    run = started(recipe.model_copy(update={"evaluation": evaluation}))
    loop.train(run, *pools, tmp_path)
    assert run.step == 6  # the check of step 4 was the best
    assert read_log(tmp_path)[-1]["step"] == 6


def test_a_run_that_goes_on_knows_what_it_has_kept(
    tmp_path: Path, pools: tuple[Pool, Pool], recipe: Recipe
) -> None:
    def stop(found: dict[str, Any]) -> None:
        if found["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(started(recipe), *pools, tmp_path, report=stop)
    best = (tmp_path / "tiny.safetensors").read_bytes()
    run = started(recipe)
    load_state(run, tmp_path / "state.pt")
    path = loop.train(run, *pools, tmp_path)
    assert path.read_bytes() == best
    found = best_check(read_log(tmp_path))
    assert found is not None
    assert found["step"] == 4
