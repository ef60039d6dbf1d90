"""The precision of a run."""

import pytest
from small_runs import TOML, started, use_tiny

from mfnet.training.config.recipe import parse_recipe
from mfnet.training.trainer import precision


@pytest.fixture
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the processor has some for bf16."""
    use_tiny(monkeypatch)
    monkeypatch.setattr(precision, "has_bf16", lambda device: request.param)


@pytest.mark.parametrize(
    ("instructions", "wanted", "taken"),
    [
        (True, "auto", "bf16"),
        (False, "auto", "fp32"),
        (True, "fp32", "fp32"),
        (True, "bf16", "bf16"),
    ],
    indirect=["instructions"],
)
@pytest.mark.usefixtures("instructions")
def test_auto_takes_bf16_where_there_are_instructions_for_it(wanted: str, taken: str) -> None:
    run = started(parse_recipe(TOML, [f"optimizer.precision={wanted}"]))
    assert run.recipe.optimizer.precision == taken
    assert run.facts()["optimizer.precision"] == taken  # a run does not change it when it goes on
    assert run.remarks == ()


@pytest.mark.parametrize("instructions", [False], indirect=True)
@pytest.mark.usefixtures("instructions")
def test_bf16_without_instructions_for_it_is_done_and_told() -> None:
    run = started(parse_recipe(TOML, ["optimizer.precision=bf16"]))
    assert run.recipe.optimizer.precision == "bf16"
    (remark,) = run.remarks
    assert "many times slower" in remark
