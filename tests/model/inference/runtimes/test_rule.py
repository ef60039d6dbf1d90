"""The rule in a network's place, against the same three lines in float64."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mfnet.model.classes import ISPRS, MMHUNAN
from mfnet.model.config import neutral_values
from mfnet.model.errors import BadOption
from mfnet.model.inference.runtimes.rule import HIGH_M, RuleRuntime, rule_config, suits
from mfnet.model.weights.catalog import find, read_config

IMPERVIOUS, BUILDING, LOW, TREE = range(4)


def three_lines(
    ortho: NDArray[np.float64], metres: NDArray[np.float64], side: int, *, infrared: bool
) -> NDArray[np.int64]:
    """The rule as the issue has it, pixel by pixel."""
    first, second, third = ortho
    index = (first - second) / (first + second) if infrared else 2 * second - first - third
    within = side // 2
    padded = np.pad(index, within, mode="edge")
    green = np.array(
        [
            [padded[r : r + side, c : c + side].mean() > 0 for c in range(index.shape[1])]
            for r in range(index.shape[0])
        ]
    )
    high = metres > HIGH_M
    return np.select([high & green, high, green], [TREE, BUILDING, LOW], IMPERVIOUS)


@pytest.mark.parametrize("infrared", [False, True])
def test_the_file_that_comes_along_is_what_the_code_says(infrared: bool) -> None:
    path = find("rule-infrared" if infrared else "rule", Path())
    assert read_config(path) == rule_config(infrared=infrared)


@pytest.mark.parametrize("infrared", [False, True])
@pytest.mark.parametrize("gsd_m", [0.1, 0.2, 0.5, 3.0])
def test_it_is_the_three_lines(gsd_m: float, infrared: bool) -> None:
    rng = np.random.default_rng(3)
    # Values that keep clear of the limits of the index, beyond which it is cut off.
    ortho, metres = 0.45 + 0.1 * rng.random((3, 40, 40)), 6 * rng.random((40, 40))
    rule = RuleRuntime(rule_config(infrared=infrared), gsd_m)
    inputs = {
        "ortho": ortho[None].astype(np.float32),
        "ndsm": (metres / 30)[None, None].astype(np.float32),
    }
    found = rule(inputs)[0].argmax(0)
    side = max(1, round(2 / gsd_m)) | 1
    wanted = three_lines(ortho, metres, side, infrared=infrared)
    assert (found == wanted).mean() > 0.999  # sums in another order, just at the threshold


def test_without_a_height_nothing_stands() -> None:
    config = rule_config()
    (ndsm,) = (m for m in config.modalities if m.name == "ndsm")
    inputs = {
        "ortho": np.full((1, 3, 32, 32), 0.4, np.float32),
        "ndsm": np.full((1, 1, 32, 32), neutral_values(ndsm)[0], np.float32),
    }
    assert {*RuleRuntime(config)(inputs).argmax(1).ravel().tolist()} <= {IMPERVIOUS, LOW}


def test_it_is_for_schemes_that_have_buildings_and_trees() -> None:
    assert suits(ISPRS)
    assert not suits(MMHUNAN)
    with pytest.raises(BadOption, match="building, tree and the ground"):
        RuleRuntime(rule_config(scheme=MMHUNAN))


def test_another_pixel_size_is_another_rule_of_the_same_kind() -> None:
    rule = RuleRuntime(rule_config(infrared=True), 0.2)
    assert rule.at(0.4).config == rule.config
    assert rule.at(0.4).conditions != rule.at(0.2).conditions
