"""Figures of a model as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from mfnet.model.config import ModelConfig
from mfnet.training.reporting.published_results import PAPER_TABLES


def figures(found: dict[str, Any], config: ModelConfig, kind: str) -> str:
    """What was found, and on the paper's test tiles the paper's figures beside it.

    Args:
        found: What `Evaluation.summary` says.
        config: Of the model.
        kind: Of the data, as in recipes.
    """
    parts = [_classes(found), _overall(found)]
    if kind in PAPER_TABLES and found["conditions"]["split"] == "test":
        table = PAPER_TABLES[kind]
        parts.append(
            f"The paper's table {table.number} ({table.title}); of each class the accuracy:\n\n"
            + aligned([table.head, *table.beside(config, found)], left=2)
        )
    return "\n\n".join(parts)


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent."""
    return "–" if share is None else f"{100 * share:.{digits}f}"


def area_error(figures: dict[str, Any]) -> str:
    """Of a class: in percent of its true area, and in square metres where they are known."""
    if figures["area_error"] is None:
        return "–"
    error_m2 = figures["area_error_m2"]
    metres = "" if error_m2 is None else f" ({error_m2:+,.0f} m²)"
    return f"{100 * figures['area_error']:+.1f} %{metres}"


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows in columns of equal width, the first ones from the left, the others from the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join(map(line, rows))


def _classes(found: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]]
    rows = [("percent", "found", "F1", "IoU", "rule's IoU", "area error")]
    for name, one in found["classes"].items():
        shares = (percent(one[key]) for key in ("accuracy", "f1", "iou"))
        rows.append((name, *shares, rule_iou(found, name), area_error(one)))
    means = (percent(found["mf1"]), percent(found["miou"]))
    rows.append(("foreground mean", "", *means, rule_iou(found), ""))
    if not found.get("rule"):
        rows = [(*row[:4], row[5]) for row in rows]
    return aligned(rows)


def rule_iou(found: dict[str, Any], name: str | None = None) -> str:
    """The IoU that the rule reaches, of a class or the foreground's mean, in percent.

    A dash where the rule says nothing of the class, or of the data at all.
    """
    rule = found.get("rule")
    if rule is None:
        return "–"
    return percent(rule["miou"] if name is None else rule["classes"][name]["iou"] or None)


def _overall(found: dict[str, Any]) -> str:
    error = percent(found["ece"])
    return (
        f"overall accuracy {percent(found['oa'])}, kappa {percent(found['kappa'])}, expected "
        f"calibration error {error}; {found['pixels']:,} pixels"
    )
