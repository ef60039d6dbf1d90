"""The figures of a report as HTML: how good a model is, class by class, and how sure."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from mfnet.model.classes import ClassScheme
from mfnet.model.config import ModelConfig
from mfnet.training.evaluation.calibration import Calibration
from mfnet.training.reporting.plots import reliability
from mfnet.training.reporting.published_results import PAPER_TABLES
from mfnet.training.reporting.text_tables import area_error, percent, rule_iou

_OVERALL = {
    "oa": "overall accuracy",
    "kappa": "kappa",
    "mf1": "mF1",
    "miou": "mIoU",
    "ece": "calibration error",
}


def overview(kept: dict[str, Any] | None, measured: dict[str, Any] | None) -> Iterator[str]:
    """A table: a column for the check whose model was kept, one for the evaluation."""
    columns: dict[str, dict[str, Any]] = {}
    if kept is not None:
        columns[f"validation windows, step {kept['step']:,}"] = kept
    if measured is not None:
        columns[_measured_on(measured)] = measured
    yield "<h2>How good it is</h2>"
    rows = [
        (title, *(percent(figures.get(key)) for figures in columns.values()))
        for key, title in _OVERALL.items()
    ]
    yield _table(("percent", *columns), rows)
    yield (
        "<p>Overall accuracy is the share of all labelled pixels that are right; kappa the same "
        "beyond what chance would give. mF1 and mIoU are means over the foreground classes. The "
        "calibration error is how far the confidence lies from the share that is right.</p>"
    )


def by_class(measured: dict[str, Any], scheme: ClassScheme) -> Iterator[str]:
    """A row a class."""
    rows = []
    for land_class in scheme.classes:
        one = measured["classes"][land_class.name]
        shares = (percent(one[key]) for key in ("accuracy", "f1", "iou"))
        rule = rule_iou(measured, land_class.name)
        rows.append((land_class.title, *shares, rule, area_error(one), f"{one['pixels']:,}"))
    head = ("class", "found, %", "F1, %", "IoU, %", "rule's IoU, %", "area error", "true pixels")
    yield "<h2>Class by class</h2>"
    yield _table(head, rows, [_swatch(c.color) for c in scheme.classes])
    yield (
        "<p>Found: the share of a class's true pixels that the map has. IoU: what map and truth "
        "share of a class over what either of them has. The rule has no weights: higher than 2.5 m "
        "is tree where it is green and building where it is not; a network must beat it. Area "
        "error: how much more (+) or less of the class is mapped than there is; it may be small "
        "where many pixels are wrong both ways.</p>"
    )


def paper(measured: dict[str, Any], config: ModelConfig, kind: str) -> Iterator[str]:
    """The paper's table with ours below; nothing for other data than the paper's."""
    if kind not in PAPER_TABLES:
        return
    table = PAPER_TABLES[kind]
    rows = table.beside(config, measured)
    yield f"<h2>Beside the paper: table {table.number}, {escape(table.title)}</h2>"
    yield f'<div class="wide">{_table(table.head, rows)}</div>'
    yield (
        "<p>Percent. Of each class the share that is found; Total over all classes; mF1 and mIoU "
        "over the foreground. The paper's epoch was chosen by the test tiles, ours was not.</p>"
    )


def sureness(fitted: Calibration | None, measured: dict[str, Any] | None) -> Iterator[str]:
    """Reliability diagrams: before and after the temperature, and on the test tiles."""
    drawn: dict[str, dict[str, Any]] = {}
    if fitted is not None:
        drawn["Validation, temperature 1"] = fitted.before
        drawn[f"Validation, temperature {fitted.temperature:g}"] = fitted.after
    if measured is not None:
        drawn["Measured"] = measured
    if not drawn:
        return
    yield '<h2>How sure it is</h2><div class="curves">'
    for title, found in drawn.items():
        heading = f"{title}: error {percent(found['ece'])} %"
        picture = reliability(heading, found["reliability"])
        yield f'<img class="square" alt="{escape(heading)}" src="{picture}">'
    yield (
        "</div><p>Of the pixels that are, say, 80 % sure, 80 % should be right: points on the "
        "diagonal. Below it the model is too sure. Grey bars: how many pixels are how sure. The "
        "temperature divides the scores before they become percent; it was fitted on validation "
        "pixels and changes no class.</p>"
    )


def confusion(counts: Sequence[Sequence[int]], scheme: ClassScheme, where: str) -> Iterator[str]:
    """Rows are true classes, columns mapped ones; each row adds up to 100."""
    yield '<h2>Confusion</h2><div class="wide"><table><thead><tr><th>true \\ mapped, percent</th>'
    yield "".join(f"<th>{escape(c.title)}</th>" for c in scheme.classes)
    yield "<th>pixels</th></tr></thead><tbody>"
    for land_class, row in zip(scheme.classes, counts, strict=True):
        shares = [n / sum(row) if sum(row) else None for n in row]
        cells = "".join(
            f'<td style="background:rgb(31 119 180/{share or 0:.2f})">{percent(share)}</td>'
            for share in shares
        )
        yield (
            f"<tr><th>{_swatch(land_class.color)}{escape(land_class.title)}</th>{cells}"
            f"<td>{sum(row):,}</td></tr>"
        )
    yield f"</tbody></table></div><p>{escape(where)}</p>"


def _measured_on(measured: dict[str, Any]) -> str:
    conditions = measured["conditions"]
    tiles = len(conditions["tiles"])
    return (
        f"{conditions.get('split', 'test')}, {tiles} whole raster{'s' * (tiles != 1)}, stride "
        f"{conditions['stride_px']}"
    )


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], marks: Sequence[str] | None = None
) -> str:
    """Text as a table; marks are HTML before the rows' heads."""
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    marks = marks or [""] * len(rows)
    lines = [
        f"<tr><th>{mark}{escape(first)}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for mark, (first, *others) in zip(marks, rows, strict=True)
    ]
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _swatch(color: str) -> str:
    return f'<span class="swatch" style="background:{color}"></span>'
