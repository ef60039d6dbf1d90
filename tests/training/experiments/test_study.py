"""Studies: what is compared, the table and the order from made-up numbers, whole small ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_runs import TOML, use_tiny
from typer.testing import CliRunner

from mfnet.model.classes import ISPRS
from mfnet.model.errors import BadOption, BadRecipe
from mfnet.model.network.mfnet import MFNet
from mfnet.model.weights.checkpoint import save
from mfnet.training.cli.main import app
from mfnet.training.config.recipe import parse_recipe, read_recipe
from mfnet.training.experiments import study_runs
from mfnet.training.experiments.definitions import STUDIES, Row, Step, Study, Variant
from mfnet.training.experiments.ranking_check import Finding, compare, verdict
from mfnet.training.experiments.results_table import page, summary

ON_BASE = TOML.replace("train_encoder = true", 'base = "seeing"')

LOW, HIGH = Variant("none", ("ortho",)), Variant("mmadapter")
PAIR = Study(
    "Pair",
    ("who",),
    (
        Row(("frozen",), LOW, {"miou": 75.11, "oa": 88.01, "mf1": 85.34}),
        Row(("whole",), HIGH, {"miou": 84.72, "oa": 92.93, "mf1": 91.51}),
    ),
    (Step("whole ≥ frozen", (HIGH,), (LOW,)),),
)


def figures(miou: float, oa: float = 0.5, mf1: float = 0.25) -> dict[str, Any]:
    """What evaluation says of a run; each class's accuracy is its place, in tenths."""
    classes = {name: {"accuracy": value / 10} for value, name in enumerate(ISPRS.names)}
    conditions = {"tiles": ["a", "b"], "stride_px": 80}
    return {
        **{"miou": miou, "oa": oa, "mf1": mf1, "classes": classes},
        **{"conditions": conditions, "commit": "0123456789"},
    }


@pytest.mark.parametrize("name", STUDIES)
def test_variants_are_recipes_that_differ_and_have_their_own_folders(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny(monkeypatch)
    recipe = parse_recipe(ON_BASE, ["data.share=0.8"])
    variants = STUDIES[name].variants
    made = [parse_recipe(ON_BASE, variant.changes(recipe, 3)) for variant in variants]
    assert len({r.model_dump_json() for r in made}) == len({r.name for r in made}) == len(variants)
    for variant, one in zip(variants, made, strict=True):
        assert (one.network.tuning, one.network.modalities) == (variant.tuning, variant.modalities)
        assert (one.network.fusion, one.data.share) == (variant.fusion, 0.8 * variant.share)
        assert one.optimizer.seed == one.data.share_seed == 3


def test_the_papers_steps_hold_in_its_own_numbers_but_for_loras_second_modality() -> None:
    """82.06 on both modalities, 82.74 on the orthophoto alone: Table IV says so itself."""
    for name in ("table4", "table5"):
        study = STUDIES[name]
        paper = {row.variant: [row.paper["miou"] / 100] for row in study.rows}
        for finding in compare(study, paper):
            assert finding.paper == pytest.approx(finding.mean)
            odd = finding.step.claim.startswith("Standard LoRA on both modalities")
            assert (finding.mean < 0) is odd


def test_differences_are_paired_by_seed() -> None:
    (found,) = compare(PAIR, {LOW: [0.50, 0.60, 0.40], HIGH: [0.52, 0.59, 0.45]})
    assert found.differences == pytest.approx((2, -1, 5))
    assert found.mean == pytest.approx(2)
    assert found.spread == pytest.approx(3)  # √((0² + 3² + 3²) / 2)
    assert found.held == 2
    assert found.paper == pytest.approx(84.72 - 75.11)


def test_a_step_may_compare_sums() -> None:
    """25, 50, 75, 100 %: 0.2, 0.4, 0.45, 0.5; the second quarter adds 20, the second half 10."""
    study = STUDIES["figure12"]
    miou = dict(zip(study.variants, ([0.2], [0.4], [0.45], [0.5]), strict=True))
    found = compare(study, miou)
    assert [f.mean for f in found] == pytest.approx([20, 5, 5, 10])
    assert [f.paper for f in found] == [None] * 4
    assert [f.spread for f in found] == [None] * 4


def finding(claim: str, *differences: float) -> Finding:
    return Finding(Step(claim, (HIGH,), (LOW,)), differences, None)


def test_the_verdict_says_what_held_in_all_seeds_on_average_and_not_at_all() -> None:
    said = verdict([finding("a ≥ b", 1, 0, 2)])
    assert said.startswith("The paper's order is found: all 1 steps hold in each of the 3 seeds.")
    assert "once in 8 times" in said
    said = verdict([finding("a ≥ b", 1, 2), finding("c ≥ d", -1, 3), finding("e ≥ f", 1, -3)])
    assert "not found in full: 1 of 3 steps hold in each of the 2 seeds." in said
    assert "On average, but not in each seed: c ≥ d." in said
    assert "Not even on average: e ≥ f." in said
    assert "hold in the one seed" in verdict([finding("a ≥ b", 1)])


RECIPES = Path(__file__).parents[3] / "training" / "recipes"
TOWN, PAPERS = (read_recipe(RECIPES / f"{name}.toml") for name in ("study-town", "vaihingen"))


def test_the_page_has_mean_and_spread_and_the_papers_numbers_on_its_own_data() -> None:
    found = {LOW: [figures(0.5), figures(0.6)], HIGH: [figures(0.8), figures(0.84)]}
    text = page(PAIR, found, TOWN, ISPRS)
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if "|" in line]
    assert ["", "frozen", "50.0 ± 0.0", "25.0 ± 0.0", "55.0 ± 7.1", ""] in rows
    assert ["", "whole ≥ frozen", "+27.0 ± 4.2", "2 of 2", "+9.61", ""] in rows
    assert "seeds 1 to 2. Measured on 2 test tiles, stride 80 px." in text
    assert "Commit 0123456." in text
    assert "brackets" not in text
    text = page(PAIR, found, PAPERS, ISPRS)
    assert "55.0 ± 7.1 (75.11)" in text
    assert "In brackets: the paper's, of one run with ViT-L." in text


