"""The rule's figures on tiles: what comes of running it over them by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mfnet.model.classes import ISPRS, MMHUNAN
from mfnet.model.inference.runtimes.rule import RuleRuntime, rule_config
from mfnet.model.inference.segment import segment
from mfnet.training.config.data import TownRecipe, VaihingenRecipe
from mfnet.training.datasets.sources.synthetic_towns import TownPool
from mfnet.training.evaluation.map_accuracy import accuracy
from mfnet.training.evaluation.rule_baseline import KEYS, rule_figures
from mfnet.training.synthetic.any_town import draw_any_town
from mfnet.training.synthetic.town import draw_town, write_town


def test_they_are_those_of_the_rules_map(tmp_path: Path) -> None:
    town = draw_town(3, 300)
    found = rule_figures(TownRecipe(), TownPool([town]).areas, ISPRS, gsd_m=town.gsd_m)
    # A tile keeps its heights in half precision.
    write_town(tmp_path, replace(town, ndsm=town.ndsm.astype(np.float16).astype(np.float32)))
    out = tmp_path / "classes.tif"
    segment(tmp_path / "ortho.tif", tmp_path / "ndsm.tif", RuleRuntime(rule_config()), out)
    by_hand = accuracy(out, tmp_path / "truth.tif")
    assert found is not None
    assert found == {key: by_hand[key] for key in KEYS}
    assert found["classes"]["building"]["iou"] > 0.3


def test_places_in_colour_and_in_infrared_have_each_their_rule() -> None:
    places = [draw_any_town(7, 256, 0.2, infrared=infrared) for infrared in (False, True)]
    both, colour, near = (
        rule_figures(TownRecipe(), TownPool(some).areas, ISPRS)
        for some in (places, places[:1], places[1:])
    )
    assert both is not None
    assert colour is not None
    assert near is not None
    pixels = [one["classes"]["tree"]["pixels"] for one in (both, colour, near)]
    assert pixels[0] == pixels[1] + pixels[2]
    assert colour["classes"]["tree"]["iou"] != near["classes"]["tree"]["iou"]


def test_it_says_nothing_where_it_knows_nothing() -> None:
    areas = TownPool([draw_town(3, 256)]).areas
    assert rule_figures(TownRecipe(), areas, MMHUNAN) is None
    assert rule_figures(VaihingenRecipe(kind="vaihingen"), areas, ISPRS) is None  # 0 to 1
