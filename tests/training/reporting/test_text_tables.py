"""Figures as text: what stands where, and the paper's as its text has them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mfnet.model.classes import ISPRS, MMHUNAN, ClassScheme
from mfnet.model.config import ENCODERS, ModelConfig
from mfnet.training.evaluation.class_metrics import Confusion
from mfnet.training.evaluation.evaluate import Evaluation
from mfnet.training.evaluation.reliability import Reliability
from mfnet.training.reporting.published_results import PAPER_TABLES
from mfnet.training.reporting.text_tables import aligned, figures

CONFIG = ModelConfig(encoder=ENCODERS["vit_l"], tuning="mmlora")


def found(scheme: ClassScheme, split: str = "test") -> dict[str, Any]:
    """Two classes, 30 and 10 pixels of 4 m²; of the first a third is taken for the second."""
    truth, mapped = np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [20, 20])
    confusion, reliability = Confusion(scheme), Reliability()
    confusion.add(truth, mapped, 4.0)
    reliability.add(truth, mapped, np.full(40, 0.85))
    return Evaluation(confusion, reliability, {"split": split}).summary()


def test_classes_and_overall_figures_are_told() -> None:
    told = figures(found(ISPRS), CONFIG, "town").splitlines()
    assert told[0].split() == ["percent", "found", "F1", "IoU", "area", "error"]
    words = [" ".join(line.split()) for line in told]
    assert words[1] == "impervious_surface 66.7 80.0 66.7 -33.3 % (-40 m²)"
    assert words[2] == "building 100.0 66.7 50.0 +100.0 % (+40 m²)"
    assert words[3] == "low_vegetation – – – –"
    assert "overall accuracy 75.0, kappa 50.0, expected calibration error 10.0; 40 pixels" in told
    assert not any("paper" in line for line in told)


def test_the_rules_figures_stand_beside_the_models() -> None:
    beside = found(ISPRS) | {"rule": found(ISPRS)}
    words = [" ".join(line.split()) for line in figures(beside, CONFIG, "town").splitlines()]
    assert words[0] == "percent found F1 IoU rule's IoU area error"
    assert words[2] == "building 100.0 66.7 50.0 50.0 +100.0 % (+40 m²)"
    assert words[5] == "car – – – – –"


@pytest.mark.parametrize(("kind", "scheme"), [("potsdam", ISPRS), ("mmhunan", MMHUNAN)])
def test_the_papers_table_is_printed_beside_ours(kind: str, scheme: ClassScheme) -> None:
    head, *rows = figures(found(scheme), CONFIG, kind).split("accuracy:\n\n")[1].splitlines()
    assert head.split()[-3:] == ["Total", "mF1", "mIoU"]
    assert len(rows) == 7
    assert rows[-1].split()[:3] == ["ours", "(mmlora)", "ViT-L"]
    assert rows[-1].split()[-3] == "75.00"
    column = head.index("Imp." if kind == "potsdam" else "Cropland")
    assert rows[-1][column - 2 :].split()[0] == "66.67"
    assert {len(row) for row in rows} == {len(rows[0])}
    assert "paper" not in figures(found(scheme, "validation"), CONFIG, kind)


def test_text_is_aligned() -> None:
    assert aligned([("a", "bcd"), ("ef", "g")]) == "a   bcd\nef    g"


def test_the_papers_numbers_are_those_of_its_text(shared: Path) -> None:
    (path,) = (shared / "paper").glob("*.txt")
    text = re.sub("</?u>", "", path.read_text(encoding="utf-8"))
    for table in PAPER_TABLES.values():
        here = text.index(f"TABLE {table.number}\n")
        part = text[here : here + 5000]
        assert table.title.split()[-1].upper() in part[:200].upper()
        for values in table.rows.values():
            assert "\t".join(f"{value:.2f}" for value in values) in part