def test_a_table_by_class_has_the_papers_columns() -> None:
    study = STUDIES["table4"]
    text = page(study, {v: [figures(0.5)] for v in study.variants}, TOWN, ISPRS)
    assert "px; seed 1. Measured on" in text
    head = next(line for line in text.splitlines() if "modality" in line)
    titles = ["Bui.", "Tre.", "Low.", "Car", "Imp.", "OA", "mF1"]
    assert [cell.strip() for cell in head.split("|")][3:-2] == titles
    row = next(line for line in text.splitlines() if "frozen, without tuning" in line)
    cells = [cell.strip() for cell in row.split("|")][3:-1]
    assert cells == ["10.0", "30.0", "20.0", "40.0", "0.0", "50.0", "25.0", "50.0"]


def test_the_summary_is_json_of_every_run() -> None:
    found = {LOW: [figures(0.5), figures(0.6)], HIGH: [figures(0.8), figures(0.84)]}
    values = json.loads(json.dumps(summary(PAIR, found, TOWN, ISPRS), allow_nan=False))
    assert [run["miou"] for run in values["rows"][1]["runs"]] == [0.8, 0.84]
    assert values["rows"][0]["paper"]["miou"] == pytest.approx(0.7511)
    assert values["order"][0]["held"] == 2
    assert values["seeds"] == [1, 2]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One step of a tiny network beside a tiny frozen encoder; two studies of two networks."""
    use_tiny(monkeypatch)
    short = ON_BASE.replace("steps = 10", "steps = 1").replace("warmup_steps = 2", "")
    alone = ["network.tuning=none", 'network.modalities=["ortho"]']
    save(MFNet(parse_recipe(TOML, alone).model_config_for()), tmp_path / "seeing.safetensors")
    path = tmp_path / "recipe.toml"
    path.write_text(short.replace("[optimizer]", "validation_towns = 1\n[optimizer]"))
    shares = tuple(Variant("mmadapter", share=share) for share in (0.5, 1.0))
    curve = Study(
        "Curve",
        ("tiles",),
        tuple(Row((f"{v.share:.0%}",), v) for v in shares),
        (Step("all ≥ half", shares[1:], shares[:1]),),
    )
    monkeypatch.setitem(STUDIES, "table4", PAIR)
    monkeypatch.setitem(STUDIES, "figure12", curve)
    return path


def study(name: str, recipe: Path, *options: str) -> Result:
    command = ["study", name, str(recipe), "--out", str(recipe.parent / "out"), "--threads", "1"]
    return CliRunner().invoke(app, [*command, "--models-dir", str(recipe.parent), *options])


def test_a_study_trains_measures_and_goes_on_where_it_was_stopped(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, trained = study_runs.run_train, []

    def killed_at_third(path: Path, out: Path, *rest: Any, **keys: Any) -> str:
        trained.append(out.relative_to(recipe.parent / "out").as_posix())
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(path, out, *rest, **keys)

    monkeypatch.setattr(study_runs, "run_train", killed_at_third)
    stopped = study("table4", recipe, "--seeds", "2")
    assert stopped.exit_code != 0
    done = study("table4", recipe, "--seeds", "2", "--json")
    assert done.exit_code == 0, done.output
    frozen, whole = "ortho-none-dfm", "ortho-ndsm-mmadapter-dfm"
    third = f"{frozen}/seed-1"
    assert trained == [f"{frozen}/seed-0", f"{whole}/seed-0", third, third, f"{whole}/seed-1"]
    values = json.loads(done.stdout.splitlines()[-1])
    assert values == json.loads((recipe.parent / "out" / "table4.json").read_text())
    assert [len(row["runs"]) for row in values["rows"]] == [2, 2]
    again = study("table4", recipe, "--seeds", "2")
    assert len(trained) == 5
    assert again.stdout.strip() == (recipe.parent / "out" / "table4.md").read_text().strip()
    other = study("figure12", recipe, "--seeds", "1")
    assert other.exit_code == 0, other.output
    assert trained[5:] == [f"{whole}-50/seed-0"]  # all tiles: table4 has trained it
    assert "<svg" in (recipe.parent / "out" / "figure12.svg").read_text()
    assert "![Curve](figure12.svg)" in other.stdout
    changed = study("table4", recipe, "--set", "optimizer.dice=0.25")
    assert isinstance(changed.exception, BadRecipe)
    assert "optimizer.dice was 0.5, is 0.25" in str(changed.exception)


def test_what_no_study_can_be_made_of_is_refused(recipe: Path) -> None:
    unknown = study("table6", recipe)
    assert isinstance(unknown.exception, BadOption)
    assert "no study 'table6'; there are: table4, table5, figure12" in str(unknown.exception)
    alone = study("table4", recipe, "--set", 'network.modalities=["ortho"]')
    assert isinstance(alone.exception, BadRecipe)
    assert "with and without ndsm" in str(alone.exception)
    trained = study("table4", recipe, "--set", "network.train_encoder=true")
    assert isinstance(trained.exception, BadRecipe)
    assert "one frozen encoder" in str(trained.exception)
    assert not (recipe.parent / "out").exists()
